"""`aar store`: snapshots by id or by experiment."""

import json
from pathlib import Path

from tests.cli.conftest import Aar


def test_the_log_lists_snapshots_newest_first(campaign: Path, aar: Aar) -> None:
    log = json.loads(aar("store", "log", "--json").out)
    assert [one["message"] for one in log] == ["a second try", "a first try"]
    assert log[0]["parent"] == log[1]["id"]
    assert log[0]["id"][:10] in aar("store", "log").out


def test_a_snapshot_is_shown_by_its_experiment(campaign: Path, aar: Aar) -> None:
    out = aar("store", "show", "e3").out
    assert "by researcher-2" in out and "--- method.py\ndef supervise(lab): return 2" in out
    files = json.loads(aar("store", "show", "e3", "--json").out)["files"]
    assert files["notes/why.txt"] == "why not\n"


def test_a_diff_is_against_what_a_snapshot_was_built_on_or_another(campaign: Path, aar: Aar) -> None:
    assert "+def supervise(lab): return 2" in aar("store", "diff", "e3").out
    assert "-def supervise(lab): return 2" in aar("store", "diff", "e3", "e1").out
    assert aar("store", "diff", "e3", "e3").out == "No difference.\n"
    assert "has no parent" in aar("store", "diff", "e1").err


def test_checkout_writes_the_files_to_a_new_folder(campaign: Path, aar: Aar, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    ended = aar("store", "checkout", "e3", str(target), "--json")
    assert json.loads(ended.out)["files"] == ["method.py", "notes/why.txt"]
    assert (target / "notes" / "why.txt").read_text() == "why not\n"


def test_checkout_overwrites_nothing(campaign: Path, aar: Aar, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "method.py").write_text("mine")
    ended = aar("store", "checkout", "e3", str(tmp_path / "full"))
    assert ended.code == 1 and "is not empty" in ended.err
    assert (tmp_path / "full" / "method.py").read_text() == "mine"


def test_unknown_snapshots_and_experiments_are_messages(campaign: Path, aar: Aar) -> None:
    assert "no experiment e99" in aar("store", "show", "e99").err
    assert "no snapshot deadbeef" in aar("store", "show", "deadbeef").err
    assert "is not a snapshot id" in aar("store", "show", "latest").err


def test_checkout_into_a_file_is_refused(campaign: Path, aar: Aar, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = aar("store", "checkout", "e3", str(tmp_path / "file"))
    assert ended.code == 1 and "give a new or empty folder" in ended.err


def test_checkout_says_how_many_files_it_wrote(campaign: Path, aar: Aar, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = aar("store", "checkout", "e3", str(tmp_path / "empty"))
    assert ended.code == 0 and ended.out.startswith("2 files of ")
