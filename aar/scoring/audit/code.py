"""What a method's source shows without being run: answers or ids written into it, and seeds that were tried out.

Covers: literal tables, packed strings, texts of the data set, comparisons with `lab.seed`, and versions of one method
that differ in their seeds alone. Does not cover: answers that are computed, or hidden well; verification's shuffled
labels show those.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from aar.scoring.audit.findings import Finding

TABLE = 20
"""A literal with so many labels or row numbers is a table of answers or ids."""
TEXT_CHARACTERS = 15
PACKED = re.compile(r"[01]{64,}|[A-Za-z0-9+/=_-]{200,}")
SEEDERS = {"default_rng", "seed", "manual_seed", "RandomState", "Random", "SeedSequence"}
VERSIONS = 2
LABELS = (0, 1, "A", "B", "True", "False")


def hard_coded(source: str, texts: Collection[str] = ()) -> list[str]:
    """Why a method looks as if it held answers or ids, one reason per place; empty when it does not, or is no Python.

    Args:
        texts: the data set's texts, none of which a method has a reason to hold.
    """
    tree = _parsed(source)
    return [] if tree is None else [f"line {line}: {reason}" for line, reason in sorted(set(_reasons(tree, texts)))]


def _reasons(tree: ast.AST, texts: Collection[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.List() | ast.Tuple() | ast.Set():
                yield from _table(node.lineno, node.elts)
            case ast.Dict() if len(node.keys) >= TABLE // 2:
                yield from _dictionary(node)
            case ast.Constant(value=str(text)):
                yield from _text(node.lineno, text, texts)
            case ast.Constant(value=bytes(packed)) if len(packed) >= 64:
                yield node.lineno, f"a packed constant of {len(packed)} bytes"
            case ast.Constant(value=int(number)) if number.bit_length() > 128:
                yield node.lineno, f"a packed constant of {number.bit_length()} bits"
            case ast.Compare() if any(_is_seed(one) for one in ast.walk(node)) and _numbers(node):
                yield node.lineno, "what it does depends on which seed it gets"


def _table(line: int, elements: list[ast.expr]) -> Iterator[tuple[int, str]]:
    values = [node.value for node in elements if isinstance(node, ast.Constant)]
    if len(values) < max(TABLE, len(elements)):
        return
    if all(value in LABELS for value in values):
        yield line, f"a table of {len(values)} labels"
    elif all(type(value) is int for value in values):
        yield line, f"a table of {len(values)} row numbers"


def _dictionary(node: ast.Dict) -> Iterator[tuple[int, str]]:
    values = [one.value for one in node.values if isinstance(one, ast.Constant)]
    if len(values) == len(node.keys) and all(value in LABELS for value in values):
        yield node.lineno, f"a dictionary that gives {len(values)} keys a label each"


def _text(line: int, text: str, texts: Collection[str]) -> Iterator[tuple[int, str]]:
    if PACKED.fullmatch(text):
        yield line, f"a packed constant of {len(text)} characters"
    elif len(text) >= TEXT_CHARACTERS and text in texts:
        yield line, f"a text of the data set: {text[:60]!r}"


def _is_seed(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "seed"


def _numbers(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Constant) and type(one.value) is int for one in ast.walk(node))


def seed_hunting(researcher: str, sources: Mapping[str, str]) -> list[Finding]:
    """Versions of one method that differ in the seeds written into them, and in nothing else.

    Args:
        sources: method source by experiment, oldest first.
    """
    versions: dict[str, dict[str, str]] = defaultdict(dict)
    for experiment, source in sources.items():
        tree = _parsed(source)
        if tree is not None:
            versions[_without_seeds(tree)].setdefault(ast.dump(tree), experiment)
    return [
        Finding(
            "seed hunting", researcher, tuple(tried.values()),
            f"{len(tried)} experiments differ in the random seed in their code and in nothing else",
            ", ".join(tried.values()),
        )
        for tried in versions.values() if len(tried) > VERSIONS
    ]  # fmt: skip


def _without_seeds(tree: ast.Module) -> str:
    """The code with 0 for every number that a random generator is seeded with, or that is assigned to a "seed"."""
    copy = ast.parse(ast.unparse(tree))
    for node in ast.walk(copy):
        match node:
            case ast.Call(func=function) if ast.unparse(function).rsplit(".", 1)[-1] in SEEDERS:
                _blank(node)
            case ast.Assign(targets=[ast.Name(id=name)]) if "seed" in name.lower():
                _blank(node.value)
    return ast.dump(copy)


def _blank(node: ast.AST) -> None:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and type(one.value) is int:
            one.value = 0


def _parsed(source: str) -> ast.Module | None:
    """The source's tree, without docstrings: they run nothing, and describe each version anew."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass(lineno=1, col_offset=0)]
    return tree
