"""Choose the next method: a direction's openings first, then a tree-structured Parzen estimator over the method space.

The optuna study lives in memory and is rebuilt from the forum for every choice, so the forum is the only state. The
best method known to anybody is varied in two of the dimensions that the direction explores; a spec that was tried or
announced by anybody is not chosen again. Source of the estimator: Bergstra et al. 2011, "Algorithms for
Hyper-Parameter Optimization".
"""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from aar.researchers.brains.search.priors import prior_of
from aar.researchers.brains.search.reading import Knowledge, Trial
from aar.researchers.brains.search.space import DIMENSIONS, VANILLA, MethodSpec

RANDOM_TRIALS = 5  # before the estimator trusts what it has seen
CHANGES = 2  # at a time, so that a result says something about each
ASKS = 40

optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would write into the campaign's live view

_DISTRIBUTIONS: dict[str, BaseDistribution] = {
    name: CategoricalDistribution(values) for name, values in DIMENSIONS.items()
}


@dataclass(frozen=True)
class Proposal:
    """What to try next. `base` is the trial it varies; None for an opening, or when vanilla is the best known."""

    spec: MethodSpec
    base: Trial | None
    why: str | None


def propose(knowledge: Knowledge, direction_name: str, researcher: str, vanilla_pgr: float | None) -> Proposal | None:
    """The next method for a researcher's own experiment number len(knowledge.plans); None: all has been tried."""
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
    """`origin` with what the estimator suggests in the given dimensions. Results are told by the forum."""
    trial = study.ask()
    chosen = {name: trial.suggest_categorical(name, DIMENSIONS[name]) for name in dimensions}
    study.tell(trial, state=TrialState.FAIL)
    return MethodSpec.from_dict(origin.to_dict() | chosen)


def _study(trials: Iterable[Trial], vanilla_pgr: float | None, seed: int) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([_frozen(trial.spec, trial.value) for trial in trials])
    if vanilla_pgr is not None:
        study.add_trial(_frozen(VANILLA, vanilla_pgr))
    return study


def _frozen(spec: MethodSpec, value: float | None) -> FrozenTrial:
    """A trial as optuna keeps it. One that failed or was no improvement is pruned: the estimator counts it as bad."""
    if value is None:
        return create_trial(state=TrialState.PRUNED, params=spec.to_dict(), distributions=_DISTRIBUTIONS)
    return create_trial(value=value, params=spec.to_dict(), distributions=_DISTRIBUTIONS)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
