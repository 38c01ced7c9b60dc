"""Running a method: its source in a sandbox, a broker before it, and what came of it.

Covers: a method that raises, hangs, eats memory or dies ends as a MethodError that its author can act on; a fault of
the platform is never blamed on the method; the caller gets its answer even while a backend call is still going on.
Does not cover: stopping that backend call; the platform finishes what it began.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from aar.errors import CrowdedError, MethodError
from aar.experiments.broker import Broker, LabBackend, RunBudget, printable
from aar.sandbox import BROKER_SOCKET, PYTHON, Limits, Outcome, Provider, Spec
from aar.sandbox.pool import Pool

MAX_SOURCE_BYTES = 2**20
LINES_SHOWN = 10

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Follows one run of a method."""

    def started(self, stop: Callable[[], None]) -> None:
        """It runs; `stop` ends it, from any thread."""

    def ended(self, printed: str) -> None:
        """It has ended, and this is what it printed."""


def method_pool(provider: Provider, limits: Limits, size: int, decoys: Mapping[str, bytes] | None = None) -> Pool:
    """Sandboxes that wait for a method, `size` of them ready at a time.

    Args:
        decoys: files that lie in each of them and are nobody's business (aar.sandbox.decoys).
    """
    command = (*PYTHON, "-m", "aar.guest.run_method", BROKER_SOCKET)
    return Pool(provider, Spec(command, limits, files=decoys or {}), size)


def run_method(
    source: bytes,
    backend: LabBackend,
    pool: Pool,
    allowance: RunBudget,
    *,
    observer: Observer | None = None,
    owner: str = "",
) -> str | np.ndarray:
    """Run `supervise(lab)` of the method file `source` in a sandbox; return the id of the student that it returned.

    Args:
        owner: whose sandboxes share one part of the machine's memory.

    Where test examples are shown, it may return predictions instead; these are not checked here.

    Raises:
        MethodError: the method failed, or no memory came free for it in time; the message is for its author.
        SandboxError: the sandbox could not be set up.
        Exception: a platform fault, whatever `backend` raised other than LabError and TrainingError.
    """
    if len(source) > MAX_SOURCE_BYTES:
        raise MethodError(f"method.py has {len(source)} bytes; at most {MAX_SOURCE_BYTES} are allowed")
    try:
        taken = pool.take(owner)
    except CrowdedError as error:
        raise MethodError(str(error)) from None
    with taken as sandbox:
        log.info("sandbox %s: runs a method of %s", sandbox.name, owner or "nobody")
        broker = Broker(source, backend, sandbox.connection, allowance, on_end=sandbox.stop)
        broker.start()
        if observer:
            observer.started(sandbox.stop)
        try:
            outcome = sandbox.outcome()
        finally:
            broker.join()
        if observer:
            observer.ended(outcome.stdout + outcome.stderr)
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
