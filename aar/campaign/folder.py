"""The campaign folder: where a campaign's record lies, who may write it, and whether it belongs to this configuration.

config.json          the resolved configuration          version.json     the code that wrote it
campaign.sqlite      events and running time             scores.sqlite    experiments and scores
commons/             forum and code store                artifacts/       students, predictions, by digest
best-pgr.png         best PGR against time               driver.lock      held by the process that runs it
audit.json, audit.md what the last audit found
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
from aar.config import CampaignConfig
from aar.errors import CampaignError
from aar.storage import FileLock, is_locked, storage_errors, write_atomic

FIXED_PARTS = ("problem", "scoring", "sandbox.provider")
"""What scores, and the trust in them, depend on in the configuration; it cannot change within one campaign."""
NEEDED_BYTES = 1 << 30
STOP_FILE = "stop-requested"
LOCK_FILE = "driver.lock"
LOCK_SECONDS = 0.2
"""How long a driver waits for the lock, which `is_running` holds for an instant."""
ADDRESS_FILE = "ray-address"
"""Where the Ray cluster is that runs the campaign, for other processes on this machine."""
VERSION_FILE = "version.json"
"""Written whenever a driver takes the campaign up."""
COMMONS = "commons"


def campaigns_root() -> Path:
    """Where campaigns lie that name no folder: `$AAR_HOME`, or `~/aar`."""
    return Path(os.environ.get("AAR_HOME") or Path.home() / "aar")


def campaign_folder(config: CampaignConfig) -> Path:
    """The folder of a campaign."""
    return config.folder or campaigns_root() / config.name


def find_campaign(name_or_folder: str | None) -> Path:
    """An existing campaign's folder, by path, by name, or, without either, the one that ran last.

    Raises CampaignError when there is none.
    """
    if name_or_folder is None:
        known = sorted(campaigns_root().glob("*/config.json"), key=lambda file: file.stat().st_mtime)
        if not known:
            raise CampaignError(f"there is no campaign in {campaigns_root()} yet; start one with `aar run FILE`")
        return known[-1].parent
    for folder in (Path(name_or_folder), campaigns_root() / name_or_folder):
        if (folder / "config.json").is_file():
            return folder
    raise CampaignError(f"there is no campaign at {name_or_folder}, nor one of that name in {campaigns_root()}")


def stored_config(folder: Path) -> CampaignConfig:
    """The configuration that a campaign ran with. Raises CampaignError when it cannot be read."""
    try:
        return CampaignConfig.model_validate_json((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise CampaignError(f"{folder}/config.json cannot be used by this version of aar: {error}") from None


class CampaignFolder:
    """A campaign's folder, held by one driver from `with` to its end.

    Attributes:
        unchanged: the folder held a campaign with exactly this configuration before.
    """

    def __init__(self, config: CampaignConfig) -> None:
        self.path = campaign_folder(config).resolve()
        self._config = config

    def __enter__(self) -> "CampaignFolder":
        """Create or reopen the folder.

        Raises:
            CampaignError: another process holds it, or its problem or scoring is another one.
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
        """Did somebody ask this campaign to stop?"""
        return (self.path / STOP_FILE).exists()

    def _take_lock(self) -> FileLock:
        try:
            return FileLock(self.path / LOCK_FILE, seconds=LOCK_SECONDS)
        except BlockingIOError:
            raise CampaignError(
                f"{self.path}: another process runs this campaign. Watch it with `aar status`, end it with `aar stop`."
            ) from None

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < NEEDED_BYTES:
            raise CampaignError(
                f"{self.path}: its disk has {free >> 20} MiB left, a campaign needs {NEEDED_BYTES >> 20} MiB. "
                "Free some space, or set folder to a place on another disk."
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
    """Does a driver hold this campaign?"""
    if not (folder / LOCK_FILE).exists():
        return False
    with storage_errors(folder):
        return is_locked(folder / LOCK_FILE)


def request_stop(folder: Path) -> None:
    """Ask the driver of a campaign to stop."""
    with storage_errors(folder):
        (folder / STOP_FILE).touch()


def code_version() -> dict[str, Any]:
    """aar's version and git state, and what it runs on."""
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
