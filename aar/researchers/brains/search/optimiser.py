"""Choice of the next method: a direction's openings first, then a tree-structured Parzen estimator.

The estimator is from Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization". The optuna study lives in
memory and is rebuilt from the forum for every choice, so the forum is the only state. Each choice varies the best
method of any researcher in two of the dimensions that the direction explores. A spec that anybody has tried or
announced is not chosen again.
"""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from aar.researchers.brains.search.reading import Knowledge, Trial
from aar.researchers.brains.search.space import DIMENSIONS, VANILLA, MethodSpec


@dataclass(frozen=True)
class Opening:
    """A spec to try before the optimiser takes over, and the reason, in one sentence."""

    spec: MethodSpec
    why: str


@dataclass(frozen=True)
class Prior:
    """The search prior of a direction: its openings, and the dimensions in which it varies the best known method."""

    openings: tuple[Opening, ...]
    explore: tuple[str, ...]


PRIORS: dict[str, Prior] = {
    "data-reweighting": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=True, weights="confidence"),
                "Rows are not equally trustworthy: weight each by how sure teacher and prior are together.",
            ),
        ),
        ("weights", "filter", "keep"),
    ),
    "strong-prior": Prior(
        (
            Opening(
                MethodSpec(labels="product", prior_share=0.9, hard=False),
                "The strong model already knows most of the answer; the teacher should only tip the balance.",
            ),
        ),
        ("labels", "prior_share", "hard"),
    ),
    "label-denoising": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=False),
                "Teacher and prior err independently, so the posterior of the label is cleaner than either.",
            ),
        ),
        ("labels", "prior_share", "filter", "keep", "hard"),
    ),
    "confidence-loss": Prior(
        (
            Opening(
                MethodSpec(labels="product", prior_share=0.7, hard=True, loss="logconf"),
                "A student that is allowed to overrule its targets corrects the errors that remain in them.",
            ),
        ),
        ("loss", "hard", "epochs", "weights"),
    ),
    "curriculum": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=True, schedule="confident_first"),
                "Clean rows first fix the concept; what comes after is read in its light (MDL curriculum).",
            ),
        ),
        ("schedule", "epochs", "filter", "keep"),
    ),
    "agreement": Prior(
        (
            Opening(
                MethodSpec(labels="weak", hard=True, filter="agree"),
                "Where two independent annotators agree, both are seldom wrong; fewer but cleaner rows win.",
            ),
        ),
        ("filter", "keep", "labels", "weights"),
    ),
    "unsupervised-elicitation": Prior(
        (
            Opening(
                MethodSpec(labels="prior", hard=True),
                "The student's own untrained beliefs are better labels than the teacher's.",
            ),
            Opening(
                MethodSpec(labels="prior", hard=True, filter="confident", keep=0.7),
                "Its own beliefs are nearly always right where they are firm; generalise from those.",
            ),
        ),
        ("labels", "filter", "keep", "schedule"),
    ),
    "training-dynamics": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=False, schedule="two_rounds"),
                "A student learns what is regular before it memorises noise, so its early predictions correct labels.",
            ),
        ),
        ("schedule", "epochs", "loss"),
    ),
    "representation": Prior(
        (
            Opening(
                MethodSpec(labels="local", hard=True),
                "The prior may be right in some sorts of rows and wrong in others; hidden states sort them.",
            ),
            Opening(
                MethodSpec(labels="probe", hard=True, filter="agree"),
                "The strong model's hidden states smooth the teacher's labels: its chance errors do not fit them.",
            ),
        ),
        ("labels", "filter", "keep", "weights", "hard"),
    ),
    "calibration": Prior(
        (
            Opening(
                MethodSpec(labels="product", prior_share=0.7, hard=False, weights="confidence"),
                "Calibrated soft targets carry more than decisions: doubt should reach the student as doubt.",
            ),
        ),
        ("hard", "prior_share", "weights", "loss"),
    ),
}

DEFAULT = Prior(
    (
        Opening(
            MethodSpec(labels="em", hard=False, weights="confidence"),
            "Combine all available evidence about a label, and trust each row as far as the sources support it.",
        ),
    ),
    tuple(DIMENSIONS),
)


def prior_of(direction_name: str) -> Prior:
    """Return the prior of a built-in direction, or the default for any other name."""
    return PRIORS.get(direction_name, DEFAULT)


RANDOM_TRIALS = 5  # before the estimator takes over
CHANGES = 2  # at a time, so that a result can be attributed
ASKS = 40

optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would write into the campaign's live view

_DISTRIBUTIONS: dict[str, BaseDistribution] = {
    name: CategoricalDistribution(values) for name, values in DIMENSIONS.items()
}


@dataclass(frozen=True)
class Proposal:
    """The next spec to try. `base` is the trial it varies: None for an opening, or if vanilla is the best so far."""

    spec: MethodSpec
    base: Trial | None
    why: str | None


def propose(knowledge: Knowledge, direction_name: str, researcher: str, vanilla_pgr: float | None) -> Proposal | None:
    """Propose the spec of experiment number len(knowledge.plans); None if everything has been tried."""
    prior = prior_of(direction_name)
    tried = knowledge.tried | {VANILLA}
    for opening in prior.openings[len(knowledge.plans) :]:
        if opening.spec not in tried:
            return Proposal(opening.spec, None, opening.why)
    seed = _seed(direction_name, researcher, len(knowledge.plans))
    study, rng = _study(knowledge.trials, vanilla_pgr, seed), random.Random(seed)
    base = knowledge.best()
    if base is not None and vanilla_pgr is not None and (base.value or 0.0) < vanilla_pgr:
        base = None
    origin = base.spec if base else VANILLA
    everywhere = tuple(DIMENSIONS)
    for dimensions, changes in ((prior.explore, CHANGES), (everywhere, CHANGES), (everywhere, len(everywhere))):
        for _ in range(ASKS):
            spec = _ask(study, origin, rng.sample(dimensions, changes))
            if spec not in tried:
                return Proposal(spec, base, None)
    return None


def _ask(study: optuna.Study, origin: MethodSpec, dimensions: list[str]) -> MethodSpec:
    """Return `origin` with the estimator's suggestions in the given dimensions."""
    trial = study.ask()
    chosen = {name: trial.suggest_categorical(name, DIMENSIONS[name]) for name in dimensions}
    study.tell(trial, state=TrialState.FAIL)  # its result, if it is run, comes from the forum
    return MethodSpec.from_dict(origin.to_dict() | chosen)


def _study(trials: Iterable[Trial], vanilla_pgr: float | None, seed: int) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([_frozen(trial.spec, trial.value) for trial in trials])
    if vanilla_pgr is not None:
        study.add_trial(_frozen(VANILLA, vanilla_pgr))
    return study


def _frozen(spec: MethodSpec, value: float | None) -> FrozenTrial:
    """Return an optuna trial. One that failed or was no improvement is pruned, so the estimator counts it as bad."""
    if value is None:
        return create_trial(state=TrialState.PRUNED, params=spec.to_dict(), distributions=_DISTRIBUTIONS)
    return create_trial(value=value, params=spec.to_dict(), distributions=_DISTRIBUTIONS)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
