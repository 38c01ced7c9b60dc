"""The interface of sandbox providers, the provider "none", and the list of providers.

The provider "none" has no isolation: the same interface for a machine whose owner accepts to run agents' code as it is.

Protected by it: nothing. Code runs as the user who runs aar and reaches all that this user reaches; every score of such
a campaign is marked. Limits are enforced against mistakes, not against intent: a process that detaches itself escapes.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from aar.sandbox.api import Spec
from aar.sandbox.linux.bubblewrap import Bubblewrap, environment, launcher, process_limits, program
from aar.sandbox.linux.runtime import prepared_runtime
from aar.sandbox.linux.training import package_folders
from aar.sandbox.sandbox import Launch, Sandbox


class Provider(Protocol):
    """Builds sandboxes. A new provider must pass `conformance`, all of it if it `is_isolating`."""

    @property
    def name(self) -> str: ...

    @property
    def is_isolating(self) -> bool:
        """True if its sandboxes are isolated; scores of code that ran without isolation are marked."""
        ...

    def open(self, spec: Spec) -> Sandbox:
        """Return a sandbox, to be entered."""
        ...


class UnprotectedSandbox(Sandbox):
    """One process tree without isolation; paths in its command and variables are translated to the host's."""

    def _identity(self) -> AbstractContextManager[int]:
        return nullcontext(os.geteuid())

    def _launch(self) -> Launch:
        work = self.spec.workspace or self.folder
        places = {"/runtime": prepared_runtime().folder, "/work": work, "/tmp": self.folder, **self.shown}
        limits = process_limits(self.spec, program("prlimit", "util-linux"))
        command = [_translated(part, places) for part in self.spec.command]
        variables_inside = {**environment(self.spec.view), **self.spec.environment}
        variables = {name: _translated(value, places) for name, value in variables_inside.items()}
        if self.spec.view == "training":
            variables["PYTHONPATH"] = os.pathsep.join(package_folders())
        return Launch(
            command=[*launcher(self.cgroup, {}), *limits, *command],
            environment=variables,
            cwd=str(work),
        )


class Unprotected:
    """The provider "none", without isolation."""

    name = "none"
    is_isolating = False

    def open(self, spec: Spec) -> Sandbox:
        """Return a place to run a command in, to be entered."""
        return UnprotectedSandbox(spec)


PROVIDERS: dict[str, Provider] = {"bubblewrap": Bubblewrap(), "none": Unprotected()}


def provider(name: str) -> Provider:
    """Return the provider with a name that the settings accept."""
    return PROVIDERS[name]


def _translated(text: str, places: dict[str, Path]) -> str:
    """Translate each colon-separated part of `text` that is a path in one of `places` to the host's path."""
    return ":".join(_host_path(part, places) for part in text.split(":"))


def _host_path(path: str, places: dict[str, Path]) -> str:
    for place in sorted(places, key=len, reverse=True):
        if path == place or path.startswith(f"{place}/"):
            return f"{places[place]}{path.removeprefix(place)}"
    return path
