"""The interface for training programs: the task to solve, and students in the platform's own form.

A training program is a researcher's own Python file that runs in a sandbox with torch and transformers; see
`Lab.train`. A complete program:

    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits
    from aar.guest.training_task import Task

    task = Task.read()
    student = task.trainable_student()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    targets = torch.tensor(task.weak_labels[:, 1], device=student.device)
    for rows in torch.randperm(len(targets)).split(16):
        loss = binary_cross_entropy_with_logits(student.log_odds(rows), targets[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    student.save()

A program need not use any of this. It can read the files itself (`Task.read` shows where they are) and write
`adapter.safetensors` into its working folder, with the tensors that `aar.models.adoption.adopted` names, such as
`7/self_attn/q_proj/down` for the eighth layer. The platform checks that file in either case.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aar.models.recipe import Recipe

ADAPTER = "adapter.safetensors"
DATA = "AAR_DATA"
"""The environment variable with the folder of a program's inputs."""


@dataclass(frozen=True, eq=False)
class Task:
    """The inputs of a training program.

    Attributes:
        examples, kind, seed: as in `Lab`.
        weak_labels: (n, 2) float32, as in `Lab`.
        arrays: the arrays that the method passed to `Lab.train`, by name.
        texts: the input of the strong model: for each example one text, or the two that compete.
        model: the strong model's folder, which transformers can load.
        recipe: the platform's own training settings.
        labels: the two label tokens of a "label_token" student.
        rank, world_size: the index of this process, from 0, and the number of processes. They find each other as
            torch.distributed expects.
    """

    examples: list[dict[str, str]]
    kind: str
    seed: int
    weak_labels: np.ndarray
    arrays: dict[str, np.ndarray]
    texts: tuple[tuple[str, ...], ...]
    model: Path
    recipe: Recipe
    labels: tuple[str, str]
    rank: int
    world_size: int

    @classmethod
    def read(cls) -> "Task":
        """Read the task of this process."""
        data = Path(os.environ[DATA])
        facts = json.loads((data / "task/task.json").read_text())
        arrays = {file.stem: np.load(file, allow_pickle=False) for file in (data / "task/arrays").glob("*.npy")}
        return cls(
            examples=facts["examples"],
            kind=facts["kind"],
            seed=facts["seed"],
            weak_labels=np.load(data / "task/weak_labels.npy", allow_pickle=False),
            arrays=arrays,
            texts=tuple(map(tuple, facts["texts"])),
            model=data / "model",
            recipe=Recipe(**facts["recipe"]),
            labels=tuple(facts["labels"]),
            rank=int(os.environ.get("RANK", 0)),
            world_size=int(os.environ.get("WORLD_SIZE", 1)),
        )

    def trainable_student(self, rank: int | None = None) -> "TrainableStudent":
        """Return a fresh student on the strong model, on this process's GPU or the CPU. The seed decides its weights.

        rank: the rank of its LoRA matrices. None takes the recipe's, and a student of a higher rank is not accepted.
        """
        return TrainableStudent(self, rank or self.recipe.lora_rank)


class TrainableStudent:
    """A student in training: float32 LoRA weights for the layers that the recipe names, on the frozen strong model.

    device: where its parameters and its log-odds are; targets must be there too.
    """

    def __init__(self, task: Task, rank: int) -> None:
        import torch

        from aar.models.language_model import HiddenStateCache, LanguageModel, choose_dtype
        from aar.models.student import StudentGroup, StudentShape, new_weights

        local = int(os.environ.get("LOCAL_RANK", 0))
        self.device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        model = LanguageModel(task.model, self.device, choose_dtype("auto", self.device))
        recipe, flat = task.recipe, [text for texts in task.texts for text in texts]
        cut = model.cut(recipe.last_layers)
        shape = StudentShape(recipe.form, recipe.last_layers, recipe.max_tokens, task.labels)
        weights = new_weights(cut, recipe.form, rank, task.seed)
        self._each = len(task.texts[0])
        self._prefix = HiddenStateCache(cut, model.encode(flat, recipe.max_tokens), self.device)
        self._group = StudentGroup(model, shape, [weights]).to(self.device)
        self._dtype = model.dtype
        model.train_mode(True)

    def parameters(self) -> Iterator[Any]:
        """Return the tensors to train: all LoRA matrices as one, and the head if there is one."""
        return iter((*self._group.adapters, *self._group.heads))

    def log_odds(self, rows: Any) -> Any:
        """Return (r,) log-odds of class 1, with gradients, for the examples with row numbers `rows`, (r,) int64."""
        import torch

        from aar.models.student import log_odds

        rows = torch.as_tensor(rows).cpu()  # the cache takes row numbers on the CPU, wherever its states are
        sequences = (rows[:, None] * self._each + torch.arange(self._each)).reshape(-1)
        states, last = self._prefix.rows(sequences)
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32):
            return log_odds(self._group(states, last, [0]), self._each)[0].float()

    def save(self) -> None:
        """Write the student for the platform. With several processes, only the first one writes."""
        import safetensors.torch

        if int(os.environ.get("RANK", 0)) == 0:
            weights = {name: tensor.contiguous() for name, tensor in self._group.weights_of(0).items()}
            safetensors.torch.save_file(weights, ADAPTER)
