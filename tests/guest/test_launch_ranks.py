"""Ranks of a training program: each knows its number, and they end together."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aar.guest.launch_ranks import exit_code


def launch(folder: Path, program: str, ranks: int) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "aar.guest.launch_ranks", str(ranks), "program.py"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_every_rank_knows_its_number_and_where_ranks_meet(tmp_path: Path) -> None:
    program = """
import os, pathlib
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "GLOO_SOCKET_IFNAME")
pathlib.Path("rank-" + os.environ["RANK"]).write_text(" ".join(os.environ[name] for name in names))
"""
    assert launch(tmp_path, program, 3).returncode == 0
    for rank in range(3):
        assert (tmp_path / f"rank-{rank}").read_text() == f"{rank} {rank} 3 127.0.0.1 lo"


def test_when_one_rank_fails_the_others_end_and_its_exit_code_is_returned(tmp_path: Path) -> None:
    began = time.monotonic()
    program = "import os, sys, time\nif os.environ['RANK'] == '1': sys.exit(7)\ntime.sleep(50)"
    assert launch(tmp_path, program, 3).returncode == 7
    assert time.monotonic() - began < 40


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (7, 7), (-9, 137), (-15, 143)])
def test_a_rank_that_a_signal_ended_counts_as_in_a_shell(code: int, expected: int) -> None:
    assert exit_code(code) == expected


def test_a_rank_that_is_killed_fails_the_program(tmp_path: Path) -> None:
    assert launch(tmp_path, "import os; os.kill(os.getpid(), 9)", 1).returncode == 137
