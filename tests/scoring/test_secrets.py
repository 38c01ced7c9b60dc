"""Attacks on what a campaign hides: nothing of it follows from its file, its source or what a run is told."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from aar.config import CampaignConfig
from aar.scoring.actor import Scorer
from aar.scoring.records import DEV, SEALED, ExperimentRun
from aar.scoring.store import ScoreStore
from tests.scoring.doubles import ComputeDouble, campaign, preferences, texts_of, write_dataset

SIZES = {"train_label": 40, "train_unlabel": 60, "test": 240}


@pytest.fixture(params=["minimal-pairs", "a folder"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> CampaignConfig:
    if request.param == "a folder":
        return campaign(write_dataset(tmp_path / "data", preferences))
    return campaign(request.param, **SIZES)


def scorer(config: CampaignConfig, folder: Path) -> Scorer:
    folder.mkdir(exist_ok=True)
    made = Scorer(config, str(folder), ComputeDouble())
    made._compute.know(made._hidden("data").data)
    return made


def hidden_texts(scorer: Scorer, part: str) -> list[str]:
    return texts_of(scorer._hidden("data").parts[part])


def seeds_of(scorer: Scorer) -> tuple[int, ...]:
    return asyncio.run(scorer.admit("ada", "a snapshot", "a note", "key")).seeds


def test_two_campaigns_of_one_file_have_different_test_sets_and_seeds(config: CampaignConfig, tmp_path: Path) -> None:
    one, other = scorer(config, tmp_path / "one"), scorer(config, tmp_path / "other")
    assert set(hidden_texts(one, DEV)) != set(hidden_texts(other, DEV))
    assert set(hidden_texts(one, SEALED)) != set(hidden_texts(other, SEALED))
    assert set(seeds_of(one)) != set(seeds_of(other))


def test_a_scorer_that_starts_again_goes_on_with_the_same(config: CampaignConfig, tmp_path: Path) -> None:
    one, again = scorer(config, tmp_path / "one"), scorer(config, tmp_path / "one")
    assert hidden_texts(one, DEV) == hidden_texts(again, DEV)
    assert hidden_texts(one, SEALED) == hidden_texts(again, SEALED)
    assert seeds_of(one) == seeds_of(again)


def test_nobody_who_knows_the_run_can_undo_the_shuffling_of_its_labels(tmp_path: Path) -> None:
    """Else a method could tell that it is being controlled, and whose labels it really has."""
    config = campaign(write_dataset(tmp_path / "data"))
    shuffled = []
    for name in ("one", "other"):
        hidden = scorer(config, tmp_path / name)._hidden("data")
        plain, mixed = (
            asyncio.run(hidden.task(ExperimentRun("data", 7, labels), DEV)).weak_labels
            for labels in ("teacher", "shuffled")
        )
        np.testing.assert_array_equal(np.sort(plain, axis=0), np.sort(mixed, axis=0))
        guesses = [np.random.default_rng(seed).permutation(len(mixed)) for seed in (7, [7, 4], [7, 1])]
        shuffled += [not np.array_equal(plain[guess], mixed) for guess in guesses]
    assert all(shuffled)


def test_the_key_is_in_the_scorers_database_alone(tmp_path: Path) -> None:
    secret = ScoreStore(tmp_path).key().secret
    assert len(secret) == 32 and ScoreStore(tmp_path, read_only=True).key().secret == secret
    ScoreStore(tmp_path).note("refused", "ada", "refused/1", {"reason": "none left"})
    told = repr(ScoreStore(tmp_path).ledger()) + repr(ScoreStore(tmp_path).key())
    assert secret.hex() not in told and repr(secret) not in told
