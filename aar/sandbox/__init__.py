"""The wall around code that an agent wrote: bubblewrap process trees, their limits, and proof that the wall stands.

A `Provider` opens a `Sandbox` for what a `Spec` asks: one command that runs to its end with an `Outcome`. `Shell` is a
bash that lives on between commands. `require_sandbox` refuses to go on where the wall cannot be built; `probe` says
why; `conformance` holds what every provider has to pass.
"""

from aar.sandbox.api import BROKER_SOCKET, PYTHON, TRAINING_PYTHON, Limits, Spec
from aar.sandbox.probe import Check, probe, require_sandbox
from aar.sandbox.provider import Provider, provider
from aar.sandbox.sandbox import Sandbox
from aar.sandbox.shell import Shell, ShellReply
from aar.sandbox.supervisor import Outcome

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
