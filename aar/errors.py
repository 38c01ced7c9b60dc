"""The errors of aar, one for each boundary that a failure can cross.

Every error takes its message alone, so that it survives pickling through Ray, and each also inherits the standard
error that it refines. The message says what happened and what to do. Those that a sandbox can raise come from
`aar.guest.errors`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from aar.guest.errors import AarError as AarError
from aar.guest.errors import LabError as LabError
from aar.guest.errors import WireError as WireError


class ConfigError(AarError, ValueError):
    """A setting that cannot be used: an unknown key, a value out of range, a file that is no TOML."""


class ProblemError(AarError, ValueError):
    """A dataset that cannot be read; the message names file, line, field and what was expected."""


class AssetError(AarError, RuntimeError):
    """A model or data file that could not be fetched, or whose digest is not the expected one."""


class ModelError(AarError, RuntimeError):
    """A model that cannot be loaded or used for what was asked."""


class TrainingError(AarError, RuntimeError):
    """A training or inference request that the compute workers could not complete."""


class WithdrawnError(TrainingError):
    """A request that nobody waits for any longer was ended."""


class ComputeError(AarError, RuntimeError):
    """The compute workers themselves are gone or cannot be started."""


class StorageError(AarError, RuntimeError):
    """The campaign folder could not be read or written: a full disk, missing rights, a damaged file."""


class SandboxError(AarError, RuntimeError):
    """The sandbox could not be set up. Never a reason to go on without one."""


class CrowdedError(SandboxError):
    """No memory of the machine came free for a sandbox in time."""


class MethodError(AarError, RuntimeError):
    """Method code that failed: it raised, hung, was killed, or returned something that is not a student.

    This is a result, recorded with the experiment; it never stops a campaign.
    """


class ScoringError(AarError, ValueError):
    """A submission that cannot be scored, or an experiment that the scorer does not admit."""


class LedgerError(AarError, RuntimeError):
    """A ledger whose chain is broken, or an entry that would contradict an earlier one."""


class ToolError(AarError, ValueError):
    """A researcher's tool call that cannot be answered as asked; the message says what to do next."""


class BudgetError(AarError, RuntimeError):
    """A researcher's budget is used up: it ends."""


class QuotaError(AarError, RuntimeError):
    """What the platform keeps for a researcher would exceed its account; nothing was written."""


class ModelAccessError(AarError, RuntimeError):
    """The endpoint behind a researcher refuses it for a reason that trying again does not remove."""


class SourceError(AarError, ValueError):
    """A text of an agent that is no Python, or more of it than is parsed outside of a sandbox."""


class ForumError(AarError, ValueError):
    """A post, reply, vote or query that the forum refuses."""


class UntrustedFileError(AarError, ValueError):
    """A file in a folder that an agent owns is refused: its name, size or kind, or a link on the way to it."""


class CodeStoreError(AarError, ValueError):
    """A snapshot that the code store refuses or does not have."""


class CampaignError(AarError, RuntimeError):
    """A campaign that cannot start or go on: its folder is in use or another campaign's, or a part failed."""


@contextmanager
def undone_on_error(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` if the block raises anything, KeyboardInterrupt included; the error then continues."""
    with ExitStack() as stack:
        stack.callback(undo)
        yield
        stack.pop_all()
