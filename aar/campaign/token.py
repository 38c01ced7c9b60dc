"""The token of the Ray clusters that aar starts: whoever has it may run anything on them.

Protected: only this user can read the file or put another one in its place. Not protected: the folders above the
file's own, and a token in the environment (RAY_AUTH_TOKEN), which Ray prefers.
"""

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from aar.errors import CampaignError

DEFAULT_FILE = "~/.ray/auth_token"


def token_file() -> Path:
    """Where Ray looks for the token."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or DEFAULT_FILE).expanduser()


def ensure_token(file: Path) -> None:
    """Make `file` hold a token that this user alone can read: the one it holds, or a new one.

    Raises:
        CampaignError: the file is no plain file of this user, or others could replace it; the message says what to do.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refusal = token_refusal(file)
        if refusal is None:
            _create(file)
            os.chmod(file, 0o600)  # Ray itself writes it for everyone to read
    except OSError as error:
        raise CampaignError(f"{file}: the Ray token cannot be written ({error.strerror}); {_ELSEWHERE}") from None
    if refusal is not None:
        raise CampaignError(refusal)


def token_refusal(file: Path) -> str | None:
    """Why `file` may not be used as token, and what to do; None when it may, or may be made."""
    if not file.parent.exists():
        return None
    folder = file.parent.stat()
    if folder.st_uid not in (0, os.geteuid()) or folder.st_mode & 0o022:
        return f"{file.parent}: others may write there, and so replace the Ray token; chmod go-w it, or {_ELSEWHERE}"
    if not os.path.lexists(file):
        return None
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode):
        return f"{file}: the Ray token must be a plain file, no link; remove it, or {_ELSEWHERE}"
    if found.st_uid != os.geteuid():
        return f"{file}: the Ray token belongs to another user (uid {found.st_uid}); remove it, or {_ELSEWHERE}"
    if not found.st_size:
        return f"{file}: the Ray token is empty; remove it, and a new one is made"
    return None


def _create(file: Path) -> None:
    """A new token, unless there is one. It is whole before it has its name: no other process finds half of it."""
    if file.exists():
        return
    descriptor, staged = tempfile.mkstemp(dir=file.parent)  # 0600
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(staged, file)
    finally:
        os.unlink(staged)


_ELSEWHERE = "let RAY_AUTH_TOKEN_PATH name another file"
