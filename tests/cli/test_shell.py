"""`aar shell`, with a real sandbox."""

import io
from pathlib import Path

import pytest

from tests.cli.conftest import Aar


def test_a_command_runs_behind_the_wall_with_the_files_that_were_given(aar: Aar, tmp_path: Path) -> None:
    (tmp_path / "attack.py").write_text("import os; print(os.getcwd(), os.path.exists('/root'))")
    ended = aar("shell", str(tmp_path / "attack.py"), "-c", "python3 attack.py; exit 4")
    assert (ended.out, ended.code) == ("/work False\n", 4)
    assert (tmp_path / "attack.py").exists()


def test_lines_are_commands_of_one_shell(aar: Aar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x=3\necho $x\nfalse\n"))
    ended = aar("shell")
    assert (ended.out, ended.code) == ("3\n", 1)


def test_a_file_that_is_not_there_is_named(aar: Aar) -> None:
    ended = aar("shell", "/nowhere/attack.py", "-c", "true")
    assert ended.code == 1 and "/nowhere/attack.py: No such file" in ended.err
