"""The controls of a verification: each measures what it needs beyond the arms that were run, and returns a verdict.

The recipe control replays a method's recipe without its supervision. A method's gain may come from how it fits (more
epochs, another rate or loss, several students averaged or distilled into one) and not from its use of the weak labels.
So the platform repeats its fits on vanilla's labels, and on ground truth for the ceiling: same number, epochs, rates,
losses, replicas, averages and starting points, on all rows. Where a fit came after the method had asked for predictions
of earlier students, its targets are the mean of the replayed students' predictions: that is how students are combined
in the weights protocol. The replay runs on the platform, so no method code sees ground truth.

Not covered: methods that make students by a program or with a head of their own. The rows, weights and order that a
method chose count as supervision.
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


def is_plain(run: RunOutput, recipe: Recipe) -> bool:
    """True if the run fitted as the baselines do: one fit, with the recipe's epochs and rate and the usual loss."""
    return run.fits is not None and run.final_fit == 0 and run.fits[:1] == (FitRecipe(recipe.epochs, recipe.lr),)


def is_ensemble(run: RunOutput) -> bool:
    """True if the returned student is the mean of others, or learned from the predictions of two or more."""
    if run.fits is None:
        return False
    final = run.fits[run.final_fit]
    return bool(final.average_of) or len(final.distilled_from) > 1


def hard_labels(weak: np.ndarray, kind: Kind) -> np.ndarray:
    """(n, 2) -> (n,) the labels that the vanilla method trains on."""
    threshold = np.median(weak[:, 1]) if kind == "binary" else 0.5
    return np.asarray(weak[:, 1] > threshold)


async def replay(held_out: HeldOutDataset, run: RunOutput, labels: np.ndarray, seed: int) -> str:
    """Repeat the run's fits with (n,) `labels` in place of its own; return the key of the final student."""
    assert run.fits is not None
    keys: list[str] = []
    for fit in run.fits[: run.final_fit + 1]:
        if fit.average_of:
            numbers, shares = zip(*fit.average_of, strict=True)
            keys.append(await held_out.evaluator.average([keys[number] for number in numbers], shares))
            continue
        targets = labels
        if fit.distilled_from:
            targets = await _mean_prediction(held_out, [keys[number] for number in fit.distilled_from])
        start = None if fit.start is None else keys[fit.start]
        keys.append(await held_out.evaluator.fine_tune(targets, fit, start, seed))
    return keys[run.final_fit]


async def _mean_prediction(held_out: HeldOutDataset, students: list[str]) -> np.ndarray:
    predictions = [await held_out.evaluator.predictions(key, held_out.data.train_unlabel) for key in students]
    return np.asarray(np.mean(predictions, axis=0)[:, 1])


Truth = Literal["vanilla", "ceiling"]
"""The baseline for which a recipe is replayed: on the teacher's hard labels, or on ground truth."""


async def control(name: Control, compared: Comparison) -> ControlResult:
    """Measure one control and return its result."""
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
    """Return the PGR against a ceiling that was trained by the method's own recipe.

    None where that recipe is the usual one, or unknown. Unbounded where that ceiling is not above the teacher.
    """
    if not can_replay(compared) or has_plain_recipe(compared):
        return None
    return mean_pgr_estimate(compared.gaps(await _replayed(compared, "ceiling")))


def can_replay(compared: Comparison) -> bool:
    """True if the recipe of every student is known."""
    return all(run.fits is not None and run.student is not None for _, run in compared.all_runs())


def has_plain_recipe(compared: Comparison) -> bool:
    """True if every student was fitted as the baselines are."""
    return all(is_plain(run, held_out.recipe) for held_out, run in compared.all_runs())


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
    """Measure the method's recipe on a baseline's labels; return the model name under which it is stored."""
    model = f"{compared.method.id}/{truth}"
    for name in compared.subject.datasets:
        held_out, runs = compared.held_out(name), compared.runs(name)
        keys = await asyncio.gather(*(_replay(held_out, run, truth, seed) for seed, run in runs.items()))
        await held_out.measure_students(SEALED, model, dict(zip(runs, keys, strict=True)))
    return model


async def _replay(held_out: HeldOutDataset, run: RunOutput, truth: Truth, seed: int) -> str:
    split = held_out.data.train_unlabel
    if truth == "ceiling":
        return await replay(held_out, run, split.labels, seed)
    weak = await held_out.evaluator.weak_labels(split, seed)
    return await replay(held_out, run, hard_labels(weak, held_out.data.kind), seed)


async def _capability(compared: Comparison) -> ControlResult:
    evaluator = compared.all_runs()[0][0].evaluator
    runs = [run for held_out, run in compared.all_runs() if held_out.evaluator is evaluator]
    students = [run.student for run in runs if run.student]
    if not students:
        return verdicts.no_student()
    texts = neutral_texts()
    base = await evaluator.text_losses(texts, None)
    losses = await asyncio.gather(*(evaluator.text_losses(texts, student) for student in students))
    return verdicts.capability(moments(np.stack(losses) - base).estimate())


def neutral_texts() -> tuple[str, ...]:
    """Return plain sentences about many subjects, none of them from any task."""
    text = resources.files(__package__).joinpath("neutral.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)
