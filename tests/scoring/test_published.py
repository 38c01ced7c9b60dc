"""Published results: the table is recomputed from the figures per seed, and bad files are named."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from aar.errors import ProblemError
from aar.scoring.published import read_published

WEAK = {"42": {"weak_acc": 0.50}, "43": {"weak_acc": 0.54}}
CEILING = {"42": {"strong_acc": 0.70}, "43": {"strong_acc": 0.74}}
METHODS = {
    "vanilla": {seed: {"transfer_acc": acc, "pgr": 0.0} for seed, acc in (("42", 0.54), ("43", 0.58), ("44", 0.62))},
    "once": {"42": {"transfer_acc": 0.72}},
}


def write(folder: Path, **changes: Any) -> Path:
    dataset = {"n_test": 1000, "baselines": {"weak": WEAK, "ceiling": CEILING}, "methods": METHODS, **changes}
    file = folder / "published.json"
    file.write_text(json.dumps({"source": "somewhere", "datasets": {"chat": dataset}}))
    return file


def test_means_pgr_and_standard_errors_are_those_of_the_seeds(tmp_path: Path) -> None:
    [chat] = read_published(write(tmp_path))
    assert (chat.name, chat.items, chat.weak_seeds, chat.ceiling_seeds) == ("chat", 1000, 2, 2)
    assert (chat.weak, chat.ceiling) == (pytest.approx(0.52), pytest.approx(0.72))
    vanilla, once = chat.methods
    assert (vanilla.seeds, vanilla.transfer) == (3, pytest.approx(0.58))
    assert vanilla.pgr.value == pytest.approx(0.3)  # the mean of 0.1, 0.3 and 0.5
    assert vanilla.sd == pytest.approx(0.2) and vanilla.se == pytest.approx(0.2 / math.sqrt(3))
    assert (once.pgr.value, once.sd, once.se) == (pytest.approx(1.0), None, None)


def test_our_interval_is_wider_than_that_of_seeds_alone(tmp_path: Path) -> None:
    vanilla = read_published(write(tmp_path))[0].methods[0]
    assert vanilla.se is not None
    assert vanilla.pgr.high - vanilla.pgr.value > 1.96 * vanilla.se
    assert vanilla.pgr.value - vanilla.pgr.low == pytest.approx(vanilla.pgr.high - vanilla.pgr.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_test": "many"}, "chat: n_test is 'many'"),
        ({"baselines": {"weak": WEAK}}, 'chat: has no "ceiling"'),
        ({"methods": {"m": {"42": {"accuracy": 0.5}}}}, 'chat, m, seed 42: has no "transfer_acc"'),
        ({"methods": {"m": {"42": {"transfer_acc": 54}}}}, "chat, m: transfer_acc is 54; expected an accuracy"),
        ({"methods": {"m": {}}}, "chat, m: expected an object with an entry for each seed"),
        ({"baselines": {"weak": WEAK, "ceiling": {"1": {"strong_acc": 0.4}}}}, "there is no gap to recover"),
    ],
)
def test_a_file_of_another_shape_is_named_with_the_place(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ProblemError, match=told):
        read_published(write(tmp_path, **changes))


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"gone\.json: cannot be read"):
        read_published(tmp_path / "gone.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ProblemError, match=r"bad\.json: not JSON"):
        read_published(tmp_path / "bad.json")
