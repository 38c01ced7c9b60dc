"""The program behind the tool `files`, run as the sandbox runs it: one command on standard input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def edit(folder: Path, **command: Any) -> tuple[int, str]:
    """Run one command in `folder`; return the exit code and the answer."""
    program = [sys.executable, "-m", "aar.guest.file_editor"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    done = subprocess.run(
        program, input=json.dumps(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.rstrip("\n")


def does(folder: Path, **command: Any) -> str:
    code, answer = edit(folder, **command)
    assert code == 0, answer
    return answer


def refuses(folder: Path, **command: Any) -> str:
    code, answer = edit(folder, **command)
    assert code == 1, answer
    return answer


def test_a_file_is_created_with_its_folders_and_replaced_whole(tmp_path: Path) -> None:
    assert does(tmp_path, command="create", path="a/b/c.txt", file_text="1\n2\n") == "wrote 2 lines to a/b/c.txt"
    does(tmp_path, command="create", path="a/b/c.txt", file_text="3\n")
    assert (tmp_path / "a/b/c.txt").read_text() == "3\n"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["c.txt"]


def test_a_folder_is_viewed_as_its_names_and_an_empty_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert does(tmp_path, command="view", path=".") == "file\nfolder/"
    assert does(tmp_path, command="view", path="folder") == "(empty folder)"
    assert does(tmp_path, command="view", path="file") == "(empty file)"


def test_a_range_of_lines_is_viewed_with_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a\nb\nc\nd\n")
    assert does(tmp_path, command="view", path="file", view_range=[2, 3]) == "     2\tb\n     3\tc"
    assert does(tmp_path, command="view", path="file", view_range=[4, -1]) == "     4\td"
    assert "has 4 lines" in refuses(tmp_path, command="view", path="file", view_range=[5, 6])


def test_an_edit_keeps_the_rights_of_a_file_and_every_other_byte(tmp_path: Path) -> None:
    file = tmp_path / "run.sh"
    file.write_bytes(b"one\r\ntwo\r\n\xc3\xbc")
    file.chmod(0o750)
    assert does(tmp_path, command="str_replace", path="run.sh", old_str="two", new_str="2") == "edited run.sh at line 2"
    assert file.read_bytes() == b"one\r\n2\r\n\xc3\xbc" and file.stat().st_mode & 0o777 == 0o750


def test_an_edit_through_a_link_changes_the_file_and_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    does(tmp_path, command="str_replace", path="link", old_str="old", new_str="new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize(("text", "count"), [("x", 2), ("z", 0)])
def test_a_text_that_does_not_occur_exactly_once_is_not_replaced(tmp_path: Path, text: str, count: int) -> None:
    (tmp_path / "file").write_text("x\nx\n")
    answer = refuses(tmp_path, command="str_replace", path="file", old_str=text, new_str="y")
    assert f"old_str occurs {count} times in file; it must occur exactly once" in answer
    assert (tmp_path / "file").read_text() == "x\nx\n"


@pytest.mark.parametrize(
    ("line", "expected"), [(0, "new\na\nb"), (1, "a\nnew\nb"), (2, "a\nb\nnew\n")], ids=["before", "between", "after"]
)
def test_lines_are_inserted_after_a_line(tmp_path: Path, line: int, expected: str) -> None:
    (tmp_path / "file").write_text("a\nb")
    does(tmp_path, command="insert", path="file", insert_line=line, insert_text="new")
    assert (tmp_path / "file").read_text() == expected


def test_a_line_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a\n")
    for line in (-1, 2):
        answer = refuses(tmp_path, command="insert", path="file", insert_line=line, insert_text="new")
        assert answer == f"file has 1 lines; insert_line {line} is not among them"


def test_what_cannot_be_read_is_an_answer_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    assert refuses(tmp_path, command="view", path="binary") == "binary is not a text file; look at it with bash"
    assert refuses(tmp_path, command="view", path="missing") == "missing: No such file or directory"
    assert refuses(tmp_path, command="create", path="binary/below", file_text="") == "binary/below: File exists"
