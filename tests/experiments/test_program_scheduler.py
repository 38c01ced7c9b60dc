"""Training programs on a real cluster: run where there is room, once, and kept by the campaign."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from aar.budget import UsageStore
from aar.compute.actor import start_compute
from aar.compute.client import ComputeClient
from aar.config import CampaignConfig, load_config
from aar.errors import LabError
from aar.experiments.backend import ModelBackend
from aar.experiments.program_scheduler import ProgramScheduler
from aar.experiments.validation import TrainCall
from aar.models.student import Student
from aar.problems.dataset import Judgement
from aar.sandbox.decoys import decoys
from aar.scoring.records import TrainingData
from tests.campaign.tiny_campaign import write_campaign
from tests.compute.toy import TEXTS, recipe
from tests.experiments.test_program_sandbox import program
from tests.keys import KEY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

MADE = """
import time
from aar.guest.training_task import Task
from safetensors.torch import load_file, save_file
Task.read().trainable_student().save()
weights = load_file("adapter.safetensors")
weights["head/bias"].fill_(time.time() % 1000)
save_file(weights, "adapter.safetensors")
"""
"""Makes another student each time that it runs."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> CampaignConfig:
    return load_config(write_campaign(tmp_path_factory.mktemp("campaign"), port=8265))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def compute(ray_session: None, config: CampaignConfig, folder: Path) -> Iterator[Any]:
    actor = start_compute(config, folder, namespace=str(folder))
    yield actor
    ray.kill(actor)


@ray.remote(num_cpus=0)
class Decoys:
    """All that programs ask of the scorer."""

    def decoys(self, owner: str) -> dict[str, bytes]:
        return decoys(KEY, owner)


@pytest.fixture(scope="module")
def scorer(ray_session: None) -> Any:
    return Decoys.remote()


def test_a_program_runs_once_for_all_researchers(
    config: CampaignConfig, compute: Any, scorer: Any, llama_folder: Path
) -> None:
    model, first = str(llama_folder), program(MADE)
    made = ProgramScheduler(config, compute, scorer).student(first, model, "ada")
    assert Student.from_bytes(ray.get(compute.get.remote(made))).weights["head/bias"].item() > 0
    assert ProgramScheduler(config, compute, scorer).student(replace(first), model, "bob") == made
    assert ProgramScheduler(config, compute, scorer).student(replace(first, seed=4), model, "eve") != made


def test_a_program_that_fails_is_an_error_and_runs_again(
    config: CampaignConfig, compute: Any, scorer: Any, llama_folder: Path
) -> None:
    for _ in range(2):
        with pytest.raises(LabError, match="ended with exit code 1\nit printed:") as caught:
            ProgramScheduler(config, compute, scorer).student(
                program("raise ValueError('mine')"), str(llama_folder), "ada"
            )
        assert type(caught.value) is LabError
        assert "ValueError: mine" in str(caught.value)


def test_the_account_that_runs_a_program_is_charged_even_if_it_fails(
    config: CampaignConfig, compute: Any, scorer: Any, folder: Path, llama_folder: Path
) -> None:
    sleeps, spend = "import time; time.sleep(2)\n", UsageStore(folder)
    ProgramScheduler(config, compute, scorer).student(program(sleeps + MADE), str(llama_folder), "rich")
    ProgramScheduler(config, compute, scorer).student(program(sleeps + MADE), str(llama_folder), "late")
    with pytest.raises(LabError):
        ProgramScheduler(config, compute, scorer).student(
            program(sleeps + "raise SystemExit(3)"), str(llama_folder), "unlucky"
        )
    assert spend.spent("rich").resources.cpu_seconds >= 2 * config.programs.cpus
    assert spend.spent("unlucky").resources.cpu_seconds >= 2 * config.programs.cpus
    assert spend.spent("late").resources.cpu_seconds == 0


def test_a_limit_above_what_any_machine_has_does_not_wait_for_ever(
    config: CampaignConfig, compute: Any, scorer: Any, llama_folder: Path
) -> None:
    generous = config.model_copy(update={"programs": config.programs.model_copy(update={"memory_gib": 10_000})})
    assert ProgramScheduler(generous, compute, scorer).student(program(MADE + " # generous"), str(llama_folder), "ada")


def test_a_gibibyte_that_quick_checks_hand_back_is_not_kept(
    config: CampaignConfig, compute: Any, scorer: Any, folder: Path, llama_folder: Path
) -> None:
    examples = tuple(Judgement("", text) for (text,) in TEXTS)
    task = TrainingData("binary", examples, np.full((len(TEXTS), 2), 0.5, np.float32), recipe())
    backend = ModelBackend(
        task, 3, str(llama_folder), ComputeClient(compute, "eve"), ProgramScheduler(config, compute, scorer)
    )
    before = kept_bytes(folder)
    for number in range(2):
        size = 512 * 2**20 - number
        source = f"import os; os.truncate(os.open('adapter.safetensors', os.O_CREAT | os.O_RDWR), {size})"
        with pytest.raises(LabError, match="the adapter is not a safetensors file"):
            backend.train(TrainCall(source.encode(), 1, {}))
    assert kept_bytes(folder) == before


def kept_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "artifacts").rglob("*") if file.is_file())
