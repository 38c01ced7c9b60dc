"""Isolation of code that an agent wrote: bubblewrap process trees, their limits, and proof that they isolate.

A `Provider` opens a `Sandbox` for a `Spec`: one command that runs to its end with an `Outcome`. `Shell` is a bash that
keeps running between commands. `require_sandbox` raises an error on a machine where isolation cannot be set up; `probe`
reports why; `conformance` has the rules that every provider must pass.
"""

from aar.sandbox.api import BROKER_SOCKET, PYTHON, TRAINING_PYTHON, Limits, Spec
from aar.sandbox.probe import Check, probe, require_sandbox
from aar.sandbox.provider import Provider, provider
from aar.sandbox.sandbox import Outcome, Sandbox
from aar.sandbox.shell import Shell, ShellReply

__all__ = [
    "BROKER_SOCKET",
    "PYTHON",
    "TRAINING_PYTHON",
    "Check",
    "Limits",
    "Outcome",
    "Provider",
    "Sandbox",
    "Shell",
    "ShellReply",
    "Spec",
    "probe",
    "provider",
    "require_sandbox",
]  # fmt: skip
