"""Adapters that were trained elsewhere: which are accepted as students, and which are refused."""

import contextlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from aar.errors import ModelError
from aar.models.adoption import adopted
from aar.models.language_model import LanguageModel
from aar.models.student import StudentShape, new_weights
from tests.tiny_model import LABELS

SHAPE = StudentShape("scalar_head", 2, 32, LABELS)
FIRST = "2/self_attn/q_proj/down"

Weights = dict[str, Tensor]


def weights(model: LanguageModel) -> Weights:
    return new_weights(model.cut(2), "scalar_head", 4, seed=1)


def test_a_student_trained_elsewhere_is_one_like_any_other(llama: LanguageModel) -> None:
    given = weights(llama)
    student = adopted(safetensors.torch.save(given), SHAPE, llama.cut(2), max_rank=4)
    assert student.shape == SHAPE
    assert all(torch.equal(student.weights[name], tensor) for name, tensor in given.items())


def test_half_precision_becomes_float32(llama: LanguageModel) -> None:
    given = {name: tensor.bfloat16() for name, tensor in weights(llama).items()}
    student = adopted(safetensors.torch.save(given), SHAPE, llama.cut(2), max_rank=4)
    assert {tensor.dtype for tensor in student.weights.values()} == {torch.float32}


def without(name: str) -> Callable[[Weights], Weights]:
    return lambda given: {key: tensor for key, tensor in given.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without(FIRST), f"has no tensor {FIRST}"),
        (without("head/bias"), "has no tensor head/bias; it needs"),
        (lambda given: {**given, "0/mlp/up_proj/down": torch.zeros(32, 4)}, "belongs to no layer which may be trained"),
        (lambda given: {**given, FIRST: torch.zeros(33, 4)}, r"has shape \(33, 4\); it must be \(32, 4\)"),
        (lambda given: {**given, FIRST: torch.zeros(32, 3)}, r"it must be \(3, "),
        (lambda given: {**given, FIRST: torch.zeros(32, 5)}, "a rank from 1 to 4"),
        (lambda given: {**given, FIRST: torch.zeros(32)}, "a rank from 1 to 4"),
        (lambda given: {**given, FIRST: torch.full((32, 4), 1e30)}, r"holds 1e\+30; values above 10000"),
        (lambda given: {**given, FIRST: torch.zeros(32, 4, dtype=torch.int64)}, "has dtype I64"),
        (lambda given: {**given, FIRST: torch.full((32, 4), float("nan"))}, "holds NaN or infinity"),
        (lambda given: {**given, "head/bias": torch.tensor([float("inf")])}, "holds NaN or infinity"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    llama: LanguageModel, spoil: Callable[[Weights], Weights], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        adopted(safetensors.torch.save(spoil(weights(llama))), SHAPE, llama.cut(2), max_rank=4)


def test_a_label_token_student_has_no_head(llama: LanguageModel) -> None:
    with pytest.raises(ModelError, match="head/"):
        adopted(safetensors.torch.save(weights(llama)), replace(SHAPE, form="label_token"), llama.cut(2), max_rank=4)


def header(content: object, size: int | None = None) -> bytes:
    text = json.dumps(content).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        pickle.dumps({FIRST: 1}),
        header({}, size=2**40),
        header({FIRST: {"dtype": "F32", "shape": [2**40, 4], "data_offsets": [0, 2**44]}}),
        header({FIRST: {"dtype": "F32", "shape": [32, 4], "data_offsets": [0, 512]}}),
        header({FIRST: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
        header({FIRST: {"dtype": "object", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
        header({FIRST: {"dtype": "F32", "shape": [2**63, 0], "data_offsets": [0, 0]}}),
        header({FIRST: {"dtype": "F32", "shape": [0, 2**62, 4], "data_offsets": [0, 0]}}),
        header({FIRST: {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}}) + bytes(4),
        header({FIRST: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + bytes(5),
        header({FIRST: {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]}}) + bytes(5),
        header({FIRST: {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]}}) + bytes(4),
        header({FIRST: {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
        header({FIRST: 7}), header([FIRST]), header("x" * 1000),
        (20).to_bytes(8, "little") + b"[" * 20,
        (9).to_bytes(8, "little") + b'{"a":1,"a',
        (2 * 10**5).to_bytes(8, "little") + b"[" * 10**5 + b"]" * 10**5,
        (5000).to_bytes(8, "little") + b"1" * 5000,
    ],
)  # fmt: skip
def test_bytes_that_are_not_a_safetensors_file_are_refused(llama: LanguageModel, data: bytes) -> None:
    with pytest.raises(ModelError, match="the adapter"):
        adopted(data, SHAPE, llama.cut(2), max_rank=4)


@given(st.data())
def test_a_file_with_a_few_changed_bytes_is_a_student_or_refused(llama: LanguageModel, data: st.DataObject) -> None:
    sound = bytearray(safetensors.torch.save(weights(llama)))
    length = 8 + int.from_bytes(sound[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        sound[data.draw(st.integers(0, length + 8))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError):
        assert adopted(bytes(sound), SHAPE, llama.cut(2), max_rank=4).shape == SHAPE
