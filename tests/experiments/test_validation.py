"""Validation of lab calls: whatever a frame holds, it becomes a valid request or an error that names the argument."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from aar.errors import LabError
from aar.experiments import validation
from aar.experiments.validation import MAX_EPOCHS, MAX_LAYER, MAX_LR, MAX_REPEATS, MAX_TEMPLATE
from aar.guest.wire import DTYPES, Frame

N = 5
EVEN = np.full((N, 2), 0.5, np.float32)

any_array = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: arrays(
        np.dtype(name), st.one_of(st.sampled_from([(N,), (N, 2)]), array_shapes(min_dims=1, max_dims=3))
    )
)
any_number = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))


def fine_tune(body: dict[str, Any] | None = None, **arrays: np.ndarray) -> validation.FineTuneCall:
    return validation.fine_tune_call(Frame(body or {}, {"targets": EVEN, **arrays}), N)


@given(targets=any_array, weights=st.none() | any_array, order=st.none() | any_array)
def test_any_arrays_are_a_valid_fit_or_an_error(
    targets: np.ndarray, weights: np.ndarray | None, order: np.ndarray | None
) -> None:
    given_arrays = {"targets": targets, "weights": weights, "order": order}
    try:
        call = fine_tune(**{name: array for name, array in given_arrays.items() if array is not None})
    except LabError as error:
        assert any(name in str(error) for name in given_arrays)
        return
    assert call.targets.shape == (N, 2) and call.targets.dtype == np.float32
    assert call.targets.min() >= 0 and np.allclose(call.targets.sum(axis=1), 1, atol=1e-5)
    assert call.weights is None or (np.isfinite(call.weights).all() and call.weights.min() >= 0 and call.weights.any())
    assert call.order is None or (call.order.min() >= 0 and call.order.max() < N and call.order.dtype == np.int64)


@given(epochs=any_number, lr=any_number)
def test_any_epochs_and_rate_are_in_range_or_an_error(epochs: Any, lr: Any) -> None:
    try:
        call = fine_tune({"epochs": epochs, "lr": lr})
    except LabError as error:
        assert str(error).startswith(("epochs is ", "lr is "))
        return
    assert call.epochs is None or 0 < call.epochs <= MAX_EPOCHS
    assert call.lr is None or 0 < call.lr <= MAX_LR


def test_labels_become_probabilities_and_probabilities_are_normalised() -> None:
    labels = np.array([0, 1, 1, 0, 1], np.int64)
    np.testing.assert_array_equal(fine_tune(targets=labels).targets[:, 1], labels)
    np.testing.assert_array_equal(fine_tune(targets=labels == 1).targets[:, 1], labels)
    almost = np.full((N, 2), 0.5002, np.float64)
    np.testing.assert_allclose(fine_tune(targets=almost).targets, 0.5, rtol=1e-6)
    with pytest.raises(LabError, match="each row summing to 1"):
        fine_tune(targets=np.full((N, 2), 0.51))


def test_the_first_bad_row_is_named() -> None:
    bad = EVEN.copy()
    bad[[2, 4], 1] = np.nan
    with pytest.raises(LabError, match="targets hold NaN or infinity in 2 of 5 rows, first in row 2"):
        fine_tune(targets=bad)


def test_a_weight_that_is_infinite_as_float32_is_refused() -> None:
    with pytest.raises(LabError, match="weights hold NaN or infinity in 1 of 5 rows, first in row 3"):
        fine_tune(weights=np.array([1, 1, 1, 1e300, 1]))


def test_an_order_that_visits_only_rows_without_weight_is_refused() -> None:
    weights = np.array([1, 0, 0, 1, 1], np.float32)
    with pytest.raises(LabError, match="order visits only examples whose weight is 0, so nothing would be trained"):
        fine_tune(weights=weights, order=np.array([1, 2]))
    order = fine_tune(weights=weights, order=np.array([1, 0])).order
    assert order is not None and order.tolist() == [1, 0]


def test_an_order_may_repeat_rows_up_to_a_limit() -> None:
    longest = np.zeros(MAX_REPEATS * N, np.int32)
    order = fine_tune(order=longest).order
    assert order is not None and len(order) == MAX_REPEATS * N
    with pytest.raises(LabError, match=f"order has {MAX_REPEATS * N + 1} row numbers; between 1 and {MAX_REPEATS * N}"):
        fine_tune(order=np.zeros(MAX_REPEATS * N + 1, np.int32))
    with pytest.raises(LabError, match="order has row numbers from -1 to 5; they must be from 0 to 4"):
        fine_tune(order=np.array([5, -1]))


def test_the_limits_themselves_are_allowed() -> None:
    call = fine_tune({"epochs": MAX_EPOCHS, "lr": MAX_LR})
    assert (call.epochs, call.lr) == (MAX_EPOCHS, MAX_LR)
    assert validation.embed_call(Frame({"layer": -MAX_LAYER})) == (-MAX_LAYER, "mean")
    longest = "x" * MAX_TEMPLATE
    assert validation.zero_shot_call(Frame({"template": longest})) == (longest, None)
    assert validation.zero_shot_call(Frame({"call": "zero_shot"})) == (None, None)


@pytest.mark.parametrize(
    ("body", "reason"),
    [({"loss": "mse"}, "loss is 'mse'; it must be one of xent, logconf"),
     ({"base": "x" * 201}, "base must be a text of at most 200 characters"),
     ({"base": "\ud800"}, "base is not valid Unicode"),
     ({"seed": 1, "rank": 2}, "unknown arguments: 'rank, seed'")],
)  # fmt: skip
def test_other_arguments_are_refused_by_name(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        fine_tune(body)


def test_a_long_value_of_a_sandbox_is_cut_in_the_error() -> None:
    with pytest.raises(LabError) as caught:
        fine_tune({"loss": "x" * 100_000})
    assert len(str(caught.value)) < 200


def test_a_program_is_bytes_with_named_arrays() -> None:
    source = np.frombuffer(b"print(1)", np.uint8)
    call = validation.train_call(Frame({"ranks": 2}, {"program": source, "targets": EVEN}), max_ranks=2)
    assert (call.source, call.ranks, list(call.arrays)) == (b"print(1)", 2, ["targets"])
    for wrong in (EVEN, source.reshape(2, 4), source.astype(np.int8)):
        with pytest.raises(LabError, match="train needs a program"):
            validation.train_call(Frame({}, {"program": wrong}), max_ranks=2)


def test_a_prediction_names_a_student_and_rows() -> None:
    student, rows = validation.prediction(Frame({"student": "student-1"}, {"rows": np.array([3], np.int32)}), N)
    assert student == "student-1" and rows is not None and rows.tolist() == [3]
    assert validation.prediction(Frame({"student": "student-1"}), N) == ("student-1", None)
    with pytest.raises(LabError, match="predict needs a student"):
        validation.prediction(Frame({}), N)
