"""Campaign keys and seeds that are the same in every run of the tests."""

from pathlib import Path

from aar.config import PLATFORM
from aar.problems.key import KEY_BYTES, Key
from aar.scoring.draws import DRAWN_SEEDS, SEEDS_ENTRY
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


def fix_verification_seeds(folder: Path, first: int = 2_000_000) -> None:
    """Put a draw of verification seeds into the ledger of the campaign in `folder`, for the same reason."""
    seeds = list(range(first, first + DRAWN_SEEDS))
    ScoreStore(folder).append_to_ledger("seeds", PLATFORM, SEEDS_ENTRY, {"seeds": seeds})
