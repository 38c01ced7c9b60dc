"""The keys of results: the digest of all that determines one, so that equal work is done once."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from aar.config import Recipe


def content_key(kind: str, fields: Mapping[str, Any], version: str) -> str:
    """Hex digest of a kind of work, of all that it is given, and of the version of what does it."""
    canonical = {name: _canonical(value) for name, value in fields.items()}
    return hashlib.sha256(json.dumps([kind, canonical, version], sort_keys=True).encode()).hexdigest()


@cache
def source_digest(*parts: tuple[str, tuple[str, ...] | None]) -> str:
    """Digest of source files: of each package the modules that are named, or all (None)."""
    digest = hashlib.sha256()
    for package, names in parts:
        for file in sorted(resources.files(package).iterdir(), key=lambda file: file.name):
            if file.name.endswith(".py") and (names is None or file.name in names):
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), digest]
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Recipe):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return value
