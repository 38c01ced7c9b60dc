"""Weights that were trained elsewhere, checked before anything is computed with them.

Covers: files that are no safetensors, too large, or lie about their contents; missing, surplus and misnamed tensors;
wrong shapes and types; values that are not finite.
Does not cover: what the weights do; that is what a student is scored for.
"""

import safetensors.torch
import torch
from torch import Tensor

from aar.errors import ModelError
from aar.models.language_model import Cut
from aar.models.student import Student, StudentShape

MAX_BYTES = 2**30
MAX_HEADER_BYTES = 2**20
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def adopted(data: bytes, shape: StudentShape, cut: Cut, max_rank: int) -> Student:
    """The student whose weights are in the safetensors file `data`, in float32.

    The file holds, for each linear layer of the cut's top by its name, `<name>/down` (in, rank) and `<name>/up`
    (rank, out), one rank for all, at most `max_rank`; for the form "scalar_head" also `head/weight` (hidden,) and
    `head/bias` (1,).

    Raises:
        ModelError: it does not; the message names the tensor and what was expected.
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
    if int.from_bytes(data[:8], "little") > MAX_HEADER_BYTES:
        raise ModelError(f"the adapter's header is too long to be one; at most {MAX_HEADER_BYTES} bytes are allowed")
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"the adapter is no safetensors file: {error}") from None


def _rank(weights: dict[str, Tensor], cut: Cut, most: int) -> int:
    """The rank that the first layer has, which all must have."""
    name = f"{next(iter(cut.linears))}/down"
    if name not in weights:
        raise ModelError(f"the adapter has no tensor {name}; names are those of the layers that may be trained")
    found = tuple(weights[name].shape)
    if len(found) != 2 or not 1 <= found[1] <= most:
        raise ModelError(f"{name} has shape {found}; it must be (in, rank) with a rank from 1 to {most}")
    return found[1]


def _shapes(shape: StudentShape, cut: Cut, rank: int) -> dict[str, tuple[int, ...]]:
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
    if tensor.dtype not in DTYPES:
        raise ModelError(f"{name} has dtype {tensor.dtype}; it must be one of {', '.join(map(str, DTYPES))}")
    if not torch.isfinite(tensor).all():
        raise ModelError(f"{name} holds NaN or infinity; did the training diverge?")
    return tensor.float()
