"""The errors of aar, one for each boundary that a failure can cross.

Every error takes only its message, so that it survives pickling through Ray, and also inherits the standard error that
it refines. The message states what happened and what to do. Errors that code in a sandbox can raise are defined in
`aar.guest.errors`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from aar.guest.errors import AarError as AarError
from aar.guest.errors import LabError as LabError
from aar.guest.errors import WireError as WireError


class ConfigError(AarError, ValueError):
    """A setting that cannot be used: an unknown key, a value out of range, a file that is not TOML."""


class ProblemError(AarError, ValueError):
    """A dataset that cannot be read; the message has the file, the line, the field and the expected value."""


class AssetError(AarError, RuntimeError):
    """A model or data file that could not be fetched or has an unexpected digest."""


class ModelError(AarError, RuntimeError):
    """A model that cannot be loaded, or not be used for a request."""


class TrainingError(AarError, RuntimeError):
    """A training or inference request that the compute workers could not complete."""


class WithdrawnError(TrainingError):
    """A request that was ended because no caller waits for it any more."""


class ComputeError(AarError, RuntimeError):
    """The compute workers were lost or cannot be started."""


class StorageError(AarError, RuntimeError):
    """A file of the campaign could not be read or written: a full disk, missing rights, a damaged file."""


class SandboxError(AarError, RuntimeError):
    """A sandbox could not be set up. Never a reason to continue without one."""


class CrowdedError(SandboxError):
    """The machine had no memory for a sandbox in time."""


class MethodError(AarError, RuntimeError):
    """Method code that failed: it raised, hung, was killed, or returned something that is not a student.

    This is a result, recorded with the experiment; it never stops a campaign.
    """


class ScoringError(AarError, ValueError):
    """A submission that cannot be scored, or an experiment that the scorer does not admit."""


class LedgerError(AarError, RuntimeError):
    """A ledger whose chain is broken, or an entry that would contradict an earlier one."""


class ToolError(AarError, ValueError):
    """A researcher's tool call that cannot be answered; the message states what to do next."""


class BudgetError(AarError, RuntimeError):
    """A researcher's budget is used up, so the researcher ends."""


class QuotaError(AarError, RuntimeError):
    """A write would exceed a researcher's storage account; nothing was written."""


class ModelAccessError(AarError, RuntimeError):
    """A model endpoint refuses a researcher for a reason that a retry does not remove."""


class SourceError(AarError, ValueError):
    """A text of an agent that is not Python, or too large to be parsed outside a sandbox."""


class ForumError(AarError, ValueError):
    """A post, reply, vote or query that the forum refuses."""


class UntrustedFileError(AarError, ValueError):
    """A file in a folder that an agent owns is refused: its name, size or kind, or a link on the way to it."""


class CodeStoreError(AarError, ValueError):
    """A snapshot that the code store refuses or does not have."""


class CampaignError(AarError, RuntimeError):
    """A campaign that cannot start or continue: its folder is in use or another campaign's, or a part failed."""


@contextmanager
def undone_on_error(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` if the block raises anything, KeyboardInterrupt included; the error then continues."""
    with ExitStack() as stack:
        stack.callback(undo)
        yield
        stack.pop_all()
