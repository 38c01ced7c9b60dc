"""`aar run`, `try` and `stop`, as far as they need no Ray."""

import fcntl
import threading
import time
from pathlib import Path
from typing import TextIO

import pytest
import typer

from aar.cli import campaign as campaign_commands
from aar.cli.campaign import resumable
from tests.cli.conftest import Aar


def test_a_finished_campaign_says_so_at_once_and_shows_the_result(campaign: Path, aar: Aar) -> None:
    ended = aar("run", "little.toml")
    assert ended.code == 0
    assert ended.out.startswith("Campaign little is finished.")
    assert "Best method: e5" in ended.out and " store show e5 -c little" in ended.out
    assert f"Picture: {campaign}/best-pgr.png" in ended.out
    assert (campaign / "best-pgr.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_setting_is_one_message(campaign: Path, aar: Aar) -> None:
    ended = aar("run", "little.toml", "budget.minuts=3")
    assert ended.code == 1 and "did you mean minutes?" in ended.err


def test_a_missing_file_is_one_message(campaign: Path, aar: Aar) -> None:
    assert "nowhere.toml: cannot be read" in aar("run", "nowhere.toml").err


def test_a_method_with_a_syntax_error_starts_nothing(campaign: Path, aar: Aar) -> None:
    Path("mine.py").write_text("def supervise(lab):\n    return lab.fine_tune(\n")
    ended = aar("try", "mine.py", "little.toml")
    assert ended.code == 1 and "mine.py is not valid Python: line 2: syntax error" in ended.err
    assert not campaign.with_name("little-try").exists()


def test_a_method_must_define_supervise(campaign: Path, aar: Aar) -> None:
    Path("mine.py").write_text("def supervize(lab): ...\n")
    assert "does not define supervise(lab)" in aar("try", "mine.py", "little.toml").err
    Path("mine.py").write_bytes(b"\0")
    assert aar("try", "mine.py", "little.toml").err.count("\n") == 1


def test_an_unknown_method_is_answered_with_the_built_in_ones(campaign: Path, aar: Aar) -> None:
    ended = aar("try", "vanila", "little.toml")
    assert ended.code == 1 and "em_posterior" in ended.err and "vanilla" in ended.err


def test_an_unknown_dataset_is_answered_with_the_known_ones(campaign: Path, aar: Aar) -> None:
    ended = aar("try", "vanilla", "little.toml", "--dataset", "chess")
    assert ended.code == 1 and "minimal-pairs, sarcasm" in ended.err


def test_an_interruption_ends_with_the_command_that_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, resumable("run", Path("my file.toml"), ["budget.minutes=5"]):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err.endswith("Resume with: aar run 'my file.toml' budget.minutes=5\n")


def test_stop_asks_the_driver_and_waits_for_it(campaign: Path, aar: Aar) -> None:
    with (campaign / "driver.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        driver = threading.Thread(target=_stop_when_asked, args=(campaign, lock))
        driver.start()
        ended = aar("stop")
        driver.join()
    assert ended.code == 0 and "has stopped" in ended.out


def _stop_when_asked(folder: Path, lock: TextIO) -> None:
    while not (folder / "stop-requested").exists():
        time.sleep(0.01)
    fcntl.flock(lock, fcntl.LOCK_UN)


def test_stopping_what_does_not_run_is_no_error(campaign: Path, aar: Aar) -> None:
    ended = aar("stop", "little")
    assert ended.code == 0 and "does not run" in ended.out
    assert not (campaign / "stop-requested").exists()


def test_a_driver_that_does_not_stop_in_time_is_an_error(
    campaign: Path, aar: Aar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_commands, "STOP_SECONDS", 0.1)
    with (campaign / "driver.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = aar("stop")
    assert ended.code == 1 and "still runs" in ended.err and "look at its output" in ended.err
