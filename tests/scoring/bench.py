"""A scorer over a double of the compute actor, which can be restarted on the same folder."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from aar.config import PLATFORM, CampaignConfig, VerificationConfig
from aar.problems.dataset import Split
from aar.problems.loading import load_dataset
from aar.problems.prompts import model_texts
from aar.scoring.actor import Scorer
from aar.scoring.draws import dev_and_sealed
from aar.scoring.ledger import LedgerEntry
from aar.scoring.records import VANILLA, Experiment, ExperimentRun, FitRecipe, RunOutput, Verification
from aar.scoring.store import ScoreStore
from tests.keys import KEY, fix_key, fix_verification_seeds
from tests.scoring.doubles import ComputeDouble

T = TypeVar("T")
PLAIN = (FitRecipe(2.0, 1e-4),)
"""The fits of a method that trains as the baselines do."""


class ScorerBench:
    """Plays the researchers and the experiments of one scorer."""

    def __init__(self, config: CampaignConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        fix_key(folder)
        self.data = {one.name: load_dataset(one, KEY) for one in config.problem.datasets}
        self.compute = ComputeDouble()
        for dataset in self.data.values():
            self.compute.know(dataset)
        first = config.problem.dataset().name
        self.dev, self.sealed = dev_and_sealed(
            self.data[first].test, config.scoring.dev_share, KEY.derived("dataset", first)
        )
        self.restart()

    def restart(self) -> None:
        self.scorer = Scorer(self.config, str(self.folder), self.compute)

    @property
    def store(self) -> ScoreStore:
        """The scorer's records, as any reader opens them."""
        return ScoreStore(self.folder, read_only=True)

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(call)

    def admit(self, key: str = "k", researcher: str = "ada", snapshot: str = "s1", note: str = "a note") -> Experiment:
        return self.do(self.scorer.admit(researcher, snapshot, note, key))

    def trained(
        self, experiment: Experiment, error: float, fits: tuple[FitRecipe, ...] | None = PLAIN
    ) -> dict[ExperimentRun, RunOutput]:
        """The outputs of runs: new students that err at this rate, one for each run."""
        final_fit = len(fits or PLAIN) - 1
        names = {run: f"{experiment.id}-{run.dataset}-{run.seed}" for run in experiment.runs}
        return {run: RunOutput(self.compute.student(name, error), fits, final_fit) for run, name in names.items()}

    def scored(self, error: float, fits: tuple[FitRecipe, ...] | None = PLAIN, **who: str) -> Experiment:
        experiment = self.admit(**who)
        return self.do(self.scorer.score(experiment.id, self.trained(experiment, error, fits)))

    def vanilla(self, error: float = 0.2) -> Experiment:
        """The reference, scored."""
        return self.scored(error, key=VANILLA, researcher=PLATFORM, note=VANILLA)

    def accuracy(self, trained: dict[ExperimentRun, RunOutput], split: Split) -> float:
        texts = list(model_texts(split.examples, "scalar_head"))
        return float(np.mean([self.compute.accuracy(one.student or "", texts) for one in trained.values()]))

    def draw_seeds(self) -> None:
        """Put a draw of verification seeds into the ledger, so that what comes out does not depend on luck."""
        fix_verification_seeds(self.folder)

    def ledger(self) -> list[LedgerEntry]:
        return self.store.ledger()

    def verify(
        self, subject: Experiment, errors: dict[str, float], fits: tuple[FitRecipe, ...] | None = PLAIN, **settings: Any
    ) -> Verification:
        """Verify an experiment whose students err at these rates: "vanilla", and by whose labels they learned from."""
        wanted = VerificationConfig(**{"seeds": 3, **settings})
        for arm in self.do(self.scorer.plan_verification(subject.id, wanted)):
            is_subject = arm.verification_of == subject.id
            error = errors[arm.labels if is_subject else "vanilla"]
            self.do(self.scorer.score(arm.id, self.trained(arm, error, fits if is_subject else PLAIN)))
        return self.do(self.scorer.conclude_verification(subject.id, wanted))
