"""What is asked of a sandbox, as data; the same for every provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aar.sandbox.limits import Limits

View = Literal["method", "shell", "training"]
"""Which programs a sandbox sees.

"method": Python with numpy and the lab's client. "shell": those, and the machine's own command-line tools. "training":
those of "shell", and torch with the packages that a training program needs.
"""

PYTHON = ("/runtime/bin/python3", "-ISB")
TRAINING_PYTHON = ("/runtime/shell/python3", "-sB")
BROKER_SOCKET = "/run/broker.sock"


@dataclass(frozen=True)
class Spec:
    """One sandbox.

    A program learns from its command and its environment where things are, not from constants: only a provider with
    a wall of its own can put them at the very paths that are asked for here.

    Attributes:
        command: what runs in it, with paths as the sandbox sees them.
        files: contents of small files that appear read-only in /work, by name.
        read_only: files and folders of the host that appear read-only, by the path at which they do.
        workspace: a folder of the host that appears as a writable /work, used by one sandbox at a time. None: /work
            vanishes with the sandbox.
        gpus: numbers of the devices that it may use.
        owner: whose sandboxes share one part of the machine's memory; "": nobody's.
        environment: variables that it gets beside the few that every sandbox has.
    """

    command: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    view: View = "method"
    files: Mapping[str, bytes] = field(default_factory=dict)
    read_only: Mapping[str, Path] = field(default_factory=dict)
    workspace: Path | None = None
    gpus: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""

    def __post_init__(self) -> None:
        if self.files and self.workspace:
            raise ValueError("files cannot be shown in a workspace; use read_only, at paths outside /work")
