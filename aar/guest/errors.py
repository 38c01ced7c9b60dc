"""The errors that code inside a sandbox can raise, and the root of all of aar's errors.

They are here, and not with the others in `aar.errors`, because this package imports nothing else of aar.
"""


class AarError(Exception):
    """The root: anything aar raises on purpose.

    Its text can always be encoded as UTF-8: half a surrogate pair in the text of an error ends the Ray worker, and so
    the actor, that raises it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message.encode(errors="backslashreplace").decode())


class WireError(AarError, ValueError):
    """A frame on the broker's socket that is not well-formed, too large, or cut short."""


class LabError(AarError, ValueError):
    """A lab call that was refused: a bad argument, an unknown student, a budget that is spent."""
