"""Files in and out of a workspace whose owner is hostile: what is read, what is refused, and that nothing leaks."""

import ctypes
import itertools
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aar.errors import UntrustedFileError
from aar.untrusted_files import DEPTH, ENTRIES, FILE_BYTES, FILES, read_file, read_workspace, write_workspace

METHOD = b"def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"
SECRET = b"ground truth"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "method.py").write_bytes(METHOD)
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that the agent must not reach."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "labels.json").write_bytes(SECRET)
    return folder


def test_plain_files_are_read_and_what_is_no_source_is_left_out(workspace: Path) -> None:
    for name in ("notes/a b.md", "notes/deeper/é.txt", "empty.txt", ".gitignore"):
        (workspace / name).parent.mkdir(exist_ok=True, parents=True)
        (workspace / name).write_bytes(name.encode() if name != "empty.txt" else b"")
    for name in (".git/config", ".git/hooks/post-commit", "__pycache__/m.cpython-311.pyc", "notes/.git", "old.pyc"):
        (workspace / name).parent.mkdir(exist_ok=True, parents=True)
        (workspace / name).write_bytes(b"not source")
    (workspace / "nothing-in-it").mkdir()
    assert read_workspace(workspace) == {
        "method.py": METHOD,
        "notes/a b.md": b"notes/a b.md",
        "notes/deeper/é.txt": "notes/deeper/é.txt".encode(),
        "empty.txt": b"",
        ".gitignore": b".gitignore",
    }


def test_an_empty_workspace_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UntrustedFileError, match="1 to 200 files, not 0"):
        read_workspace(tmp_path)
    with pytest.raises(UntrustedFileError, match="no such file"):
        read_workspace(tmp_path / "missing")


def _pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, outside: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may have 107 characters
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def _device(path: Path, outside: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero


def _hard_link(path: Path, outside: Path) -> None:
    path.hardlink_to(outside / "labels.json")


def _sparse(path: Path, outside: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _unreadable(path: Path, outside: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


PLANTED: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a link to a file": (lambda path, outside: path.symlink_to(outside / "labels.json"), "is a link"),
    "a link to a folder": (lambda path, outside: path.symlink_to(outside), "is a link"),
    "a relative link": (lambda path, outside: path.symlink_to("../outside/labels.json"), "is a link"),
    "a dangling link": (lambda path, outside: path.symlink_to("/nowhere"), "is a link"),
    "a link to itself": (lambda path, outside: path.symlink_to(path), "is a link"),
    "a link into /proc": (lambda path, outside: path.symlink_to("/proc/self/environ"), "is a link"),
    "a hard link": (_hard_link, "2 names"),
    "a pipe": (_pipe, "not a plain file"),
    "a socket": (_socket, "not a plain file"),
    "a device": (_device, "not a plain file"),
    "a sparse file of a terabyte": (_sparse, "has 1099511627776 bytes"),
    "a file that its owner may not read": (_unreadable, "chmod u\\+r"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", PLANTED)
def test_what_is_no_plain_file_is_refused_by_name_and_never_opened(workspace: Path, outside: Path, what: str) -> None:
    plant, complaint = PLANTED[what]
    (workspace / "sub").mkdir()
    plant(workspace / "sub" / "bait", outside)
    with pytest.raises(UntrustedFileError, match=f"'sub/bait'.*{complaint}"):
        read_workspace(workspace)
    with pytest.raises(UntrustedFileError, match=f"'sub/bait'.*{complaint}"):
        read_file(workspace, "sub/bait", 1 << 20)


def test_a_workspace_that_is_a_link_is_refused(workspace: Path, outside: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    for refused in (
        lambda: read_workspace(tmp_path / "link"),
        lambda: read_file(tmp_path / "link", "labels.json", 99),
        lambda: write_workspace(tmp_path / "link", {"a.py": b""}),
    ):
        with pytest.raises(UntrustedFileError, match="link"):
            refused()
    assert os.listdir(outside) == ["labels.json"]


@pytest.mark.parametrize(
    "name",
    [
        *(b".GIT", b".Git ", b".git.", b".git\xe2\x80\x8c", b"git~1", b"\xef\xbc\x8e\xef\xbd\x87it", b".g\xc2\xadit"),
        *(b"a\nb", b"a\rb", b"\x1b[2J", b"\x9b2J", b"\xff\xfe", b"a\\b", b"\xe2\x80\xaegpj.py", b"a\xe2\x80\xa8b"),
        *("é".encode() * 127, b"x" * 255, b"\xe3\x85\xa4", b"\xf3\xa0\x81\x81"),
    ],
)
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_hostile_name_is_refused_and_shown_without_effect(workspace: Path, name: bytes, is_folder: bool) -> None:
    path = os.path.join(os.fsencode(workspace), b"s", name)
    os.mkdir(os.path.dirname(path))
    if is_folder:
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    with pytest.raises(UntrustedFileError, match="the file name") as refusal:
        read_workspace(workspace)
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 500


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=40).filter(lambda name: name not in (b".", b"..") and not set(name) & {0, 47}))
def test_a_file_of_any_name_is_read_exactly_or_refused(tmp_path: Path, name: bytes) -> None:
    folder = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"w")))
    folder.mkdir(exist_ok=True)
    path = os.path.join(os.fsencode(folder), name)
    with open(path, "wb") as file:
        file.write(b"content")
    try:
        files = read_workspace(folder)
    except UntrustedFileError as refusal:
        assert str(refusal).isprintable()
    else:
        assert files == {name.decode(): b"content"}
        (folder / name.decode()).write_bytes(b"changed")
        write_workspace(folder, files)
        assert read_file(folder, name.decode(), 7) == b"content"
    finally:
        os.unlink(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "", "a", "~", "-rf", ".git"])).map("/".join))
def test_a_name_that_is_written_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "box" / "w"
    folder.mkdir(exist_ok=True, parents=True)
    try:
        write_workspace(folder, {name: b"content"})
    except UntrustedFileError as refusal:
        assert str(refusal).isprintable()
    else:
        assert read_file(folder, name, 100) == b"content"
    assert os.listdir(tmp_path / "box") == ["w"]


def _many_files(folder: Path) -> None:
    for number in range(FILES + 5):
        (folder / f"{number}.py").touch()


def _many_left_out(folder: Path) -> None:
    for number in range(ENTRIES + 5):
        (folder / f"{number}.pyc").touch()


def _many_folders(folder: Path) -> None:
    for number in range(ENTRIES + 5):
        (folder / f"{number}").mkdir()


def _deep(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def _large_in_all(folder: Path) -> None:
    for number in range(9):
        (folder / f"{number}.bin").write_bytes(bytes(FILE_BYTES))


@pytest.mark.parametrize(
    ("fill", "complaint"),
    [
        (_many_files, "1 to 200 files"),
        (_many_left_out, "more than 2000 files and folders"),
        (_many_folders, "more than 2000 files and folders"),
        (_deep, f"deeper than {DEPTH} folders"),
        (_large_in_all, "bytes in all"),
        (lambda folder: (folder / "big.bin").write_bytes(bytes(FILE_BYTES + 1)), "'big.bin' has 1048577 bytes"),
        (lambda folder: [(folder / name).touch() for name in ("A.py", "a.py")], "are alike"),
    ],
)
def test_too_much_is_refused_while_it_is_scanned(
    workspace: Path, fill: Callable[[Path], object], complaint: str
) -> None:
    fill(workspace)
    before, began = len(os.listdir("/proc/self/fd")), time.monotonic()
    tracemalloc.start()
    with pytest.raises(UntrustedFileError, match=complaint):
        read_workspace(workspace)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.monotonic() - began < 2
    assert peak < 24 * FILE_BYTES
    assert len(os.listdir("/proc/self/fd")) == before


@contextmanager
def _swapping(one: Path, other: Path) -> Iterator[None]:
    """Exchange two entries over and over, each time in one step, while a block runs."""
    done, libc = threading.Event(), ctypes.CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE

    def repeat() -> None:
        while not done.is_set():
            if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange):
                raise OSError(ctypes.get_errno(), "renameat2")

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _until_both(ended: dict[str, int], least: int = 500, seconds: float = 60) -> Iterator[int]:
    """Count tries: at least so many, and then until both outcomes were met, which of them is a matter of luck."""
    deadline = time.monotonic() + seconds
    for number in itertools.count():
        if number >= least and (min(ended.values()) > 0 or time.monotonic() > deadline):
            return
        yield number


@pytest.mark.parametrize("bait", ["folder", "file"])
def test_links_swapped_in_while_it_is_read_lead_nowhere(workspace: Path, outside: Path, bait: str) -> None:
    (workspace / "folder").mkdir()
    (workspace / "folder" / "labels.json").write_bytes(b"own")
    (workspace / "file").write_bytes(b"own")
    (workspace / "link").symlink_to(outside if bait == "folder" else outside / "labels.json")

    ended = {"read": 0, "refused": 0}
    name = "folder/labels.json" if bait == "folder" else "file"
    with _swapping(workspace / bait, workspace / "link"):
        for _ in _until_both(ended):
            try:
                assert read_file(workspace, name, 100) == b"own"
                ended["read"] += 1
            except UntrustedFileError:
                ended["refused"] += 1
            with suppress(UntrustedFileError):
                assert SECRET not in read_workspace(workspace).values()
    assert min(ended.values()) > 0


def test_links_swapped_in_while_it_is_written_lead_nowhere(workspace: Path, outside: Path) -> None:
    (workspace / "folder").mkdir()
    (workspace / "link").symlink_to(outside)

    ended = {"written": 0, "refused": 0}
    with _swapping(workspace / "folder", workspace / "link"):
        for number in _until_both(ended):
            try:
                write_workspace(workspace, {f"folder/{number}": b"x", "folder/labels.json": b"overwritten"})
                ended["written"] += 1
            except UntrustedFileError:
                ended["refused"] += 1
    assert min(ended.values()) > 0
    assert [(file.name, file.read_bytes()) for file in outside.iterdir()] == [("labels.json", SECRET)]


def test_a_snapshot_is_written_beside_other_files_and_replaces_those_of_its_names(workspace: Path) -> None:
    (workspace / "notes.md").write_text("mine")
    files = {"method.py": b"new", "a/b/c.py": b"1", "a/d.py": b""}
    write_workspace(workspace, files)
    assert read_workspace(workspace) == {**files, "notes.md": b"mine"}


def test_planted_links_are_replaced_and_never_written_through(workspace: Path, outside: Path) -> None:
    (workspace / "file").symlink_to(outside / "labels.json")
    (workspace / "hard").hardlink_to(outside / "labels.json")
    os.mkfifo(workspace / "pipe")
    write_workspace(workspace, {"file": b"1", "hard": b"2", "pipe": b"3"})
    assert (outside / "labels.json").read_bytes() == SECRET
    assert read_workspace(workspace) == {"method.py": METHOD, "file": b"1", "hard": b"2", "pipe": b"3"}


@pytest.mark.parametrize("plant", [lambda path, to: path.symlink_to(to), lambda path, to: path.touch()])
def test_a_folder_that_is_a_link_or_file_is_refused(
    workspace: Path, outside: Path, plant: Callable[[Path, Path], None]
) -> None:
    plant(workspace / "sub", outside)
    with pytest.raises(UntrustedFileError, match=r"'sub/a\.py' in the workspace: .*plain folder"):
        write_workspace(workspace, {"sub/a.py": b""})
    assert os.listdir(outside) == ["labels.json"]


def test_a_folder_where_a_file_should_be_is_refused_and_nothing_is_left_behind(workspace: Path) -> None:
    (workspace / "a.py").mkdir()
    with pytest.raises(UntrustedFileError, match=r"'a\.py' in the workspace: there is a folder of that name"):
        write_workspace(workspace, {"a.py": b"x"})
    assert sorted(os.listdir(workspace)) == ["a.py", "method.py"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another user")
def test_what_root_writes_belongs_to_the_workspaces_owner(workspace: Path) -> None:
    os.chown(workspace, 12345, 12345)
    write_workspace(workspace, {"sub/a.py": b"x"})
    for path in (workspace / "sub", workspace / "sub" / "a.py"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12345)


def test_one_file_is_read_up_to_its_limit(workspace: Path) -> None:
    assert read_file(workspace, "method.py", len(METHOD)) == METHOD
    with pytest.raises(UntrustedFileError, match=rf"has {len(METHOD)} bytes; at most 5"):
        read_file(workspace, "method.py", 5)
    with pytest.raises(UntrustedFileError, match="no such file"):
        read_file(workspace, "missing/result.json", 5)
    (workspace / "large").write_bytes(bytes(3 * FILE_BYTES))
    assert len(read_file(workspace, "large", 4 * FILE_BYTES)) == 3 * FILE_BYTES


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../outside/labels.json", "a/../../outside/labels.json", "a\x00b"])
def test_a_file_outside_is_never_read(workspace: Path, outside: Path, name: str) -> None:
    with pytest.raises(UntrustedFileError, match="the file name"):
        read_file(workspace, name, 100)
