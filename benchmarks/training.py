"""Training times: students alone or side by side, with the hidden states below the trained layers kept or recomputed.

    python -m benchmarks.training [STUDENTS] [PAIRS]

Prints seconds per student for the quickstart's model and data, and each as a ratio to one student alone with a kept
prefix. Same machine, same process, one after the other; run it on a quiet machine.
"""

import os
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist

from aar.compute.engine import Group
from aar.compute.executor import RequestExecutor
from aar.compute.requests import FineTune, LogLikelihoods
from aar.compute.store import StoredTexts, texts_to_bytes
from aar.config import load_config
from aar.models import language_model
from aar.models.recipe import XENT
from aar.problems.key import Key
from aar.problems.loading import load_dataset
from aar.problems.prompts import model_texts

QUICKSTART = Path(__file__).parents[1] / "jobs" / "quickstart.toml"


def main(students: int, pairs: int) -> None:
    """Measure and print."""
    os.environ["LOCAL_RANK"] = "0"  # DeepSpeed insists on it; Ray Train sets it
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())  # type: ignore[attr-defined]
    seconds_per_student(1, pairs, kept=True)  # fetches the model and warms up
    alone = seconds_per_student(1, pairs, kept=True)
    print(f"{'one student, prefix kept':40} {alone:6.1f} s   1.00")
    for count, kept in ((1, False), (students, True)):
        what = f"{count} side by side, prefix {'kept' if kept else 'recomputed each time'}"
        each = seconds_per_student(count, pairs, kept)
        print(f"{what:40} {each:6.1f} s   {each / alone:.2f}")


def seconds_per_student(students: int, pairs: int, kept: bool) -> float:
    """Return the wall time of one training of several students, its prefix included, divided by their number."""
    problem = load_config(QUICKSTART).problem
    model, recipe = problem.student.model, problem.recipe
    split = load_dataset(problem.dataset().model_copy(update={"train_unlabel": pairs}), Key.new()).train_unlabel
    texts = model_texts(split.examples, recipe.form)
    named = StoredTexts.of(texts)
    weights, rows = np.ones(pairs, np.float32), np.arange(pairs)
    requests = [
        FineTune(
            model, named, (" A", " B"), recipe, split.labels.astype(np.float32), weights, rows, shuffle=True,
            loss=XENT, seed=seed,
        )
        for seed in range(students)
    ]  # fmt: skip
    short = StoredTexts.of((("a",),))
    artifacts = {named.digest: texts_to_bytes(texts), short.digest: texts_to_bytes((("a",),))}
    executor = RequestExecutor(torch.device("cpu"), "auto", Group(0), artifacts.__getitem__)
    executor.execute([LogLikelihoods(model, short, 32)])  # loads the model, and nothing of what is measured
    began = time.perf_counter()
    with mock.patch.object(language_model, "MAX_KEPT_BYTES", language_model.MAX_KEPT_BYTES if kept else 0):
        executor.execute(requests)
    return (time.perf_counter() - began) / students


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], *("3", "300")[len(sys.argv) - 1 :]]))
