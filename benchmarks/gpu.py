"""Checks of training that only a GPU can make: isolation of students, bit for bit, and speed.

    python -m benchmarks.gpu [--layers N] [--hidden N]

A model of random weights, by default of SmolLM2-135M's shape, is made on the spot, so that nothing has to be fetched.
Checked in float32 and bfloat16: a student is bit for bit the same beside one that diverges as beside one that does not,
and the one that diverges fails alone. Then the speed of training, for one student and for four side by side.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from transformers import LlamaConfig, LlamaForCausalLM

from aar.compute.engine import Group
from aar.errors import TrainingError
from aar.models.language_model import LanguageModel
from aar.models.student import Student
from tests.compute.toy import TARGETS, fit, recipe, trained
from tests.tiny_model import save, tiny_config

HOW = recipe(last_layers=5, lora_rank=8, batch_size=16, epochs=20, lr=1e-3)


def main(layers: int, hidden: int) -> None:
    """Check and print."""
    os.environ["LOCAL_RANK"] = "0"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    print(f"{torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        shape = tiny_config(
            LlamaConfig, num_hidden_layers=layers, hidden_size=hidden, intermediate_size=8 * hidden // 3,
            num_attention_heads=9, num_key_value_heads=3, head_dim=hidden // 9, initializer_range=0.02,
        )  # fmt: skip
        saved = save(LlamaForCausalLM, shape, Path(folder) / "model")
        for dtype in (torch.float32, torch.bfloat16):
            model = LanguageModel(saved, device, dtype)
            for stage in (0, 1, 2):
                print(f"{dtype}, ZeRO {stage}: {isolation(model, Group(stage))}", flush=True)
            for students in (1, 4):
                print(f"{dtype}, {students} at once: {rows_per_second(model, Group(0), students):.0f} rows/s")


def isolation(model: LanguageModel, group: Group) -> str:
    """Compare a student trained beside a good one with the same student beside one that diverges."""
    good, other = fit(HOW), fit(HOW, 1 - TARGETS)
    bad = replace(other, targets=np.full_like(TARGETS, np.nan))
    undisturbed, _ = trained(model, HOW, [good, other], group)
    student, failure = trained(model, HOW, [good, bad], group)
    assert isinstance(undisturbed, Student) and isinstance(student, Student), (undisturbed, student)
    assert isinstance(failure, TrainingError), failure
    same = all(torch.equal(value, student.weights[name]) for name, value in undisturbed.weights.items())
    return "the same bit for bit" if same else "DIFFERENT"


def rows_per_second(model: LanguageModel, group: Group, students: int) -> float:
    """Return the rows that all students together are trained on in a second."""
    fits = [fit(HOW, seed=seed) for seed in range(students)]
    trained(model, HOW, fits, group)
    began = time.perf_counter()
    trained(model, HOW, fits, group)
    return students * HOW.epochs * len(TARGETS) / (time.perf_counter() - began)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=576)
    given = parser.parse_args()
    main(given.layers, given.hidden)
