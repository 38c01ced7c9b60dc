"""A method's recipe without its supervision: how it fitted, replayed by the platform on other labels.

What a method gains may come from how it fits (more epochs, another rate, several students distilled into one) and not
from what it makes of weak labels. So its fits are repeated on vanilla's labels, and on ground truth for the ceiling:
same number, epochs, rates and starting points, on all rows. Where a fit came after the method had asked for
predictions of earlier students, its targets are the mean of the replayed students' predictions: that is how students
are put together in the weights protocol. The replay runs on the platform, so no method code sees ground truth.

Not covered: methods that train by a program of their own; which rows, weights and order a method chose, and its loss,
count as supervision.

The controls of a verification: each measures what it needs beyond the arms that were run, and gives a verdict.
"""

import asyncio
from importlib import resources
from typing import Literal

import numpy as np

from aar.config import Control
from aar.models.recipe import Recipe
from aar.problems.dataset import Kind
from aar.scoring.dataset import HeldOutDataset
from aar.scoring.records import SEALED, ControlResult, FitRecipe, RunOutput
from aar.scoring.stats.pgr import mean_pgr_estimate
from aar.scoring.stats.uncertainty import Estimate, moments
from aar.scoring.verification import verdicts
from aar.scoring.verification.comparison import Comparison


def is_plain(trained: RunOutput, recipe: Recipe) -> bool:
    """Did the run fit as the baselines do: one fit, with the recipe's epochs and rate?"""
    return (
        trained.fits is not None
        and trained.returned == 0
        and trained.fits[:1] == (FitRecipe(recipe.epochs, recipe.lr),)
    )


def is_ensemble(trained: RunOutput) -> bool:
    """Was the returned student taught by the predictions of two or more others?"""
    return trained.fits is not None and len(trained.fits[trained.returned].distilled_from) > 1


def hard_labels(weak: np.ndarray, kind: Kind) -> np.ndarray:
    """(n, 2) -> (n,) the labels that the vanilla method trains on."""
    cut = np.median(weak[:, 1]) if kind == "binary" else 0.5
    return np.asarray(weak[:, 1] > cut)


async def replay(hidden: HeldOutDataset, trained: RunOutput, targets: np.ndarray, seed: int) -> str:
    """Key of the student that the run's fits give with (n,) `targets` as the labels."""
    assert trained.fits is not None
    keys: list[str] = []
    for fit in trained.fits[: trained.returned + 1]:
        own = (
            targets
            if not fit.distilled_from
            else await _mean_prediction(hidden, [keys[at] for at in fit.distilled_from])
        )
        keys.append(await hidden.measure.fine_tune(own, fit, None if fit.start is None else keys[fit.start], seed))
    return keys[trained.returned]


async def _mean_prediction(hidden: HeldOutDataset, students: list[str]) -> np.ndarray:
    predictions = [await hidden.measure.predictions(key, hidden.data.train_unlabel) for key in students]
    return np.asarray(np.mean(predictions, axis=0)[:, 1])


Truth = Literal["vanilla", "ceiling"]
"""Which baseline a recipe is replayed for: on the teacher's hard labels, or on ground truth."""


async def control(name: Control, compared: Comparison) -> ControlResult:
    """The result of one control."""
    match name:
        case "shuffled":
            return _shuffled(compared)
        case "teachers":
            return _teachers(compared)
        case "recipe":
            return await _recipe(compared)
        case "capability":
            return await _capability(compared)


async def recipe_matched_pgr(compared: Comparison) -> Estimate | None:
    """PGR against a ceiling that was trained by the method's own recipe; None where that is the usual one, or unknown.

    Unbounded where that ceiling is not above the teacher.
    """
    if not can_replay(compared) or has_plain_recipe(compared):
        return None
    return mean_pgr_estimate(compared.gaps(await _replayed(compared, "ceiling")))


def can_replay(compared: Comparison) -> bool:
    """Is it known how every student was fitted?"""
    return all(run.fits is not None and run.student is not None for _, run in compared.all_runs())


def has_plain_recipe(compared: Comparison) -> bool:
    """Was every student fitted as the baselines are?"""
    return all(is_plain(run, hidden.recipe) for hidden, run in compared.all_runs())


def _shuffled(compared: Comparison) -> ControlResult:
    arm = compared.controls["shuffled"]
    if arm.failure:
        return verdicts.failed("shuffled", arm.failure.text)
    return verdicts.shuffled(compared.over(arm.id).estimate())


def _teachers(compared: Comparison) -> ControlResult:
    better, worse = compared.controls.get("better", compared.method), compared.controls["worse"]
    failure = better.failure or worse.failure
    if failure:
        return verdicts.failed("teachers", failure.text)
    name = "its own teacher" if better is compared.method else "a better teacher"
    effect = compared.over(worse.id, better.id).estimate()
    return verdicts.teachers(effect, f"{name} minus that with a worse one")


async def _recipe(compared: Comparison) -> ControlResult:
    if not can_replay(compared):
        return verdicts.unknown_recipe()
    if has_plain_recipe(compared):
        return verdicts.plain_recipe()
    vanilla, replayed = compared.vanilla.id, await _replayed(compared, "vanilla")
    return verdicts.recipe(
        over_recipe=compared.over(replayed).estimate(),
        recipe_gain=compared.over(vanilla, replayed).estimate(),
        gain=compared.over(vanilla).estimate(),
        ensemble=any(is_ensemble(run) for _, run in compared.all_runs()),
    )


async def _replayed(compared: Comparison, truth: Truth) -> str:
    """Measure the method's recipe on a baseline's labels; returns the name under which it was kept."""
    model = f"{compared.method.id}/{truth}"
    for name in compared.subject.datasets:
        hidden, runs = compared.hidden(name), compared.runs(name)
        keys = await asyncio.gather(*(_replay(hidden, run, truth, seed) for seed, run in runs.items()))
        await hidden.measure_students(SEALED, model, dict(zip(runs, keys, strict=True)))
    return model


async def _replay(hidden: HeldOutDataset, run: RunOutput, truth: Truth, seed: int) -> str:
    split = hidden.data.train_unlabel
    if truth == "ceiling":
        return await replay(hidden, run, split.labels, seed)
    weak = await hidden.measure.weak_labels(split, seed)
    return await replay(hidden, run, hard_labels(weak, hidden.data.kind), seed)


async def _capability(compared: Comparison) -> ControlResult:
    measure = compared.all_runs()[0][0].measure
    students = [run.student for hidden, run in compared.all_runs() if hidden.measure is measure and run.student]
    if not students:
        return verdicts.no_student()
    texts = neutral_texts()
    base = await measure.text_losses(texts, None)
    losses = await asyncio.gather(*(measure.text_losses(texts, student) for student in students))
    return verdicts.capability(moments(np.stack(losses) - base).estimate())


def neutral_texts() -> tuple[str, ...]:
    """Plain sentences about many things, none of them of any task."""
    text = resources.files(__package__).joinpath("neutral.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)
