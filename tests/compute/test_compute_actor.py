"""The compute actor with real Ray Train workers: it answers, refuses, and outlives the death of any of its processes.

All tests share one actor and its workers, because every start of a Ray Train job takes many seconds.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray

from aar.budget import UsageStore
from aar.compute.actor import start_compute
from aar.compute.client import ComputeClient
from aar.compute.requests import LogLikelihoods, Predict
from aar.compute.store import StoredTexts
from aar.config import CampaignConfig, ComputeConfig
from aar.errors import ModelError, TrainingError
from tests.campaign.ray_cluster import ray_cluster
from tests.compute.toy import TARGETS, TEXTS, accuracy, recipe, request
from tests.scoring.doubles import campaign

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ADA = "ada"
NAMED = StoredTexts.of(TEXTS)
CONFIG: CampaignConfig = campaign("nowhere").model_copy(
    update={"compute": ComputeConfig(workers=1, cpus_per_worker=1, precision="float32")}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(scope="module")
def compute(ray_session: None, folder: Path) -> Iterator[Any]:
    actor = start_compute(CONFIG, folder, namespace=str(folder))
    ComputeClient(actor).put(TEXTS)
    yield actor
    ray.kill(actor)


@pytest.fixture
def another_ray() -> Iterator[None]:
    with ray_cluster("disabled"):
        yield


@pytest.fixture
def model(llama_folder: Path) -> str:
    return str(llama_folder)


def status(compute: Any) -> dict[str, int]:
    counts: dict[str, int] = ray.get(compute.status.remote())
    return counts


def wait_until_running(compute: Any) -> None:
    while not status(compute)["running"]:
        time.sleep(0.01)


def processes(title: str) -> list[psutil.Process]:
    """Processes of this test run's Ray whose title holds `title`, in any case."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            found += [process] if title in " ".join(process.cmdline()).lower() else []
        except psutil.Error:
            continue
    return found


def open_to_others(process: psutil.Process) -> int:
    """On how many ports other machines can reach a process."""
    listening = [one for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return sum(one.laddr.ip not in ("127.0.0.1", "::1") for one in listening)


def test_workers_of_one_machine_listen_on_loopback_alone(compute: Any, model: str) -> None:
    """torch's own store would listen on every interface, for the whole network."""
    ComputeClient(compute, ADA).train(request(model, seed=99))
    [worker] = processes("raytrainworker")
    [any_actor] = processes("ray::compute")
    assert open_to_others(worker) == open_to_others(any_actor)  # what Ray itself listens on, which asks for a token


def test_equal_requests_are_computed_once(compute: Any, model: str) -> None:
    before = status(compute)["computed"]
    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(lambda _: ComputeClient(compute, ADA).train(request(model)), range(4)))
    assert keys == {request(model).key()}
    assert status(compute)["computed"] == before + 1


def test_device_time_is_charged_once_to_the_first_caller(compute: Any, folder: Path, model: str) -> None:
    before = UsageStore(folder).spent(ADA).resources.cpu_seconds
    wanted = request(model, seed=77)
    ComputeClient(compute, ADA).train(wanted)
    charged = UsageStore(folder).spent(ADA).resources
    assert charged.cpu_seconds > before and charged.gpu_seconds == 0
    ComputeClient(compute, "ben").train(wanted)
    assert UsageStore(folder).spent("ben").resources.cpu_seconds == 0


def test_students_trained_side_by_side_are_each_their_own(compute: Any, model: str) -> None:
    wanted = [request(model, seed=2), request(model, seed=3, targets=1 - TARGETS), request(model, seed=4)]
    with ThreadPoolExecutor(3) as pool:
        keys = list(pool.map(ComputeClient(compute, ADA).train, wanted))
    right = [accuracy(ComputeClient(compute, ADA).run(Predict(model, NAMED, key))) for key in keys]
    assert right[0] > 0.9 and right[1] < 0.1 and right[2] > 0.9


def test_a_bad_request_is_its_callers_error_and_the_workers_continue(compute: Any, model: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model here") as caught:
        ComputeClient(compute, ADA).run(LogLikelihoods(str(tmp_path), NAMED, 32))
    assert type(caught.value) is ModelError
    with pytest.raises(ModelError, match="the model has 4 layers"):
        ComputeClient(compute, ADA).train(request(model, recipe=recipe(last_layers=9)))
    assert ComputeClient(compute, ADA).run(LogLikelihoods(model, NAMED, 32)).shape == (len(TEXTS), 1)


def test_a_request_that_names_texts_which_were_never_put_is_its_callers_error(compute: Any, model: str) -> None:
    nowhere = StoredTexts.of((("never put",),))
    with pytest.raises(TrainingError, match=f"nor texts with key {nowhere.digest[:12]}"):
        ComputeClient(compute, ADA).run(LogLikelihoods(model, nowhere, 32))
    assert ComputeClient(compute, ADA).put((("never put",),)) == nowhere
    assert ComputeClient(compute, ADA).run(LogLikelihoods(model, nowhere, 32)).shape == (1, 1)


def test_a_student_that_diverges_beside_others_of_its_account_fails_alone(compute: Any, model: str) -> None:
    wanted = [request(model, seed=20), request(model, seed=21, targets=np.full(len(TARGETS), np.nan, np.float32))]
    with ThreadPoolExecutor(2) as pool:
        good, bad = [pool.submit(ComputeClient(compute, ADA).train, each) for each in wanted]
        with pytest.raises(TrainingError, match="the training diverged"):
            bad.result()
    assert accuracy(ComputeClient(compute, ADA).run(Predict(model, NAMED, good.result()))) > 0.9
    assert not ray.get(compute.has.remote(wanted[1].key()))


def test_a_fit_without_a_caller_ends_between_its_steps(compute: Any, model: str) -> None:
    endless = request(model, recipe=recipe(epochs=100), rows=np.tile(np.arange(len(TARGETS)), 20), seed=30)
    asked = compute.run.remote(endless, ADA, "a run")
    wait_until_running(compute)
    began = time.monotonic()
    ray.get(compute.withdraw.remote("a run"))
    with pytest.raises(ray.exceptions.RayTaskError, match="no caller is waiting"):
        ray.get(asked)
    assert time.monotonic() - began < 20 and not ray.get(compute.has.remote(endless.key()))


def test_a_worker_killed_in_the_middle_of_a_fit_is_replaced_and_the_fit_completes(compute: Any, model: str) -> None:
    long = request(model, recipe=recipe(epochs=60), seed=5)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ComputeClient(compute, ADA).train, long)
        wait_until_running(compute)
        [worker] = processes("raytrainworker")
        os.kill(worker.pid, signal.SIGKILL)
        assert not asked.done()
        key = asked.result()
    assert accuracy(ComputeClient(compute, ADA).run(Predict(model, NAMED, key))) > 0.9


def test_a_killed_actor_returns_with_its_results_and_its_callers_get_theirs(compute: Any, model: str) -> None:
    done = ComputeClient(compute, ADA).train(request(model))
    long = request(model, recipe=recipe(epochs=60), seed=6)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ComputeClient(compute, ADA).train, long)
        wait_until_running(compute)
        [actor] = processes("ray::compute")
        os.kill(actor.pid, signal.SIGKILL)
        key = asked.result()
    assert key == long.key()
    assert ComputeClient(compute, ADA).train(request(model)) == done
    odds = ComputeClient(compute, ADA).run(Predict(model, NAMED, done))
    assert np.isfinite(odds).all() and accuracy(odds) > 0.9


def test_resources_of_a_killed_actors_workers_are_free_again(compute: Any, model: str, another_ray: None) -> None:
    """Kill more actors than there are CPUs, next to another Ray, which Ray Train could mistake for its own."""
    for seed in range(40, 42):
        ComputeClient(compute, ADA).train(request(model, seed=seed))
        [actor] = processes("ray::compute")
        os.kill(actor.pid, signal.SIGKILL)
    ComputeClient(compute, ADA).train(request(model, seed=42))
