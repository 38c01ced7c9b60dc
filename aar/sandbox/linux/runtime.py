"""The interpreter that a sandbox sees: a self-contained, read-only folder, built once per machine and user.

The interpreter that runs aar may be in a home that only its owner can enter, next to packages and keys that method code
must not see. So the runtime is a copy: interpreter, shared libraries with their loader, standard library, numpy, and
`aar.guest`. A method sees nothing else of the machine, no shell and no /usr.

Its name contains the digest of its content's sources. It is built under another name and renamed, so it is complete or
does not exist.

Covers: a folder that another user prepared (it must belong to this user and be writable by no other).
Does not cover: this user tampering with their own cache.
"""

import compileall
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import aar
from aar.errors import SandboxError, undone_on_error
from aar.storage import FileLock

PACKAGE = Path(aar.__file__).parent
LEFT_OUT = (
    "__pycache__", "config-*", "curses", "dist-packages", "distutils", "ensurepip", "EXTERNALLY-MANAGED", "idlelib",
    "lib2to3", "pydoc_data", "site-packages", "sitecustomize.py", "test", "tests", "tkinter", "turtle*", "venv",
    "_tkinter*", "_curses*", "_test*", "_ctypes_test*", "xx*", "nis.*", "ossaudiodev*", "readline.*", "*.a", "*.pyi",
)  # fmt: skip
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
UNUSED_SECONDS = 7 * 86400
# For a shell, in which other programs must not find the runtime's libraries before the machine's.
SHELL_PYTHON = """#!/bin/sh
runtime=${0%/*}/..
LD_LIBRARY_PATH=$runtime/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$runtime/bin/python3" "$@"
"""
LIBRARY_LINE = re.compile(r"^\s+(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)


@dataclass(frozen=True)
class Runtime:
    """A built runtime. `loader` is the absolute path at which its binaries expect their dynamic loader."""

    folder: Path
    loader: str


def prepared_runtime(home: Path | None = None, build: Callable[[Path], None] | None = None) -> Runtime:
    """Return the runtime of this interpreter and this version of aar; build it (about ten seconds) if it is missing.

    Args:
        home: the folder for runtimes. None: this user's cache.
        build: makes a runtime's folder. None: `build_runtime`.

    Raises:
        SandboxError: it cannot be built, or a folder with its name is not trustworthy.
    """
    home = home or default_home()
    folder = home / f"runtime-{runtime_digest(PACKAGE)}"
    try:
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        _check_trust(home)
        if not folder.exists():
            with FileLock(home / "runtime.lock", seconds=None):
                if not folder.exists():
                    _remove_unused(home)
                    (build or build_runtime)(folder)
        _check_trust(folder)
        os.utime(folder)
        return Runtime(folder, (folder / "loader").read_text())
    except OSError as error:
        raise SandboxError(f"{folder}: the sandbox's runtime cannot be prepared: {error}") from None


def default_home() -> Path:
    """Return this user's cache; as root, a folder that sandboxes' uids can traverse, which root's home is not."""
    if os.geteuid() == 0:
        return Path("/var/cache/aar")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aar"


@functools.cache
def runtime_digest(package: Path) -> str:
    """Return a digest of the runtime's sources: versions, the guest's files in `package`, and this file."""
    interpreter = Path(sys.executable).resolve()
    libraries = Path("/etc/ld.so.cache")  # rewritten when a system library is upgraded
    facts = [sys.version, platform.machine(), str(interpreter), np.__version__, np.__file__]
    facts += [str(file.stat().st_mtime_ns) for file in (interpreter, libraries) if file.exists()]
    digest = hashlib.sha256("\0".join(facts).encode())
    for file in (Path(__file__), *_guest_files(package)):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _guest_files(package: Path) -> list[Path]:
    """Return the part of aar that every sandbox sees: the package's own `__init__` and `aar.guest`."""
    return [package / "__init__.py", *sorted((package / "guest").glob("*.py"))]


def _check_trust(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise SandboxError(
            f"{folder} must be a folder of user {os.geteuid()} that nobody else can write, because code in it runs in "
            "every sandbox. Remove it; aar builds it again."
        )


def _remove_unused(home: Path) -> None:
    for old in home.glob("runtime-*"):
        if time.time() - old.lstat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    for abandoned in home.glob(".building-*"):  # this process is the only builder
        shutil.rmtree(abandoned, ignore_errors=True)


def build_runtime(folder: Path) -> None:
    """Build a runtime at `folder`, which appears complete or not at all. Raises SandboxError or OSError."""
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    with undone_on_error(functools.partial(shutil.rmtree, building, ignore_errors=True)):
        modules = building / "lib" / PYTHON
        _copy_tree(Path(sysconfig.get_path("stdlib")), modules)
        _copy_packages(modules)
        (building / "bin").mkdir()
        binaries = [_copy_binary(Path(sys.executable), building / "bin" / "python3")]
        binaries += [_copy_binary(_tool("prlimit"), building / "bin" / "prlimit")]
        loader = _copy_libraries([*binaries, *modules.rglob("*.so*")], building / "lib")
        (building / "loader").write_text(loader)
        _add_shell_python(building / "shell")
        compileall.compile_dir(modules, quiet=2, workers=1)
        _make_readable(building)
        building.rename(folder)


def _copy_tree(source: Path, target: Path) -> None:
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(source, target, ignore=ignore, ignore_dangling_symlinks=True, dirs_exist_ok=True)


def _copy_packages(modules: Path) -> None:
    """Copy numpy and `aar.guest` next to the standard library: importable with `-S`, which starts faster."""
    numpy = Path(np.__file__).parent
    _copy_tree(numpy, modules / "numpy")
    if (numpy.parent / "numpy.libs").is_dir():
        _copy_tree(numpy.parent / "numpy.libs", modules / "numpy.libs")
    for file in _guest_files(PACKAGE):
        target = modules / file.relative_to(PACKAGE.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


def _copy_binary(source: Path, target: Path) -> Path:
    shutil.copy2(source.resolve(), target)
    target.chmod(0o755)
    return target


def _tool(name: str) -> Path:
    path = shutil.which(name)
    if path is None:
        raise SandboxError(f"{name} was not found. Install it: apt-get install util-linux")
    return Path(path)


def _copy_libraries(files: Iterable[Path], target: Path) -> str:
    """Copy the shared libraries that `files` need into the runtime; return the loader's own path."""
    libraries = dict(_needed_libraries(files))
    loader = next((path for path in libraries.values() if Path(path).name.startswith("ld-linux")), None)
    if loader is None:
        raise SandboxError("the interpreter's dynamic loader was not found; aar's sandbox needs glibc, not musl")
    for name, path in libraries.items():
        shutil.copy2(Path(path).resolve(), target / name)
    return loader


def _needed_libraries(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    environment = {**os.environ, "LC_ALL": "C"}
    # Its exit code only reports that some file is not dynamically linked.
    listing = subprocess.run(["ldd", *files], capture_output=True, text=True, env=environment, check=False).stdout
    for name, path in LIBRARY_LINE.findall(listing):
        if "numpy.libs" not in path:
            yield Path(name or path).name, path


def _add_shell_python(folder: Path) -> None:
    folder.mkdir()
    for name in ("python", "python3"):
        (folder / name).write_text(SHELL_PYTHON)
        (folder / name).chmod(0o755)


def _make_readable(folder: Path) -> None:
    """Make it readable for everyone and writable only for its owner, whatever the umask and the copied modes are."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
