"""The scorer: the one actor that holds ground truth and test inputs.

It computes the baselines, draws the seeds, admits experiments, predicts with their students itself, answers by the
Ladder, and verifies. Its whole state is on disk or can be recomputed from artifacts, so it may be killed at any time.

Protected: method code and researchers get neither labels nor, in the weights protocol, test inputs, because no call
here returns them. A score is computed from a student, never reported by a method. During research, answers come from
dev by the Ladder, and nothing comes from sealed. The ledger records requests and answers.
Not protected: the little that released scores reveal about dev (see ladder); a method that overfits the few research
seeds, until it is verified.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from ray.actor import ActorHandle

from aar.budget.limits import experiments_allowed
from aar.config import PLATFORM, CampaignConfig, VerificationConfig
from aar.errors import ScoringError
from aar.ray_utils import COMPUTE, SCORER, get_actor, log_to_ray, start_actor
from aar.sandbox.decoys import decoys
from aar.scoring.dataset import CEILING, PRIOR, SIGNED_PRIOR, TEACHER, HeldOutDataset
from aar.scoring.draws import research_seeds
from aar.scoring.feedback import Feedback
from aar.scoring.records import (
    DEV,
    NOTE_CHARACTERS,
    SEALED,
    Baselines,
    Experiment,
    ExperimentRun,
    RunOutput,
    TrainingData,
    Verification,
)
from aar.scoring.stats.pgr import accuracy_estimate
from aar.scoring.store import ExperimentRequest, ScoreStore
from aar.scoring.verification.verify import conclude, plan
from aar.text import checked_line

log = logging.getLogger(__name__)


class Scorer:
    """Scores one campaign, whose records are in `folder`."""

    def __init__(self, config: CampaignConfig, folder: str, compute: ActorHandle[Any]) -> None:
        log_to_ray()
        self._config, self._compute = config, compute
        self._store = ScoreStore(Path(folder))
        self._datasets: dict[str, HeldOutDataset] = {}
        self._feedback = Feedback(config.scoring, self._held_out)
        self._preparing = asyncio.Lock()

    def __repr__(self) -> str:
        return SCORER

    async def ping(self) -> None:
        """Return once the actor is serving."""

    async def baselines(self, dataset: str | None = None) -> Baselines:
        """Return teacher and ceiling over the baseline seeds, on dev; computed on first use.

        Raises ScoringError when the ceiling is not above the teacher: there is no gap to recover.
        """
        name = self._config.problem.dataset(dataset).name
        async with self._preparing:
            baselines = self._store.baselines(name)
            if baselines is None:
                began = time.monotonic()
                baselines = await self._compute_baselines(self._held_out(name))
                self._store.save_baselines(baselines)
                ends = baselines.weak.value, baselines.ceiling.value, time.monotonic() - began
                log.info("baselines of %s: teacher %.3f, ceiling %.3f after %.1f s", name, *ends)
        return baselines

    async def task(self, experiment: str, run: ExperimentRun) -> TrainingData:
        """Return the data for one of an experiment's runs: unlabelled training examples and a teacher's labels."""
        return await self._held_out(run.dataset).task(run, _split(self._store.experiment(experiment)))

    async def admit(self, researcher: str, snapshot: str, note: str, key: str) -> Experiment:
        """Register an experiment and draw its seeds; the same key again returns the same experiment.

        Raises ScoringError when the note is not one line of at most 200 characters, or when the researcher, or the
        campaign, has used all its experiments.
        """
        try:
            checked_line(note, NOTE_CHARACTERS)
        except ValueError as error:
            raise ScoringError(f"the note {error}") from None
        if researcher != PLATFORM and not self._store.has(key):
            self._check_limits(researcher, key)
        seeds = research_seeds(self._config, self._store.key())
        if researcher != PLATFORM:
            seeds = seeds[: self._config.scoring.seeds]
        datasets = tuple(dataset.name for dataset in self._config.problem.research)
        admitted = self._store.admit(ExperimentRequest(key, researcher, snapshot, datasets, note, seeds))
        log.info("%s by %s: admitted, snapshot %.10s", admitted.id, researcher, snapshot)
        return admitted

    async def score(self, experiment: str, outputs: dict[ExperimentRun, RunOutput]) -> Experiment:
        """Score the outputs of an experiment's runs; the answer reveals no more than the Ladder releases.

        Predictions that cannot be scored, or that the researcher submitted before, fail the experiment.

        Raises ScoringError when the runs are not the experiment's.
        """
        record = self._store.experiment(experiment)
        if record.status != "running":
            return record
        if set(outputs) != set(record.runs):
            raise ScoringError(f"the outputs are not for the runs of {experiment}")
        for dataset in record.datasets if record.verification_of is None else ():
            await self.baselines(dataset)
        try:
            digests = await self._measure(record, outputs)
            self._check_new(record, digests)
        except ScoringError as refusal:
            log.info("%s by %s: not scored: %.300s", experiment, record.researcher, refusal)
            self._store.append_to_ledger(
                "refused", record.researcher, f"refused/{experiment}", {"reason": str(refusal)}
            )
            return self._store.fail(experiment, str(refusal))
        self._store.save_outputs(experiment, outputs)
        return self._answer(record, {"predictions": digests, "fits": _fits(outputs)})

    async def fail(self, experiment: str, reason: str) -> Experiment:
        """Record that an experiment failed, and why."""
        log.info("%s: failed: %.300s", experiment, reason)
        return self._store.fail(experiment, reason)

    async def experiment(self, experiment: str) -> Experiment:
        """Return one experiment."""
        return self._store.experiment(experiment)

    async def experiments(self) -> list[Experiment]:
        """Return all experiments of researchers and references, oldest first, without those of verifications."""
        return [experiment for experiment in self._store.experiments() if experiment.verification_of is None]

    async def experiments_left(self, researcher: str) -> int:
        """Return how many more experiments this researcher may start."""
        total = self._config.budget.experiments
        left = [self._allowed(researcher) - self._store.count_started(researcher)]
        left += [] if total is None else [total - self._store.count_started()]
        return max(0, min(left))

    async def best(self, count: int) -> list[Experiment]:
        """Return the researchers' best experiments by exact score on dev, each snapshot once; for the platform only.

        Unreleased scores may decide what is verified: no answer depends on that choice, and sealed had no part in it.
        """
        submissions = [record for record in await self.experiments() if record.researcher != PLATFORM]
        by_snapshot = {record.snapshot: record for record in reversed(submissions) if record.status == "scored"}
        pgr = self._feedback.exact_pgr
        return sorted(by_snapshot.values(), key=lambda record: (-pgr(record), record.started))[:count]

    async def plan_verification(self, experiment: str, settings: VerificationConfig) -> list[Experiment]:
        """Return the experiments that must have run before `conclude_verification`. Raises as `verify.plan`."""
        arms = plan(self._config, settings, self._store, self._store.experiment(experiment), self._held_out)
        to_run = sum(not arm.ended for arm in arms)
        log.info("verification of %s: %d experiments, %d to run", experiment, len(arms), to_run)
        return arms

    async def conclude_verification(self, experiment: str, settings: VerificationConfig) -> Verification:
        """Compare the results of the planned experiments. Raises as `verify.conclude`."""
        arms = await self.plan_verification(experiment, settings)
        subject, began = self._store.experiment(experiment), time.monotonic()
        concluded = await conclude(self._config, settings, self._store, subject, arms, self._held_out)
        log.info("verification of %s: concluded after %.1f s", experiment, time.monotonic() - began)
        return concluded

    async def decoys(self, owner: str) -> dict[str, bytes]:
        """Return the decoy files for a researcher's sandboxes, or for those of methods (see `aar.sandbox.decoys`)."""
        return decoys(self._store.key(), owner)

    async def ledger_head(self) -> str:
        """Return the digest that stands for the whole ledger."""
        return self._store.ledger_head()

    def _check_limits(self, researcher: str, key: str) -> None:
        allowed, total = self._allowed(researcher), self._config.budget.experiments
        refusal = None
        if self._store.count_started(researcher) >= allowed:
            refusal = f"{researcher} has used its {allowed} experiments"
        elif total is not None and self._store.count_started() >= total:
            refusal = f"the campaign has used its {total} experiments"
        if refusal:
            log.info("%s: refused, %s", researcher, refusal)
            self._store.refuse(researcher, key, refusal)
            raise ScoringError(refusal)

    def _allowed(self, researcher: str) -> int:
        return experiments_allowed(self._config.researcher(researcher), self._config)

    def _check_new(self, record: Experiment, digests: dict[str, str]) -> None:
        """In the predictions protocol, refuse predictions that the researcher already has an answer to."""
        if self._config.scoring.protocol != "predictions" or record.verification_of or record.researcher == PLATFORM:
            return
        for entry in self._store.answers(record.researcher):
            if entry.body["predictions"] == digests:
                raise ScoringError(f"these predictions equal those of {entry.body['experiment']}, which has its answer")

    async def _measure(self, record: Experiment, outputs: dict[ExperimentRun, RunOutput]) -> dict[str, str]:
        """Store the runs' correctness; return digests of their predictions by "dataset/seed"."""
        digests: dict[str, str] = {}
        for dataset in record.datasets:
            by_seed = {seed: outputs[ExperimentRun(dataset, seed, record.labels)] for seed in record.seeds}
            measured = await self._held_out(dataset).measure_outputs(_split(record), record.id, by_seed)
            digests |= {f"{dataset}/{seed}": digest for seed, digest in measured.items()}
        return digests

    def _answer(self, record: Experiment, entry: dict[str, Any]) -> Experiment:
        if record.verification_of:
            log.info(
                "%s by %s: scored for the verification of %s", record.id, record.researcher, record.verification_of
            )
            return self._store.finish(record.id, None, entry)
        research = [other for other in self._store.experiments() if other.verification_of is None]
        score = self._feedback.answer(record, [other for other in research if other.id != record.id])
        released = "no significant improvement" if score is None else f"PGR {score.pgr:.2f} released"
        log.info("%s by %s: scored, %s", record.id, record.researcher, released)
        answer = {"released": score is not None, "pgr": score.pgr if score else None}
        return self._store.finish(record.id, score, {**entry, **answer})

    async def _compute_baselines(self, dataset: HeldOutDataset) -> Baselines:
        seeds = research_seeds(self._config, self._store.key())
        await dataset.measure_priors(DEV, seeds)
        await dataset.measure_ends(DEV, seeds, seeds)
        weak, ceiling = dataset.correctness(DEV, TEACHER), dataset.correctness(DEV, CEILING)
        if ceiling.accuracy <= weak.accuracy:
            raise ScoringError(
                f"{dataset.name}: the ceiling ({ceiling.accuracy:.3f}) is not above the teacher ({weak.accuracy:.3f}), "
                "so there is no gap to recover. Train the student longer, or use a weaker teacher or more data."
            )
        prior, signed = (accuracy_estimate(dataset.correctness(DEV, model)) for model in (PRIOR, SIGNED_PRIOR))
        ends, items = (accuracy_estimate(weak), accuracy_estimate(ceiling)), len(dataset.splits[DEV])
        return Baselines(dataset.name, seeds, *ends, items, prior, signed)

    def _held_out(self, dataset: str) -> HeldOutDataset:
        if dataset not in self._datasets:
            config = self._config.problem.dataset(dataset)
            self._datasets[dataset] = HeldOutDataset(self._config, config, self._store, self._compute)
        return self._datasets[dataset]


def _split(experiment: Experiment) -> str:
    """Return the split of the test set on which the experiment is scored."""
    return SEALED if experiment.verification_of else DEV


def _fits(outputs: dict[ExperimentRun, RunOutput]) -> int | None:
    """Count the fits of all runs; None where a method made students by a program or with a head of its own."""
    counts = [None if output.fits is None else len(output.fits) for output in outputs.values()]
    return None if None in counts else sum(count or 0 for count in counts)


class ScorerActor(Scorer):
    """The scorer as Ray runs it; it finds the compute actor by name, so that Ray can restart it on its own."""

    def __init__(self, config: CampaignConfig, folder: str) -> None:
        super().__init__(config, folder, get_actor(COMPUTE))


def start_scorer(config: CampaignConfig, folder: Path, namespace: str) -> ActorHandle[Any]:
    """Start the scorer of a campaign whose compute actor runs; it lives as long as the campaign's driver."""
    return start_actor(ScorerActor, SCORER, namespace, config, str(folder))
