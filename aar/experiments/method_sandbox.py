"""Runs a method in a sandbox, with a broker that answers its lab calls, and follows its runs.

Covers: a method that raises, hangs, exhausts memory or dies ends as a MethodError that its author can act on; a fault
of the platform is never blamed on the method; the caller gets its answer even while a backend call is in progress.
Does not cover: stopping that backend call, which the platform completes.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from aar.errors import CrowdedError, MethodError
from aar.experiments.broker import Broker, LabBackend, RunBudget, printable
from aar.sandbox import BROKER_SOCKET, PYTHON, Limits, Outcome, Provider, Spec
from aar.sandbox.pool import Pool
from aar.scoring.records import ExperimentRun

MAX_SOURCE_BYTES = 2**20
LINES_SHOWN = 10
MAX_LOG_CHARACTERS = 64_000
"""Characters of a run's output that are kept."""

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Follows one run of a method."""

    def started(self, stop: Callable[[], None]) -> None:
        """Called when it runs; `stop` ends it, from any thread."""

    def ended(self, printed: str) -> None:
        """Called when it has ended, with its output."""


class Progress:
    """Follows the runs of one experiment: their output, and how to end them. In memory alone, from any thread."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}
        self._stops: list[Callable[[], None]] = []
        self._cancelled = False

    def of(self, run: ExperimentRun) -> "RunProgress":
        """Return the observer of one run."""
        return RunProgress(self, f"{run.dataset}, seed {run.seed}")

    def log(self) -> str:
        """Return the output, run by run."""
        return "\n".join(f"{run}:\n{text}" for run, text in sorted(self._printed.items()))

    def cancel(self) -> None:
        """End all runs, including those that are about to start."""
        self._cancelled = True
        for stop in list(self._stops):
            stop()

    def note_start(self, stop: Callable[[], None]) -> None:
        """Note that a run has started."""
        self._stops.append(stop)
        if self._cancelled:
            stop()

    def note_end(self, run: str, printed: str) -> None:
        """Note that a run has ended, with its output."""
        end = printed[-MAX_LOG_CHARACTERS:]
        cut = f"(the last {len(end)} of {len(printed)} characters)\n" if len(end) < len(printed) else ""
        self._printed[run] = cut + "".join(printable(line) for line in end.splitlines(keepends=True))


class RunProgress:
    """Follows one run. Implements Observer."""

    def __init__(self, progress: Progress, run: str) -> None:
        self._progress, self._run = progress, run

    def started(self, stop: Callable[[], None]) -> None:
        self._progress.note_start(stop)

    def ended(self, printed: str) -> None:
        self._progress.note_end(self._run, printed)


def method_pool(provider: Provider, limits: Limits, size: int, decoys: Mapping[str, bytes] | None = None) -> Pool:
    """Return a pool of sandboxes that wait for a method, `size` of them ready at a time.

    Args:
        decoys: files to put into each of them, which no method has a reason to read (aar.sandbox.decoys).
    """
    command = (*PYTHON, "-m", "aar.guest.run_method", BROKER_SOCKET)
    return Pool(provider, Spec(command, limits, files=decoys or {}), size)


def run_method(
    source: bytes,
    backend: LabBackend,
    pool: Pool,
    run_budget: RunBudget,
    *,
    observer: Observer | None = None,
    owner: str = "",
) -> str | np.ndarray:
    """Run `supervise(lab)` of the method file `source` in a sandbox; return the id of the student that it returned.

    Where test examples are shown, the method may return predictions instead, which are not checked here.

    Args:
        owner: the account whose sandboxes share one part of the machine's memory.

    Raises:
        MethodError: the method failed, or no memory became free for it in time; the message is for its author.
        SandboxError: the sandbox could not be set up.
        Exception: a platform fault: any error of `backend` other than LabError and TrainingError.
    """
    if len(source) > MAX_SOURCE_BYTES:
        raise MethodError(f"method.py has {len(source)} bytes; at most {MAX_SOURCE_BYTES} are allowed")
    try:
        taken = pool.take(owner)
    except CrowdedError as error:
        raise MethodError(str(error)) from None
    with taken as sandbox:
        log.info("sandbox %s: runs a method of %s", sandbox.name, owner or "nobody")
        broker = Broker(source, backend, sandbox.connection, run_budget, on_end=sandbox.stop)
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
    """Return a message for the researcher: what went wrong, and the last lines of output."""
    if error is None and outcome.killed:
        error = f"killed: {outcome.killed}"
    reason = error or f"the method's process ended with exit code {outcome.exit_code} before supervise(lab) returned"
    lines = (outcome.stdout + outcome.stderr).splitlines()[-LINES_SHOWN:]
    return printable("\n".join([reason, *(["it printed:", *lines] if lines else [])]))
