"""The space of methods: specs survive JSON, and every spec becomes a readable method file that trains a student."""

import ast
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aar.researchers.brains.search.space import (
    VANILLA,
    MethodSpec,
    compose,
    confident_first,
    local_belief,
    most_confident,
    probe,
)
from tests.methods.lab_double import LabDouble, run_method
from tests.researchers.brains.search.spec_space import specs


@given(specs)
def test_a_spec_survives_json_in_canonical_form(spec: MethodSpec) -> None:
    assert MethodSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec.canonical()


@given(specs)
def test_the_canonical_form_writes_the_same_method(spec: MethodSpec) -> None:
    assert compose(spec, "why") == compose(spec.canonical(), "why")


@given(specs, specs)
def test_two_canonical_specs_that_differ_write_different_methods(one: MethodSpec, other: MethodSpec) -> None:
    one, other = one.canonical(), other.canonical()
    assert (one == other) == (compose(one, "why") == compose(other, "why"))


def test_a_spec_lists_its_changes_from_another() -> None:
    assert MethodSpec(labels="em", hard=False).changes_from(VANILLA) == {"labels": "em", "hard": False}


def test_a_dimension_without_effect_does_not_count_as_a_difference() -> None:
    prior, product = MethodSpec(labels="prior"), MethodSpec(labels="product", prior_share=0.9)
    assert prior.changes_from(product) == {"labels": "prior"}


def test_a_value_that_is_not_in_the_space_is_refused_with_the_values_that_are() -> None:
    with pytest.raises(ValueError, match=r"keep is 0\.33; expected one of"):
        MethodSpec(keep=0.33)


@pytest.mark.parametrize("data", [None, [], "em", {"labels": "gold"}, {"seed": 1}, {"keep": [0.5]}, {"epochs": "many"}])
def test_invalid_specs_are_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        MethodSpec.from_dict(data)


def calls_of(spec: MethodSpec, lab: LabDouble) -> list[Any]:
    run_method(compose(spec, "why"), lab)
    return lab.calls


@settings(max_examples=80, deadline=None)
@given(specs, st.sampled_from(["preference", "binary"]))
def test_every_spec_yields_a_method_that_trains_a_student_within_two_fits(spec: MethodSpec, kind: Any) -> None:
    lab = LabDouble(kind, size=60)
    student = run_method(compose(spec, "A hypothesis."), lab)
    assert np.isfinite(student.predict()).all()
    assert len(lab.calls) == (2 if spec.schedule == "two_rounds" else 1)


@given(specs, st.text())
def test_every_method_file_imports_numpy_alone_and_is_valid_whatever_the_hypothesis_says(
    spec: MethodSpec, hypothesis: str
) -> None:
    printable = "".join(letter for letter in hypothesis if letter.isprintable())
    tree = ast.parse(compose(spec, printable))
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == ["import numpy as np"]


@given(specs)
def test_a_method_file_defines_what_it_calls_and_nothing_else(spec: MethodSpec) -> None:
    tree = ast.parse(compose(spec, "why"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} - {"supervise"}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert defined == called - {"float", "len", "max", "min", "range", "round"}


def test_the_hypothesis_is_the_docstring() -> None:
    source = compose(VANILLA, 'First "claim".\n\nThen \\ why.')
    assert ast.get_docstring(ast.parse(source)) == "First 'claim'.\n\nThen / why."


def test_the_vanilla_spec_gives_the_teachers_decisions_to_the_recipe() -> None:
    lab = LabDouble()
    (call,) = calls_of(VANILLA, lab)
    assert (call.targets[:, 1] == (lab.weak_labels[:, 1] > 0.5)).mean() > 0.95
    assert (call.weights == 1).all()


def test_the_agreement_filter_leaves_out_rows_on_which_teacher_and_prior_differ() -> None:
    lab = LabDouble()
    (call,) = calls_of(MethodSpec(filter="agree"), lab)
    agree = lab.weak_labels.argmax(axis=1) == lab.prior.argmax(axis=1)
    assert ((call.weights > 0) == agree).mean() > 0.95


def test_two_rounds_train_the_second_student_on_targets_moved_by_the_first() -> None:
    first, second = calls_of(MethodSpec(hard=False, schedule="two_rounds", epochs=3), LabDouble())
    assert (first.epochs, second.epochs) == (1, 3)
    assert not np.allclose(first.targets, second.targets)


def test_confident_rows_come_first_and_then_all_that_are_in_use() -> None:
    confidence, weights = np.array([0.1, 0.9, 0.5, 0.8, 0.7]), np.array([1, 1, 1, 1, 0])
    order = confident_first(confidence, weights, seed=0)
    assert set(order[:2]) == {1, 3}
    assert sorted(order[2:]) == [0, 1, 2, 3]


def test_the_most_confident_fraction_is_kept_and_never_nothing() -> None:
    assert most_confident(np.array([0.1, 0.9, 0.5, 0.8]), 0.5).tolist() == [False, True, False, True]
    assert most_confident(np.zeros(3), 0.1).sum() == 1


@pytest.mark.parametrize("kind", ["preference", "binary"])
def test_the_probe_smooths_out_chance_errors_of_the_teacher(kind: Any) -> None:
    lab = LabDouble(kind)
    flipped = np.random.default_rng(1).random(lab.size) < 0.3
    noisy = np.where(flipped, 1 - lab.labels, lab.labels).astype(float)
    belief = probe(lab.embed(), noisy, seed=0)
    assert ((belief > 0.5) == lab.labels).mean() > (noisy == lab.labels).mean() + 0.1


def test_the_probe_never_uses_a_rows_own_label() -> None:
    states, labels = np.random.default_rng(0).normal(size=(300, 1, 200)), np.random.default_rng(1).integers(0, 2, 300)
    belief = probe(states, labels.astype(float), seed=0)
    assert ((belief > 0.5) == labels).mean() == pytest.approx(0.5, abs=0.1)


def test_the_local_belief_reverses_a_prior_that_the_teacher_contradicts_in_one_sort_of_rows() -> None:
    rng = np.random.default_rng(0)
    labels, sort = rng.integers(0, 2, 600), np.arange(600) % 2
    truth = 2.0 * labels - 1
    weak = 1 / (1 + np.exp(-truth * np.where(rng.random(600) < 0.7, 1, -1) * (0.2 + rng.random(600))))
    prior = np.where((labels == 1) == (sort == 0), 0.9, 0.1)
    states = np.stack([rng.normal(size=(600, 8)), rng.normal(size=(600, 8)) + 9 * np.eye(8)[sort]], axis=1)
    belief = local_belief(weak, prior, states, seed=0)
    assert ((belief > 0.5) == labels).mean() > 0.9 > 0.75 > ((weak > 0.5) == labels).mean()
