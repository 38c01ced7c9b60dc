"""The wall around code that an agent wrote: one bubblewrap process tree per run, its limits, and proof that it stands.

`Sandbox` runs a command behind the wall, `Limits` says how much it may use, `require_sandbox` refuses to go on where
the wall cannot be built, and `probe` says why.
"""

from aar.sandbox.bubblewrap import Sandbox
from aar.sandbox.limits import Limits
from aar.sandbox.probe import Check, probe, require_sandbox
from aar.sandbox.watch import Outcome

__all__ = ["Check", "Limits", "Outcome", "Sandbox", "probe", "require_sandbox"]
