"""Campaign keys that are the same in every run of the tests."""

from pathlib import Path

from aar.problems.key import KEY_BYTES, Key
from aar.scoring.store import ScoreStore
from aar.storage import transaction


def key_of(number: int) -> Key:
    """A key of its own for each number."""
    return Key(number.to_bytes(KEY_BYTES, "big"))


KEY = key_of(1)


def fix_key(folder: Path, key: Key = KEY) -> None:
    """Let the campaign in `folder` have this key, so that what comes out of a test does not depend on luck."""
    with transaction(ScoreStore(folder)._db) as db:
        db.execute("UPDATE key SET secret = ?", (key.secret,))
