"""A method that trains with programs of its own: through sandboxes, broker and checks to a student that predicts."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from aar.compute.client import ComputeClient
from aar.compute.engine import Group
from aar.errors import MethodError
from aar.experiments.backend import ModelBackend
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import method_pool, run_method
from aar.experiments.program_sandbox import ProgramRun, run_program
from aar.experiments.program_scheduler import ProgramScheduler
from aar.problems.dataset import Judgement
from aar.sandbox import Limits, provider
from aar.sandbox.pool import Pool
from aar.scoring.records import TrainingData
from tests.compute.conftest import alone, process_group
from tests.compute.toy import CLASSES, TEXTS, accuracy, recipe
from tests.experiments.test_program_sandbox import CONFIG, GOOD
from tests.scoring.tiny_platform import LocalCompute

__all__ = ["alone", "process_group"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

START = """
import pickle, torch
from aar.guest.training_task import Task
from safetensors.torch import load_file, save_file
student = Task.read().trainable_student()
student.save()
weights = load_file("adapter.safetensors")
"""
HOSTILE = (
    ("pickle.dump({'head/bias': [0]}, open('adapter.safetensors', 'wb'))", "the adapter's header is too long"),
    ("open('adapter.safetensors', 'wb').write(bytes(99))", "the adapter is not a safetensors file"),
    ("weights['head/bias'].fill_(float('nan')); save_file(weights, 'adapter.safetensors')", "head/bias holds NaN"),
    ("save_file({**weights, 'x': torch.ones(1)}, 'adapter.safetensors')", "the adapter has a tensor 'x' that"),
)


class HerePrograms(ProgramScheduler):
    """Runs training programs at once, in real sandboxes, with no cluster between."""

    def _run(self, program: ProgramRun, model: str, account: str) -> bytes:
        return run_program(program, Path(model), provider("bubblewrap"), CONFIG)

    def _adapter(self, ended: bytes) -> bytes:
        return ended


@pytest.fixture
def compute(alone: Group, monkeypatch: pytest.MonkeyPatch) -> LocalCompute:
    monkeypatch.setattr("aar.compute.client.get", lambda value: value)
    monkeypatch.setattr("aar.experiments.program_scheduler.get", lambda value: value)
    return LocalCompute(alone)


@pytest.fixture
def backend(compute: LocalCompute, llama_folder: Path) -> ModelBackend:
    examples = tuple(Judgement("", text) for (text,) in TEXTS)
    labels = np.stack([1 - CLASSES, CLASSES], axis=1).astype(np.float32)
    task = TrainingData("binary", examples, labels, recipe())
    here = compute.for_threads()
    programs = HerePrograms(None, here, None)  # type: ignore[arg-type]
    return ModelBackend(task, 3, str(llama_folder), ComputeClient(here, "ada"), programs)


@pytest.fixture
def pool() -> Iterator[Pool]:
    limits = Limits(memory_bytes=512 * 2**20, wall_seconds=180, processes=16)
    with closing(method_pool(provider("bubblewrap"), limits, size=0)) as pool:
        yield pool


def test_a_student_of_a_program_is_like_any_other(backend: ModelBackend, pool: Pool) -> None:
    method = f"""
def supervise(lab):
    student = lab.train({GOOD!r}, arrays={{"targets": lab.weak_labels[:, 1]}})
    right = (student.predict().argmax(1) == lab.weak_labels.argmax(1)).mean()
    assert right > 0.9, right
    assert lab.budget["programs"] == 0
    return student
"""
    returned = run_method(method.encode(), backend, pool, RunBudget(0, programs=1))
    assert isinstance(returned, str)
    assert accuracy(backend.predict(returned, None)[:, 1] - 0.5) > 0.9


@pytest.mark.parametrize(("program", "reason"), HOSTILE)
def test_an_adapter_that_is_not_a_student_is_an_error_that_a_method_can_read(
    backend: ModelBackend, compute: LocalCompute, pool: Pool, program: str, reason: str
) -> None:
    method = f"def supervise(lab):\n  return lab.train({START + program!r})"
    with pytest.raises(MethodError) as caught:
        run_method(method.encode(), backend, pool, RunBudget(0, programs=1))
    assert f"method raised LabError: {reason}" in str(caught.value)
    assert compute.results == {}


def test_programs_that_hand_back_a_gibibyte_leave_nothing(
    backend: ModelBackend, compute: LocalCompute, pool: Pool
) -> None:
    program = "import os; os.truncate(os.open('adapter.safetensors', os.O_CREAT | os.O_RDWR), 512 * 2**20)"
    method = f"""
def supervise(lab):
    for number in range(2):
        try:
            lab.train({program!r} + f" #{{number}}")
        except Exception as error:
            print(error)
    return lab.train("")
"""
    with pytest.raises(MethodError, match="the adapter is not a safetensors file"):
        run_method(method.encode(), backend, pool, RunBudget(0, programs=2))
    assert sum(map(len, compute.results.values())) == 0
