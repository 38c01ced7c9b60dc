"""Credentials of external researchers: one token each, of which the campaign's folder stores a digest.

Covers: a token identifies its holder, and readers of the folder do not learn any token. Does not cover: a holder who
gives the token away. Issuing a new one invalidates the old one.
"""

import hashlib
import hmac
import json
import secrets
from pathlib import Path

from aar.errors import StorageError
from aar.storage import storage_errors, write_atomic

FILE = "credentials.json"
PREFIX = "aar_"


def issue(folder: Path, researcher: str) -> str:
    """Return a new token for a researcher of the campaign in `folder`. It replaces the old one. Raises StorageError."""
    token = PREFIX + secrets.token_urlsafe(32)
    digests = {**_digests(folder), researcher: _digest(token)}
    file = folder / FILE
    with storage_errors(file):
        write_atomic(file, json.dumps(digests, indent=1), mode=0o600)
    return token


def researcher_of(folder: Path, token: str) -> str | None:
    """Return the researcher that holds `token`, or None if nobody does. Raises StorageError."""
    given = _digest(token)
    holders = [name for name, digest in _digests(folder).items() if hmac.compare_digest(given, digest)]
    return holders[0] if holders else None


def _digests(folder: Path) -> dict[str, str]:
    file = folder / FILE
    if not file.exists():
        return {}
    with storage_errors(file):
        text = file.read_text()
    try:
        digests: dict[str, str] = json.loads(text)
    except ValueError as error:
        raise StorageError(f"{file} is damaged ({error}); remove it and issue new tokens with `aar join`") from None
    return digests


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
