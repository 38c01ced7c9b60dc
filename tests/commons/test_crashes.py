"""Killed processes, killed git, full disks: nothing acknowledged is lost, and everything can be repeated."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aar.commons import git
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum
from aar.errors import StorageError

FILES = {"a.py": b"1\n", "b.py": b"2\n"}

WRITER = """
import sys
from pathlib import Path
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum

code, forum = CodeStore(Path(sys.argv[1], "code.git")), Forum(Path(sys.argv[1], "forum.sqlite"))
for n in range(1000):
    snapshot = code.publish("ada", {"a.py": b"%d" % n}, f"number {n}", None, key=f"{n}")
    post = forum.post("ada", "result", f"number {n}", snapshot=snapshot.id, key=f"{n}")
    print(post.id, snapshot.id, flush=True)
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)


def kill_after(child: subprocess.Popen[str], lines: int, seconds: float) -> list[str]:
    """What the child had acknowledged when it was killed, `seconds` after its first `lines` lines."""
    assert child.stdout is not None
    acknowledged = [child.stdout.readline() for _ in range(lines)]
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    acknowledged += child.stdout.read().splitlines(keepends=True)
    child.wait()
    return [line.strip() for line in acknowledged if line.endswith("\n")]


@pytest.mark.parametrize("milliseconds", [0, 3, 6, 9, 12])
def test_a_writer_that_was_killed_lost_nothing_and_can_be_repeated(tmp_path: Path, milliseconds: int) -> None:
    acknowledged = kill_after(start(WRITER, str(tmp_path)), 5, milliseconds / 1000)
    assert len(acknowledged) >= 5
    code, forum = CodeStore(tmp_path / "code.git"), Forum(tmp_path / "forum.sqlite")
    again = []
    for n in range(len(acknowledged) + 2):
        snapshot = code.publish("ada", {"a.py": b"%d" % n}, f"number {n}", None, key=f"{n}")
        post = forum.post("ada", "result", f"number {n}", snapshot=snapshot.id, key=f"{n}")
        again.append(f"{post.id} {snapshot.id}")
    assert again[: len(acknowledged)] == acknowledged
    assert [snapshot.message.text for snapshot in code.log()] == [f"number {n}" for n in range(len(again))][::-1]
    assert [post.title.text for post in forum.posts()] == [f"number {n}" for n in range(len(again))]
    code.close()


def test_readers_open_what_a_killed_writer_left(tmp_path: Path) -> None:
    acknowledged = kill_after(start(WRITER, str(tmp_path)), 2, 0)
    posts = Forum(tmp_path / "forum.sqlite", read_only=True).posts()
    snapshots = CodeStore(tmp_path / "code.git", read_only=True).log()
    assert len(posts) >= len(acknowledged)
    assert len(snapshots) >= len(acknowledged)


def git_that(folder: Path, monkeypatch: pytest.MonkeyPatch, on_import: str) -> None:
    """Let `git fast-import` be replaced by the shell code `on_import`; $git is the real one."""
    wrapper = folder / "bin" / "git"
    wrapper.parent.mkdir(exist_ok=True)
    case = f'case "$*" in *fast-import*) {on_import};; *) exec $git "$@";; esac'
    wrapper.write_text(f"#!/bin/sh\ngit={shutil.which('git', path=os.defpath)}\n{case}\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.defpath}")


def test_a_stream_cut_short_between_two_files_makes_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CodeStore(tmp_path / "code.git")
    with monkeypatch.context() as patch:
        git_that(tmp_path, patch, "sed '/b.py/,$d' | $git \"$@\"")
        with pytest.raises(StorageError, match="stream ends early"):
            store.publish("ada", FILES, "cut", None, key="k")
    assert store.log() == []
    assert store.checkout(store.publish("ada", FILES, "cut", None, key="k").id) == FILES


def test_the_lock_of_a_killed_git_does_not_block_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CodeStore(tmp_path / "code.git")
    with monkeypatch.context() as patch:
        lock = (
            'ref=$(head -n 1 | cut -d" " -f2); mkdir -p $GIT_DIR/refs/snapshots; touch $GIT_DIR/$ref.lock; kill -9 $$'
        )
        git_that(tmp_path, patch, lock)
        with pytest.raises(StorageError, match=r"fast-import failed \(-9\)"):
            store.publish("ada", FILES, "killed", None, key="k")
    assert list((tmp_path / "code.git" / "refs" / "snapshots").glob("*.lock"))
    made = store.publish("ada", FILES, "killed", None, key="k")
    assert store.log() == [made]
    assert not list((tmp_path / "code.git").glob("refs/snapshots/*.lock"))


def test_a_git_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CodeStore(tmp_path / "code.git")
    monkeypatch.setattr(git, "SECONDS", 0.1)
    git_that(tmp_path, monkeypatch, "exec sleep 5")
    with pytest.raises(StorageError, match="fast-import timed out"):
        store.publish("ada", FILES, "hangs", None, key="k")


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = CodeStore(tmp_path / "code.git")
    monkeypatch.setattr(git, "LOCK_SECONDS", 0.1)
    with pytest.raises(StorageError, match="another process is writing to this code store"):
        CodeStore(tmp_path / "code.git")
    first.close()
    CodeStore(tmp_path / "code.git").close()


def test_a_successor_waits_for_the_git_that_a_killed_writer_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        git_that(tmp_path, patch, f'touch {tmp_path}/begun; sleep 0.5; exec $git "$@"')
        writer = start(WRITER, str(tmp_path))
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        kill_after(writer, 0, 0)
    killed = time.monotonic()
    CodeStore(tmp_path / "code.git").close()
    assert time.monotonic() - killed > 0.2


def test_without_git_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="apt-get install git"):
        CodeStore(tmp_path / "code.git")


FULL_DISK = """
import sys
from pathlib import Path
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum
from aar.errors import StorageError

folder = Path("/full")
code, forum = CodeStore(folder / "code.git"), Forum(folder / "forum.sqlite")
kept = code.publish("ada", {"a.py": b"1"}, "kept", None, key="kept")
post = forum.post("ada", "result", "kept", key="kept")
ballast = folder / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
for call in (
    lambda: code.publish("ada", {"b.py": b"2" * 500_000}, "next", None, key="next"),
    lambda: forum.post("ada", "result", "next", "x" * 60_000, key="next"),
):
    try:
        call()
    except StorageError as error:
        assert "ree some space" in str(error), error
    else:
        raise AssertionError("the disk was not full")
assert code.log() == [kept] and forum.posts() == [post]
ballast.unlink()
code.publish("ada", {"b.py": b"2" * 500_000}, "next", None, key="next")
forum.post("ada", "result", "next", "x" * 60_000, key="next")
assert len(code.log()) == len(forum.posts()) == 2
assert not list(folder.glob("code.git/**/*tmp_*")) and not list(folder.glob("code.git/*crash*"))
"""


def test_a_full_disk_is_reported_loses_nothing_and_the_call_can_be_repeated() -> None:
    if not shutil.which("bwrap"):
        pytest.skip("needs bubblewrap, to make a small disk")
    disk = ["bwrap", "--dev-bind", "/", "/", "--size", "4000000", "--tmpfs", "/full"]
    ended = subprocess.run([*disk, sys.executable, "-c", FULL_DISK], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
