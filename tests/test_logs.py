"""Log lines: printable, bounded, without keys, whatever an agent wrote and whichever library logs it."""

import logging
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import ray

from aar.errors import AarError, StorageError
from aar.logs import (
    HIDDEN,
    LINE_CHARACTERS,
    READ_CHARACTERS,
    TRACEBACK_LINES,
    SafeFormatter,
    logged_to,
    printable_errors,
)
from aar.ray_utils import log_to_ray

KEY = "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWx"
RAY_TOKEN = "0123456789abcdef" * 4
PASSWORD = "correct horse battery"
HOSTILE = f"first\nsecond\r\x1b[2J\x1b]0;title\x07\u202e\x00 {KEY} {RAY_TOKEN} {PASSWORD} " + "x" * 2**20


def formatted(message: str, *arguments: Any, error: BaseException | None = None) -> str:
    formatter = SafeFormatter({"MY_PASSWORD": PASSWORD, "PATH": "/usr/bin"})
    info = None if error is None else (type(error), error, error.__traceback__)
    return formatter.format(logging.LogRecord("aar.test", logging.INFO, "file", 1, message, arguments, info))


@pytest.mark.parametrize(("message", "arguments"), [("%s", (HOSTILE,)), (HOSTILE, ()), ("%r", (HOSTILE,))])
def test_a_hostile_text_becomes_one_printable_bounded_line_without_keys(message: str, arguments: tuple[Any]) -> None:
    line = formatted(message, *arguments)
    assert line.isprintable() and "\n" not in line and len(line) <= LINE_CHARACTERS
    assert KEY not in line and RAY_TOKEN not in line and PASSWORD not in line
    assert "aar.test: " in line and "first" in line and HIDDEN in line


def test_a_key_that_the_end_of_a_line_would_cut_in_two_is_not_shown_in_part() -> None:
    for before in range(LINE_CHARACTERS - 200, LINE_CHARACTERS + 100, 7):
        assert KEY[:12] not in formatted("%s", "y" * before + " " + KEY)


def test_a_key_beyond_what_is_looked_at_is_not_shown_either() -> None:
    for end in (4 * LINE_CHARACTERS, READ_CHARACTERS):
        for before in range(end - 80, end, 5):
            assert KEY[:12] not in formatted("%s", " " * before + KEY)


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        RAY_TOKEN,
        "hf_AbCdEfGhIjKlMnOpQrSt",
        "ghp_AbCdEfGhIjKlMnOpQrSt",
        "AKIAABCDEFGHIJKLMNOP",
        "user:pass1234@host",
        f"aar_{RAY_TOKEN[:43]}",
    ],
)
def test_what_has_the_form_of_a_key_is_hidden(key: str) -> None:
    line = formatted("the index https://%s/simple answered 401", key)
    assert HIDDEN in line and key.removesuffix("@host") not in line and line.endswith("/simple answered 401")


def test_an_ordinary_line_is_written_as_it_is() -> None:
    line = formatted("%s by %s: admitted, snapshot %.10s", "e7", "ada", "0123456789abcdef")
    assert line.endswith(" INFO aar.test: e7 by ada: admitted, snapshot 0123456789")


def test_arguments_that_do_not_fit_are_no_error_and_not_printed() -> None:
    assert "do not fit" in formatted("%d requests", HOSTILE)


def test_an_errors_traceback_is_bounded_and_what_it_says_escaped() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError(HOSTILE)
        dig(depth - 1)

    with pytest.raises(ValueError) as caught:
        dig(100)
    lines = formatted("the tool %r failed", "bash", error=caught.value).split("\n")
    assert len(lines) == TRACEBACK_LINES + 2
    assert all(line.isprintable() and len(line) <= LINE_CHARACTERS + 4 for line in lines)
    assert "ValueError: first second" in lines[-1] and KEY not in lines[-1]
    assert "in dig" in lines[-2]


def test_what_another_library_logs_is_written_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    from aar.logs import log_to

    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    try:
        log_to(logging.StreamHandler(sys.stderr))
        logging.getLogger("some.library").warning("answered: %s", HOSTILE)
        logging.getLogger("some.library").debug("not shown")
    finally:
        root.handlers[:], root.level, logging.raiseExceptions = before
    [line] = capsys.readouterr().err.splitlines()
    assert line.isprintable() and len(line) <= LINE_CHARACTERS and KEY not in line


def test_a_drivers_lines_are_in_a_file_while_it_runs(tmp_path: Path) -> None:
    log = logging.getLogger("aar.campaign.run")
    with logged_to(tmp_path / "driver.log"):
        log.info("ada: failed: %s", HOSTILE)
    log.info("after the end")
    [line] = (tmp_path / "driver.log").read_text().splitlines()
    assert " INFO aar.campaign.run: ada: failed: first second" in line and line.isprintable() and KEY not in line


@pytest.mark.parametrize("kind", [StorageError, ValueError])
def test_an_error_that_ends_a_process_says_what_it_says_in_one_line(kind: type[Exception]) -> None:
    with pytest.raises(Exception) as caught, printable_errors():
        raise kind(HOSTILE)
    text = str(caught.value)
    assert text.isprintable() and len(text) <= LINE_CHARACTERS and KEY not in text and "first second" in text
    if issubclass(kind, AarError):
        assert type(caught.value) is kind
    else:
        assert type(caught.value) is RuntimeError and text.startswith("ValueError: first")
    assert caught.value.__suppress_context__


def test_an_interruption_is_not_an_error() -> None:
    with pytest.raises(KeyboardInterrupt), printable_errors():
        raise KeyboardInterrupt


class Unborn:
    """An actor that fails at its start with what an agent wrote; Ray writes that into several of its logs."""

    def __init__(self) -> None:
        log_to_ray()
        with printable_errors():
            raise ValueError(f"marker-4714 {HOSTILE}")


class Chatty:
    """An actor that logs what an agent wrote, and fails with it."""

    def __init__(self) -> None:
        log_to_ray()

    def speak(self) -> int:
        logging.getLogger("aar.chatty").info("marker-4711 %s", HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logging.getLogger("aar.chatty").exception("marker-4712")
        return len(logging.getLogger().handlers)

    def fail(self) -> None:
        raise ValueError(f"marker-4713 {HOSTILE}")


def test_an_actors_lines_are_in_rays_log_files_and_nothing_of_an_agents_is_there_unescaped(ray_session: None) -> None:
    actor = ray.remote(Chatty).options(name="chatty").remote()
    assert ray.get(actor.speak.remote()) == 1
    with pytest.raises(ray.exceptions.RayTaskError):
        ray.get(actor.fail.remote())
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(ray.remote(Unborn).remote().__ray_ready__.remote())
    logs = Path(ray.init(ignore_reinit_error=True).address_info["session_dir"]) / "logs"
    until = time.monotonic() + 30
    while not (written := _holding(logs, "marker-4712")) and time.monotonic() < until:
        time.sleep(0.2)
    [file] = written
    lines = [line for line in file.read_text().split("\n") if line and not line.startswith(":")]  # Ray's own marks
    assert any("chatty: started in process" in line for line in lines)
    assert any("INFO aar.chatty: marker-4711 first second" in line for line in lines)
    assert all(line.isprintable() and len(line) <= LINE_CHARACTERS + 4 for line in lines)
    assert len(_holding(logs, "marker-4714")) > 1
    for held in _holding(logs, "marker-47"):
        text = held.read_text(errors="replace")
        assert not [line for line in text.splitlines() if KEY in line or RAY_TOKEN in line]
        assert "\x1b[2J" not in text  # Ray's own are colours


def _holding(folder: Path, text: str) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if text in file.read_text(errors="replace")]
