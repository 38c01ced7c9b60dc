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


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A cache of its own, so that building can be watched."""
    return tmp_path


@pytest.fixture
def quick_build(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Building without copying; the folders that were built."""
    built: list[Path] = []

    def build(folder: Path) -> None:
        building = folder.with_name(".building-test")
        building.mkdir()
        (building / "loader").write_text("/lib64/ld.so")
        building.rename(folder)
        built.append(folder)

    monkeypatch.setattr(runtime, "_build", build)
    return built


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


def test_it_runs_with_nothing_but_itself() -> None:
    folder = prepared_runtime().folder
    program = "import numpy, ssl, sqlite3, ctypes, aar.guest.run_method; print(numpy.__file__)"
    done = subprocess.run(
        [folder / "bin/python3", "-ISB", "-c", program], env={"LD_LIBRARY_PATH": f"{folder}/lib"}, cwd="/",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(folder))


def test_it_is_built_once_and_found_again(home: Path, quick_build: list[Path]) -> None:
    assert prepared_runtime(home) == prepared_runtime(home)
    assert len(quick_build) == 1


def test_several_threads_build_it_once(home: Path, quick_build: list[Path]) -> None:
    found: list[Runtime] = []
    threads = [threading.Thread(target=lambda: found.append(prepared_runtime(home))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(quick_build) == 1
    assert found == [prepared_runtime(home)] * 8


def test_what_a_killed_builder_left_is_removed(home: Path, quick_build: list[Path]) -> None:
    (home / ".building-x").mkdir()
    prepared_runtime(home)
    assert not (home / ".building-x").exists()


def test_runtimes_that_nobody_used_for_long_are_removed(home: Path, quick_build: list[Path]) -> None:
    for name, age in (("runtime-old", 8 * 86400), ("runtime-recent", 86400)):
        (home / name).mkdir()
        then = (home / name).stat().st_mtime - age
        os.utime(home / name, (then, then))
    prepared_runtime(home)
    assert not (home / "runtime-old").exists()
    assert (home / "runtime-recent").exists()


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_that_others_can_write_is_not_trusted(home: Path, quick_build: list[Path], mode: int) -> None:
    prepared_runtime(home).folder.chmod(mode)
    with pytest.raises(SandboxError, match="nobody else can write"):
        prepared_runtime(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_trusted(home: Path, quick_build: list[Path]) -> None:
    os.chown(prepared_runtime(home).folder, 12345, 12345)
    with pytest.raises(SandboxError, match="must be a folder of user 0"):
        prepared_runtime(home)


def test_a_symbolic_link_is_not_trusted(home: Path, quick_build: list[Path]) -> None:
    folder = prepared_runtime(home).folder
    shutil.move(folder, home / "elsewhere")
    folder.symlink_to(home / "elsewhere")
    with pytest.raises(SandboxError, match="must be a folder"):
        prepared_runtime(home)


def test_a_place_that_cannot_be_written_is_a_sandbox_error() -> None:
    with pytest.raises(SandboxError, match="cannot be prepared"):
        prepared_runtime(Path("/proc/nowhere"))


def test_its_name_depends_on_the_guests_files(tmp_path: Path) -> None:
    for name in ("same", "changed"):
        shutil.copytree(Path(aar.__file__).parent, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "changed" / "guest" / "wire.py").write_text("changed")
    assert runtime_digest(tmp_path / "same") == runtime_digest(Path(aar.__file__).parent)
    assert runtime_digest(tmp_path / "changed") != runtime_digest(tmp_path / "same")
