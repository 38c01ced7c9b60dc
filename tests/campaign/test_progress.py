"""How far the baselines are, in a line for each fit."""

import re
from pathlib import Path

import pytest
import ray

from aar.campaign import progress as progress_module
from aar.campaign.progress import BaselineProgress, progress_text
from aar.config import load_config
from tests.campaign_fixture import write_toml


def test_a_line_names_done_and_all_fits_and_estimates_the_rest_from_the_pace() -> None:
    assert progress_text([], 6) == "baselines: 0 of 6 fits done"
    assert progress_text([(100.0, 1)], 6) == "baselines: 1 of 6 fits done"
    assert progress_text([(100.0, 1), (110.0, 2)], 6) == "baselines: 2 of 6 fits done, about 40 s left"
    assert progress_text([(100.0, 2), (105.0, 3), (110.0, 4)], 6) == "baselines: 4 of 6 fits done, about 10 s left"
    assert progress_text([(100.0, 1), (150.0, 6)], 6) == "baselines: 6 of 6 fits done, predictions are left"


@ray.remote
class Compute:
    """Counts up: one more student each time that it is asked, and then none."""

    def __init__(self) -> None:
        self._fits = 0

    def fits_given(self) -> int:
        self._fits = min(self._fits + 1, 4)
        return self._fits

    def status(self) -> dict[str, int]:
        return {"waiting": 5, "running": 2, "computed": self._fits}


def test_each_fit_that_is_done_is_reported_once(ray_session: None, tmp_path: Path) -> None:
    told: list[str] = []
    progress = BaselineProgress(load_config(write_toml(tmp_path)), Compute.remote(), told.append)
    for _ in range(8):
        progress.follow()
    assert [line.split(",")[0] for line in told] == [f"baselines: {done} of 6 fits done" for done in range(1, 5)]


def test_a_compute_actor_that_is_gone_is_no_error(ray_session: None, tmp_path: Path) -> None:
    compute = Compute.remote()
    ray.kill(compute)
    told: list[str] = []
    BaselineProgress(load_config(write_toml(tmp_path)), compute, told.append).follow()
    assert told == []


def test_after_a_while_without_a_fit_it_says_what_waits(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "QUIET_SECONDS", 0.0)
    told: list[str] = []
    progress = BaselineProgress(load_config(write_toml(tmp_path)), Compute.remote(), told.append)
    for _ in range(5):
        progress.follow()
    assert told[3].startswith("baselines: 4 of 6 fits done")
    assert re.search(r"; after \d+ s, 5 requests wait and 2 run$", told[4])
