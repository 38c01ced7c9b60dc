"""The errors that code inside a sandbox can raise, and the root of all of aar's errors.

They are not in `aar.errors`, because this package imports nothing else of aar.
"""


class AarError(Exception):
    """The root of all errors that aar raises on purpose.

    Its text can always be encoded as UTF-8. Half a surrogate pair in an error's text would end the Ray worker that
    raises it, and its actor with it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message.encode(errors="backslashreplace").decode())


class WireError(AarError, ValueError):
    """A frame on the broker's socket that is not well-formed, too large, or cut short."""


class LabError(AarError, ValueError):
    """A refused lab call: a bad argument, an unknown student, an exhausted budget."""
