"""Detection of near-duplicates: methods that somebody has already tried, before compute is spent on them.

Two methods are compared by their shingles (Broder 1997): the set of all runs of four tokens, without comments,
docstrings and layout. Behaviour is not compared, so a method that does the same with different code is not detected.
"""

import ast
import io
import tokenize
from dataclasses import dataclass

from aar.commons.foreign import parse
from aar.config import PLATFORM
from aar.methods import METHOD_FILE
from aar.researchers.client import CampaignClient
from aar.scoring.records import Experiment

SHINGLE = 4
NEAR = 0.9
Shingles = frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class NearDuplicate:
    """An experiment with nearly the same method, and the share of shingles that the two methods have in common."""

    experiment: Experiment
    similarity: float


class DuplicateDetector:
    """Compares methods with those of the campaign's experiments. Reads each snapshot only once."""

    def __init__(self, client: CampaignClient) -> None:
        self._client = client
        self._cache: dict[str, Shingles] = {}

    def nearest(self, source: bytes) -> NearDuplicate | None:
        """Return the experiment whose method is most similar to `source`, or None if none is nearly the same."""
        candidate = shingles(source)
        experiments = [record for record in self._client.experiments() if record.researcher != PLATFORM]
        matches = [NearDuplicate(each, similarity(candidate, self._shingles(each.snapshot))) for each in experiments]
        best = max(matches, key=lambda match: match.similarity, default=None)
        return best if best and best.similarity >= NEAR else None

    def _shingles(self, snapshot: str) -> Shingles:
        if snapshot not in self._cache:
            self._cache[snapshot] = shingles(self._client.checkout(snapshot).get(METHOD_FILE, b""))
        return self._cache[snapshot]


def shingles(source: bytes) -> Shingles:
    """Return the runs of four tokens of a Python source. Text that is not valid Python is split at white space."""
    try:
        text = ast.unparse(_without_docstrings(parse(source)))
        tokens = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    # `unparse` and `tokenize` have limits of their own (the digits of a number, the quotes of an f-string).
    except (ValueError, SyntaxError, tokenize.TokenError):
        tokens = source.decode(errors="replace").split()
    tokens = [token for token in tokens if token.strip()]
    return frozenset(tuple(tokens[start : start + SHINGLE]) for start in range(max(1, len(tokens) - SHINGLE + 1)))


def similarity(a: Shingles, b: Shingles) -> float:
    """Return the share of shingles in common (Jaccard index), from 0 to 1."""
    return len(a & b) / len(a | b) if a | b else 1.0


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and len(body) > 1 and _is_text(body[0]):
            del body[0]
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
