"""Texts as an artifact: put once into the compute actor's store, and named by their digest in every request."""

import hashlib
import json
from dataclasses import dataclass

from aar.models.data import Texts


@dataclass(frozen=True)
class StoredTexts:
    """Names texts in the store, with what the cost of reading them is estimated from.

    digest: of the canonical bytes, and the key of the artifact. examples, characters: how much text it is.
    """

    digest: str
    examples: int
    characters: int

    @classmethod
    def of(cls, texts: Texts) -> "StoredTexts":
        """The name of these texts, whether they are stored or not."""
        digest = hashlib.sha256(texts_to_bytes(texts)).hexdigest()
        return cls(digest, len(texts), count_characters(texts))


def texts_to_bytes(texts: Texts) -> bytes:
    """The canonical JSON of texts; tuples and lists give the same bytes."""
    return json.dumps(texts).encode()


def texts_from_bytes(data: bytes) -> Texts:
    """The inverse of `texts_to_bytes`, as tuples."""
    return tuple(tuple(example) for example in json.loads(data))


def count_characters(texts: Texts) -> int:
    """Characters of all texts together."""
    return sum(len(text) for example in texts for text in example)
