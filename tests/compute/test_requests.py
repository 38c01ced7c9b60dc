"""Requests' keys: the same for the same request, another one for anything that could change the result."""

import ast
import dataclasses
import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aar.compute.requests import (
    Average,
    Embed,
    FineTune,
    ImportAdapter,
    LabelOdds,
    LogLikelihoods,
    Predict,
    ProbeHead,
    Request,
    TextLosses,
    source_digest,
)
from aar.compute.store import StoredTexts, texts_from_bytes, texts_to_bytes
from aar.models.recipe import XENT, Loss, Recipe

TEXTS = StoredTexts.of((("a", "b"), ("c", "d")))
FIELDS: dict[str, Any] = {
    "model": "m", "texts": TEXTS, "labels": (" A", " B"), "recipe": Recipe(),
    "targets": np.array([0.0, 1.0], np.float32), "weights": np.ones(2, np.float32), "rows": np.arange(2),
    "shuffle": True, "loss": XENT, "seed": 1, "start": None, "student": "s", "max_tokens": 8, "layer": 2,
    "pool": "mean", "students": ("a", "b"), "shares": (0.5, 0.5), "weight": np.ones(2, np.float32), "bias": 0.0,
}  # fmt: skip
OTHER: dict[str, Any] = {
    "model": "M", "texts": StoredTexts.of((("a", "b"), ("c", "D"))), "labels": (" B", " A"),
    "recipe": Recipe(lora_rank=9),
    "targets": np.array([0.0, 0.9], np.float32), "weights": np.array([1, 2], np.float32), "rows": np.array([1, 0]),
    "shuffle": False, "loss": Loss.named("logconf"), "seed": 2, "start": "abc", "student": "t", "max_tokens": 9,
    "layer": None, "pool": "last", "students": ("b", "a"), "shares": (0.4, 0.6),
    "weight": np.zeros(2, np.float32), "bias": 1.0,
}  # fmt: skip
KINDS: tuple[type[Request], ...] = (
    ProbeHead,
    FineTune,
    ImportAdapter,
    Average,
    Predict,
    LogLikelihoods,
    LabelOdds,
    Embed,
    TextLosses,
)


def make(kind: type[Request], **changes: Any) -> Any:
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: changes.get(name, FIELDS[name]) for name in names})


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_changes_the_key(kind: type[Request]) -> None:
    names = [field.name for field in dataclasses.fields(kind)]
    keys = {make(kind).key(), *(make(kind, **{name: OTHER[name]}).key() for name in names)}
    assert len(keys) == len(names) + 1


def test_weights_from_elsewhere_count_by_content() -> None:
    assert make(ImportAdapter, weights=b"one").key() == make(ImportAdapter, weights=bytes([111, 110, 101])).key()
    assert make(ImportAdapter, weights=b"one").key() != make(ImportAdapter, weights=b"two").key()


def test_kinds_with_the_same_fields_have_other_keys() -> None:
    assert len({make(kind).key() for kind in KINDS}) == len(KINDS)


def test_the_key_is_the_same_in_another_process() -> None:
    code = (
        "from aar.compute.requests import Embed; from aar.compute.store import StoredTexts; import sys;"
        "key = Embed('m', StoredTexts.of((('a', 'b'), ('ü', ''))), 2, 8).key();"
        "print(key, 'torch' in sys.modules, 'ray' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    texts = StoredTexts.of((("a", "b"), ("ü", "")))
    assert printed.stdout.split() == [Embed("m", texts, 2, 8).key(), "False", "False"]


def imported_modules(start: str) -> set[str]:
    """The modules of aar that this one imports, directly or through others, itself included."""
    found, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        if module not in found and (spec := importlib.util.find_spec(module)) and spec.origin:
            found.add(module)
            nodes = ast.walk(ast.parse(Path(spec.origin).read_text()))
            waiting += [
                node.module for node in nodes
                if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("aar.")
            ]  # fmt: skip
    return found


CHANGE_NO_RESULT = {"aar.errors", "aar.guest.errors", "aar.storage"}
"""Modules that workers import for the text of failures, which is never stored, and for writing files."""


@pytest.mark.parametrize("module", sorted(imported_modules("aar.compute.executor") - CHANGE_NO_RESULT))
def test_a_change_of_any_code_that_answers_changes_the_key(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin
    changed, before, read_bytes = Path(spec.origin), make(FineTune).key(), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: read_bytes(file) + b"#" * (file == changed))
    source_digest.cache_clear()
    try:
        assert make(FineTune).key() != before
    finally:
        source_digest.cache_clear()


def test_texts_may_come_as_lists() -> None:
    assert make(Embed, texts=StoredTexts.of([["a", "b"], ["c", "d"]])).key() == make(Embed).key()


def test_where_a_text_ends_changes_the_key() -> None:
    texts = [(("ab", "c"),), (("a", "bc"),), (("a",), ("bc",)), (('a", "bc',),)]
    assert len({make(Embed, texts=StoredTexts.of(one)).key() for one in texts}) == len(texts)


def test_a_request_carries_no_text_however_much_it_names() -> None:
    texts = tuple(("x" * 500,) for _ in range(1000))
    question = make(Predict, texts=StoredTexts.of(texts))
    assert len(pickle.dumps(question)) < 1000
    assert question.cost() == 500_000


def test_texts_come_back_from_the_store_as_they_were() -> None:
    texts = (("a", "\ud800"), ("ü\n", ""))
    assert texts_from_bytes(texts_to_bytes(texts)) == texts


def test_arrays_count_by_content() -> None:
    spread = np.zeros(4, np.float32)
    spread[2] = 1
    assert make(FineTune, targets=spread[::2]).key() == make(FineTune).key()
    assert make(FineTune, targets=np.array([0.0, 1.0])).key() != make(FineTune).key()
    assert make(FineTune, targets=np.array([[0.0, 1.0]], np.float32)).key() != make(FineTune).key()


def test_a_field_of_the_recipe_changes_the_key() -> None:
    recipes = [Recipe(), Recipe(lr=2e-4), Recipe(lora_rank=9), Recipe(last_layers=2), Recipe(form="scalar_head")]
    assert len({make(FineTune, recipe=recipe).key() for recipe in recipes}) == len(recipes)


@pytest.mark.parametrize("name", ["targets", "weights", "rows", "shuffle", "loss", "seed", "start"])
def test_students_that_share_base_texts_and_recipe_have_one_batch_key(name: str) -> None:
    assert make(FineTune, **{name: OTHER[name]}).batch_key() == make(FineTune).batch_key()


def test_students_may_differ_in_rate_and_epochs() -> None:
    other = make(FineTune, recipe=Recipe(lr=0.01, epochs=7))
    assert other.batch_key() == make(FineTune).batch_key() and other.key() != make(FineTune).key()


@pytest.mark.parametrize("name", ["model", "texts", "labels", "recipe"])
def test_students_of_another_base_texts_or_recipe_do_not(name: str) -> None:
    assert make(FineTune, **{name: OTHER[name]}).batch_key() != make(FineTune).batch_key()
