"""The measurements of teacher, ceiling and students, and the requests by which they are made."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from aar.compute.requests import Embed, FineTune, Predict, TextLosses
from aar.config import CampaignConfig, TeacherConfig
from aar.models.recipe import XENT, Loss, Recipe, replica_seed
from aar.problems.loading import load_dataset
from aar.problems.prompts import LABEL_TOKENS, model_texts
from aar.scoring.evaluator import Evaluator, correct
from aar.scoring.records import FitRecipe
from tests.keys import KEY
from tests.scoring.doubles import ComputeDouble, campaign, judgements, preferences, write_dataset


class Bench:
    """A measure on a campaign's dataset, over a double that knows the truth."""

    def __init__(self, config: CampaignConfig) -> None:
        self.config = config.problem.dataset()
        self.data = load_dataset(self.config, KEY)
        self.compute = ComputeDouble()
        self.compute.know(self.data)
        self.evaluator = Evaluator(config.problem, self.config, self.data, self.compute)


@pytest.fixture(params=[judgements, preferences])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(campaign(write_dataset(tmp_path / "data", request.param)))


def test_the_encoder_teacher_is_a_linear_head_on_embeddings(bench: Bench) -> None:
    probabilities = asyncio.run(bench.evaluator.weak_labels(bench.data.train_unlabel, seed=1))
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (60, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    texts = model_texts(bench.data.train_unlabel.examples, "scalar_head")
    wrong = [bench.compute.errs("teacher", one, bench.compute.weak_error) for one in texts]
    expected = (bench.data.train_unlabel.labels == 1) ^ np.array(wrong)
    np.testing.assert_array_equal(probabilities[:, 1] > 0.5, expected)
    assert {request.model for request in bench.compute.of_kind(Embed)} == {"weak"}
    assert {request.layer for request in bench.compute.of_kind(Embed)} == {None}
    assert not bench.compute.of_kind(FineTune)


def test_a_teacher_depends_on_its_seed_by_the_rows_it_learns_from(bench: Bench) -> None:
    async def labels(seed: int) -> np.ndarray:
        return await bench.evaluator.weak_labels(bench.data.test, seed)

    one, same, other = (asyncio.run(labels(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_ceiling_is_the_student_model_on_ground_truth_by_the_same_recipe(bench: Bench) -> None:
    asyncio.run(bench.evaluator.ceiling(seed=7))
    [request] = bench.compute.of_kind(FineTune)
    split = bench.data.train_unlabel
    assert (request.model, request.seed, request.loss, request.start) == ("strong", 7, XENT, None)
    assert request.recipe == Recipe(form="scalar_head")
    assert request.labels == LABEL_TOKENS[bench.data.kind]
    assert bench.compute.texts(request) == model_texts(split.examples, "scalar_head")
    np.testing.assert_array_equal(request.targets, split.labels)
    np.testing.assert_array_equal(request.weights, np.ones(60))
    np.testing.assert_array_equal(request.rows, np.arange(60))


def test_a_student_is_right_where_its_likelier_class_is_true(bench: Bench) -> None:
    key = bench.compute.student("s", error=0.2)
    answers = correct(asyncio.run(bench.evaluator.predictions(key, bench.data.test)), bench.data.test)
    texts = model_texts(bench.data.test.examples, "scalar_head")
    np.testing.assert_array_equal(answers, [not bench.compute.errs("s", one, 0.2) for one in texts])
    assert [request.model for request in bench.compute.of_kind(Predict)] == ["strong"]


def test_label_tokens_have_one_text_per_example(tmp_path: Path) -> None:
    recipe = Recipe(form="label_token")
    bench = Bench(campaign(write_dataset(tmp_path / "data", preferences), recipe=recipe))
    predicted = asyncio.run(bench.evaluator.predictions(bench.compute.student("s", 0.0), bench.data.test))
    assert correct(predicted, bench.data.test).all()
    [request] = bench.compute.of_kind(Predict)
    assert {len(texts) for texts in bench.compute.texts(request)} == {1}


def test_a_causal_teacher_is_fine_tuned_by_its_own_recipe_on_its_rows(tmp_path: Path) -> None:
    teacher = TeacherConfig(model="weak", kind="causal_lm", examples=24, recipe=Recipe(epochs=5))
    bench = Bench(campaign(write_dataset(tmp_path / "data"), teacher=teacher))
    bench.compute.ceiling_error = 0.25
    answers = correct(asyncio.run(bench.evaluator.weak_labels(bench.data.test, seed=3)), bench.data.test)
    [request] = bench.compute.of_kind(FineTune)
    assert (request.model, request.recipe, request.seed) == ("weak", Recipe(epochs=5), 3)
    texts = bench.compute.texts(request)
    assert len(texts) == request.texts.examples == len(request.targets) == 24
    taught = bench.data.train_label
    labels = dict(zip(model_texts(taught.examples, "label_token"), taught.labels, strict=True))
    np.testing.assert_array_equal(request.targets, [labels[one] for one in texts])
    assert answers.mean() == bench.compute.accuracy(
        request.key(), list(model_texts(bench.data.test.examples, "label_token"))
    )


def test_a_better_teacher_learns_from_more_rows_its_usual_ones_among_them(tmp_path: Path) -> None:
    teacher = TeacherConfig(model="weak", kind="causal_lm", examples=32)
    bench = Bench(campaign(write_dataset(tmp_path / "data"), teacher=teacher))
    for count in (8, None, 40):
        asyncio.run(bench.evaluator.weak_labels(bench.data.test, 5, count))
    worse, usual, better = (set(bench.compute.texts(request)) for request in bench.compute.of_kind(FineTune))
    assert worse < usual < better
    assert [len(texts) for texts in (worse, usual, better)] == [8, 32, 40]
    assert (bench.evaluator.teacher_examples, bench.evaluator.most_examples) == (32, 40)


def test_a_fit_is_repeated_with_its_own_epochs_and_rate_and_from_its_start(bench: Bench) -> None:
    targets = np.linspace(0, 1, 60)
    asyncio.run(bench.evaluator.fine_tune(targets, FitRecipe(3.0, 0.5), "start", seed=9))
    [request] = bench.compute.of_kind(FineTune)
    assert (request.recipe, request.seed, request.start) == (
        Recipe(form="scalar_head", epochs=3.0, lr=0.5), 9, "start",
    )  # fmt: skip
    np.testing.assert_allclose(request.targets, targets)


def test_a_fit_is_repeated_with_its_own_loss_and_replica(bench: Bench) -> None:
    gce = Loss.named("gce", {"q": 0.5})
    for replica in (0, 2):
        fit = FitRecipe(1.0, 0.5, loss=gce, replica=replica)
        asyncio.run(bench.evaluator.fine_tune(np.zeros(60), fit, None, seed=9))
    first, second = bench.compute.of_kind(FineTune)
    assert (first.loss, first.seed) == (gce, 9)
    assert (second.loss, second.seed) == (gce, replica_seed(9, 2))


def test_losses_on_text_are_asked_for_a_student_or_for_the_base(bench: Bench) -> None:
    bench.compute.forgets["s"] = 0.5
    base, student = (asyncio.run(bench.evaluator.text_losses(("One.", "Two."), key)) for key in (None, "s"))
    np.testing.assert_allclose(student - base, 0.5)
    assert {request.model for request in bench.compute.of_kind(TextLosses)} == {"strong"}


def test_a_tie_counts_as_class_0(bench: Bench) -> None:
    split = bench.data.test
    even = np.full((len(split), 2), 0.5, np.float32)
    np.testing.assert_array_equal(correct(even, split), split.labels == 0)
