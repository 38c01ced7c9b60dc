import ast

import numpy as np
import pytest

from aar.errors import ConfigError
from aar.methods import builtin_names, builtin_source
from tests.methods.lab_double import LabDouble, run_method

NAMES = ["confident_labels", "em_posterior", "logconf", "soft_labels", "vanilla", "zero_shot"]
KINDS = ["preference", "binary"]


def accuracy(name: str, kind: str = "preference") -> float:
    labs = [LabDouble(kind, seed) for seed in range(3)]
    return float(np.mean([lab.accuracy(run_method(builtin_source(name), lab)) for lab in labs]))


def only_call(name: str, lab: LabDouble):
    run_method(builtin_source(name), lab)
    (call,) = lab.calls
    return call


def test_the_built_in_methods_are_known_by_name():
    assert builtin_names() == NAMES


def test_an_unknown_name_is_refused_with_the_known_ones_named():
    with pytest.raises(ConfigError, match=r'no built-in method "vanila"; there are: .*vanilla'):
        builtin_source("vanila")


@pytest.mark.parametrize("name", ["../scoring/secrets", "__init__", ""])
def test_a_name_that_is_no_method_reads_no_file(name):
    with pytest.raises(ConfigError):
        builtin_source(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_file_imports_numpy_alone_and_says_where_it_comes_from(name):
    tree = ast.parse(builtin_source(name))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= {"numpy"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    assert "Source:" in (ast.get_docstring(tree) or "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_every_method_trains_a_student_that_beats_chance_with_one_fit(name, kind):
    lab = LabDouble(kind)
    student = run_method(builtin_source(name), lab)
    assert lab.accuracy(student) > 0.6
    assert len(lab.calls) == 1


def test_vanilla_gives_the_teachers_decisions_to_the_recipe_unchanged():
    lab = LabDouble("preference")
    call = only_call("vanilla", lab)
    assert (call.targets[:, 1] == (lab.weak_labels[:, 1] > 0.5)).all()
    assert (call.weights == 1).all()
    assert (call.order, call.loss) == (None, "xent")


@pytest.mark.parametrize("name", ["vanilla", "logconf"])
def test_an_off_centre_teacher_of_single_texts_still_gives_both_labels_equally_often(name):
    lab = LabDouble("binary")
    lab.weak_labels = np.stack([1 - lab.weak_labels[:, 1] / 4, lab.weak_labels[:, 1] / 4], axis=1)
    assert only_call(name, lab).targets[:, 1].mean() == pytest.approx(0.5, abs=0.01)


def test_soft_labels_are_the_teachers_probabilities():
    lab = LabDouble()
    assert np.array_equal(only_call("soft_labels", lab).targets, lab.weak_labels)


def test_confident_labels_keeps_the_surer_half_which_is_cleaner():
    lab = LabDouble()
    call = only_call("confident_labels", lab)
    right = call.targets[:, 1] == lab.labels
    assert call.weights.sum() == pytest.approx(lab.size / 2, abs=2)
    assert right[call.weights > 0].mean() > right[call.weights == 0].mean() + 0.1


def test_logconf_differs_from_vanilla_in_the_loss_alone():
    vanilla, logconf = only_call("vanilla", LabDouble()), only_call("logconf", LabDouble())
    assert np.array_equal(vanilla.targets, logconf.targets)
    assert logconf.loss == "logconf"


@pytest.mark.parametrize("kind", KINDS)
def test_zero_shot_does_not_ask_the_teacher_and_balances_an_off_centre_prior(kind):
    lab = LabDouble(kind)
    del lab.weak_labels
    lab.kind = kind
    assert only_call("zero_shot", lab).targets[:, 1].mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["zero_shot", "em_posterior"])
def test_methods_that_use_a_good_prior_beat_vanilla(name, kind):
    assert accuracy(name, kind) > accuracy("vanilla", kind) + 0.05
