"""One of two processes of which one alone sees a student diverge: `python -m tests.compute.two_ranks_diverge ...`.

Its arguments are the model's folder, the folder for results, the rank and the dtype.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from aar.compute.engine import FitSpec, Group
from aar.errors import TrainingError
from aar.models.language_model import LanguageModel
from tests.compute.toy import TARGETS, fit, recipe, trained
from tests.tiny_model import CPU

HOW = recipe()


def main(folder: Path, model: LanguageModel, rank: int) -> None:
    """Train a good student beside another good one, and beside one whose last target, which rank 1 has, is NaN."""
    os.environ["LOCAL_RANK"] = str(rank)  # DeepSpeed insists on it; Ray Train sets it
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    spoilt = 1 - TARGETS
    spoilt[-1] = np.nan
    for stage in (1, 2):
        group = Group(stage)
        for name, targets in (("good", 1 - TARGETS), ("bad", spoilt)):
            prefix = folder / f"stage-{stage}-rank-{rank}-beside-{name}"
            write(prefix, model, [fit(HOW), in_order(targets)], group)
    dist.destroy_process_group()


def in_order(targets: np.ndarray) -> FitSpec:
    """A fit that visits rows in their order, every second of which each rank has."""
    usual = fit(HOW, targets)
    return replace(usual, visits=replace(usual.visits, shuffle=False))


def write(place: Path, model: LanguageModel, fits: list[FitSpec], group: Group) -> None:
    """Write the students, or why there is none, to files whose names begin with `place`."""
    for number, outcome in enumerate(trained(model, HOW, fits, group)):
        content = str(outcome).encode() if isinstance(outcome, TrainingError) else outcome.to_bytes()
        Path(f"{place}-{number}").write_bytes(content)


if __name__ == "__main__":
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[sys.argv[4]]
    main(Path(sys.argv[2]), LanguageModel(Path(sys.argv[1]), CPU, dtype), int(sys.argv[3]))
