"""Attacks on the built-in datasets: what the texts reveal about labels without their meaning.

A classifier learns on half of a split with its true labels, which no researcher has, and is tried on the other half.
"""

import hashlib
from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aar.assets import cache_folder
from aar.config import DatasetConfig
from aar.problems.dataset import SPLITS, Dataset, Preference, Split
from aar.problems.loading import load_dataset
from tests.keys import key_of

HAS_HEADLINES = bool(list(cache_folder().glob("assets/evals-*")))
SIZES = {"train_label": 2000, "train_unlabel": 4000, "test": 6000}


def sides(part: Split) -> list[tuple[str, ...]]:
    return [(one.first, one.second) if isinstance(one, Preference) else (one.choice,) for one in part.examples]


def apart(values: np.ndarray) -> np.ndarray:
    """(n, sides, d) -> every side's values, and for pairs the second's less the first's."""
    differences = [values[:, 1] - values[:, 0]] if values.shape[1] == 2 else []
    return np.hstack([*values.transpose(1, 0, 2), *differences])


def hashes(dataset: Dataset, part: Split) -> np.ndarray:
    """Bits and remainders of digests, of each text and of both together."""

    def bits(text: str) -> list[int]:
        digests = [hashlib.sha256(text.encode()).digest()[0], hashlib.md5(text.encode()).digest()[0]]
        return [int(digest % 16 == rest) for digest in digests for rest in range(16)]

    whole = np.array([bits("".join(sorted(texts))) for texts in sides(part)])
    return np.hstack([apart(np.array([[bits(text) for text in texts] for texts in sides(part)])), whole])


def lengths(dataset: Dataset, part: Split) -> np.ndarray:
    def of(text: str) -> list[float]:
        return [len(text), len(text.encode()), len(text.split()), len(text) ** 2, len(text) % 2]

    return apart(np.array([[of(text) for text in texts] for texts in sides(part)]))


def order(dataset: Dataset, part: Split) -> np.ndarray:
    """The row's place."""
    places = np.arange(len(part))
    return np.stack([places, *(places % step for step in (2, 3, 4, 5, 8, 16))], axis=1).astype(float)


def alphabet(dataset: Dataset, part: Split) -> np.ndarray:
    """Of a pair, which text comes first in the alphabet.

    Within some phenomena it is always the same one ("them up" before "up them"). Over all of them this cancels out, but
    not over the half that a dialect reverses: there it tells as much as the phenomenon itself, of which only labels say
    whether it is reversed.
    """
    return np.array([[float(texts[0] < texts[-1])] for texts in sides(part)])


def duplicates(dataset: Dataset, part: Split) -> np.ndarray:
    """How often each text occurs in every split, and its beginning in its own."""
    counts = [Counter(text for texts in sides(getattr(dataset, name)) for text in texts) for name in SPLITS]
    starts = Counter(text[:20] for texts in sides(part) for text in texts)

    def of(text: str) -> list[float]:
        return [*(float(one[text]) for one in counts), float(starts[text[:20]])]

    return apart(np.array([[of(text) for text in texts] for texts in sides(part)]))


def byte_counts(dataset: Dataset, part: Split) -> np.ndarray:
    """For pairs, how the texts' bytes differ; for single texts only non-letters, since letters make words."""

    def count(text: str) -> np.ndarray:
        return np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256)

    values = np.array([[count(text) for text in texts] for texts in sides(part)])
    if values.shape[1] == 2:
        return np.asarray(values[:, 1] - values[:, 0], float)
    marks = [byte for byte in range(128) if not chr(byte).isalnum()]
    return np.asarray(values[:, 0][:, marks] > 0, float)


@pytest.mark.parametrize(
    "cue", [hashes, lengths, order, alphabet, duplicates, byte_counts], ids=lambda cue: cue.__name__
)
@pytest.mark.parametrize(
    "source",
    [
        "minimal-pairs",
        "dialect",
        pytest.param(
            "sarcasm", marks=pytest.mark.skipif(not HAS_HEADLINES, reason="the headlines were not fetched before")
        ),
    ],
)
def test_no_classifier_on_the_look_of_texts_beats_chance(source: str, cue: object) -> None:
    if (source, cue) == ("dialect", alphabet):
        pytest.skip("see alphabet")
    dataset = load_dataset(DatasetConfig.model_validate({"name": "a", "source": source, **SIZES}), key_of(3))
    for part in (dataset.train_unlabel, dataset.test):
        features, half = cue(dataset, part), len(part) // 2  # type: ignore[operator]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        found = model.fit(features[:half], part.labels[:half]).score(features[half:], part.labels[half:])
        share = float(part.labels[half:].mean())
        assert found < max(share, 1 - share) + 4 * 0.5 / half**0.5
