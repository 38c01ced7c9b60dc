"""The generator of minimal pairs: varied, deterministic, and without a cue that gives the answer away."""

import collections
import hashlib
import subprocess
import sys

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from aar.errors import ProblemError
from aar.problems.dataset import Preference, Row, SplitName
from aar.problems.grammar.draw import Draw, Phenomenon, article
from aar.problems.grammar.lexicon import PEOPLE, PEOPLE_VERBS, THINGS
from aar.problems.grammar.pairs import PHENOMENA, draw
from aar.problems.key import Sizes
from tests.keys import KEY


def pairs_of(phenomenon: Phenomenon, size: int) -> list[tuple[str, str]]:
    choices = Draw(KEY.stream("test").random)
    return [phenomenon(choices) for _ in range(size)]


def rows(split: SplitName, size: int) -> list[Row]:
    """So many rows of one split; few of the others."""
    few: Sizes = {"train_label": 8, "train_unlabel": 8, "test": 8}
    return draw({**few, split: size}, KEY)[split]


def texts(rows: list[Row]) -> list[tuple[str, str]]:
    return [(example.first, example.second) for example, _ in rows if isinstance(example, Preference)]


each = pytest.mark.parametrize("phenomenon", PHENOMENA, ids=lambda phenomenon: phenomenon.__name__)


@each
def test_a_phenomenon_has_thousands_of_distinct_pairs(phenomenon: Phenomenon) -> None:
    drawn = pairs_of(phenomenon, 3000)
    assert len({good for good, _ in drawn}) > 2900
    assert not {good for good, _ in drawn} & {bad for _, bad in drawn}


@each
def test_the_two_sentences_differ_in_few_words(phenomenon: Phenomenon) -> None:
    for good, bad in pairs_of(phenomenon, 300):
        left, right = (collections.Counter(text.lower().split()) for text in (good, bad))
        assert good != bad
        assert sum(((left - right) + (right - left)).values()) <= 6


@each
def test_sentences_are_written_as_sentences(phenomenon: Phenomenon) -> None:
    for sentence in (text for pair in pairs_of(phenomenon, 300) for text in pair):
        assert sentence[0].isupper() and sentence[-1] in ".?" and "  " not in sentence and "{" not in sentence
        assert 5 <= len(sentence.split()) <= 26


def test_sentences_have_about_twelve_words() -> None:
    lengths = [len(first.split()) for first, _ in texts(rows("test", 1000))]
    assert 11 < np.mean(lengths) < 14


def test_every_phenomenon_has_about_its_share() -> None:
    assert 14 <= len(PHENOMENA) <= 20
    assert len({phenomenon.__name__ for phenomenon in PHENOMENA}) == len(PHENOMENA)


def test_the_better_sentence_is_first_as_often_as_second() -> None:
    assert 0.45 < np.mean([label for _, label in rows("train_unlabel", 2000)]) < 0.55


def test_the_draw_is_the_same_in_every_process_and_version_of_python() -> None:
    """The digest is frozen: a change of the generator changes every published number of the quickstart."""
    code = "from tests.problems.test_grammar import rows; print(rows('test', 300))"
    outside = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert outside.strip() == str(rows("test", 300))
    assert hashlib.sha256(outside.strip().encode()).hexdigest()[:16] == "fe7b38d3f4207c72"


def test_a_larger_draw_begins_with_the_smaller() -> None:
    assert rows("test", 200)[:100] == rows("test", 100)


def test_more_pairs_than_can_be_given_are_refused() -> None:
    with pytest.raises(ProblemError, match="at most 200000"):
        rows("test", 200_001)


def test_no_single_word_gives_the_answer_away() -> None:
    train, test = rows("train_unlabel", 2000), rows("test", 2000)
    words = CountVectorizer(token_pattern=r"[\w']+").fit([text for pair in texts(train) for text in pair])

    def cues(rows: list[Row]) -> np.ndarray:
        firsts, seconds = zip(*texts(rows), strict=True)
        return np.asarray((words.transform(seconds) - words.transform(firsts)).toarray())

    labels = [np.array([label for _, label in rows]) for rows in (train, test)]
    accuracy = LogisticRegression(max_iter=2000).fit(cues(train), labels[0]).score(cues(test), labels[1])
    assert accuracy < 0.53


@each
def test_the_difference_of_two_sentences_is_on_either_side_equally_often(phenomenon: Phenomenon) -> None:
    """In bytes, so that neither lengths nor letters tell which is the acceptable one."""
    size, ways = 6000, collections.Counter[tuple[tuple[int, int], ...]]()
    for good, bad in pairs_of(phenomenon, size):
        apart = collections.Counter(bad.encode())
        apart.subtract(good.encode())
        ways[tuple(sorted((byte, count) for byte, count in apart.items() if count))] += 1
    for way, count in ways.items():
        back = ways[tuple((byte, -count) for byte, count in way)]
        assert abs(count - back) <= 4 * (count + back) ** 0.5


def test_inflected_forms_are_spelled_by_the_rules() -> None:
    plurals = {noun.singular: noun.plural for noun in PEOPLE + THINGS}
    assert (plurals["secretary"], plurals["child"], plurals["box"], plurals["key"]) == (
        "secretaries",
        "children",
        "boxes",
        "keys",
    )
    pasts = {verb.base: verb.past for verb in PEOPLE_VERBS}
    assert (pasts["envy"], pasts["admire"], pasts["greet"], pasts["annoy"]) == (
        "envied",
        "admired",
        "greeted",
        "annoyed",
    )


@pytest.mark.parametrize(("phrase", "expected"), [("old lamp", "an old lamp"), ("key", "a key")])
def test_the_article_fits_the_word_after_it(phrase: str, expected: str) -> None:
    assert article(phrase) == expected


def test_two_choices_differ_and_reach_every_option() -> None:
    choices = Draw(KEY.stream("test").random)
    drawn = [choices.two("abc") for _ in range(200)]
    assert all(first != second for first, second in drawn) and len(set(drawn)) == 6
