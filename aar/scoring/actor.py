"""The scorer: the one actor that holds ground truth and test inputs.

It computes the baselines, draws the seeds, admits experiments, predicts with their students itself, answers by the
Ladder, and verifies. It keeps nothing in memory that is not on disk or computed again from artifacts, so that it may
be killed.

Protected: method code and researchers reach neither labels nor, in the weights protocol, test inputs, because nothing
here hands them out; a score is computed from a student, not taken from anyone's word; while researching, answers come
from dev by the Ladder, and nothing from sealed; what was asked and answered stands in the ledger.
Not protected: what released scores say about dev, which is little (see ladder); a method that overfits the few
research seeds, until it is verified.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from ray.actor import ActorHandle

from aar.config import CampaignConfig, VerificationConfig
from aar.errors import ScoringError
from aar.ray_utils import COMPUTE, SCORER, get_actor, log_to_ray, start_actor
from aar.sandbox.decoys import decoys
from aar.scoring.dataset import CEILING, TEACHER, HeldOutDataset
from aar.scoring.feedback import Feedback
from aar.scoring.records import (
    DEV,
    NOTE_CHARACTERS,
    PLATFORM,
    SEALED,
    Baselines,
    Experiment,
    ExperimentRun,
    RunOutput,
    TrainingData,
    Verification,
)
from aar.scoring.seeds import research_seeds
from aar.scoring.stats.pgr import accuracy_estimate
from aar.scoring.store import Admission, ScoreStore
from aar.scoring.verification.conclude import conclude
from aar.scoring.verification.plan import plan
from aar.text import checked_line

log = logging.getLogger(__name__)


class Scorer:
    """Scores of one campaign, kept in `folder`."""

    def __init__(self, config: CampaignConfig, folder: str, compute: ActorHandle[Any]) -> None:
        log_to_ray()
        self._config, self._compute = config, compute
        self._book = ScoreStore(Path(folder))
        self._known: dict[str, HeldOutDataset] = {}
        self._feedback = Feedback(config.scoring, self._hidden)
        self._preparing = asyncio.Lock()

    def __repr__(self) -> str:
        return SCORER

    async def ping(self) -> None:
        """Return when the actor serves."""

    async def baselines(self, dataset: str | None = None) -> Baselines:
        """Teacher and ceiling over the baseline seeds, on dev; computed on first use.

        Raises ScoringError when the ceiling is not above the teacher: there is no gap to recover.
        """
        name = self._config.problem.dataset(dataset).name
        async with self._preparing:
            known = self._book.baselines(name)
            if known is None:
                began = time.monotonic()
                known = await self._compute_baselines(self._hidden(name))
                self._book.keep_baselines(known)
                ends = known.weak.value, known.ceiling.value, time.monotonic() - began
                log.info("baselines of %s: teacher %.3f, ceiling %.3f after %.1f s", name, *ends)
        return known

    async def task(self, experiment: str, run: ExperimentRun) -> TrainingData:
        """What an experiment may know in one of its runs: unlabelled training examples and a teacher's labels."""
        return await self._hidden(run.dataset).task(run, _part(self._book.experiment(experiment)))

    async def admit(self, researcher: str, snapshot: str, note: str, key: str) -> Experiment:
        """Register an experiment and draw its seeds; the same key again gives the same experiment.

        Raises ScoringError when the note is no line of at most 200 characters, or when the researcher's experiments, or
        the campaign's, are used up.
        """
        try:
            checked_line(note, NOTE_CHARACTERS)
        except ValueError as error:
            raise ScoringError(f"the note {error}") from None
        if researcher != PLATFORM and not self._book.has(key):
            self._check_limits(researcher, key)
        seeds = research_seeds(self._config, self._book.key())
        if researcher != PLATFORM:
            seeds = seeds[: self._config.scoring.seeds]
        datasets = tuple(dataset.name for dataset in self._config.problem.research)
        admitted = self._book.admit(Admission(key, researcher, snapshot, datasets, note, seeds))
        log.info("%s by %s: admitted, snapshot %.10s", admitted.id, researcher, snapshot)
        return admitted

    async def score(self, experiment: str, trained: dict[ExperimentRun, RunOutput]) -> Experiment:
        """Score what an experiment's runs ended with; the answer says no more than the Ladder releases.

        Predictions that cannot be scored, or that the researcher handed in before, fail the experiment.

        Raises ScoringError when the runs are not the experiment's.
        """
        record = self._book.experiment(experiment)
        if record.status != "running":
            return record
        if set(trained) != set(record.runs):
            raise ScoringError(f"{experiment} consists of other runs than those that students came for")
        for dataset in record.datasets if record.verification_of is None else ():
            await self.baselines(dataset)
        try:
            digests = await self._measure(record, trained)
            self._check_new(record, digests)
        except ScoringError as refusal:
            log.info("%s by %s: not scored: %.300s", experiment, record.researcher, refusal)
            self._book.note("refused", record.researcher, f"refused/{experiment}", {"reason": str(refusal)})
            return self._book.fail(experiment, str(refusal))
        self._book.keep_trained(experiment, trained)
        return self._answer(record, {"predictions": digests, "fits": _fits(trained)})

    async def fail(self, experiment: str, reason: str) -> Experiment:
        """Record that an experiment failed, and why."""
        log.info("%s: failed: %.300s", experiment, reason)
        return self._book.fail(experiment, reason)

    async def experiment(self, experiment: str) -> Experiment:
        """One experiment."""
        return self._book.experiment(experiment)

    async def experiments(self) -> list[Experiment]:
        """All experiments of researchers and references, oldest first; none that verifies."""
        return [one for one in self._book.experiments() if one.verification_of is None]

    async def experiments_left(self, researcher: str) -> int:
        """How many more this researcher may start."""
        budget = self._config.budget
        left = [budget.experiments_per_researcher - self._book.count_started(researcher)]
        left += [] if budget.experiments is None else [budget.experiments - self._book.count_started()]
        return max(0, min(left))

    async def best(self, count: int) -> list[Experiment]:
        """The researchers' best experiments by exact score on dev, each snapshot once; for the platform alone.

        What nobody was told may choose what is verified: no answer depends on it, and sealed had no part in it.
        """
        scored = [one for one in await self.experiments() if one.status == "scored" and one.researcher != PLATFORM]
        by_snapshot = {one.snapshot: one for one in reversed(scored)}
        ordered = sorted(by_snapshot.values(), key=lambda one: (-self._feedback.exact_pgr(one), one.started))
        return ordered[:count]

    async def plan_verification(self, experiment: str, settings: VerificationConfig) -> list[Experiment]:
        """The experiments that have to be run before `conclude_verification`. Raises as `plan.plan`."""
        arms = plan(self._config, settings, self._book, self._book.experiment(experiment), self._hidden)
        log.info(
            "verification of %s: %d experiments, %d to run", experiment, len(arms), sum(not one.ended for one in arms)
        )
        return arms

    async def conclude_verification(self, experiment: str, settings: VerificationConfig) -> Verification:
        """Compare what the planned experiments gave. Raises as `conclude.conclude`."""
        arms = await self.plan_verification(experiment, settings)
        subject, began = self._book.experiment(experiment), time.monotonic()
        concluded = await conclude(self._config, settings, self._book, subject, arms, self._hidden)
        log.info("verification of %s: concluded after %.1f s", experiment, time.monotonic() - began)
        return concluded

    async def decoys(self, owner: str) -> dict[str, bytes]:
        """The decoy files for a researcher's sandboxes, or for those of methods (see `aar.sandbox.decoys`)."""
        return decoys(self._book.key(), owner)

    async def ledger_head(self) -> str:
        """The digest that stands for the whole ledger."""
        return self._book.ledger_head()

    def _check_limits(self, researcher: str, key: str) -> None:
        budget = self._config.budget
        refusal = None
        if self._book.count_started(researcher) >= budget.experiments_per_researcher:
            refusal = f"{researcher} has used its {budget.experiments_per_researcher} experiments"
        elif budget.experiments is not None and self._book.count_started() >= budget.experiments:
            refusal = f"the campaign has used its {budget.experiments} experiments"
        if refusal:
            log.info("%s: refused, %s", researcher, refusal)
            self._book.refuse(researcher, key, refusal)
            raise ScoringError(refusal)

    def _check_new(self, record: Experiment, digests: dict[str, str]) -> None:
        """In the predictions protocol nobody is answered twice for the same predictions."""
        if self._config.scoring.protocol != "predictions" or record.verification_of or record.researcher == PLATFORM:
            return
        for entry in self._book.answers(record.researcher):
            if entry.body["predictions"] == digests:
                raise ScoringError(f"the predictions are those of {entry.body['experiment']}, which was answered")

    async def _measure(self, record: Experiment, trained: dict[ExperimentRun, RunOutput]) -> dict[str, str]:
        """Store what the runs got right; returns digests of their predictions by "dataset/seed"."""
        digests: dict[str, str] = {}
        for dataset in record.datasets:
            by_seed = {seed: trained[ExperimentRun(dataset, seed, record.labels)] for seed in record.seeds}
            found = await self._hidden(dataset).measure_trained(_part(record), record.id, by_seed)
            digests |= {f"{dataset}/{seed}": digest for seed, digest in found.items()}
        return digests

    def _answer(self, record: Experiment, entry: dict[str, Any]) -> Experiment:
        if record.verification_of:
            log.info(
                "%s by %s: scored for the verification of %s", record.id, record.researcher, record.verification_of
            )
            return self._book.finish(record.id, None, entry)
        earlier = [one for one in self._book.experiments() if one.verification_of is None and one.id != record.id]
        score = self._feedback.answer(record, earlier)
        released = "no significant improvement" if score is None else f"PGR {score.pgr:.2f} released"
        log.info("%s by %s: scored, %s", record.id, record.researcher, released)
        answer = {"released": score is not None, "pgr": score.pgr if score else None}
        return self._book.finish(record.id, score, {**entry, **answer})

    async def _compute_baselines(self, hidden: HeldOutDataset) -> Baselines:
        seeds = research_seeds(self._config, self._book.key())
        await hidden.measure_ends(DEV, seeds, seeds)
        weak, ceiling = hidden.correctness(DEV, TEACHER), hidden.correctness(DEV, CEILING)
        if ceiling.accuracy <= weak.accuracy:
            raise ScoringError(
                f"{hidden.name}: the ceiling ({ceiling.accuracy:.3f}) is not above the teacher ({weak.accuracy:.3f}), "
                "so there is no gap to recover. Train the student longer, or take a weaker teacher or more data."
            )
        return Baselines(
            hidden.name, seeds, accuracy_estimate(weak), accuracy_estimate(ceiling), len(hidden.parts[DEV])
        )

    def _hidden(self, dataset: str) -> HeldOutDataset:
        if dataset not in self._known:
            config = self._config.problem.dataset(dataset)
            self._known[dataset] = HeldOutDataset(self._config, config, self._book, self._compute)
        return self._known[dataset]


def _part(experiment: Experiment) -> str:
    """Which part of the test set the experiment is scored on."""
    return SEALED if experiment.verification_of else DEV


def _fits(trained: dict[ExperimentRun, RunOutput]) -> int | None:
    """What the runs cost in fits; None where a method trained by a program of its own."""
    counts = [None if one.fits is None else len(one.fits) for one in trained.values()]
    return None if None in counts else sum(count or 0 for count in counts)


class ScorerActor(Scorer):
    """The scorer as Ray runs it; it finds the compute actor by name, so that it can be started again by itself."""

    def __init__(self, config: CampaignConfig, folder: str) -> None:
        super().__init__(config, folder, get_actor(COMPUTE))


def start_scorer(config: CampaignConfig, folder: Path, namespace: str) -> ActorHandle[Any]:
    """The scorer of a campaign whose compute actor runs; it lives as long as the campaign's driver."""
    return start_actor(ScorerActor, SCORER, namespace, config, str(folder))
