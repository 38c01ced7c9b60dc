"""Signs of cheating in a method's source, without running it: answers or ids written into it, and seeds tried out.

Covers: literal tables, packed strings, also in pieces, texts of the data set, comparisons with `lab.seed`, and versions
of one method that differ only in their seeds. Methods legitimately use word lists, templates, thresholds and short
tables, so these are notes at most. Does not cover: answers that are computed, or hidden well; the shuffled labels of a
verification expose those.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from aar.commons.foreign import parse
from aar.errors import SourceError
from aar.scoring.audit import Finding, Grade, gravest

TABLE = 20
"""A literal with at least this many labels, row numbers or labelled keys may be a table of answers or ids."""
LARGE_TABLE = 40
"""A literal with at least this many is hardly anything else."""
TEXT_CHARACTERS = 15
QUOTED_TEXTS = 3
"""A template may quote this many texts of the data set as examples."""
DRAWN_SEED = 1000
"""Seeds are drawn from a million numbers, so code that compares a seed with a smaller number did not know the seeds."""
PIECE = re.compile(r"[01]{16,}|[0-9a-fA-F]{32,}|[A-Za-z0-9+/=_-]{60,}")
PACKED_CHARACTERS = 64
PACKED_BYTES = 32
SEEDERS = {"default_rng", "seed", "manual_seed", "RandomState", "Random", "SeedSequence"}
VERSIONS = 2
LABELS = (0, 1, "A", "B", "True", "False")


@dataclass(frozen=True)
class Reason:
    """A suspicious place in a source."""

    line: int
    grade: Grade
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


def hard_coded(source: str, texts: Collection[str] = ()) -> list[Reason]:
    """Return reasons to think that a method contains answers or ids: one per place, in order.

    Args:
        texts: the data set's texts, which a method has little reason to contain.

    Raises:
        SourceError: the source cannot be parsed.
    """
    tree = _parsed(source)
    quoted = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and _is_data(node.value, texts)}
    reasons = {*_reasons(tree, texts, many=len(quoted) > QUOTED_TEXTS), *_pieces(tree)}
    return sorted(reasons, key=lambda reason: (reason.line, reason.text))


def code_findings(researcher: str, experiment: str, source: str, texts: Collection[str]) -> list[Finding]:
    """Return the findings on one experiment's method. Raises SourceError as `hard_coded`."""
    reasons = hard_coded(source, texts)
    if not reasons:
        return []
    words, evidence = "the method contains what may be answers or ids", "; ".join(map(str, reasons[:10]))
    grade = gravest(reason.grade for reason in reasons)
    return [Finding("hard-coded answers", grade, researcher, (experiment,), words, f"method.py {evidence}")]


def _reasons(tree: ast.AST, texts: Collection[str], *, many: bool) -> Iterator[Reason]:
    for node in ast.walk(tree):
        match node:
            case ast.List() | ast.Tuple() | ast.Set():
                yield from _table(node.lineno, node.elts)
            case ast.Dict() if len(node.keys) >= TABLE // 2:
                yield from _dictionary(node)
            case ast.Constant(value=str(value)) if _is_data(value, texts):
                yield Reason(node.lineno, "suspicion" if many else "note", f"a text of the data set: {value[:60]!r}")
            case ast.Constant(value=bytes(packed)) if len(packed) >= PACKED_BYTES:
                yield Reason(node.lineno, "suspicion", f"a packed constant of {len(packed)} bytes")
            case ast.Constant(value=int(number)) if number.bit_length() > 128:
                yield Reason(node.lineno, "suspicion", f"a packed constant of {number.bit_length()} bits")
            case ast.Compare() if any(_is_seed(inner) for inner in ast.walk(node)):
                yield from _seed_comparison(node)


def _table(line: int, elements: list[ast.expr]) -> Iterator[Reason]:
    values = [node.value for node in elements if isinstance(node, ast.Constant)]
    if len(values) < max(TABLE, len(elements)):
        return
    grade: Grade = "suspicion" if len(values) >= LARGE_TABLE else "note"
    if all(value in LABELS for value in values) and len(set(values)) > 1:
        yield Reason(line, "suspicion", f"a table of {len(values)} labels")
    elif all(type(value) is int for value in values):
        yield Reason(line, grade, f"a table of {len(values)} row numbers")


def _dictionary(node: ast.Dict) -> Iterator[Reason]:
    values = [value.value for value in node.values if isinstance(value, ast.Constant)]
    if len(values) == len(node.keys) and all(value in LABELS for value in values):
        grade: Grade = "suspicion" if len(values) >= LARGE_TABLE else "note"
        yield Reason(node.lineno, grade, f"a dictionary that gives {len(values)} keys a label each")


def _pieces(tree: ast.AST) -> Iterator[Reason]:
    """Find strings that are not words, and that together are long enough for the labels of many rows."""
    pieces = [
        (node.lineno, len(node.value))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PIECE.fullmatch(node.value)
    ]
    total = sum(size for _, size in pieces)
    if total >= PACKED_CHARACTERS:
        what = "a packed constant" if len(pieces) == 1 else f"{len(pieces)} pieces of packed constants"
        yield Reason(min(line for line, _ in pieces), "suspicion", f"{what} of {total} characters")


def _is_data(value: object, texts: Collection[str]) -> bool:
    return isinstance(value, str) and len(value) >= TEXT_CHARACTERS and value in texts


def _seed_comparison(node: ast.Compare) -> Iterator[Reason]:
    """Report comparisons of a seed: a suspicion if it is compared directly with a number as large as drawn seeds."""
    constants = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)]
    numbers = [value for value in constants if type(value) is int]
    direct = any(map(_is_seed, (node.left, *node.comparators)))
    if numbers:
        grade: Grade = "suspicion" if direct and max(numbers) >= DRAWN_SEED else "note"
        yield Reason(node.lineno, grade, f"its behaviour depends on which seed it gets: {ast.unparse(node)[:80]}")


def _is_seed(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "seed"


def seed_hunting(researcher: str, sources: Mapping[str, str]) -> list[Finding]:
    """Find versions of one method that differ only in the seeds written into them.

    Args:
        sources: method source by experiment, oldest first. A source that cannot be parsed is left out.
    """
    versions: dict[str, dict[str, str]] = defaultdict(dict)
    for experiment, source in sources.items():
        try:
            tree = _parsed(source)
            versions[_without_seeds(tree)].setdefault(ast.dump(tree), experiment)
        except (SourceError, ValueError):  # unparse refuses some f-strings
            continue
    return [
        Finding(
            "seed hunting", "suspicion", researcher, tuple(tried.values()),
            f"{len(tried)} experiments differ only in the random seed in their code",
            ", ".join(tried.values()),
        )
        for tried in versions.values() if len(tried) > VERSIONS
    ]  # fmt: skip


def _without_seeds(tree: ast.Module) -> str:
    """Return the code with 0 for every number that seeds a random generator or is assigned to a "seed"."""
    copy = ast.parse(ast.unparse(tree))
    for node in ast.walk(copy):
        match node:
            case ast.Call(func=function) if ast.unparse(function).rsplit(".", 1)[-1] in SEEDERS:
                _blank(node)
            case ast.Assign(targets=[ast.Name(id=name)]) if "seed" in name.lower():
                _blank(node.value)
    return ast.dump(copy)


def _blank(node: ast.AST) -> None:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and type(inner.value) is int:
            inner.value = 0


def _parsed(source: str) -> ast.Module:
    """Return the source's tree without docstrings: they have no effect, and may differ in each version."""
    tree = parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass(lineno=1, col_offset=0)]
    return tree
