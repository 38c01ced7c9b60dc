"""Training programs: real ones, in real sandboxes, on a tiny model, and what becomes of what they hand back."""

import dataclasses
import re
import time
from pathlib import Path

import numpy as np
import pytest

from aar.config import ProgramsConfig
from aar.errors import LabError
from aar.experiments.program_sandbox import ProgramRun, run_program
from aar.guest.training_task import ADAPTER
from aar.models.adoption import adopted
from aar.models.language_model import LanguageModel
from aar.models.student import StudentShape
from aar.sandbox import provider
from aar.sandbox.linux.identity import FOLDERS, sandbox_folder_prefix
from tests.compute.toy import CLASSES, TEXTS, accuracy, odds, recipe
from tests.tiny_model import LABELS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

SHAPE = StudentShape("scalar_head", 2, 32, LABELS)
CONFIG = ProgramsConfig(memory_gib=4, wall_seconds=120)
GOOD = """
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from aar.guest.training_task import Task

task = Task.read()
student = task.trainable_student()
optimizer = torch.optim.AdamW(student.parameters(), lr=0.02)
targets = torch.tensor(task.arrays["targets"])
torch.manual_seed(task.seed)
for _ in range(4):
    for rows in torch.randperm(len(targets)).split(8):
        loss = binary_cross_entropy_with_logits(student.log_odds(rows), targets[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
student.save()
"""
TOGETHER = """
import torch
import torch.distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits
from aar.guest.training_task import Task

task = Task.read()
dist.init_process_group("gloo")
student = task.trainable_student()
parameters = list(student.parameters())
optimizer = torch.optim.AdamW(parameters, lr=0.02)
targets = torch.tensor(task.arrays["targets"])
for _ in range(12):
    rows = torch.arange(len(targets))[dist.get_rank() :: dist.get_world_size()]
    loss = binary_cross_entropy_with_logits(student.log_odds(rows), targets[rows])
    optimizer.zero_grad()
    loss.backward()
    for parameter in parameters:
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()
    optimizer.step()
mine = torch.cat([parameter.detach().flatten() for parameter in parameters])
everyones = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
dist.all_gather(everyones, mine)
assert len(everyones) == 2
assert torch.equal(*everyones), "the ranks have different students"
student.save()
"""
PLAIN = """
import json, os, torch
from pathlib import Path
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

data = Path(os.environ["AAR_DATA"])
recipe = json.loads((data / "task/task.json").read_text())["recipe"]
model = AutoModelForCausalLM.from_pretrained(data / "model")
first = len(model.model.layers) - recipe["last_layers"]
adapter = {"head/weight": torch.randn(model.config.hidden_size), "head/bias": torch.zeros(1)}
for number, layer in enumerate(model.model.layers):
    for path, linear in layer.named_modules():
        if number >= first and isinstance(linear, torch.nn.Linear):
            name = f"{number}/{path.replace('.', '/')}"
            adapter[f"{name}/down"] = torch.randn(linear.in_features, 3)
            adapter[f"{name}/up"] = torch.zeros(3, linear.out_features)
save_file(adapter, "adapter.safetensors")
"""


def program(source: str, ranks: int = 1) -> ProgramRun:
    return ProgramRun(
        source=source.encode(),
        ranks=ranks,
        arrays={"targets": CLASSES.astype(np.float32)},
        examples=[{"question": "", "choice": text} for (text,) in TEXTS],
        kind="binary",
        seed=3,
        weak_labels=np.full((len(TEXTS), 2), 0.5, np.float32),
        texts=TEXTS,
        recipe=recipe(),
        labels=LABELS,
    )


def handed_back(source: str, model: Path, ranks: int = 1, config: ProgramsConfig = CONFIG) -> bytes:
    return run_program(program(source, ranks), model, provider("bubblewrap"), config)


def failure(source: str, model: Path, config: ProgramsConfig = CONFIG, ranks: int = 1) -> str:
    with pytest.raises(LabError) as caught:
        handed_back(source, model, ranks, config)
    return str(caught.value)


@pytest.mark.parametrize(("source", "ranks"), [(GOOD, 1), (TOGETHER, 2)], ids=["one process", "two ranks"])
def test_a_student_trained_by_a_program_knows_its_task(
    llama: LanguageModel, llama_folder: Path, source: str, ranks: int
) -> None:
    student = adopted(handed_back(source, llama_folder, ranks), SHAPE, llama.cut(2), max_rank=4)
    assert accuracy(odds(llama, student)) > 0.9


def test_ranks_that_do_not_average_their_gradients_have_different_students(llama_folder: Path) -> None:
    alone = TOGETHER.replace("dist.all_reduce(parameter.grad)", "pass")
    assert "the ranks have different students" in failure(alone, llama_folder, ranks=2)


def test_a_program_that_knows_nothing_of_aar_can_hand_a_student_back(llama: LanguageModel, llama_folder: Path) -> None:
    student = adopted(handed_back(PLAIN, llama_folder), SHAPE, llama.cut(2), max_rank=4)
    assert student.weights["3/mlp/up_proj/down"].shape == (32, 3)


def test_a_program_sees_its_task_and_nothing_of_the_host(llama_folder: Path) -> None:
    source = """
import json, os, socket
from aar.guest.training_task import Task
task = Task.read()
try:
    open("/data/task/task.json", "a")
except OSError as error:
    print(error.strerror)
print(len(task.examples), task.kind, task.seed, task.weak_labels.shape, task.rank, task.world_size)
print(os.path.exists("/root"), [name for name in os.environ if "KEY" in name or "RAY" in name], os.getcwd())
"""
    message = failure(source, llama_folder)
    assert f"handed back no {ADAPTER}" in message
    assert re.search(r"(Read-only file system|Permission denied)\n48 binary 3 \(48, 2\) 0 1\nFalse \[\] /work", message)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ended with exit code 1"),
        ("import os; os.symlink('/etc/passwd', 'adapter.safetensors')", "handed back no adapter"),
        ("import os; os.mkfifo('adapter.safetensors')", "handed back no adapter"),
        ("import os; os.truncate(os.open('adapter.safetensors', 66), 2**30)", "exit code"),
        ("import time; print('up', flush=True); time.sleep(60)", "was killed: wall time limit 8 s\nit printed:\nup"),
    ],
)
def test_a_failure_is_reported(llama_folder: Path, source: str, reason: str) -> None:
    assert re.search(reason, failure(source, llama_folder, CONFIG.model_copy(update={"wall_seconds": 8})))


@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_rank_fails_all_end_at_once(llama_folder: Path, rank: int) -> None:
    source = f"import os, time\nif os.environ['RANK'] == '{rank}': raise SystemExit(5)\ntime.sleep(60)"
    started = time.monotonic()
    assert "ended with exit code 5" in failure(source, llama_folder, ranks=2)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_rank_that_a_signal_ends_has_failed(llama_folder: Path, ranks: int) -> None:
    source = "import os\nopen('adapter.safetensors', 'w')\nif os.environ['RANK'] == '0': os.kill(os.getpid(), 9)"
    assert "ended with exit code 137" in failure(source, llama_folder, ranks=ranks)


LEAVES_A_MESS = """
import os
place = os.open(".", os.O_RDONLY)
for _ in range(3000):
    os.mkdir("d", dir_fd=place)
    place = os.open("d", os.O_RDONLY, dir_fd=place)
    os.close(place - 1) if place > 100 else None
os.mkdir("locked"); open("locked/file", "w"); os.chmod("locked", 0)
"""


def test_whatever_a_program_leaves_behind_is_removed(llama_folder: Path) -> None:
    failure(LEAVES_A_MESS, llama_folder)
    assert not list(FOLDERS.glob(f"{sandbox_folder_prefix()}*"))


CHANGES = {
    "source": b"print(2)", "ranks": 2, "arrays": {"targets": np.zeros(3, np.float32)}, "examples": [{"question": "?"}],
    "kind": "preference", "seed": 4, "weak_labels": np.zeros((2, 2), np.float32), "texts": (("a", "b"),),
    "recipe": recipe(last_layers=1), "labels": (" x", " y"),
}  # fmt: skip


def test_all_that_a_program_is_given_counts_for_its_key() -> None:
    same, names = program("print(1)"), {field.name for field in dataclasses.fields(ProgramRun)}
    assert names == CHANGES.keys()
    others = [dataclasses.replace(same, **{name: value}) for name, value in CHANGES.items()]
    renamed = dataclasses.replace(same, arrays={"target": same.arrays["targets"]})
    keys = {one.key("llama") for one in (same, *others, renamed)} | {same.key("qwen")}
    assert len(keys) == len(CHANGES) + 3
    assert same.key("llama") == program("print(1)").key("llama")
