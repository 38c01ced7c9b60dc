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


@pytest.mark.parametrize(
    "sequence",
    [
        r"\033]52;c;cm0gLXJmIH4=\007", r"\033]0;title\033\\", r"\033P+q544e\033\\", r"\033[6n", r"\033[c", r"\033[2J",
        r"\033[1A", r"\302\2336n", r"\302\23552;c;eA==\302\234", r"\r", r"\b", r"\016", r"\342\200\256",
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", ["", " >&2"])
def test_nothing_that_a_command_prints_acts_on_the_terminal(aar: Aar, sequence: str, stream: str) -> None:
    ended = aar("shell", "-c", f"printf 'a{sequence}b\\n'{stream}")
    assert ended.out.startswith("a") and ended.out.endswith("b\n")
    assert all(character.isprintable() for character in (ended.out + ended.err).replace("\n", ""))


def test_a_sequence_that_two_writes_make_up_is_none_either(aar: Aar) -> None:
    ended = aar("shell", "-c", r"printf '\033'; sleep 0.3; printf ']52;c;eA=='; sleep 0.3; printf '\007\n'")
    assert "]52;c;eA==" in ended.out and "\033" not in ended.out and "\007" not in ended.out
