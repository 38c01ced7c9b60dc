"""The program behind the tool `files`, run as in a sandbox: a command on its input, an answer on its output."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aar.guest.file_editor import LINES_SHOWN


@dataclass(frozen=True)
class Answer:
    text: str
    failed: bool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "method.py").write_text("def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n")
    return tmp_path


def edit(folder: Path, command: str, path: str = "method.py", **arguments: Any) -> Answer:
    call = json.dumps({"command": command, "path": path, **arguments})
    program = [sys.executable, "-m", "aar.guest.file_editor"]
    done = subprocess.run(program, input=call, capture_output=True, text=True, cwd=folder, timeout=30)
    assert not done.stderr
    return Answer(done.stdout.rstrip("\n"), done.returncode != 0)


def test_a_file_is_shown_with_line_numbers(folder: Path) -> None:
    answer = edit(folder, "view")
    assert answer == Answer("     1\tdef supervise(lab):\n     2\t    return lab.fine_tune(lab.weak_labels)", False)
    assert edit(folder, "view", view_range=[2, -1]).text.startswith("     2\t")
    assert edit(folder, "view", view_range=[2, 900]).text.startswith("     2\t")


@pytest.mark.parametrize("lines", [[3, 4], [0, 1], [2, 1]])
def test_lines_that_are_not_there_are_refused(folder: Path, lines: list[int]) -> None:
    answer = edit(folder, "view", view_range=lines)
    assert answer == Answer(f"method.py has 2 lines; view_range {lines} is not among them", True)


def test_a_long_file_is_shown_in_parts(folder: Path) -> None:
    (folder / "long.txt").write_text("line\n" * (LINES_SHOWN + 5))
    shown = edit(folder, "view", "long.txt").text.splitlines()
    assert len(shown) == LINES_SHOWN + 1
    assert shown[-1] == f"({LINES_SHOWN + 5} lines in all; continue with view_range [{LINES_SHOWN + 1}, -1])"
    rest = edit(folder, "view", "long.txt", view_range=[LINES_SHOWN + 1, -1]).text.splitlines()
    assert len(rest) == 5 and rest[-1] == f"{LINES_SHOWN + 5:6}\tline"


def test_a_folder_is_shown_by_its_names(folder: Path) -> None:
    (folder / "notes").mkdir()
    assert edit(folder, "view", ".").text == "method.py\nnotes/"
    assert edit(folder, "view", "notes").text == "(empty folder)"


def test_an_empty_file_is_said_to_be_empty(folder: Path) -> None:
    (folder / "empty").touch()
    assert edit(folder, "view", "empty") == Answer("(empty file)", False)


def test_a_file_is_created_with_its_folders_and_replaced(folder: Path) -> None:
    assert edit(folder, "create", "a/b/new.py", file_text="1\n2\n").text == "wrote 2 lines to a/b/new.py"
    assert (folder / "a/b/new.py").read_text() == "1\n2\n"
    edit(folder, "create", "a/b/new.py", file_text="3")
    assert (folder / "a/b/new.py").read_text() == "3"
    assert sorted(file.name for file in (folder / "a/b").iterdir()) == ["new.py"]


def test_a_text_that_occurs_once_is_replaced(folder: Path) -> None:
    answer = edit(folder, "str_replace", old_str="lab.weak_labels", new_str="lab.weak_labels > 0.5")
    assert answer == Answer("edited method.py at line 2", False)
    assert "fine_tune(lab.weak_labels > 0.5)" in (folder / "method.py").read_text()


@pytest.mark.parametrize(("text", "count"), [("nothing like it", 0), ("lab", 4)])
def test_a_text_that_does_not_occur_once_changes_nothing(folder: Path, text: str, count: int) -> None:
    before = (folder / "method.py").read_text()
    answer = edit(folder, "str_replace", old_str=text, new_str="x")
    assert answer.failed and answer.text.startswith(f"old_str occurs {count} times in method.py")
    assert (folder / "method.py").read_text() == before


@pytest.mark.parametrize(
    ("line", "expected"), [(0, "new\none\ntwo"), (1, "one\nnew\ntwo"), (2, "one\ntwo\nnew\n")], ids=str
)
def test_lines_are_inserted_after_a_line_also_where_the_last_one_has_no_end(
    folder: Path, line: int, expected: str
) -> None:
    (folder / "text").write_text("one\ntwo")
    answer = edit(folder, "insert", "text", insert_line=line, insert_text="new")
    assert answer.text == f"inserted 1 lines after line {line} of text"
    assert (folder / "text").read_text() == expected


def test_lines_cannot_be_inserted_after_one_that_is_not_there(folder: Path) -> None:
    answer = edit(folder, "insert", insert_line=3, insert_text="x")
    assert answer == Answer("method.py has 2 lines; insert_line 3 is not among them", True)


def test_line_ends_and_permissions_stay_as_they_are(folder: Path) -> None:
    script = folder / "run.sh"
    script.write_bytes(b"#!/bin/sh\r\nexit 1\r\n")
    script.chmod(0o755)
    edit(folder, "str_replace", "run.sh", old_str="exit 1", new_str="exit 0")
    assert script.read_bytes() == b"#!/bin/sh\r\nexit 0\r\n"
    assert os.access(script, os.X_OK)


def test_a_link_is_written_through_and_stays_a_link(folder: Path) -> None:
    (folder / "link.py").symlink_to("method.py")
    edit(folder, "create", "link.py", file_text="new\n")
    assert (folder / "link.py").is_symlink() and (folder / "method.py").read_text() == "new\n"


def test_a_file_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "weights.npy").write_bytes(b"\x93NUMPY\xff\xfe")
    assert edit(folder, "view", "weights.npy") == Answer("weights.npy is not a text file; look at it with bash", True)


@pytest.mark.parametrize(
    ("path", "message"),
    [("missing.py", "missing.py: No such file or directory"), ("method.py/x", "method.py/x: Not a directory")],
)
def test_what_the_system_refuses_is_told_with_the_path(folder: Path, path: str, message: str) -> None:
    assert edit(folder, "view", path) == Answer(message, True)
