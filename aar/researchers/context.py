"""The context of one researcher's tools: the sandbox, files, campaign and budget that they act on."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aar.budget import Limit, UsageStore, limits_of
from aar.researchers.client import CampaignClient
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.tools.duplicates import DuplicateDetector
from aar.researchers.tools.notes import Notes
from aar.researchers.tools.shared_folder import SHOWN_AS, SharedFolder, populate_shared_folder
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

    def __init__(self, runtime: ResearcherRuntime, client: CampaignClient, campaign: Path) -> None:
        """Set up the researcher's folders below `campaign`, and have `runtime.stop` end the running command.

        Raises AarError if a folder cannot be written or the client cannot provide the training data.
        """
        self.researcher, self.config, self.account = runtime.researcher, runtime.config, runtime.account
        self.name, self.client = self.researcher.name, client
        self.paths, self.spend = ResearcherPaths.of(campaign, self.name), UsageStore(campaign)
        self.shared = SharedFolder(self.paths.shared)
        self.notes = Notes(self.paths.notes, self.account)
        self.duplicates = DuplicateDetector(client)
        self.should_stop_waiting: Callable[[], bool] = lambda: False
        self._shell = Shell(
            provider(self.config.sandbox.provider), self.paths.workspace, Limits.from_config(self.config.sandbox),
            {SHOWN_AS: self.paths.shared, DECOYS_SHOWN_AS: self.paths.decoys}, owner=self.name,
        )  # fmt: skip
        runtime.interrupt = self.interrupt
        _write_readable(self.paths.decoys, client.decoys())
        populate_shared_folder(self.shared, client)

    def resolved(self, snapshot: str) -> str:
        """Resolve the id of a snapshot or of an experiment, such as e7, to a snapshot's id."""
        is_experiment = re.fullmatch(r"e[0-9]{1,9}", snapshot)
        return self.client.experiment(snapshot).snapshot if is_experiment else snapshot

    def run(self, command: str, seconds: float) -> ShellReply:
        """Run a command in the researcher's shell. Raises SandboxError if it cannot be started."""
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


def _write_readable(folder: Path, files: Mapping[str, bytes]) -> None:
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o644)
