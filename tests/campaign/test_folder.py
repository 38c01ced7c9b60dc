"""The campaign folder: one driver at a time, one problem for ever, and what is stored in it."""

import json
import shutil
from pathlib import Path

import pytest

from aar.campaign import folder as folders
from aar.campaign.folder import CampaignFolder, find_campaign, is_running, request_stop, stored_config
from aar.config import CampaignConfig, load_config
from aar.errors import CampaignError, StorageError

QUICKSTART = Path(__file__).parents[2] / "jobs" / "quickstart.toml"


def quickstart(folder: Path, *changes: str) -> CampaignConfig:
    return load_config(QUICKSTART, [f"folder={folder}", *changes])


def test_the_folder_holds_the_configuration_and_the_code_version(tmp_path: Path) -> None:
    config = quickstart(tmp_path / "campaign")
    with CampaignFolder(config) as folder:
        assert not folder.unchanged
        assert stored_config(folder.path) == config
        version = json.loads((folder.path / "version.json").read_text())
    assert {"aar", "git", "python", "torch", "ray"} <= version.keys()


def test_nobody_else_may_look_into_the_folder(tmp_path: Path) -> None:
    with CampaignFolder(quickstart(tmp_path / "campaign")) as folder:
        assert folder.path.stat().st_mode & 0o777 == 0o700


def test_a_second_driver_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    config = quickstart(tmp_path)
    with CampaignFolder(config) as folder:
        assert is_running(folder.path)
        with pytest.raises(CampaignError, match="another process is running this campaign"):
            CampaignFolder(config).__enter__()
    assert not is_running(tmp_path)
    with CampaignFolder(config) as folder:
        assert folder.unchanged


def test_another_problem_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with CampaignFolder(quickstart(tmp_path)):
        pass
    with pytest.raises(CampaignError, match="problem settings differ"):
        CampaignFolder(quickstart(tmp_path, "problem.recipe.lr=0.5")).__enter__()


def test_a_larger_budget_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    with CampaignFolder(quickstart(tmp_path)):
        pass
    with CampaignFolder(quickstart(tmp_path, "budget.minutes=99")) as folder:
        assert not folder.unchanged
        assert stored_config(folder.path).budget.minutes == 99


def test_a_refused_driver_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    with CampaignFolder(quickstart(tmp_path)):
        pass
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(CampaignError):
        CampaignFolder(quickstart(tmp_path, "problem.recipe.lr=0.5")).__enter__()
    assert (tmp_path / "config.json").read_text() == before
    assert not is_running(tmp_path)


def test_too_little_space_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "NEEDED_BYTES", shutil.disk_usage(tmp_path).total * 2)
    with pytest.raises(CampaignError, match="MiB left"):
        CampaignFolder(quickstart(tmp_path)).__enter__()


def test_a_place_that_cannot_be_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/campaign"):
        CampaignFolder(quickstart(tmp_path / "file" / "campaign")).__enter__()


def test_a_request_to_stop_reaches_the_driver_once(tmp_path: Path) -> None:
    config = quickstart(tmp_path)
    with CampaignFolder(config) as folder:
        assert not folder.stop_requested()
        request_stop(tmp_path)
        assert folder.stop_requested()
    with CampaignFolder(config) as folder:
        assert not folder.stop_requested()


def test_a_campaign_is_found_by_name_by_path_or_as_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    with pytest.raises(CampaignError, match="no campaign in"):
        find_campaign(None)
    with CampaignFolder(load_config(QUICKSTART, ["name=mine"])):
        pass
    assert find_campaign(None) == find_campaign("mine") == find_campaign(str(tmp_path / "mine"))
    with pytest.raises(CampaignError, match="yours"):
        find_campaign("yours")


def test_a_damaged_configuration_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CampaignError, match=r"config\.json cannot be read"):
        stored_config(tmp_path)
