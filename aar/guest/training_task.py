"""What a training program has at hand: the task it was given, and students in the platform's own form.

A program is a researcher's own Python file that runs in a sandbox with torch and transformers, see `Lab.train`:

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

A program that wants none of this reads the files itself (`Task.read` shows where they are) and writes
`adapter.safetensors` into its working folder, with the tensors that `aar.models.adoption.adopted` names, such as
`7/self_attn/q_proj/down` for the eighth layer. The platform checks it, whoever wrote it.
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
"""The environment variable with the folder of what a program is given."""


@dataclass(frozen=True, eq=False)
class Task:
    """What a program is given.

    Attributes:
        examples: the n training texts, as in `Lab.examples`; `kind` and `seed` are as there, too.
        weak_labels: (n, 2) float32.
        arrays: what the method passed along, by name.
        texts: what the strong model reads: for each example one text, or the two that compete.
        model: the strong model's folder, as transformers loads it.
        recipe: how the platform would train; `labels` are the two label tokens of a "label_token" student.
        rank, world_size: which of how many processes this is. They find each other as torch.distributed expects.
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
        """The task of this process."""
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
        """A fresh student on the strong model, on this process's GPU or the CPU, decided by the seed.

        `rank`: of its LoRA matrices; None takes the recipe's, above which no student is accepted.
        """
        return TrainableStudent(self, rank or self.recipe.lora_rank)


class TrainableStudent:
    """A student in training: LoRA on the layers that the recipe names, float32, on the frozen strong model.

    `device`: where its parameters and its log-odds are, so where targets have to be.
    """

    def __init__(self, task: Task, rank: int) -> None:
        import torch

        from aar.models.hidden_states import HiddenStateCache
        from aar.models.language_model import LanguageModel, choose_dtype
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
        """The tensors to train: all LoRA matrices as one, and the head if there is one."""
        return iter((*self._group.adapters, *self._group.heads))

    def log_odds(self, rows: Any) -> Any:
        """(r,) log-odds of class 1 for the examples with these row numbers, (r,) int64, with gradients."""
        import torch

        from aar.models.student import log_odds

        rows = torch.as_tensor(rows).cpu()  # the prefix knows its rows by number, wherever its states are
        sequences = (rows[:, None] * self._each + torch.arange(self._each)).reshape(-1)
        states, last = self._prefix.rows(sequences)
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32):
            return log_odds(self._group(states, last, [0]), self._each)[0].float()

    def save(self) -> None:
        """Hand the student back. With several processes, only the first one writes."""
        import safetensors.torch

        if int(os.environ.get("RANK", 0)) == 0:
            weights = {name: tensor.contiguous() for name, tensor in self._group.weights_of(0).items()}
            safetensors.torch.save_file(weights, ADAPTER)
