"""Datasets from their settings: sizes, keys, disjoint splits, and sources that cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest

from aar.assets import cache_folder
from aar.config import DatasetConfig
from aar.errors import ProblemError
from aar.problems import sarcasm
from aar.problems.dataset import SPLITS, Dataset, Judgement, Split
from aar.problems.key import Key
from aar.problems.loading import load_dataset as load
from tests.keys import KEY, key_of


def settings(source: object, **sizes: int) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "tiny", "source": str(source), **sizes})


def load_dataset(config: DatasetConfig, key: Key = KEY) -> Dataset:
    return load(config, key)


def split(dataset: Dataset, name: str) -> Split:
    found = getattr(dataset, name)
    assert isinstance(found, Split)
    return found


def rows_of(part: Split) -> list[tuple[str, int]]:
    texts = [example.choice for example in part.examples if isinstance(example, Judgement)]
    return list(zip(texts, part.labels.tolist(), strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in SPLITS:
        rows = [{"question": f"{name} {row}", "choice": "yes", "label": row % 2} for row in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


@pytest.fixture
def headlines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file of the form in which the headlines are published, one headline twice."""
    file = tmp_path / "samples.jsonl"
    texts = [f"headline {row}" for row in range(1997)] + [f"a mark! {row}" for row in range(3)] + ["headline 7"]
    items = [
        {"input": [{"role": "system", "content": "0 or 1"}, {"role": "user", "content": text}], "ideal": str(row % 2)}
        for row, text in enumerate(texts[:-1])
    ]
    file.write_text("".join(json.dumps(item) + "\n" for item in [*items, items[7]]))
    monkeypatch.setattr("aar.assets.fetch", lambda asset: file)


def test_a_folder_is_taken_whole_without_sizes_in_an_order_that_says_nothing_about_its_files(folder: Path) -> None:
    dataset = load_dataset(settings(folder))
    assert (dataset.name, dataset.kind) == ("tiny", "binary")
    assert [len(split(dataset, name)) for name in SPLITS] == [40, 40, 40]
    places = [int(one.question.split()[1]) for one in dataset.test.examples if isinstance(one, Judgement)]
    assert sorted(places) == list(range(40)) and places != list(range(40))
    assert dataset.test.labels.tolist() == [place % 2 for place in places]


def test_a_size_takes_a_sample_given_by_the_key(folder: Path) -> None:
    one, same, other = (load_dataset(settings(folder, test=20), key_of(number)).test for number in (1, 1, 2))
    assert one.examples == same.examples and set(one.examples) != set(other.examples)
    assert len(set(one.examples)) == 20


def test_sampled_rows_keep_their_labels(folder: Path) -> None:
    sampled = load_dataset(settings(folder, test=20)).test
    for example, label in zip(sampled.examples, sampled.labels, strict=True):
        assert isinstance(example, Judgement) and int(example.question.split()[1]) % 2 == label


def test_asking_a_folder_for_more_than_it_has_is_an_error(folder: Path) -> None:
    with pytest.raises(ProblemError, match=r"train_label = 41, but .*/train_label\.jsonl has 40 rows"):
        load_dataset(settings(folder, train_label=41))


def test_labels_are_read_only_small_integers(folder: Path) -> None:
    labels = load_dataset(settings(folder)).test.labels
    assert labels.dtype == np.int8
    with pytest.raises(ValueError, match="read-only"):
        labels[0] = 1


def test_an_unknown_source_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match='Did you mean "minimal-pairs"'):
        load_dataset(settings("minimal_pairs"))
    with pytest.raises(ProblemError, match="Give the path of a folder"):
        load_dataset(settings(tmp_path / "nowhere"))


@pytest.mark.usefixtures("headlines")
@pytest.mark.parametrize("source", ["minimal-pairs", "dialect", "sarcasm"])
class TestDrawnSources:
    SIZES = dict(train_label=40, train_unlabel=150, test=120)  # noqa: RUF012

    def test_the_same_key_gives_the_same_rows(self, source: str) -> None:
        one, two = (load_dataset(settings(source, **self.SIZES)) for _ in range(2))
        for name in SPLITS:
            assert split(one, name).examples == split(two, name).examples
            assert np.array_equal(split(one, name).labels, split(two, name).labels)

    def test_another_key_gives_other_rows(self, source: str) -> None:
        one, two = (load_dataset(settings(source, **self.SIZES), key_of(number)) for number in (1, 2))
        assert one.test.examples != two.test.examples

    def test_splits_share_no_row(self, source: str) -> None:
        dataset = load_dataset(settings(source, **self.SIZES))
        rows = [example for name in SPLITS for example in split(dataset, name).examples]
        assert len(set(rows)) == len(rows) == sum(self.SIZES.values())

    def test_the_size_of_a_training_split_changes_no_other(self, source: str) -> None:
        small = load_dataset(settings(source, train_label=20, train_unlabel=30, test=120))
        large = load_dataset(settings(source, **self.SIZES))
        assert small.test.examples == large.test.examples
        assert large.train_label.examples[:20] == small.train_label.examples

    def test_both_labels_occur_often(self, source: str) -> None:
        assert 0.3 < load_dataset(settings(source, **self.SIZES)).train_unlabel.labels.mean() < 0.7


@pytest.mark.usefixtures("headlines")
def test_sarcasm_without_sizes_takes_as_many_headlines_of_each_class_for_every_look() -> None:
    dataset = load_dataset(settings("sarcasm"))
    found = [row for name in SPLITS for row in rows_of(split(dataset, name))]
    assert len(found) == len(set(found)) == 1998  # of the three headlines with a mark of their own two can be matched
    for lengths in (range(10, 12), range(12, 15)):
        assert np.mean([label for text, label in found if len(text) in lengths]) == 0.5


@pytest.mark.usefixtures("headlines")
def test_a_headline_is_judged_as_an_answer_and_keeps_its_label() -> None:
    rows = sarcasm.draw({"train_label": 8, "train_unlabel": 8, "test": 50}, KEY)["test"]
    assert all(
        example == Judgement(sarcasm.QUESTION, example.choice) for example, _ in rows if isinstance(example, Judgement)
    )
    choices = [(example.choice, label) for example, label in rows if isinstance(example, Judgement)]
    assert len(choices) == 50 and all(int(choice.split()[-1]) % 2 == label for choice, label in choices)


@pytest.mark.usefixtures("headlines")
def test_asking_for_more_headlines_than_there_are_is_an_error() -> None:
    with pytest.raises(ProblemError, match=r"sarcasm: 5000 rows asked for in test, but it has \d+"):
        load_dataset(settings("sarcasm", test=5000))


def test_a_damaged_file_of_headlines_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples.jsonl").write_text('{"input": []}\n')
    monkeypatch.setattr("aar.assets.fetch", lambda asset: tmp_path / "samples.jsonl")
    with pytest.raises(ProblemError, match="not the published file"):
        load_dataset(settings("sarcasm"))


@pytest.mark.skipif(not list(cache_folder().glob("assets/evals-*")), reason="the headlines were not fetched before")
def test_the_published_headlines_are_as_described() -> None:
    dataset = load_dataset(settings("sarcasm"))
    parts = [split(dataset, name) for name in SPLITS]
    assert sum(len(part) for part in parts) > 17_000
    assert all(0.47 < part.labels.mean() < 0.53 for part in parts)
