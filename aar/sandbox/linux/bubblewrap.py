"""The wall: a sandbox made of Linux namespaces by bubblewrap.

Covers: what `profile` (sight and privileges), `seccomp` (system calls), `uids` (identity), `cgroup` and `guard`
(totals) and `running` (the end of the whole tree) cover; and when aar dies, its sandboxes die too.
Does not cover: bugs of the kernel, of bubblewrap or of a GPU's driver; side channels.
"""

import os
from pathlib import Path

from aar.sandbox.api import Spec
from aar.sandbox.linux import command_line, seccomp
from aar.sandbox.linux.runtime import prepared_runtime
from aar.sandbox.sandbox import Launch, Sandbox


class BubblewrapSandbox(Sandbox):
    """One process tree behind the wall."""

    def _launch(self) -> Launch:
        runtime = prepared_runtime()
        if self.spec.view == "shell":
            self._name_the_user()
        stages = self._stages() if os.geteuid() == 0 else {}
        shown = {target: stages.get(source, source) for target, source in self.shown.items()}
        workspace = self.spec.workspace and stages.get(self.spec.workspace, self.spec.workspace)
        filter_end = seccomp.filter_fd(routes=self.spec.view == "training")
        status, status_end = os.pipe()
        wall = command_line.command_line(self.spec, runtime, shown, workspace, status_end, filter_end)
        return Launch(
            command=[*command_line.entrance(self.cgroup, stages), *_privileges(self.uid), *wall],
            environment=command_line.OUTER_ENVIRONMENT,
            descriptors=(status_end, filter_end),
            reports=open(status, "rb"),
        )

    def _name_the_user(self) -> None:
        """Programs want to know who they run as."""
        self._show("/etc/passwd", f"researcher:x:{self.uid}:{self.uid}::/work:/usr/bin/bash\n".encode())
        self._show("/etc/group", f"researcher:x:{self.uid}:\n".encode())

    def _stages(self) -> dict[Path, Path]:
        """Places in the sandbox's own folder for what may lie where its user cannot walk to, such as a home."""
        shown = [source for source in self.shown.values() if source.parent != self.folder]
        sources = [*shown, *filter(None, [self.spec.workspace])]
        stages = {source: self.folder / f"stage-{number}" for number, source in enumerate(sources)}
        for source, stage in stages.items():
            if source.is_dir():
                stage.mkdir()
            else:
                stage.touch()
        return stages


class Bubblewrap:
    """The provider that protects; the only one that aar uses unless a campaign's file says otherwise."""

    name = "bubblewrap"
    is_isolating = True

    def open(self, spec: Spec) -> Sandbox:
        """A sandbox, to be entered. Raises SandboxError on entering or starting, when it cannot be built."""
        return BubblewrapSandbox(spec)


def _privileges(uid: int) -> list[str]:
    """Root gives up its identity before bubblewrap starts; an ordinary user has nothing to give up."""
    if os.geteuid() != 0:
        return []
    return [
        command_line.program("setpriv", "util-linux"), "--reuid", str(uid), "--regid", str(uid), "--clear-groups",
        "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
    ]  # fmt: skip
