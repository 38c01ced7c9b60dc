"""Students: the weights of a fine-tuned one, and several of them as one torch module on one base."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from aar.errors import ModelError
from aar.models.language_model import LanguageModel, LayerSplit
from aar.models.lora import Adapter, adapters_attached, new_adapter
from aar.models.recipe import Form, Recipe


@dataclass(frozen=True)
class StudentShape:
    """The meaning of a student's weights: which layers they change, and how a class is read off the hidden state.

    labels: the two label tokens of class 0 and 1; unused by the form "scalar_head".
    """

    form: Form
    last_layers: int | None
    max_tokens: int
    labels: tuple[str, str]

    @classmethod
    def of(cls, recipe: Recipe, labels: tuple[str, str]) -> "StudentShape":
        """Return the shape of the students that a recipe trains."""
        return cls(recipe.form, recipe.last_layers, recipe.max_tokens, labels)


@dataclass(frozen=True)
class Student:
    """A trained student: its shape and its weights (LoRA adapter and, for "scalar_head", the head), on the CPU."""

    shape: StudentShape
    weights: Adapter

    def to_bytes(self) -> bytes:
        """Return a safetensors file, with the shape in its metadata."""
        shape = self.shape
        metadata = {
            "form": shape.form,
            "last_layers": str(shape.last_layers or "all"),
            "max_tokens": str(shape.max_tokens),
            "label_0": shape.labels[0],
            "label_1": shape.labels[1],
        }
        return safetensors.torch.save({name: tensor.contiguous() for name, tensor in self.weights.items()}, metadata)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Student":
        """The inverse of `to_bytes`. Raises ModelError when the bytes are not a student."""
        try:
            weights = safetensors.torch.load(data)
            header = int.from_bytes(data[:8], "little")
            metadata = _metadata(data[8 : 8 + header])
            last = metadata["last_layers"]
            shape = StudentShape(
                form="scalar_head" if metadata["form"] == "scalar_head" else "label_token",
                last_layers=None if last == "all" else int(last),
                max_tokens=int(metadata["max_tokens"]),
                labels=(metadata["label_0"], metadata["label_1"]),
            )
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise ModelError(f"these bytes are not a student: {error}") from None
        return cls(shape, weights)


def probe_student(cut: LayerSplit, shape: StudentShape, weight: np.ndarray, bias: float) -> Student:
    """Return a student with the form "scalar_head" that leaves the model as it is, and has this (hidden,) head.

    Raises:
        ModelError: `weight` is not as long as the model's hidden state.
    """
    if weight.shape != (cut.hidden_size,):
        raise ModelError(f"the head has {weight.size} weights, and the model's hidden state has {cut.hidden_size}")
    weights = new_weights(cut, "scalar_head", 1, seed=0)  # `up` is zero, so the adapter does nothing
    head = {"head/weight": torch.from_numpy(weight.astype(np.float32)), "head/bias": torch.tensor([bias])}
    return Student(shape, {**weights, **head})


def averaged(students: Sequence[Student], shares: Sequence[float]) -> Student:
    """Return the student whose weights are the weighted mean of these students', elementwise, in float32.

    Both LoRA factors are averaged, not their product: for students of one start, which move little, the difference is
    small, and the rank stays what it was.

    Source: Wortsman et al. 2022, "Model soups", arXiv 2203.05482; Rame et al. 2024, "WARM", arXiv 2401.12187.

    Raises:
        ModelError: the students are not of one shape.
    """
    first = students[0]
    names = {name: tensor.shape for name, tensor in first.weights.items()}
    for student in students:
        if student.shape != first.shape or {name: tensor.shape for name, tensor in student.weights.items()} != names:
            raise ModelError("only students of one shape can be averaged")
    weights = {name: torch.zeros(shape) for name, shape in names.items()}
    for student, share in zip(students, shares, strict=True):
        for name, total in weights.items():
            total += share * student.weights[name].float()
    return Student(first.shape, weights)


def _metadata(header: bytes) -> dict[str, str]:
    metadata: dict[str, str] = json.loads(header)["__metadata__"]
    return metadata


def new_weights(cut: LayerSplit, form: Form, rank: int, seed: int) -> Adapter:
    """Return a student's float32 weights before training, decided by the seed."""
    generator = torch.Generator().manual_seed(seed)
    weights = new_adapter(cut.linears, rank, generator)
    if form == "scalar_head":
        bound = cut.hidden_size**-0.5
        weights["head/weight"] = torch.empty(cut.hidden_size).uniform_(-bound, bound, generator=generator)
        weights["head/bias"] = torch.zeros(1)
    return weights


class StudentGroup(nn.Module):
    """Several students of one shape on one base: one forward pass serves them all.

    A student is two parameters, all its adapter matrices in one flat tensor and its head, because an optimizer spends
    more time on a hundred small tensors than on their contents.
    """

    def __init__(self, model: LanguageModel, shape: StudentShape, weights: Sequence[Mapping[str, Tensor]]) -> None:
        super().__init__()
        self._cut = model.cut(shape.last_layers)
        self.top = self._cut.top
        self.shape = shape
        self._layout = {name: tensor.shape for name, tensor in weights[0].items() if not name.startswith("head/")}
        self.adapters = nn.ParameterList(nn.Parameter(self._flat(student)) for student in weights)
        self.heads = nn.ParameterList(
            nn.Parameter(torch.cat([student["head/weight"], student["head/bias"]]))
            for student in weights if shape.form == "scalar_head"
        )  # fmt: skip
        self._label_direction = model.label_direction(shape.labels)

    def forward(self, states: Tensor, last: Tensor, student_indices: Sequence[int]) -> Tensor:
        """Scores of sequences.

        Args:
            states: (s · r, tokens, hidden) the input of the top layers, rows grouped by student.
            last: (s · r,) position of each sequence's last token.
            student_indices: the s students to which the groups of rows belong.

        Returns:
            (s, r) float32: for "label_token" the log-odds of label 1 against label 0, for "scalar_head" the
            scalar's value.
        """
        with self.activated(student_indices):
            hidden = self.top(inputs_embeds=states, use_cache=False).last_hidden_state
        final = hidden[torch.arange(len(hidden), device=hidden.device), last].float()
        final = final.view(len(student_indices), -1, final.shape[-1])
        if self.shape.form == "label_token":
            return torch.mv(final.flatten(0, 1), self._label_direction).view(len(student_indices), -1)
        heads = torch.stack([self.heads[index] for index in student_indices]).float()
        return torch.einsum("srd,sd->sr", final, heads[:, :-1]) + heads[:, -1:]

    def activated(self, student_indices: Sequence[int]) -> adapters_attached:
        """Context in which the base's layers compute with these students' adapters, with equally many rows for each."""
        return adapters_attached(self._cut.linears, self._stacks(student_indices))

    def weights_of(self, student_index: int) -> Adapter:
        """Return a student's weights, by name, on the CPU."""
        parts = self._parts(self.adapters[student_index].detach()[None])
        weights = {name: part[0] for name, part in parts.items()}
        if len(self.heads):
            head = self.heads[student_index].detach()
            weights |= {"head/weight": head[:-1], "head/bias": head[-1:]}
        return {name: tensor.to("cpu", copy=True) for name, tensor in weights.items()}

    def _stacks(self, student_indices: Sequence[int]) -> dict[str, Tensor]:
        return self._parts(torch.stack([self.adapters[index] for index in student_indices]))

    def _parts(self, flat: Tensor) -> dict[str, Tensor]:
        """Split (students, all) into each matrix as (students, rows, columns)."""
        pieces = torch.split_with_sizes(flat, [shape.numel() for shape in self._layout.values()], dim=1)
        return {
            name: piece.view(-1, *shape)
            for (name, shape), piece in zip(self._layout.items(), pieces, strict=True)
        }  # fmt: skip

    def _flat(self, weights: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([weights[name].reshape(-1) for name in self._layout])


def log_odds(scores: Tensor, texts_per_example: int) -> Tensor:
    """Turn (..., n · k) scores of sequences into (..., n) log-odds of class 1.

    With one text per example the score itself; with two the difference second - first (Bradley-Terry).
    """
    if texts_per_example == 1:
        return scores
    pairs = scores.view(*scores.shape[:-1], -1, 2)
    return pairs[..., 1] - pairs[..., 0]
