"""Lab calls as requests to the compute actor, and attacks on the compute that a campaign shares."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from aar.compute.client import ComputeClient
from aar.compute.requests import (
    Average,
    FineTune,
    ImportAdapter,
    LabelOdds,
    LogLikelihoods,
    Predict,
    ProbeHead,
    Request,
)
from aar.compute.store import StoredTexts
from aar.errors import AarError, LabError, ModelError, QuotaError, StorageError, TrainingError
from aar.experiments.backend import EXTRA_CHARACTERS, MAX_PASSES, MAX_VISITS, SMALL_FIT, ModelBackend
from aar.experiments.validation import FineTuneCall
from aar.guest.lab import Lab
from aar.models.recipe import XENT, Loss, Texts
from aar.problems.dataset import Preference
from aar.scoring.records import TrainingData
from tests.compute.toy import recipe

N, SEED = 400, 1


@dataclass(frozen=True)
class Answering(ComputeClient):
    """Answers everything at once, and keeps what it was asked for."""

    compute: None = None
    asked: list[Request] = field(default_factory=list)
    stored: list[Texts] = field(default_factory=list)

    def put(self, texts: Texts) -> StoredTexts:
        self.stored.append(texts)
        return StoredTexts.of(texts)

    def run(self, request: Request) -> np.ndarray:
        self.asked.append(request)
        return np.arange(N) / N if isinstance(request, Predict) else np.zeros((N, 2))

    def train(self, request: FineTune | ImportAdapter | ProbeHead | Average) -> str:
        self.asked.append(request)
        return f"key-{len(self.asked)}"


@pytest.fixture
def compute() -> Answering:
    return Answering()


HALVES = np.full((N, 2), 0.5, np.float32)


def backend_on(compute: Answering) -> ModelBackend:
    examples = tuple(Preference("", f"a sentence {row}", f"a sentence is {row}") for row in range(N))
    task = TrainingData("preference", examples, np.full((N, 2), 0.5, np.float32), recipe(epochs=2))
    return ModelBackend(task, SEED, "m", compute, programs=None)  # type: ignore[arg-type]


@pytest.fixture
def backend(compute: Answering) -> ModelBackend:
    return backend_on(compute)


def call(epochs: float | None = None, repeats: int = 1, loss: Loss = XENT, replica: int = 0) -> FineTuneCall:
    order = np.tile(np.arange(N), repeats)
    return FineTuneCall(np.full((N, 2), 0.5, np.float32), None, order, loss, epochs, None, None, replica)


def test_a_fit_of_four_hundred_epochs_by_its_order_is_refused_before_it_is_queued(
    backend: ModelBackend, compute: Answering
) -> None:
    with pytest.raises(LabError, match="would visit 160,000 rows; at most 8,000 are allowed, 10 times as many"):
        backend.fine_tune(call(epochs=20, repeats=20))
    assert not compute.asked and not compute.stored


def test_a_fit_may_be_longer_than_the_recipes(backend: ModelBackend, compute: Answering) -> None:
    backend.fine_tune(call(epochs=2 * MAX_VISITS))
    backend.fine_tune(call(epochs=1, repeats=2 * MAX_VISITS))
    assert len(compute.asked) == 2
    assert len(compute.stored) == 1  # both name the same texts


def test_prompts_of_four_thousand_characters_are_refused_after_a_few_calls(
    backend: ModelBackend, compute: Answering
) -> None:
    made = 0
    with pytest.raises(LabError, match=r"needs .* characters of model input, and .* remain in the run's budget"):
        while made < 100:
            backend.zero_shot("x" * 3900 + "{first}{second}", None)
            made += 1
    assert 1 <= made < 10
    assert len(compute.stored) == made  # the prompts that were refused are not stored either


def test_as_many_short_prompts_as_a_method_could_want_are_answered(backend: ModelBackend) -> None:
    for number in range(MAX_PASSES // 4):
        backend.zero_shot(f"Question {number}: which of these is good?\nA: {{first}}\nB: {{second}}\nAnswer:", None)
        backend.embed(number, "mean")


def test_the_documentation_of_the_lab_states_the_limits_of_calls() -> None:
    """The client runs in a sandbox and cannot take the numbers from where they are checked."""
    fit, zero_shot = " ".join((Lab.fine_tune.__doc__ or "").split()), " ".join((Lab.zero_shot.__doc__ or "").split())
    assert f"at most {MAX_VISITS} times as many rows" in fit and f"or {SMALL_FIT:,} if that is more" in fit
    budget = f"{MAX_PASSES} x (the characters of the training texts + {EXTRA_CHARACTERS} for each text)"
    assert budget in zero_shot


def test_a_fit_without_settings_is_the_recipes(backend: ModelBackend, compute: Answering) -> None:
    assert backend.fine_tune(FineTuneCall(HALVES, None, None, XENT, None, None, None, 0)) == "student-1"
    [fit] = compute.asked
    assert isinstance(fit, FineTune) and fit.recipe == recipe(epochs=2) and (fit.start, fit.seed) == (None, 1)
    assert fit.shuffle and fit.rows.tolist() == list(range(N)) and fit.weights.tolist() == [1.0] * N


def test_a_methods_own_settings_replace_the_recipes_and_rows_without_weight_are_left_out(
    backend: ModelBackend, compute: Answering
) -> None:
    first = backend.fine_tune(call())
    weights, logconf = (np.arange(N) < 3).astype(np.float32), Loss.named("logconf")
    backend.fine_tune(FineTuneCall(HALVES, weights, np.arange(N)[::-1], logconf, 1.5, 0.01, first, 0))
    _, fit = compute.asked
    assert isinstance(fit, FineTune) and (fit.recipe.epochs, fit.recipe.lr, fit.loss) == (1.5, 0.01, logconf)
    assert fit.rows.tolist() == [2, 1, 0] and not fit.shuffle and fit.start == backend.key(first) == "key-1"


def test_preferences_are_judged_by_likelihood_or_with_a_template_by_label_odds_in_both_orders(
    backend: ModelBackend, compute: Answering
) -> None:
    backend.zero_shot(None, None)
    backend.zero_shot("{first} or {second}?", None)
    likelihoods, odds = compute.asked
    assert isinstance(likelihoods, LogLikelihoods) and isinstance(odds, LabelOdds)
    assert compute.stored[0][0] == ("a sentence 0", "a sentence is 0")
    assert compute.stored[1][0] == ("a sentence 0 or a sentence is 0?", "a sentence is 0 or a sentence 0?")


def test_label_words_of_the_methods_own_need_a_template_for_preferences(
    backend: ModelBackend, compute: Answering
) -> None:
    backend.zero_shot("{first} or {second}?", (" one", " two"))
    [odds] = compute.asked
    assert isinstance(odds, LabelOdds) and odds.labels == (" one", " two")
    with pytest.raises(LabError, match="need a template"):
        backend.zero_shot(None, (" one", " two"))


def test_a_template_that_is_not_valid_is_the_methods_error(backend: ModelBackend, compute: Answering) -> None:
    with pytest.raises(LabError, match=r"the template has \{label\}; for preference data these are allowed"):
        backend.zero_shot("{first} {second} {label}", None)
    assert not compute.asked


def test_predictions_are_those_of_the_rows_that_were_asked_for(backend: ModelBackend) -> None:
    student = backend.fine_tune(call())
    everything = backend.predict(student, None)
    assert everything.shape == (N, 2) and np.all(np.diff(everything[:, 1]) > 0)
    np.testing.assert_array_equal(backend.predict(student, np.array([5, 5, 0])), everything[[5, 5, 0]])


def test_a_student_of_another_run_is_unknown(backend: ModelBackend) -> None:
    for ask in (backend.key, backend.predict_test, lambda handle: backend.predict(handle, None)):
        with pytest.raises(LabError, match="this run has no student 'student-7'"):
            ask("student-7")


def test_the_output_of_a_run_names_the_students_key_and_the_fit_that_made_it(backend: ModelBackend) -> None:
    teacher = backend.fine_tune(call())
    backend.predict(teacher, None)
    student = backend.fine_tune(call(epochs=1))
    output = backend.trained(student)
    assert (output.student, output.final_fit) == ("key-3", 1)
    assert output.fits is not None and [fit.distilled_from for fit in output.fits] == [(), (0,)]


def test_each_replica_is_a_student_of_its_own_and_the_same_one_again_is_the_same(
    backend: ModelBackend, compute: Answering
) -> None:
    for replica in (0, 1, 1, 2):
        backend.fine_tune(call(replica=replica))
    keys = [request.key() for request in compute.asked]
    assert keys[1] == keys[2] and len(set(keys)) == 3
    assert compute.asked[0].seed == SEED  # type: ignore[attr-defined]


def test_a_head_is_a_student_that_cannot_be_replayed(backend: ModelBackend, compute: Answering) -> None:
    student = backend.head(np.ones(4, np.float32), 0.5)
    [request] = compute.asked
    assert isinstance(request, ProbeHead) and request.bias == 0.5
    assert backend.trained(student).student == "key-1" and backend.trained(student).fits is None


def test_students_of_one_start_and_their_continuations_can_be_averaged(
    backend: ModelBackend, compute: Answering
) -> None:
    first, second = (backend.fine_tune(call(repeats=repeats)) for repeats in (1, 2))
    longer = backend.fine_tune(replace(call(), base=first))
    mean = backend.average((first, second, longer), (0.5, 0.25, 0.25))
    assert compute.asked[-1] == Average("m", ("key-1", "key-2", "key-3"), (0.5, 0.25, 0.25))
    output = backend.trained(mean)
    assert output.fits is not None and output.fits[output.final_fit].average_of == ((0, 0.5), (1, 0.25), (2, 0.25))


def test_students_of_different_starts_cannot_be_averaged(backend: ModelBackend, compute: Answering) -> None:
    students = tuple(backend.fine_tune(call(replica=replica)) for replica in (0, 1))
    with pytest.raises(LabError, match="only students of one start can be averaged"):
        backend.average(students, (0.5, 0.5))
    assert not any(isinstance(request, Average) for request in compute.asked)


def test_a_loss_and_its_options_reach_the_fit_and_its_record(backend: ModelBackend, compute: Answering) -> None:
    gce, usual = Loss.named("gce", {"q": 0.5}), Loss.named("gce")
    student = [backend.fine_tune(call(loss=loss, replica=3)) for loss in (gce, usual)][-1]
    one, other = compute.asked
    assert isinstance(one, FineTune) and one.loss == gce and one.key() != other.key()
    fits = backend.trained(student).fits
    assert fits is not None and [(fit.loss, fit.replica) for fit in fits] == [(gce, 3), (usual, 3)]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(QuotaError("what is kept for ada is full"), LabError), (ModelError("no tokens"), LabError),
     (TrainingError("the training diverged"), TrainingError), (StorageError("the disk is full"), StorageError)],
)  # fmt: skip
def test_only_errors_that_the_method_caused_are_errors_of_the_lab(failure: AarError, expected: type[AarError]) -> None:
    @dataclass(frozen=True)
    class Failing(Answering):
        def run(self, request: Request) -> np.ndarray:
            raise failure

    with pytest.raises(expected, match=str(failure)) as caught:
        backend_on(Failing()).embed(1, "mean")
    assert type(caught.value) is expected
