"""Artifacts are whole or not there, whatever happens while they are written."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aar.compute.store import Artifacts
from aar.errors import StorageError

KEY = "ab" * 32
WRITER = """
import sys
from pathlib import Path
from aar.compute.store import Artifacts
kept = Artifacts(Path(sys.argv[1]))
while True:
    kept.put(sys.argv[2], b"x" * (1 << 22))
"""


def test_an_artifact_that_was_put_can_be_read(tmp_path: Path) -> None:
    Artifacts(tmp_path / "new").put(KEY, b"\x00data")
    kept = Artifacts(tmp_path / "new")
    assert kept.has(KEY)
    assert kept.get(KEY) == b"\x00data"


def test_an_artifact_that_was_not_put_is_absent(tmp_path: Path) -> None:
    kept = Artifacts(tmp_path)
    assert (kept.has(KEY), kept.get(KEY)) == (False, None)


def test_putting_leaves_nothing_else_behind(tmp_path: Path) -> None:
    kept = Artifacts(tmp_path)
    kept.put(KEY, b"1")
    kept.put(KEY, b"1")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [KEY]
    assert len(list(tmp_path.rglob("*"))) == 2


def test_writers_and_readers_at_once_see_whole_results(tmp_path: Path) -> None:
    kept, data = Artifacts(tmp_path), bytes(1 << 20)
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(kept.put, KEY, data) for _ in range(16)]
        seen = [pool.submit(kept.get, KEY) for _ in range(64)]
    assert all(one.result() is None for one in writing)
    assert {one.result() for one in seen} <= {None, data}
    assert kept.get(KEY) == data


def test_a_writer_that_is_killed_leaves_a_whole_result_or_none(tmp_path: Path) -> None:
    kept = Artifacts(tmp_path)
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), KEY])
        while not kept.has(KEY):
            assert writer.poll() is None
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        assert kept.get(KEY) == b"x" * (1 << 22)
    kept.put(KEY, b"again")
    assert kept.get(KEY) == b"again"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs more rights")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_an_error_that_says_so_and_loses_nothing(small_disk: Path) -> None:
    kept = Artifacts(small_disk)
    kept.put(KEY, b"first")
    with pytest.raises(StorageError, match=r"the disk is full. Free some space"):
        kept.put("cd" * 32, bytes(1 << 20))
    assert kept.get(KEY) == b"first"
    assert not kept.has("cd" * 32)
    kept.put("ef" * 32, b"small enough")


def test_a_folder_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = Artifacts(tmp_path / "file")
    with pytest.raises(StorageError, match=r"file/ab.*Not a directory"):
        kept.put(KEY, b"1")
    with pytest.raises(StorageError, match=r"file/ab.*Not a directory"):
        kept.get(KEY)
