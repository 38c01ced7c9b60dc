"""Checks weights that were trained elsewhere, before anything is computed with them.

The code below reads the file itself: a library may allocate, overflow or crash on what a header claims. torch only
gets parts of the file whose length, type and shape fit each other.

Covers: files that are not safetensors, too large, or wrong about their contents; missing, surplus and misnamed tensors;
wrong shapes and types; values that are not finite, or so large that no training has made them.
Does not cover: what the weights do. A student's score shows that.
"""

import json
import math
from typing import Any

import torch
from torch import Tensor

from aar.errors import ModelError
from aar.models.language_model import LayerSplit
from aar.models.student import Student, StudentShape

MAX_BYTES = 2**30
MAX_HEADER_BYTES = 2**20
MAX_TENSORS = 10_000
MAX_DIMENSIONS = 2
LARGEST_VALUE = 1e4
"""Of a weight. Working LoRA matrices hold values around 1 and below."""
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
_LENGTH_BYTES = 8


def adopted(data: bytes, shape: StudentShape, cut: LayerSplit, max_rank: int) -> Student:
    """Return the student whose weights are in the safetensors file `data`, in float32.

    The file holds, for each linear layer of the cut's top by its name, `<name>/down` (in, rank) and `<name>/up`
    (rank, out), one rank for all, at most `max_rank`; for the form "scalar_head" also `head/weight` (hidden,) and
    `head/bias` (1,).

    Raises:
        ModelError: the file is not like that; the message names the tensor and what was expected.
    """
    weights = _tensors(data)
    expected = _shapes(shape, cut, _rank(weights, cut, max_rank))
    for name in expected.keys() - weights.keys():
        raise ModelError(f"the adapter has no tensor {name}; it needs {len(expected)} in all")
    for name in weights.keys() - expected.keys():
        raise ModelError(f"the adapter has a tensor {name[:100]!r} that belongs to no layer which may be trained")
    return Student(shape, {name: _checked(name, weights[name], size) for name, size in expected.items()})


def _tensors(data: bytes) -> dict[str, Tensor]:
    if len(data) > MAX_BYTES:
        raise ModelError(f"the adapter has {len(data)} bytes; at most {MAX_BYTES} are allowed")
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    begin = _LENGTH_BYTES + length
    if length > MAX_HEADER_BYTES or begin > len(data):
        raise ModelError(f"the adapter's header is too long to be one; at most {MAX_HEADER_BYTES} bytes are allowed")
    header = _header(data[_LENGTH_BYTES:begin])
    values = memoryview(bytearray(data[begin:]))  # torch requires writable memory
    tensors: dict[str, Tensor] = {}
    end = 0
    # Sorted by offset, tensors must follow each other without gaps or overlaps: no byte is used twice or left out.
    for name, entry in sorted(header.items(), key=lambda pair: _offsets(*pair)):
        first, last = _offsets(name, entry)
        dtype, shape = _dtype(name, entry), _shape(name, entry)
        if first != end or last > len(values) or last - first != dtype.itemsize * math.prod(shape):
            raise ModelError(
                f"the adapter is not a safetensors file: the data_offsets of {name[:100]!r} do not fit its shape"
            )
        if first == last:
            raise ModelError(f"the adapter's {name[:100]} is empty")
        tensors[name] = torch.frombuffer(values[first:last], dtype=dtype).view(shape)
        end = last
    if end != len(values):
        raise ModelError(f"the adapter is not a safetensors file: {len(values) - end} bytes belong to no tensor")
    return tensors


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the adapter is not a safetensors file: its header is not JSON: {str(error)[:100]}") from None
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise ModelError(f"the adapter is not a safetensors file: its header must name at most {MAX_TENSORS} tensors")
    header.pop("__metadata__", None)
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("duplicate tensor name")
    return dict(pairs)


def _offsets(name: str, entry: Any) -> tuple[int, int]:
    match entry:
        case {"data_offsets": [int(first), int(last)]} if 0 <= first <= last <= MAX_BYTES:
            return first, last
    raise ModelError(f"the adapter is not a safetensors file: {name[:100]!r} has no valid data_offsets")


def _dtype(name: str, entry: dict[str, Any]) -> torch.dtype:
    dtype = entry.get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelError(f"the adapter's {name[:99]} has dtype {str(dtype)[:20]}; it must be {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _shape(name: str, entry: dict[str, Any]) -> tuple[int, ...]:
    shape = entry.get("shape")
    if isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS:
        sides = [side for side in shape if type(side) is int and 0 <= side <= MAX_BYTES]
        if len(sides) == len(shape):
            return tuple(sides)
    raise ModelError(f"the adapter's {name[:100]} has no valid shape of at most {MAX_DIMENSIONS} dimensions")


def _rank(weights: dict[str, Tensor], cut: LayerSplit, maximum: int) -> int:
    """Return the rank of the first layer, which all must have."""
    name = f"{next(iter(cut.linears))}/down"
    if name not in weights:
        raise ModelError(f"the adapter has no tensor {name}; tensors are named after the layers that may be trained")
    size = tuple(weights[name].shape)
    if len(size) != 2 or not 1 <= size[1] <= maximum:
        raise ModelError(f"{name} has shape {size}; it must be (in, rank) with a rank from 1 to {maximum}")
    return size[1]


def _shapes(shape: StudentShape, cut: LayerSplit, rank: int) -> dict[str, tuple[int, ...]]:
    expected: dict[str, tuple[int, ...]] = {}
    for name, linear in cut.linears.items():
        expected[f"{name}/down"] = (linear.frozen.in_features, rank)
        expected[f"{name}/up"] = (rank, linear.frozen.out_features)
    if shape.form == "scalar_head":
        expected |= {"head/weight": (cut.hidden_size,), "head/bias": (1,)}
    return expected


def _checked(name: str, tensor: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(tensor.shape) != size:
        raise ModelError(f"{name} has shape {tuple(tensor.shape)}; it must be {size}")
    if not torch.isfinite(tensor).all():
        raise ModelError(f"{name} holds NaN or infinity; did the training diverge?")
    largest = float(tensor.abs().max())
    if largest > LARGEST_VALUE:
        raise ModelError(f"{name} holds {largest:g}; values above {LARGEST_VALUE:g} are not accepted. Did it diverge?")
    return tensor.float()
