"""`aar doctor`: what it prints and how it ends, whatever this machine has; and `aar shell` with a real sandbox."""

import io
import json
from pathlib import Path

import pytest

from aar.campaign import doctor
from aar.sandbox import Check
from tests.cli.conftest import Aar

PASSED = Check("cores", True, "8")
FAILED = Check("memory", False, "1.0 GiB", "A campaign needs [6] GiB: use a larger machine.")


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """The checks' results, to be changed; `--full` adds one."""
    checks: list[Check] = [PASSED, FAILED]
    conformance = Check("sandbox kills", True, "all children")

    def diagnose(*, full: bool) -> list[Check]:
        return [*checks, conformance] if full else checks

    monkeypatch.setattr(doctor, "diagnose", diagnose)
    return checks


def test_a_failed_check_is_printed_with_its_remedy_and_ends_with_1(findings: list[Check], aar: Aar) -> None:
    ended = aar("doctor")
    assert ended.code == 1
    assert [line.split()[:2] for line in ended.out.splitlines()[2:4]] == [["ok", "cores"], ["no", "memory"]]
    assert "memory: A campaign needs [6] GiB: use a larger machine." in ended.out


def test_a_machine_that_lacks_nothing_ends_with_0_and_no_remedy(findings: list[Check], aar: Aar) -> None:
    findings.remove(FAILED)
    ended = aar("doctor")
    assert ended.code == 0 and "memory" not in ended.out and "cores:" not in ended.out


def test_checks_as_json_are_one_document(findings: list[Check], aar: Aar) -> None:
    ended = aar("doctor", "--json", "--full")
    data = json.loads(ended.out)
    assert ended.code == 1
    assert [(check["name"], check["passed"]) for check in data] == [
        ("cores", True), ("memory", False), ("sandbox kills", True),
    ]  # fmt: skip
    assert data[1]["remedy"] == FAILED.remedy


def test_a_command_runs_in_a_sandbox_with_the_files_that_were_given(aar: Aar, tmp_path: Path) -> None:
    (tmp_path / "attack.py").write_text("import os; print(os.getcwd(), os.path.exists('/root'))")
    ended = aar("shell", str(tmp_path / "attack.py"), "-c", "python3 attack.py; exit 4")
    assert (ended.out, ended.code) == ("/work False\n", 4)
    assert (tmp_path / "attack.py").exists()


def test_lines_are_commands_of_one_shell(aar: Aar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x=3\necho $x\nfalse\n"))
    ended = aar("shell")
    assert (ended.out, ended.code) == ("3\n", 1)


def test_a_missing_file_is_named(aar: Aar) -> None:
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


def test_nor_does_a_sequence_that_several_writes_make_up(aar: Aar) -> None:
    ended = aar("shell", "-c", r"printf '\033'; sleep 0.3; printf ']52;c;eA=='; sleep 0.3; printf '\007\n'")
    assert "]52;c;eA==" in ended.out and "\033" not in ended.out and "\007" not in ended.out
