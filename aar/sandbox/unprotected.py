"""No wall: the same interface for a machine whose owner has decided to run agents' code as it is.

Protected: nothing. Code runs as the user who runs aar and reaches all that this user reaches; every score of such a
campaign is marked. Limits are enforced against mistakes, not against intent: a process that detaches itself escapes.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from aar.sandbox.api import Spec
from aar.sandbox.linux import command_line
from aar.sandbox.linux.command_line import entrance
from aar.sandbox.linux.packages import package_folders
from aar.sandbox.linux.runtime import prepared_runtime
from aar.sandbox.sandbox import Launch, Sandbox


class UnprotectedSandbox(Sandbox):
    """One process tree without a wall; paths in its command and its variables are translated to the host's."""

    def _identity(self) -> AbstractContextManager[int]:
        return nullcontext(os.geteuid())

    def _launch(self) -> Launch:
        work = self.spec.workspace or self.folder
        places = {"/runtime": prepared_runtime().folder, "/work": work, "/tmp": self.folder, **self.shown}
        limits = command_line.process_limits(self.spec, command_line.program("prlimit", "util-linux"))
        command = [_translated(part, places) for part in self.spec.command]
        asked = {**command_line.environment(self.spec.view), **self.spec.environment}
        variables = {name: _translated(value, places) for name, value in asked.items()}
        if self.spec.view == "training":
            variables["PYTHONPATH"] = os.pathsep.join(package_folders())
        return Launch(
            command=[*entrance(self.cgroup, {}), *limits, *command],
            environment=variables,
            cwd=str(work),
        )


class Unprotected:
    """The provider "none"."""

    name = "none"
    is_isolating = False

    def open(self, spec: Spec) -> Sandbox:
        """A place to run a command in, to be entered."""
        return UnprotectedSandbox(spec)


def _translated(text: str, places: dict[str, Path]) -> str:
    """`text` with each of its colon-separated parts that lies in a place moved to where that is on the host."""
    return ":".join(_moved(part, places) for part in text.split(":"))


def _moved(path: str, places: dict[str, Path]) -> str:
    for place in sorted(places, key=len, reverse=True):
        if path == place or path.startswith(f"{place}/"):
            return f"{places[place]}{path.removeprefix(place)}"
    return path
