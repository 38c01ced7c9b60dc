"""What a sandbox provider is, and which there are."""

from typing import Protocol

from aar.sandbox.api import Spec
from aar.sandbox.linux.bubblewrap import Bubblewrap
from aar.sandbox.sandbox import Sandbox
from aar.sandbox.unprotected import Unprotected


class Provider(Protocol):
    """Builds sandboxes. A new one has to pass `conformance`, as a whole if it `is_isolating`."""

    @property
    def name(self) -> str: ...

    @property
    def is_isolating(self) -> bool:
        """Whether there is a wall; scores of code that ran without one are marked."""
        ...

    def open(self, spec: Spec) -> Sandbox:
        """A sandbox, to be entered."""
        ...


PROVIDERS: dict[str, Provider] = {"bubblewrap": Bubblewrap(), "none": Unprotected()}


def provider(name: str) -> Provider:
    """The provider with a name that the settings accept."""
    return PROVIDERS[name]
