"""The picture of a campaign."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread

from aar.errors import StorageError
from aar.reporting.plot import save_plot
from tests.reporting.states import EMPTY, NOW, experiment, with_experiments


def campaign_seconds(moment: float) -> float:
    return moment - (NOW - 3600)


def test_the_picture_is_drawn_into_the_campaign_folder(tmp_path: Path) -> None:
    failed = experiment(4, "researcher-1", failure="no")
    state = with_experiments(experiment(2, "researcher-1", 0.3), experiment(3, "researcher-2", 0.7), failed)
    picture = save_plot(replace(state, folder=tmp_path), campaign_seconds)
    assert picture == tmp_path / "best-pgr.png"
    height, width, _ = imread(picture).shape
    assert width > 1000 and height > 600


def test_a_campaign_without_scores_has_a_picture_too(tmp_path: Path) -> None:
    assert save_plot(replace(EMPTY, folder=tmp_path), campaign_seconds).is_file()


def test_a_value_outside_of_its_own_interval_can_be_drawn(tmp_path: Path) -> None:
    odd = experiment(2, "researcher-1", 0.5)
    assert odd.score is not None
    state = with_experiments(replace(odd, score=replace(odd.score, pgr_low=0.6)))
    assert save_plot(replace(state, folder=tmp_path), campaign_seconds).is_file()


def test_a_folder_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="best-pgr"):
        save_plot(replace(EMPTY, folder=tmp_path / "gone"), campaign_seconds)
