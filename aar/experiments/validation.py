"""Validation of lab calls: the checks that turn a frame from a sandbox into a request.

Covers: types, shapes, finiteness and ranges of every argument; a request that passes can be given to the platform.
Does not cover: budgets and handles that depend on the run, which the broker checks.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from aar.errors import LabError
from aar.guest.wire import Frame
from aar.models.recipe import MAX_REPLICA, Loss, Pooling

MAX_EPOCHS = 20.0
MAX_LR = 0.1
MAX_TEMPLATE = 4000
MAX_LABEL = 40
MAX_LAYER = 512
MAX_LAYERS = 64
"""Layers of one embed call."""
MAX_PROGRAM = 2**18
MAX_AVERAGED = 64
MAX_HIDDEN = 2**16
LARGEST_WEIGHT = 1e4
MAX_REPEATS = 20
"""Row numbers per example in an order or a prediction."""
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class FineTuneCall:
    """A valid call of `lab.fine_tune`, for n training texts.

    targets: (n, 2) float32, rows sum to 1. weights: (n,) float32 >= 0, not all 0, or None. order: (m,) int64 row
    numbers of one epoch, or None. epochs, lr: None for the recipe's. base: the id of a student of this run, or None.
    replica: which of the run's seeds.
    """

    targets: np.ndarray
    weights: np.ndarray | None
    order: np.ndarray | None
    loss: Loss
    epochs: float | None
    lr: float | None
    base: str | None
    replica: int


def fine_tune_call(frame: Frame, n: int) -> FineTuneCall:
    """Validate a fine_tune call for n examples. Raises LabError, which names the argument that is not valid."""
    _only(frame, {"loss", "loss_options", "epochs", "lr", "base", "replica"}, {"targets", "weights", "order"})
    replica = frame.body.get("replica", 0)
    if type(replica) is not int or not 0 <= replica <= MAX_REPLICA:
        raise LabError(f"replica is {_shown(replica)}; it must be a whole number from 0 to {MAX_REPLICA}")
    weights = _weights(frame.arrays.get("weights"), n)
    order = rows(frame, "order", n)
    if weights is not None and order is not None and not weights[order].any():
        raise LabError("order visits only examples whose weight is 0, so nothing would be trained")
    return FineTuneCall(
        targets=_targets(frame.arrays.get("targets"), n),
        weights=weights,
        order=order,
        loss=_loss(frame),
        epochs=_positive(frame, "epochs", MAX_EPOCHS),
        lr=_positive(frame, "lr", MAX_LR),
        base=_optional_text(frame, "base", 200),
        replica=replica,
    )


def _loss(frame: Frame) -> Loss:
    name, options = frame.body.get("loss", "xent"), frame.body.get("loss_options")
    if not isinstance(options, dict | None):
        raise LabError(f"loss_options is {_shown(options)}; it must be a dict of numbers, such as {{'q': 0.7}}")
    for option, value in (options or {}).items():
        if type(value) not in (int, float):
            raise LabError(f"the loss option {_shown(option)} is {_shown(value)}; it must be a number")
    try:
        return Loss.named(name if isinstance(name, str) else _shown(name), options)
    except ValueError as error:
        raise LabError(str(error)) from None


def head_call(frame: Frame) -> tuple[np.ndarray, float]:
    """Return the weights and the bias of a head call."""
    _only(frame, {"bias"}, {"weight"})
    weight, bias = frame.arrays.get("weight"), frame.body.get("bias", 0.0)
    if weight is None or weight.dtype != np.float32 or weight.ndim != 1 or not 1 <= len(weight) <= MAX_HIDDEN:
        raise LabError(
            "head needs a weight of shape (d,), where d is the size of a hidden state as lab.embed returns it"
        )
    if not np.isfinite(weight).all() or np.abs(weight).max() > LARGEST_WEIGHT:
        raise LabError(f"weight must be finite, and nothing in it beyond ±{LARGEST_WEIGHT:g}")
    if type(bias) not in (int, float) or not abs(bias) <= LARGEST_WEIGHT:
        raise LabError(f"bias is {_shown(bias)}; it must be a number from -{LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}")
    return weight, float(bias)


def average_call(frame: Frame) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the students of an average call and the share of each; shares sum to 1."""
    _only(frame, {"students"}, {"weights"})
    students = frame.body.get("students")
    if not isinstance(students, list) or not 2 <= len(students) <= MAX_AVERAGED:
        raise LabError(f"average needs from 2 to {MAX_AVERAGED} students")
    if not all(isinstance(student, str) for student in students):
        raise LabError("average needs students, as fine_tune returns them")
    weights = _weights(frame.arrays.get("weights"), len(students))
    shares = np.ones(len(students)) if weights is None else weights.astype(np.float64)
    return tuple(students), tuple((shares / shares.sum()).tolist())


@dataclass(frozen=True, eq=False)
class TrainCall:
    """A valid call of `lab.train`: the program's source, its number of processes, and arrays for it by name."""

    source: bytes
    ranks: int
    arrays: dict[str, np.ndarray]


def train_call(frame: Frame, max_ranks: int) -> TrainCall:
    """Validate a train call. Raises LabError, which names the argument that is not valid."""
    _only(frame, {"ranks"}, set(frame.arrays))
    ranks, source = frame.body.get("ranks", 1), frame.arrays.get("program")
    if type(ranks) is not int or not 1 <= ranks <= max_ranks:
        raise LabError(f"ranks is {_shown(ranks)}; it must be a whole number from 1 to {max_ranks}")
    if source is None or source.dtype != np.uint8 or source.ndim != 1 or not 1 <= len(source) <= MAX_PROGRAM:
        raise LabError(f"train needs a program, the source of a Python file of at most {MAX_PROGRAM} bytes")
    arrays = {name: array for name, array in frame.arrays.items() if name != "program"}
    for name in arrays:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
            raise LabError(f"{_shown(name)} cannot name an array; use small letters, digits and underscores")
    return TrainCall(source.tobytes(), ranks, arrays)


def zero_shot_call(frame: Frame) -> tuple[str | None, tuple[str, str] | None]:
    """Return the template of a zero_shot call, and its two label words; None for the usual ones."""
    _only(frame, {"template", "labels"}, set())
    template, labels = _optional_text(frame, "template", MAX_TEMPLATE), frame.body.get("labels")
    if labels is None:
        return template, None
    if not isinstance(labels, list) or len(labels) != 2:
        raise LabError(f"labels is {_shown(labels)}; it must be two words, of label 0 and of label 1")
    words = [_optional_text(Frame({"labels": word}), "labels", MAX_LABEL) for word in labels]
    if not words[0] or not words[1] or words[0] == words[1]:
        raise LabError("labels must be two different words, neither empty")
    return template, (words[0], words[1])


def embed_call(frame: Frame) -> tuple[float | tuple[float, ...], Pooling]:
    """Return the layer of an embed call, or a tuple of layers, and how tokens become one vector."""
    _only(frame, {"layer", "pool"}, set())
    pool, value = frame.body.get("pool", "mean"), frame.body.get("layer", -1)
    if pool not in get_args(Pooling):
        raise LabError(f"pool is {_shown(pool)}; it must be one of {', '.join(get_args(Pooling))}")
    if not isinstance(value, list):
        return _layer(value), pool
    if not 1 <= len(value) <= MAX_LAYERS:
        raise LabError(f"layer lists {len(value)} layers; from 1 to {MAX_LAYERS} are allowed")
    return tuple(_layer(one) for one in value), pool


def _layer(value: Any) -> float:
    if (type(value) is int and abs(value) <= MAX_LAYER) or (type(value) is float and 0 < value < 1):
        number: float = value
        return number
    raise LabError(
        f"layer is {_shown(value)}; it must be a whole number between -{MAX_LAYER} and {MAX_LAYER}, or a share of the "
        "model's depth above 0 and below 1"
    )


def prediction(frame: Frame, n: int) -> tuple[str, np.ndarray | None]:
    """Return the student and the rows of a predict call."""
    _only(frame, {"student"}, {"rows"})
    student = _optional_text(frame, "student", 200)
    if student is None:
        raise LabError("predict needs a student")
    return student, rows(frame, "rows", n)


def rows(frame: Frame, name: str, n: int) -> np.ndarray | None:
    """Return the row numbers in `frame` with this name, all in [0, n), or None if there are none."""
    values = frame.arrays.get(name)
    if values is None:
        return None
    if values.dtype.kind != "i" or values.ndim != 1:
        raise LabError(f"{name} has dtype {values.dtype} and shape {values.shape}; it must be a list of row numbers")
    if not 1 <= len(values) <= MAX_REPEATS * n:
        raise LabError(f"{name} has {len(values)} row numbers; between 1 and {MAX_REPEATS * n} are allowed")
    if values.min() < 0 or values.max() >= n:
        raise LabError(f"{name} has row numbers from {values.min()} to {values.max()}; they must be from 0 to {n - 1}")
    return values.astype(np.int64)


def _targets(values: np.ndarray | None, n: int) -> np.ndarray:
    if values is None:
        raise LabError("fine_tune needs targets")
    if values.shape == (n,):
        if not np.isin(values, (0, 1)).all():
            raise LabError("targets of shape (n,) are labels and must be 0 or 1; give probabilities the shape (n, 2)")
        return np.stack([values == 0, values == 1], axis=1).astype(np.float32)
    if values.shape != (n, 2) or values.dtype.kind != "f":
        layout = f"dtype {values.dtype} and shape {values.shape}"
        raise LabError(f"targets have {layout}; they must be probabilities ({n}, 2) or labels ({n},)")
    _finite("targets", values)
    sums = values.sum(axis=1, keepdims=True)
    if values.min() < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE:
        raise LabError("targets must be probabilities: not negative, each row summing to 1")
    return np.asarray(values / sums, np.float32)


def _weights(values: np.ndarray | None, n: int) -> np.ndarray | None:
    if values is None:
        return None
    if values.shape != (n,) or values.dtype.kind not in "fib":
        raise LabError(f"weights have dtype {values.dtype}, shape {values.shape}; they must be numbers ({n},)")
    with np.errstate(over="ignore"):  # infinite values are refused below
        weights = values.astype(np.float32)
    _finite("weights", weights)
    if weights.min() < 0 or not weights.any():
        raise LabError("weights must not be negative, and not all 0")
    return weights


def _finite(name: str, values: np.ndarray) -> None:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise LabError(f"{name} hold NaN or infinity in {bad.sum()} of {len(values)} rows, first in row {bad.argmax()}")


def _positive(frame: Frame, name: str, maximum: float) -> float | None:
    value = frame.body.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 < value <= maximum or not math.isfinite(value):
        raise LabError(f"{name} is {_shown(value)}; it must be above 0 and at most {maximum:g}")
    return float(value)


def _optional_text(frame: Frame, name: str, max_length: int) -> str | None:
    value = frame.body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > max_length:
        raise LabError(f"{name} must be a text of at most {max_length} characters")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise LabError(f"{name} is not valid Unicode: it holds half of a surrogate pair")
    return value


def _only(frame: Frame, body: set[str], arrays: set[str]) -> None:
    unknown = sorted((frame.body.keys() - body - {"call"}) | (frame.arrays.keys() - arrays))
    if unknown:
        raise LabError(f"unknown arguments: {_shown(', '.join(unknown))}")


def _shown(value: Any) -> str:
    return repr(value)[:80]
