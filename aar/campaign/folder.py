"""The campaign folder: a campaign's record on disk, who may write it, and whether it fits a configuration.

config.json          the resolved configuration          version.json     the code that wrote it
campaign.sqlite      events and running time             scores.sqlite    experiments and scores
commons/             forum and code store                artifacts/       students, predictions, by digest
best-pgr.png         best PGR against time               driver.lock      held by the process that runs it
spend.sqlite         what researchers have used up       storage.sqlite   what is kept for them
commands.sqlite      operators' commands                 researchers/     transcripts, marks, credentials
audit.json, audit.md the last audit's findings
"""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import aar
from aar.commons import CODE_FOLDER, FORUM_FILE
from aar.config import CampaignConfig
from aar.errors import CampaignError
from aar.storage import FileLock, is_locked, storage_errors, write_atomic

FIXED_PARTS = ("problem", "scoring", "sandbox.provider")
"""The settings that scores, and the trust in them, depend on; they cannot change within one campaign."""
NEEDED_BYTES = 1 << 30
STOP_FILE = "stop-requested"
LOCK_FILE = "driver.lock"
LOCK_SECONDS = 0.2
"""How long a driver waits for the lock, which `is_running` holds for an instant."""
ADDRESS_FILE = "ray-address"
"""Holds the address of the campaign's Ray cluster, for other processes on this machine."""
VERSION_FILE = "version.json"
"""Written each time a driver starts or resumes the campaign."""
COMMONS = "commons"


def campaigns_root() -> Path:
    """Return the parent of campaigns whose configuration names no folder: `$AAR_HOME`, or `~/aar`."""
    return Path(os.environ.get("AAR_HOME") or Path.home() / "aar")


def campaign_folder(config: CampaignConfig) -> Path:
    """Return the folder of a campaign."""
    return config.folder or campaigns_root() / config.name


def forum_file(folder: Path) -> Path:
    """Return the forum's database in a campaign's folder."""
    return folder / COMMONS / FORUM_FILE


def code_folder(folder: Path) -> Path:
    """Return the code store's repository in a campaign's folder."""
    return folder / COMMONS / CODE_FOLDER


def find_campaign(name_or_folder: str | None) -> Path:
    """Find an existing campaign's folder by path or by name, or, given neither, the campaign that ran last.

    Raises CampaignError when there is no such campaign.
    """
    if name_or_folder is None:
        configs = sorted(campaigns_root().glob("*/config.json"), key=lambda file: file.stat().st_mtime)
        if not configs:
            raise CampaignError(f"there is no campaign in {campaigns_root()} yet; start one with `aar run FILE`")
        return configs[-1].parent
    for folder in (Path(name_or_folder), campaigns_root() / name_or_folder):
        if (folder / "config.json").is_file():
            return folder
    raise CampaignError(f"there is no campaign at {name_or_folder}, and none of that name in {campaigns_root()}")


def stored_config(folder: Path) -> CampaignConfig:
    """Return the configuration that a campaign ran with. Raises CampaignError when it cannot be read."""
    try:
        return CampaignConfig.model_validate_json((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise CampaignError(f"{folder}/config.json cannot be read by this version of aar: {error}") from None


class CampaignFolder:
    """A campaign's folder, locked by one driver for the duration of a `with` block.

    Attributes:
        unchanged: True if the folder already held a campaign with exactly this configuration.
    """

    def __init__(self, config: CampaignConfig) -> None:
        self.path = campaign_folder(config).resolve()
        self._config = config

    def __enter__(self) -> "CampaignFolder":
        """Create or reopen the folder.

        Raises:
            CampaignError: another process holds it, or its settings in FIXED_PARTS differ.
            StorageError: it cannot be written, or its disk is full.
        """
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self._lock = self._take_lock()
        self._check_space()
        self._check_same()
        self.unchanged = self._is_unchanged()
        with storage_errors(self.path):
            write_atomic(self.path / "config.json", self._config.model_dump_json(indent=1))
            write_atomic(self.path / VERSION_FILE, json.dumps(code_version(), indent=1))
            (self.path / STOP_FILE).unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def stop_requested(self) -> bool:
        """True if somebody asked this campaign to stop."""
        return (self.path / STOP_FILE).exists()

    def _take_lock(self) -> FileLock:
        try:
            return FileLock(self.path / LOCK_FILE, seconds=LOCK_SECONDS)
        except BlockingIOError:
            raise CampaignError(
                f"{self.path}: another process is running this campaign. "
                "Watch it with `aar status`, or stop it with `aar stop`."
            ) from None

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < NEEDED_BYTES:
            raise CampaignError(
                f"{self.path}: its disk has {free >> 20} MiB left, and a campaign needs {NEEDED_BYTES >> 20} MiB. "
                "Free some space, or set `folder` to a path on another disk."
            )

    def _is_unchanged(self) -> bool:
        return (self.path / "config.json").is_file() and stored_config(self.path) == self._config

    def _check_same(self) -> None:
        if not (self.path / "config.json").is_file():
            return
        before = stored_config(self.path)
        changed = [part for part in FIXED_PARTS if attrgetter(part)(before) != attrgetter(part)(self._config)]
        if changed:
            raise CampaignError(
                f"{self.path} holds a campaign whose {' and '.join(changed)} settings differ from these, so its scores "
                "would not be comparable. Give this campaign another name or folder, or restore the settings."
            )


def is_running(folder: Path) -> bool:
    """True if a driver holds this campaign."""
    if not (folder / LOCK_FILE).exists():
        return False
    with storage_errors(folder):
        return is_locked(folder / LOCK_FILE)


def request_stop(folder: Path) -> None:
    """Ask the driver of a campaign to stop."""
    with storage_errors(folder):
        (folder / STOP_FILE).touch()


def code_version() -> dict[str, Any]:
    """Return the versions of aar, of its git checkout, and of what it runs on."""
    packages = ("ray", "torch", "transformers", "deepspeed", "numpy")
    return {
        "aar": importlib.metadata.version("aar"),
        "git": _git_state(),
        "python": platform.python_version(),
        "machine": platform.platform(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def _git_state() -> str | None:
    source = Path(aar.__file__).parent
    try:
        described = subprocess.run(
            ["git", "-C", source, "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
