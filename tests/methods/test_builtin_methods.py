import ast

import numpy as np
import pytest

from aar.errors import ConfigError
from aar.methods import builtin_names, builtin_source
from aar.models.recipe import XENT
from tests.methods.lab_double import FEATURES, LabDouble, run_method, two_columns

FITS = {
    "averaged": 4, "coherent_labels": 1, "confident_labels": 1, "cross_fitted": 4, "early_stopped": 8,
    "em_posterior": 1, "epiplexity": 5, "local_channel": 2, "logconf": 1, "mdl_curriculum": 2, "overlap_density": 1,
    "product": 1, "retrain_confident": 2, "reverse_ce": 1, "soft_labels": 1, "vanilla": 1, "zero_shot": 1,
}  # fmt: skip
"""The built-in methods, and the most fits that each makes."""
NAMES = list(FITS)
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
def test_every_method_trains_a_student_that_beats_chance_within_its_fits(name, kind):
    lab = LabDouble(kind)
    student = run_method(builtin_source(name), lab)
    assert lab.accuracy(student) > 0.6
    assert 1 <= len(lab.calls) <= FITS[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_method_is_at_most_sixty_lines(name):
    assert len(builtin_source(name).splitlines()) <= 60


def test_vanilla_gives_the_teachers_decisions_to_the_recipe_unchanged():
    lab = LabDouble("preference")
    call = only_call("vanilla", lab)
    assert (call.targets[:, 1] == (lab.weak_labels[:, 1] > 0.5)).all()
    assert (call.weights == 1).all()
    assert (call.order, call.loss) == (None, XENT)


@pytest.mark.parametrize("name", ["vanilla", "logconf"])
def test_an_off_centre_teacher_of_single_texts_still_gives_both_labels_equally_often(name):
    lab = LabDouble("binary")
    lab.weak_labels = np.stack([1 - lab.weak_labels[:, 1] / 4, lab.weak_labels[:, 1] / 4], axis=1)
    assert only_call(name, lab).targets[:, 1].mean() == pytest.approx(0.5, abs=0.01)


def test_soft_labels_are_the_teachers_probabilities():
    lab = LabDouble()
    assert np.array_equal(only_call("soft_labels", lab).targets, lab.weak_labels)


def test_logconf_differs_from_vanilla_in_the_loss_alone():
    vanilla, logconf = only_call("vanilla", LabDouble()), only_call("logconf", LabDouble())
    assert np.array_equal(vanilla.targets, logconf.targets)
    assert (vanilla.loss.name, logconf.loss.name) == ("xent", "logconf")


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


def test_early_stopping_continues_one_student_in_steps_and_stops_when_agreement_falls():
    lab = LabDouble()
    run_method(builtin_source("early_stopped"), lab)
    assert 2 <= len(lab.calls) < 8
    assert {call.epochs for call in lab.calls} == {lab.recipe["epochs"] / 4}
    assert lab.calls[0].weights.mean() == pytest.approx(0.75, abs=0.06)


def test_cross_fitting_labels_no_row_by_a_student_that_has_learnt_it():
    lab = LabDouble()
    run_method(builtin_source("cross_fitted"), lab)
    *folds, last = lab.calls
    left_out = np.stack([call.weights == 0 for call in folds])
    assert (left_out.sum(axis=0) == 1).all()
    assert (last.weights == 1).all()


def test_the_curriculum_trains_on_the_surest_half_first_and_on_all_rows_at_half_the_rate():
    lab = LabDouble()
    run_method(builtin_source("mdl_curriculum"), lab)
    first, second = lab.calls
    assert first.weights.mean() == pytest.approx(0.5, abs=0.01) and (second.weights == 1).all()
    assert second.lr == first.lr / 2 and first.epochs + second.epochs == lab.recipe["epochs"]


def test_retraining_keeps_the_teachers_labels_and_balances_what_it_keeps():
    lab = LabDouble()
    run_method(builtin_source("retrain_confident"), lab)
    first, second = lab.calls
    assert np.array_equal(first.targets, second.targets) and second.loss.name == "gce"
    assert second.weights.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["overlap_density", "confident_labels"])
def test_the_rows_that_are_kept_have_cleaner_labels_and_both_classes(name):
    lab = LabDouble()
    call = only_call(name, lab)
    right, kept = call.targets[:, 1] == lab.labels, call.weights > 0
    assert right[kept].mean() > right[~kept].mean() + 0.05
    assert 0.4 < call.targets[kept, 1].mean() < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_coherent_labels_are_better_than_the_teachers_whose_errors_are_scattered(kind):
    lab = LabDouble(kind)
    noisy = np.where(np.random.default_rng(2).random(lab.size) < 0.7, lab.labels, 1 - lab.labels)
    lab.weak_labels = np.where(noisy[:, None] == [0, 1], 0.7, 0.3).astype(np.float32)
    labels = only_call("coherent_labels", lab).targets[:, 1]
    assert (labels == lab.labels).mean() > (noisy == lab.labels).mean() + 0.1


class DialectDouble(LabDouble):
    """Four sorts of rows; the prior is nearly always right in two of them, and nearly always wrong in the others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rng = np.random.default_rng(self.seed)
        self.sort = np.arange(self.size) % 4
        truth = 2 * self.labels - 1
        reverse = np.where(self.sort >= 2, -1, 1)
        self.prior = two_columns(
            truth * reverse * (1 + rng.random(self.size)) * np.where(rng.random(self.size) < 0.95, 1, -1)
        )
        confidence = np.abs(rng.normal(size=self.size)) + 0.2
        self.weak_labels = two_columns(truth * confidence * np.where(rng.random(self.size) < 0.7, 1, -1))

    def embed(self, layer: float = -1) -> np.ndarray:
        rng = np.random.default_rng(3)
        shown = 4 * np.eye(FEATURES)[self.sort] + rng.normal(size=(self.size, FEATURES))
        first = rng.normal(size=(self.size, FEATURES))
        return np.stack([first, first + shown], axis=1) if self.kind == "preference" else shown[:, None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_local_channel_reverses_the_prior_where_the_weak_labels_contradict_it(kind):
    lab = DialectDouble(kind, size=600)
    run_method(builtin_source("local_channel"), lab)
    labels = lab.calls[0].targets[:, 1]
    assert ((lab.prior[:, 1] > 0.5) == lab.labels)[lab.sort >= 2].mean() < 0.1
    assert (labels == lab.labels)[lab.sort >= 2].mean() > 0.85
    assert (labels == lab.labels).mean() > 0.88 > 0.75 > (lab.weak_labels.argmax(axis=1) == lab.labels).mean()


def test_a_local_channel_without_supervision_knows_nothing():
    right = []
    for seed in range(8):
        lab = DialectDouble(seed=seed, size=600)
        lab.weak_labels = np.random.default_rng(seed).permutation(lab.weak_labels)
        run_method(builtin_source("local_channel"), lab)
        right.append((lab.calls[0].targets[:, 1] == lab.labels).mean())
    assert abs(np.mean(right) - 0.5) < 0.1


def test_averaged_students_see_the_same_labels_in_different_orders():
    lab = LabDouble()
    student = run_method(builtin_source("averaged"), lab)
    assert student.id == "mean" and len(lab.calls) == 4
    assert all(np.array_equal(call.targets, lab.calls[0].targets) and call.replica == 0 for call in lab.calls)
    assert len({tuple(call.order) for call in lab.calls}) == 4


def test_epiplexity_softens_two_fifths_of_labels_that_no_student_saw():
    lab = LabDouble()
    run_method(builtin_source("epiplexity"), lab)
    one, other, early, late, final = lab.calls
    assert ((one.weights > 0) ^ (other.weights > 0)).all()
    assert early.epochs + late.epochs == lab.recipe["epochs"] and np.array_equal(early.targets, late.targets)
    moved = np.abs(final.targets - 0.5) < np.abs(late.targets - 0.5) - 1e-9
    assert moved[:, 1].mean() == pytest.approx(0.4, abs=0.02)
    assert np.allclose(final.targets[~moved[:, 1]], late.targets[~moved[:, 1]])
