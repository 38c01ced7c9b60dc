"""One of two processes that train toy students: `python -m tests.compute.two_ranks MODEL FOLDER RANK`."""

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from aar.compute.engine import Group
from aar.compute.worker import agreed
from aar.models.language_model import LanguageModel
from tests.compute.toy import fit, recipe, train
from tests.tiny_model import CPU


def main(folder: Path, model: LanguageModel, rank: int) -> None:
    """With stage 0 the rank's number is the seed of its own student; with stage 1 both train students 0 and 1.

    Each also writes a value that it agrees on with its group.
    """
    os.environ["LOCAL_RANK"] = str(rank)  # DeepSpeed insists on it; Ray Train sets it
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for stage, seeds in ((0, [rank]), (1, [0, 1])):
        students = train(model, recipe(), [fit(recipe(), seed=seed) for seed in seeds], Group(stage))
        for seed, student in zip(seeds, students, strict=True):
            (folder / f"stage-{stage}-rank-{rank}-seed-{seed}").write_bytes(student.to_bytes())
        value = agreed([f"rank {rank}", {"ü": 0.1}], Group(stage), CPU)
        (folder / f"stage-{stage}-rank-{rank}-agreed").write_text(json.dumps(value))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[2]), LanguageModel(Path(sys.argv[1]), CPU, torch.float32), int(sys.argv[3]))
