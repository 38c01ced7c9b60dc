"""Artifacts, and the texts among them.

An artifact is a result under its request's key, or texts under their digest: a file that is either whole or absent.
Texts are put into the compute actor's store once, and every request names them by their digest.
"""

import errno
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from aar.errors import StorageError
from aar.models.recipe import Texts
from aar.storage import write_atomic


class Artifacts:
    """A folder of content-addressed results. Any number of processes may read and write it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        """Return the artifact with this key, or None. Raises StorageError when the disk refuses."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._path(key)}: {error.strerror}. Check the disk and who may read there.") from None

    def has(self, key: str) -> bool:
        """True if there is an artifact with this key."""
        return self._path(key).exists()

    def put(self, key: str, data: bytes) -> None:
        """Store an artifact; once this returns it survives a crash. Raises StorageError when the disk refuses."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, data)
        except OSError as error:
            what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise StorageError(f"{path}: {what}. Free some space there and run the same command again.") from None

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key


@dataclass(frozen=True)
class StoredTexts:
    """A reference to texts in the store, with their size, from which the cost of reading them is estimated.

    digest: the key of the artifact, a digest of the canonical bytes. examples, characters: counts.
    """

    digest: str
    examples: int
    characters: int

    @classmethod
    def of(cls, texts: Texts) -> "StoredTexts":
        """Return the reference to these texts. It does not store them."""
        digest = hashlib.sha256(texts_to_bytes(texts)).hexdigest()
        return cls(digest, len(texts), count_characters(texts))


def texts_to_bytes(texts: Texts) -> bytes:
    """Return the canonical JSON of texts; tuples and lists give the same bytes."""
    return json.dumps(texts).encode()


def texts_from_bytes(data: bytes) -> Texts:
    """The inverse of `texts_to_bytes`, as tuples."""
    return tuple(tuple(example) for example in json.loads(data))


def count_characters(texts: Texts) -> int:
    """Return the number of characters of all texts together."""
    return sum(len(text) for example in texts for text in example)
