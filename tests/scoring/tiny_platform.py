"""A real platform in one process: tiny models without Ray, the real scorer, method code run directly."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aar.compute.client import ComputeClient
from aar.compute.engine import Group
from aar.compute.executor import RequestExecutor
from aar.compute.requests import Request
from aar.config import PLATFORM, CampaignConfig, VerificationConfig, load_config
from aar.errors import TrainingError
from aar.experiments.backend import ModelBackend
from aar.experiments.broker import Broker, RunBudget
from aar.experiments.program_scheduler import ProgramScheduler
from aar.guest.errors import LabError
from aar.guest.lab import Lab
from aar.scoring.actor import Scorer
from aar.scoring.records import VANILLA, Experiment, RunOutput, Verification
from aar.scoring.store import ScoreStore
from tests.campaign.tiny_campaign import write_campaign
from tests.keys import fix_key, fix_verification_seeds
from tests.tiny_model import CPU


class Remote:
    """What `actor.method` is for an actor."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.remote = call


class LocalCompute:
    """The compute actor's calls, answered by an executor; `for_threads` answers without a coroutine."""

    def __init__(self, group: Group) -> None:
        self.results: dict[str, bytes] = {}
        self._executor = RequestExecutor(CPU, "float32", group, self.results.__getitem__)
        self.run, self.get = Remote(self._run_soon), Remote(self._get_soon)
        self.has, self.put = Remote(self._has_soon), Remote(self._put_soon)

    def for_threads(self) -> Any:
        calls = {
            "run": self._run, "get": self.results.__getitem__, "put": self._put, "has": self.results.__contains__,
        }  # fmt: skip
        return type("Compute", (), {name: Remote(call) for name, call in calls.items()})()

    def _put(self, key: str, data: bytes, account: str = "") -> None:
        self.results[key] = data

    def _run(self, request: Request, account: str = "", ticket: str = "") -> str:
        if request.key() not in self.results:
            [answer] = self._executor.execute([request])
            if isinstance(answer, TrainingError):
                raise answer
            self.results[request.key()] = answer
        return request.key()

    async def _run_soon(self, request: Request, account: str, ticket: str) -> str:
        return self._run(request)

    async def _get_soon(self, key: str) -> bytes:
        return self.results[key]

    async def _has_soon(self, key: str) -> bool:
        return key in self.results

    async def _put_soon(self, key: str, data: bytes, account: str) -> None:
        self._put(key, data)


def supervised(source: str, backend: ModelBackend) -> str:
    """Run a method on the real lab, over a real broker, without a sandbox; return the student's handle."""
    ours, theirs = socket.socketpair()
    broker = Broker(b"", backend, theirs, RunBudget(fits=20), on_end=lambda: None)
    broker.start()
    namespace: dict[str, Any] = {}
    exec(compile(source, "method.py", "exec"), namespace)
    with ours:
        try:
            student: str = namespace["supervise"](Lab(ours)).id
        except LabError as error:
            raise broker.fault or error from None
    return student


class TinyPlatform:
    """A campaign on the tiny model."""

    def __init__(self, folder: Path, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aar.compute.client.get", lambda value: value)
        self.config: CampaignConfig = load_config(write_campaign(folder, port=8265))
        self.compute = LocalCompute(group)
        (folder / "campaign").mkdir()
        fix_key(folder / "campaign")
        fix_verification_seeds(folder / "campaign")
        self.scorer = Scorer(self.config, str(folder / "campaign"), self.compute)  # type: ignore[arg-type]
        self.store = ScoreStore(folder / "campaign", read_only=True)

    def experiment(self, source: str, researcher: str = "ada", note: str = "a note") -> Experiment:
        """Admit a method, run it, have it scored."""
        admitted = asyncio.run(self.scorer.admit(researcher, str(hash(source)), note, f"{researcher}/{hash(source)}"))
        return self._run(admitted, source)

    def verify(self, subject: Experiment, source: str, vanilla: str, settings: VerificationConfig) -> Verification:
        """Verify a method whose source this is."""
        for arm in asyncio.run(self.scorer.plan_verification(subject.id, settings)):
            self._run(arm, source if arm.verification_of == subject.id else vanilla)
        return asyncio.run(self.scorer.conclude_verification(subject.id, settings))

    def reference(self, vanilla: str) -> Experiment:
        return self.experiment(vanilla, PLATFORM, VANILLA)

    def _run(self, experiment: Experiment, source: str) -> Experiment:
        if experiment.status != "running":
            return experiment
        trained = {run: self._supervise(experiment, run, source) for run in experiment.runs}
        return asyncio.run(self.scorer.score(experiment.id, trained))

    def _supervise(self, experiment: Experiment, run: Any, source: str) -> RunOutput:
        task = asyncio.run(self.scorer.task(experiment.id, run))
        compute = self.compute.for_threads()
        programs = ProgramScheduler(self.config, compute, scorer=None)  # type: ignore[arg-type]
        backend = ModelBackend(
            task, run.seed, self.config.problem.student.model, ComputeClient(compute, "ada"), programs
        )
        return backend.trained(supervised(source, backend))
