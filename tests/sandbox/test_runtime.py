"""The sandboxes' interpreter: what it contains, that it is built once, and when a folder for it is not trusted."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

import aar
import aar.guest
from aar.errors import SandboxError
from aar.sandbox.linux import runtime
from aar.sandbox.linux.runtime import Runtime, prepared_runtime, runtime_digest


class QuickBuild:
    """Prepares runtimes in a cache of its own, without copying. Attribute `built`: the folders that were built."""

    def __init__(self, home: Path) -> None:
        self.home, self.built = home, list[Path]()

    def prepare(self) -> Runtime:
        return prepared_runtime(self.home, self._build)

    def _build(self, folder: Path) -> None:
        building = folder.with_name(".building-test")
        building.mkdir()
        (building / "loader").write_text("/lib64/ld.so")
        building.rename(folder)
        self.built.append(folder)


@pytest.fixture
def quick(tmp_path: Path) -> QuickBuild:
    return QuickBuild(tmp_path)


def test_the_runtime_holds_interpreter_numpy_and_guest_and_nothing_else_of_aar() -> None:
    prepared = prepared_runtime()
    modules = prepared.folder / "lib" / runtime.PYTHON
    assert (modules / "numpy" / "__init__.py").exists()
    guest = [f"guest/{file.name}" for file in Path(aar.guest.__file__).parent.glob("*.py")]
    held = [str(file.relative_to(modules / "aar")) for file in (modules / "aar").rglob("*.py")]
    assert sorted(held) == sorted(["__init__.py", *guest])
    for absent in ("test", "ensurepip", "site-packages", "tkinter"):
        assert not (modules / absent).exists()
    assert prepared.loader.startswith("/lib")


def test_the_runtime_is_writable_by_its_owner_alone() -> None:
    for path in [prepared_runtime().folder, *prepared_runtime().folder.rglob("*")]:
        status = path.lstat()
        assert status.st_uid == os.geteuid()
        assert not status.st_mode & 0o022
        assert status.st_mode & 0o004


def test_it_runs_without_anything_else_of_the_machine() -> None:
    folder = prepared_runtime().folder
    program = "import numpy, ssl, sqlite3, ctypes, aar.guest.run_method; print(numpy.__file__)"
    done = subprocess.run(
        [folder / "bin/python3", "-ISB", "-c", program], env={"LD_LIBRARY_PATH": f"{folder}/lib"}, cwd="/",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(folder))


def test_it_is_built_once_and_found_again(quick: QuickBuild) -> None:
    assert quick.prepare() == quick.prepare()
    assert len(quick.built) == 1


def test_several_threads_build_it_once(quick: QuickBuild) -> None:
    prepared: list[Runtime] = []
    threads = [threading.Thread(target=lambda: prepared.append(quick.prepare())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(quick.built) == 1
    assert prepared == [quick.prepare()] * 8


def test_a_build_that_fails_leaves_nothing_and_is_tried_again(quick: QuickBuild) -> None:
    def fails(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(SandboxError, match=r"cannot be prepared: .*No space left"):
        prepared_runtime(quick.home, fails)
    assert quick.prepare().folder.is_dir()
    assert len(quick.built) == 1


def test_what_a_killed_builder_left_is_removed(quick: QuickBuild) -> None:
    (quick.home / ".building-x").mkdir()
    quick.prepare()
    assert not (quick.home / ".building-x").exists()


def test_runtimes_unused_for_a_week_are_removed(quick: QuickBuild) -> None:
    for name, age in (("runtime-old", 8 * 86400), ("runtime-recent", 86400)):
        (quick.home / name).mkdir()
        then = (quick.home / name).stat().st_mtime - age
        os.utime(quick.home / name, (then, then))
    quick.prepare()
    assert not (quick.home / "runtime-old").exists()
    assert (quick.home / "runtime-recent").exists()


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_that_others_can_write_is_not_trusted(quick: QuickBuild, mode: int) -> None:
    quick.prepare().folder.chmod(mode)
    with pytest.raises(SandboxError, match="nobody else can write"):
        quick.prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_trusted(quick: QuickBuild) -> None:
    os.chown(quick.prepare().folder, 12345, 12345)
    with pytest.raises(SandboxError, match="must be a folder of user 0"):
        quick.prepare()


def test_a_symbolic_link_is_not_trusted(quick: QuickBuild) -> None:
    folder = quick.prepare().folder
    shutil.move(folder, quick.home / "elsewhere")
    folder.symlink_to(quick.home / "elsewhere")
    with pytest.raises(SandboxError, match="must be a folder"):
        quick.prepare()


def test_a_cache_that_cannot_be_written_is_a_sandbox_error() -> None:
    with pytest.raises(SandboxError, match="cannot be prepared"):
        prepared_runtime(Path("/proc/nowhere"))


def test_its_name_depends_on_the_guests_files(tmp_path: Path) -> None:
    for name in ("same", "changed"):
        shutil.copytree(Path(aar.__file__).parent, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "changed" / "guest" / "wire.py").write_text("changed")
    assert runtime_digest(tmp_path / "same") == runtime_digest(Path(aar.__file__).parent)
    assert runtime_digest(tmp_path / "changed") != runtime_digest(tmp_path / "same")
