"""The experiments actor from submission to score: real Ray, scorer, code store and sandboxes; a double computes."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from aar.commons.actor import start_commons
from aar.compute.requests import FineTune, Request
from aar.config import PLATFORM, BudgetConfig, CampaignConfig, DatasetConfig
from aar.errors import ScoringError
from aar.experiments.actor import CANCELLED, start_experiments
from aar.methods import builtin_source
from aar.problems.loading import load_dataset
from aar.ray_utils import COMPUTE, get, start_actor
from aar.scoring.actor import start_scorer
from aar.scoring.records import VANILLA, Experiment
from tests.keys import KEY, fix_key
from tests.scoring.doubles import ComputeDouble, campaign, write_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

GOOD = "def supervise(lab):\n    print('hello from', lab.seed)\n    return lab.fine_tune(lab.weak_labels)\n"
ENDLESS = "import time\ndef supervise(lab):\n    print('begun', flush=True)\n    time.sleep(300)\n"
BROKEN = "def supervise(lab):\n    print('so far', flush=True)\n    return 1 / 0\n"


class KnowingCompute:
    """A compute actor that knows the classes of all texts (see ComputeDouble), and can hold back what it trains."""

    def __init__(self, source: str) -> None:
        self._double = ComputeDouble()
        self._double.know(load_dataset(DatasetConfig(name="data", source=source), KEY))
        self._withdrawn: list[str] = []
        self._may_train = asyncio.Event()
        self._may_train.set()
        self._held = 0

    async def run(self, request: Request, account: str, ticket: str) -> str:
        if isinstance(request, FineTune) and not self._may_train.is_set():
            self._held += 1
            await self._may_train.wait()
        return str(await self._double.run.remote(request, account, ticket))

    async def get(self, key: str) -> bytes:
        return bytes(await self._double.get.remote(key))

    async def has(self, key: str) -> bool:
        return bool(await self._double.has.remote(key))

    async def put(self, key: str, data: bytes, account: str) -> None:
        if not await self.has(key):
            await self._double.put.remote(key, data, account)

    async def withdraw(self, ticket: str) -> None:
        self._withdrawn.append(ticket)

    async def withdrawn(self) -> list[str]:
        return self._withdrawn

    async def fits(self) -> int:
        return len(self._double.of_kind(FineTune))

    async def hold(self) -> None:
        self._may_train.clear()

    async def release(self) -> None:
        self._may_train.set()

    async def held(self) -> int:
        return self._held


class Bench:
    """A campaign's actors, in the namespace of the test's Ray."""

    def __init__(self, folder: Path) -> None:
        namespace = ray.get_runtime_context().namespace
        source = str(write_dataset(folder / "data"))
        self.config: CampaignConfig = campaign(source, budget=BudgetConfig(experiments_per_researcher=20))
        fix_key(folder)
        self.compute = start_actor(KnowingCompute, COMPUTE, namespace, source)
        self.commons = start_commons(folder / "commons", namespace, folder)
        self.scorer = start_scorer(self.config, folder, namespace)
        self.experiments = start_experiments(self.config, namespace, resume=False)

    def submit(self, source: str, key: str, researcher: str = "ada", note: str = "a note") -> Experiment:
        files = {"method.py": source.encode()}
        submitted: Experiment = get(self.experiments.submit.remote(researcher, files, note, key))
        return submitted

    def wait(self, experiment: str, seconds: float | None = 120.0) -> Experiment:
        current: Experiment = get(self.experiments.wait.remote(experiment, seconds))
        return current

    def fits(self) -> int:
        count: int = get(self.compute.fits.remote())
        return count

    def close(self) -> None:
        for actor in (self.experiments, self.scorer, self.commons, self.compute):
            ray.kill(actor)


@pytest.fixture(scope="module")
def bench(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("campaign"))
    yield bench
    bench.close()


def test_a_quick_check_needs_the_reference_whose_data_it_uses(bench: Bench) -> None:
    with pytest.raises(ScoringError, match="the baselines are not measured yet; check again when they are"):
        get(bench.experiments.check.remote(GOOD.encode(), "ada"))
    reference = bench.submit(builtin_source(VANILLA), VANILLA, PLATFORM, VANILLA)
    assert bench.wait(reference.id).status == "scored"
    report = get(bench.experiments.check.remote(GOOD.encode(), "ada"))
    assert "agrees with the weak labels" in report and "hello from" in report


def test_a_submission_returns_at_once_and_runs_once_for_each_seed_until_it_is_scored(bench: Bench) -> None:
    submitted = bench.submit(GOOD, "good")
    assert submitted.status == "running" and len(submitted.runs) == bench.config.scoring.seeds
    ended = bench.wait(submitted.id)
    assert (ended.id, ended.status, ended.failure) == (submitted.id, "scored", None)
    printed = get(bench.experiments.log.remote(submitted.id))
    assert all(f"data, seed {seed}:\nhello from {seed}" in printed for seed in submitted.seeds)


def test_a_submission_with_a_key_that_was_used_is_the_same_experiment_and_trains_nothing(bench: Bench) -> None:
    first = bench.wait(bench.submit(GOOD, "twice").id)
    before = bench.fits()
    assert bench.submit(GOOD, "twice") == bench.wait(first.id) == first
    assert bench.fits() == before
    with pytest.raises(ScoringError, match="key"):
        bench.submit(BROKEN, "twice")


def test_a_method_that_raises_fails_its_experiment_with_its_own_line_and_output(bench: Bench) -> None:
    ended = bench.wait(bench.submit(BROKEN, "broken").id)
    assert ended.status == "failed" and ended.score is None and ended.failure is not None
    assert "method raised ZeroDivisionError" in ended.failure.text and "method.py line 3" in ended.failure.text
    assert "so far" in get(bench.experiments.log.remote(ended.id))


def test_a_snapshot_without_a_method_fails_with_what_is_missing(bench: Bench) -> None:
    submitted = get(bench.experiments.submit.remote("ada", {"notes.txt": b"later"}, "a note", "no method"))
    ended = bench.wait(submitted.id)
    assert ended.failure is not None
    assert "the snapshot has no method.py; put supervise(lab) into a file of that name" in ended.failure.text


def test_a_wait_ends_with_its_time_and_a_cancelled_experiment_at_once(bench: Bench) -> None:
    submitted = bench.submit(ENDLESS, "endless")
    assert bench.wait(submitted.id, seconds=0.2).status == "running"
    began = time.monotonic()
    cancelled = get(bench.experiments.cancel.remote(submitted.id))
    assert cancelled.status == "failed" and cancelled.failure.text == CANCELLED
    assert bench.wait(submitted.id) == cancelled and time.monotonic() - began < 60


def test_an_experiment_that_has_ended_cannot_be_cancelled(bench: Bench) -> None:
    ended = bench.wait(bench.submit(GOOD, "ended").id)
    assert get(bench.experiments.cancel.remote(ended.id)) == ended == bench.wait(ended.id)


def test_every_run_withdraws_what_it_asked_of_the_compute_actor_when_it_ends(bench: Bench) -> None:
    before = len(get(bench.compute.withdrawn.remote()))
    bench.wait(bench.submit(BROKEN, "withdrawn").id)
    tickets = get(bench.compute.withdrawn.remote())[before:]
    assert len(set(tickets)) == bench.config.scoring.seeds
    assert all(ticket.startswith("experiments/") for ticket in tickets)


def test_an_unknown_experiment_is_an_error(bench: Bench) -> None:
    for call in (bench.experiments.status, bench.experiments.wait, bench.experiments.cancel):
        with pytest.raises(ScoringError, match="e999"):
            get(call.remote("e999"))


def test_a_new_process_of_the_actor_resumes_what_a_killed_one_was_running(bench: Bench) -> None:
    get(bench.compute.hold.remote())
    submitted = bench.submit(GOOD.replace("hello", "hello again"), "resumed")
    while not get(bench.compute.held.remote()):
        time.sleep(0.1)
    ray.kill(bench.experiments, no_restart=False)
    get(bench.compute.release.remote())
    assert get(bench.experiments.status.remote(submitted.id)).status in ("running", "scored")
    assert bench.wait(submitted.id).status == "scored"
