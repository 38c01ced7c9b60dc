"""Running a method: its file in a sandbox, a broker before it, and what came of it.

Covers: a method that raises, hangs, eats memory or dies ends as a MethodError that its author can act on; a fault of
the platform is never blamed on the method; the caller gets its answer even while a backend call is still going on.
Does not cover: stopping that backend call; the platform finishes what it began.
"""

from collections.abc import Mapping

import numpy as np

from aar.errors import MethodError
from aar.lab.broker import Broker, LabBackend, printable
from aar.sandbox import Limits, Sandbox
from aar.sandbox.profile import PYTHON
from aar.sandbox.watch import Outcome

MAX_SOURCE_BYTES = 2**20
LINES_SHOWN = 10


def run_method(
    source: bytes, backend: LabBackend, *, limits: Limits, fits: int, decoys: Mapping[str, bytes] | None = None
) -> str | np.ndarray:
    """Run `supervise(lab)` of the method file `source` in a sandbox; return the id of the student that it returned.

    Where test examples are shown, it may return predictions instead; these are not checked here.

    Args:
        fits: how many times the method may fine-tune.
        decoys: files that lie beside the method and are nobody's business (aar.sandbox.decoys).

    Raises:
        MethodError: the method failed; the message is for its author.
        SandboxError: the sandbox could not be set up.
        Exception: a platform fault, whatever `backend` raised other than LabError and TrainingError.
    """
    if len(source) > MAX_SOURCE_BYTES:
        raise MethodError(f"method.py has {len(source)} bytes; at most {MAX_SOURCE_BYTES} are allowed")
    with Sandbox(limits, {**(decoys or {}), "method.py": source}) as sandbox, sandbox.listen() as listener:
        broker = Broker(backend, listener, uid=sandbox.uid, fits=fits, on_end=sandbox.stop)
        broker.start()
        try:
            outcome = sandbox.run([*PYTHON, "-m", "aar.lab.runner"])
        finally:
            broker.join()
    if broker.fault is not None:
        raise broker.fault
    if broker.student is not None:
        return broker.student
    if broker.predictions is not None:
        return broker.predictions
    raise MethodError(_failure(broker.error, outcome))


def _failure(error: str | None, outcome: Outcome) -> str:
    """What the researcher reads: what went wrong, and the end of what the method printed."""
    if error is None and outcome.killed:
        error = f"killed: {outcome.killed}"
    reason = error or f"the method's process ended with exit code {outcome.exit_code} before supervise(lab) returned"
    lines = (outcome.stdout + outcome.stderr).splitlines()[-LINES_SHOWN:]
    return printable("\n".join([reason, *(["it printed:", *lines] if lines else [])]))
