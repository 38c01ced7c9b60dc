"""The command `aar`. One file per group; each command imports what it needs itself, to start fast."""

from aar.cli.app import main

__all__ = ["main"]
