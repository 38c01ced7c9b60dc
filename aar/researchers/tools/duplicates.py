"""Near-duplicates: whether a method is what somebody has tried already, found before compute is spent on it.

Two methods are compared by the sets of their runs of four tokens, comments, docstrings and layout left out (shingles;
Broder 1997). What they do is not looked at: a method that says the same in other words is not found.
"""

import ast
import io
import tokenize
from dataclasses import dataclass

from aar.commons.foreign import parse
from aar.researchers.client import CampaignClient
from aar.scoring.records import PLATFORM, Experiment

SHINGLE = 4
NEAR = 0.9
METHOD_FILE = "method.py"
Shingles = frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class NearDuplicate:
    """An experiment whose method is nearly the same, and the share of shingles that both have in common."""

    experiment: Experiment
    similarity: float


class DuplicateDetector:
    """Remembers the methods of a campaign's experiments."""

    def __init__(self, client: CampaignClient) -> None:
        self._client = client
        self._known: dict[str, Shingles] = {}

    def twin(self, source: bytes) -> NearDuplicate | None:
        """The experiment whose method is most like `source`, if it is nearly the same."""
        own = shingles(source)
        tried = [one for one in self._client.experiments() if one.researcher != PLATFORM]
        twins = [NearDuplicate(one, similarity(own, self._shingles(one.snapshot))) for one in tried]
        best = max(twins, key=lambda twin: twin.similarity, default=None)
        return best if best and best.similarity >= NEAR else None

    def _shingles(self, snapshot: str) -> Shingles:
        if snapshot not in self._known:
            self._known[snapshot] = shingles(self._client.checkout(snapshot).get(METHOD_FILE, b""))
        return self._known[snapshot]


def shingles(source: bytes) -> Shingles:
    """The runs of four tokens of a Python source; of its words, where it is no Python."""
    try:
        text = ast.unparse(_without_docstrings(parse(source)))
        tokens = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    # `unparse` and `tokenize` have limits of their own (the digits of a number, the quotes of an f-string).
    except (ValueError, SyntaxError, tokenize.TokenError):
        tokens = source.decode(errors="replace").split()
    tokens = [token for token in tokens if token.strip()]
    return frozenset(tuple(tokens[start : start + SHINGLE]) for start in range(max(1, len(tokens) - SHINGLE + 1)))


def similarity(a: Shingles, b: Shingles) -> float:
    """The share of shingles in common (Jaccard), from 0 to 1."""
    return len(a & b) / len(a | b) if a | b else 1.0


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and len(body) > 1 and _is_text(body[0]):
            del body[0]
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
