"""The scorer: the one actor that holds ground truth and test inputs.

It computes the baselines, draws the seeds, admits experiments, predicts with their students itself, and keeps every
score. It keeps nothing in memory that is not on disk or computed again from artifacts, so that it may be killed.

Protected: method code and researchers reach neither labels nor test inputs, because nothing here hands them out; a
score is computed from a student, not taken from anyone's word.
Not protected: how much repeated exact scores say about the test set; seeds are few and shared by all experiments.
"""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.actor import ActorHandle

from aar.config import CampaignConfig, DatasetConfig
from aar.errors import ScoringError
from aar.problems.dataset import Split
from aar.problems.loading import fresh_test, load_dataset
from aar.remote import COMPUTE, SCORER, named, on_this_node
from aar.scoring.measure import Measure
from aar.scoring.pgr import Correctness, accuracy_estimate, difference_estimate, pgr_estimate
from aar.scoring.records import HIDDEN, PLATFORM, VANILLA, Baselines, Experiment, Retest, Score
from aar.scoring.scorebook import Scorebook
from aar.scoring.task import Task


class Scorer:
    """Scores of one campaign, kept in `folder`."""

    def __init__(self, config: CampaignConfig, folder: str, compute: ActorHandle[Any]) -> None:
        self._config, self._compute = config, compute
        self._book = Scorebook(Path(folder))
        self._measures: dict[str, Measure] = {}
        self._datasets: dict[str, Any] = {}
        self._preparing = asyncio.Lock()

    def __repr__(self) -> str:
        return SCORER

    async def ping(self) -> None:
        """Return when the actor serves."""

    async def baselines(self, dataset: str | None = None) -> Baselines:
        """Teacher and ceiling over the baseline seeds; computed on first use.

        Raises ScoringError when the ceiling is not above the teacher: there is no gap to recover.
        """
        config = self._config.problem.dataset(dataset)
        async with self._preparing:
            known = self._book.baselines(config.name)
            if known is None:
                known = await self._compute_baselines(config)
                self._book.keep_baselines(known)
        return known

    async def task(self, dataset: str, seed: int) -> Task:
        """What an experiment may know: unlabelled training examples and the teacher's labels for `seed`."""
        config = self._config.problem.dataset(dataset)
        data, measure = self._data(config)
        weak = await measure.weak_labels(data.train_unlabel, seed)
        return Task(data.kind, data.train_unlabel.examples, weak, self._config.problem.recipe_for(config))

    async def admit(
        self, researcher: str, snapshot: str, note: str, key: str, dataset: str | None = None
    ) -> Experiment:
        """Register an experiment and draw its seeds; the same key again gives the same experiment.

        Raises ScoringError when the researcher's experiments are used up.
        """
        config = self._config.problem.dataset(dataset)
        limit = self._config.budget.experiments_per_researcher
        if researcher != PLATFORM and self._book.count(researcher) >= limit and not self._book.has(key):
            raise ScoringError(f"{researcher} has used its {limit} experiments")
        experiment, _ = self._book.admit(key, researcher, snapshot, config.name, note)
        if not experiment.seeds:
            experiment = self._book.set_seeds(experiment.id, self._draw_seeds(config, experiment))
        return experiment

    async def score(self, experiment: str, students: dict[int, str]) -> Experiment:
        """Score the students that an experiment trained, one for each of its seeds, on the hidden test set.

        Raises ScoringError when the seeds are not those that were drawn.
        """
        record = self._book.experiment(experiment)
        if record.status != "running":
            return record
        if set(students) != set(record.seeds):
            raise ScoringError(f"{experiment} has seeds {record.seeds}, but students came for {tuple(students)}")
        config = self._config.problem.dataset(record.dataset)
        await self.baselines(record.dataset)
        data, _ = self._data(config)
        in_order = {seed: students[seed] for seed in record.seeds}
        own = await self._students_correct(config, data.test, HIDDEN, experiment, in_order)
        weak, ceiling = self._ends(config.name, HIDDEN)
        pgr = pgr_estimate(own, weak, ceiling)
        score = Score(own.accuracy, own.accuracies, pgr.value, pgr.low, pgr.high)
        return self._book.finish(experiment, score, None)

    async def fail(self, experiment: str, reason: str) -> Experiment:
        """Record that an experiment failed, and why."""
        return self._book.finish(experiment, None, reason)

    async def experiment(self, experiment: str) -> Experiment:
        """One experiment."""
        return self._book.experiment(experiment)

    async def experiments(self) -> list[Experiment]:
        """All experiments, oldest first."""
        return self._book.experiments()

    async def experiments_left(self, researcher: str) -> int:
        """How many more this researcher may start."""
        return max(0, self._config.budget.experiments_per_researcher - self._book.count(researcher))

    async def retest(self, experiments: list[str], test_seed: int) -> list[Retest]:
        """Measure the students of one dataset's scored experiments on a test set drawn anew.

        Each is compared with the vanilla reference, when that is among them.

        Raises:
            ProblemError: the dataset cannot be drawn from anew.
            ScoringError: an experiment was not scored, or is on another dataset than the first.
        """
        config = self._config.problem.dataset(self._dataset_scored_on(experiments))
        test, name = fresh_test(config, test_seed), f"fresh-{test_seed}"
        await self._measure_ends(config, test, name)
        weak, ceiling = self._ends(config.name, name)
        own: dict[str, Correctness] = {}
        for experiment in experiments:
            students = self._book.students(config.name, experiment)
            own[experiment] = await self._students_correct(config, test, name, experiment, students)
        reference = self._vanilla()
        retests = [
            Retest(
                experiment=experiment,
                test_seed=test_seed,
                accuracy=accuracy_estimate(correctness),
                pgr=pgr_estimate(correctness, weak, ceiling),
                over_vanilla=difference_estimate(correctness, own[reference])
                if reference in own and reference != experiment
                else None,
                items=len(test),
            )
            for experiment, correctness in own.items()
        ]
        for retest in retests:
            self._book.keep_retest(retest)
        return retests

    def _dataset_scored_on(self, experiments: list[str]) -> str:
        records = [self._book.experiment(experiment) for experiment in experiments]
        dataset = records[0].dataset
        for record in records:
            if record.score is None or record.dataset != dataset:
                raise ScoringError(f"{record.id} was not scored on {dataset}; leave it out of this retest")
        return dataset

    def _vanilla(self) -> str | None:
        references = [one.id for one in self._book.experiments() if (one.researcher, one.note) == (PLATFORM, VANILLA)]
        return references[0] if references else None

    async def _compute_baselines(self, config: DatasetConfig) -> Baselines:
        data, _ = self._data(config)
        await self._measure_ends(config, data.test, HIDDEN)
        weak, ceiling = self._ends(config.name, HIDDEN)
        if ceiling.accuracy <= weak.accuracy:
            raise ScoringError(
                f"{config.name}: the ceiling ({ceiling.accuracy:.3f}) is not above the teacher ({weak.accuracy:.3f}), "
                "so there is no gap to recover. Train the student longer, or take a weaker teacher or more data."
            )
        return Baselines(
            config.name, self._pool(config), accuracy_estimate(weak), accuracy_estimate(ceiling), len(data.test)
        )

    async def _measure_ends(self, config: DatasetConfig, test: Split, name: str) -> None:
        """Store who of teacher and ceiling is right on a test set, over the baseline seeds."""
        _, measure = self._data(config)
        seeds = self._pool(config)
        ceilings = dict(zip(seeds, await asyncio.gather(*(measure.ceiling(seed) for seed in seeds)), strict=True))
        await self._students_correct(config, test, name, "ceiling", ceilings)
        weak = {seed: await measure.teacher_correct(test, seed) for seed in seeds}
        self._book.keep_correctness(config.name, name, "teacher", weak, {})

    async def _students_correct(
        self, config: DatasetConfig, test: Split, name: str, model: str, students: dict[int, str]
    ) -> Correctness:
        _, measure = self._data(config)
        answers = await asyncio.gather(*(measure.student_correct(key, test) for key in students.values()))
        self._book.keep_correctness(config.name, name, model, dict(zip(students, answers, strict=True)), students)
        return Correctness(np.stack(answers), tuple(students))

    def _ends(self, dataset: str, test: str) -> tuple[Correctness, Correctness]:
        weak = self._book.correctness(dataset, test, "teacher")
        ceiling = self._book.correctness(dataset, test, "ceiling")
        if weak is None or ceiling is None:
            raise ScoringError(f"{dataset}: the baselines were not measured")
        return weak, ceiling

    def _data(self, config: DatasetConfig) -> tuple[Any, Measure]:
        if config.name not in self._measures:
            dataset = load_dataset(config)
            self._datasets[config.name] = dataset
            self._measures[config.name] = Measure(self._config.problem, config, dataset, self._compute)
        return self._datasets[config.name], self._measures[config.name]

    def _pool(self, config: DatasetConfig) -> tuple[int, ...]:
        """The baseline seeds of a dataset, the same in every campaign on it."""
        drawn = np.random.default_rng([config.seed, 1]).choice(1 << 20, self._config.scoring.baseline_seeds, False)
        return tuple(int(seed) for seed in drawn)

    def _draw_seeds(self, config: DatasetConfig, experiment: Experiment) -> tuple[int, ...]:
        """An experiment's seeds, out of the baselines'; the reference gets them all, to be comparable with everyone."""
        pool = self._pool(config)
        if experiment.researcher == PLATFORM:
            return pool
        number = int(experiment.id.removeprefix("e"))
        rng = np.random.default_rng([config.seed, 2, number])
        return tuple(sorted(int(seed) for seed in rng.choice(pool, self._config.scoring.seeds, False)))


class ScorerActor(Scorer):
    """The scorer as Ray runs it; it finds the compute actor by name, so that it can be started again by itself."""

    def __init__(self, config: CampaignConfig, folder: str) -> None:
        super().__init__(config, folder, named(COMPUTE))


def start_scorer(config: CampaignConfig, folder: Path, namespace: str) -> ActorHandle[Any]:
    """The scorer of a campaign whose compute actor runs; it lives as long as the campaign's driver."""
    actor = ray.remote(ScorerActor).options(
        name=SCORER,
        namespace=namespace,
        num_cpus=0,
        scheduling_strategy=on_this_node(),
        max_restarts=-1,
        max_task_retries=-1,
        get_if_exists=True,
    )
    return actor.remote(config, str(folder))
