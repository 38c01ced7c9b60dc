"""The context of one researcher's tools: the sandbox, files, campaign and budget that they act on."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aar.budget import Account, Limit, UsageStore, limits_of
from aar.config import CampaignConfig, ResearcherConfig
from aar.researchers.client import CampaignClient
from aar.researchers.tools.duplicates import DuplicateDetector
from aar.researchers.tools.notes import Notes
from aar.researchers.tools.shared_folder import SHOWN_AS, SharedFolder
from aar.sandbox import Limits, Shell, ShellReply, provider
from aar.storage import storage_errors

DECOYS_SHOWN_AS = "/data"


@dataclass(frozen=True)
class ResearcherPaths:
    """A researcher's folders on the host: its workspace, the shared folder it reads, its notes, and decoys."""

    workspace: Path
    shared: Path
    notes: Path
    decoys: Path

    @classmethod
    def of(cls, campaign: Path, researcher: str) -> "ResearcherPaths":
        """Return the folders of a researcher in a campaign's folder. Creates the workspace if it does not exist."""
        home = campaign / "researchers" / researcher
        paths = cls(home / "workspace", home / "shared", home / "notes", home / "decoys")
        paths.workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        return paths


class ToolContext:
    """Everything that the tools of one researcher act on.

    Attributes:
        should_stop_waiting: True if a waiting tool should return, because an operator's command is pending or the
            researcher has to end.
    """

    def __init__(
        self,
        researcher: ResearcherConfig,
        config: CampaignConfig,
        paths: ResearcherPaths,
        client: CampaignClient,
        spend: UsageStore,
        account: Account,
    ) -> None:
        self.name, self.researcher, self.config = researcher.name, researcher, config
        self.client, self.paths, self.spend, self.account = client, paths, spend, account
        self.shared = SharedFolder(paths.shared)
        self.notes = Notes(paths.notes, account)
        self.duplicates = DuplicateDetector(client)
        self.should_stop_waiting: Callable[[], bool] = lambda: False
        self._shell = Shell(
            provider(config.sandbox.provider), paths.workspace, Limits.from_config(config.sandbox),
            {SHOWN_AS: paths.shared, DECOYS_SHOWN_AS: paths.decoys}, owner=researcher.name,
        )  # fmt: skip
        _place(paths.decoys, client.decoys())

    def resolved(self, snapshot: str) -> str:
        """Resolve the id of a snapshot or of an experiment, such as e7, to a snapshot's id."""
        is_experiment = re.fullmatch(r"e[0-9]{1,9}", snapshot)
        return self.client.experiment(snapshot).snapshot if is_experiment else snapshot

    def run(self, command: str, seconds: float) -> ShellReply:
        """Run a command in the researcher's shell. Raises SandboxError when it cannot be started."""
        return self._shell.run(command, seconds)

    def limits(self) -> list[Limit]:
        """Return all limits of the researcher, its own before the campaign's."""
        return limits_of(self.researcher, self.config, self.spend)

    def interrupt(self) -> None:
        """End the running command. May be called from any thread."""
        self._shell.stop()

    def close(self) -> None:
        """End the shell."""
        self._shell.close()


def _place(folder: Path, files: Mapping[str, bytes]) -> None:
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o644)
