"""Attacks on a campaign's secrets: none follows from its file, from source code or from the data of a run."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from aar.config import CampaignConfig
from aar.scoring.actor import Scorer
from aar.scoring.dataset import HeldOutDataset
from aar.scoring.records import DEV, SEALED, ExperimentRun
from aar.scoring.store import ScoreStore
from tests.scoring.doubles import ComputeDouble, campaign, preferences, texts_of, write_dataset

SIZES = {"train_label": 40, "train_unlabel": 60, "test": 240}


@pytest.fixture(params=["minimal-pairs", "a folder"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> CampaignConfig:
    if request.param == "a folder":
        return campaign(write_dataset(tmp_path / "data", preferences))
    return campaign(request.param, **SIZES)


def opened(config: CampaignConfig, folder: Path) -> HeldOutDataset:
    """The dataset as the scorer of the campaign in `folder` holds it, whose key is drawn at the first call."""
    folder.mkdir(exist_ok=True)
    compute = ComputeDouble()
    held_out = HeldOutDataset(config, config.problem.dataset(), ScoreStore(folder), compute)
    compute.know(held_out.data)
    return held_out


def seeds_of(config: CampaignConfig, folder: Path) -> tuple[int, ...]:
    scorer = Scorer(config, str(folder), ComputeDouble())
    return asyncio.run(scorer.admit("ada", "a snapshot", "a note", "key")).seeds


def test_two_campaigns_of_one_file_have_different_test_sets_and_seeds(config: CampaignConfig, tmp_path: Path) -> None:
    one, other = opened(config, tmp_path / "one"), opened(config, tmp_path / "other")
    for split in (DEV, SEALED):
        assert set(texts_of(one.splits[split])) != set(texts_of(other.splits[split]))
    assert set(seeds_of(config, tmp_path / "one")) != set(seeds_of(config, tmp_path / "other"))


def test_a_restarted_scorer_has_the_same_splits_and_seeds(config: CampaignConfig, tmp_path: Path) -> None:
    before, after = opened(config, tmp_path / "one"), opened(config, tmp_path / "one")
    for split in (DEV, SEALED):
        assert texts_of(before.splits[split]) == texts_of(after.splits[split])
    assert seeds_of(config, tmp_path / "one") == seeds_of(config, tmp_path / "one")


def test_the_shuffling_of_labels_cannot_be_undone_from_what_is_known_of_the_run(tmp_path: Path) -> None:
    """Otherwise a method could tell that it runs as a control, and which labels it really has."""
    config = campaign(write_dataset(tmp_path / "data"))
    shuffled = []
    for name in ("one", "other"):
        held_out = opened(config, tmp_path / name)
        plain, mixed = (
            asyncio.run(held_out.task(ExperimentRun("data", 7, labels), DEV)).weak_labels
            for labels in ("teacher", "shuffled")
        )
        np.testing.assert_array_equal(np.sort(plain, axis=0), np.sort(mixed, axis=0))
        guesses = [np.random.default_rng(seed).permutation(len(mixed)) for seed in (7, [7, 4], [7, 1])]
        shuffled += [not np.array_equal(plain[guess], mixed) for guess in guesses]
    assert all(shuffled)


def test_the_key_is_only_in_the_scorers_database(tmp_path: Path) -> None:
    secret = ScoreStore(tmp_path).key().secret
    assert len(secret) == 32 and ScoreStore(tmp_path, read_only=True).key().secret == secret
    ScoreStore(tmp_path).append_to_ledger("refused", "ada", "refused/1", {"reason": "none left"})
    printed = repr(ScoreStore(tmp_path).ledger()) + repr(ScoreStore(tmp_path).key())
    assert secret.hex() not in printed and repr(secret) not in printed
