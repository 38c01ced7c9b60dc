"""The losses against values computed by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aar.models.losses import harden, per_example_loss


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_xent_is_the_cross_entropy_against_a_soft_target() -> None:
    losses = per_example_loss("xent", torch.tensor([0.0, 2.0, -1.0]), torch.tensor([0.3, 1.0, 0.25]), progress=0.5)
    expected = [math.log(2), softplus(-2.0), 0.25 * softplus(1.0) + 0.75 * softplus(-1.0)]
    torch.testing.assert_close(losses, torch.tensor(expected))


def test_logconf_begins_as_xent() -> None:
    logits, targets = torch.tensor([0.5, -2.0]), torch.tensor([0.9, 0.4])
    one, other = (per_example_loss(loss, logits, targets, progress=0.0) for loss in ("xent", "logconf"))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("progress", "share"), [(0.1, 0.25), (0.2, 0.5), (1.0, 0.5)])
def test_logconf_mixes_in_the_students_own_answer(progress: float, share: float) -> None:
    # One of two is expected to be 1, so the larger logit hardens to 1 and the smaller to 0, although both are positive.
    logits, targets = torch.tensor([3.0, 1.0]), torch.tensor([0.2, 0.8])
    losses = per_example_loss("logconf", logits, targets, progress)
    xent = [0.2 * softplus(-3.0) + 0.8 * softplus(3.0), 0.8 * softplus(-1.0) + 0.2 * softplus(1.0)]
    own = [softplus(-3.0), softplus(1.0)]
    expected = [(1 - share) * a + share * b for a, b in zip(xent, own, strict=True)]
    torch.testing.assert_close(losses, torch.tensor(expected))


def test_nothing_is_learnt_through_the_hardened_answer() -> None:
    logits = torch.tensor([3.0, 1.0], requires_grad=True)
    losses = per_example_loss("logconf", logits, torch.tensor([0.2, 0.8]), 1.0)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    probabilities = torch.sigmoid(logits.detach())
    halves = 0.5 * (probabilities - torch.tensor([0.2, 0.8])) + 0.5 * (probabilities - torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(gradient, halves)


def test_each_students_batch_is_hardened_by_itself() -> None:
    logits = torch.tensor([[9.0, 8.0, 7.0], [-9.0, -8.0, -7.0]])
    targets = torch.tensor([[0.3, 0.3, 0.3], [0.7, 0.7, 0.7]])
    assert harden(logits, targets).tolist() == [[1, 0, 0], [0, 1, 1]]


batches = st.lists(st.tuples(st.floats(-5, 5, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=20)


@given(batches)
def test_hardening_keeps_the_balance_of_classes_that_the_targets_expect(batch: list[tuple[float, float]]) -> None:
    logits, targets = (torch.tensor(column) for column in zip(*batch, strict=True))
    hard = harden(logits, targets)
    assert hard.sum() == targets.sum().round()
    ones, zeros = logits[hard == 1], logits[hard == 0]
    assert not len(ones) or not len(zeros) or ones.min() >= zeros.max()
