"""Commands start fast: nothing heavy is imported before it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("ray", "torch", "transformers", "deepspeed", "sklearn", "optuna")
PROGRAM = f"""
import atexit, sys
atexit.register(lambda: print("imported:", [name for name in {HEAVY} if name in sys.modules], file=sys.stderr))
from aar.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "command",
    ["--help", "status", "leaderboard --json", "forum list", "store log", "run little.toml", "try nothing.py"],
)
def test_commands_that_only_look_import_nothing_heavy(campaign: Path, command: str) -> None:
    program = [sys.executable, "-c", PROGRAM, *command.split()]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == "imported: []"
    assert ended.returncode == (1 if command.startswith("try") else 0)


def test_the_package_can_be_run(campaign: Path) -> None:
    ended = subprocess.run([sys.executable, "-m", "aar", "status"], capture_output=True, text=True, check=True)
    assert "researcher-1" in ended.stdout
