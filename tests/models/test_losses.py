"""The losses against values computed by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aar.models.losses import LOSSES, harden, per_example_loss
from aar.models.recipe import LOSS_OPTIONS, Loss


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def loss(
    name: str, logits: torch.Tensor, targets: torch.Tensor, progress: float = 0.5, **options: float
) -> torch.Tensor:
    return per_example_loss(Loss.named(name, options), logits, targets, progress)


def gradient(name: str, z: float, w: float, **options: float) -> float:
    """The derivative of a loss at the logit z and the target w."""
    logits = torch.tensor([z], dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(loss(name, logits, torch.tensor([w], dtype=torch.float64), **options).sum(), logits)
    return float(found[0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_every_loss_has_its_options() -> None:
    assert LOSSES.keys() == LOSS_OPTIONS.keys()
    for name, options in LOSS_OPTIONS.items():
        assert Loss.named(name).options == tuple((option, options[option].default) for option in sorted(options))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_every_loss_and_its_gradient_are_finite_at_any_logit(name: str, target: float) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        logits = torch.tensor([-80.0, -3.0, 0.0, 3.0, 80.0], dtype=dtype, requires_grad=True)
        losses = loss(name, logits, torch.full((5,), target, dtype=dtype))
        (found,) = torch.autograd.grad(losses.sum(), logits)
        assert losses.dtype == found.dtype == dtype
        assert losses.isfinite().all() and found.isfinite().all()


@pytest.mark.parametrize(("z", "w"), [(0.4, 0.8), (-2.0, 0.7), (3.0, 0.1)])
def test_the_gradients_are_those_of_the_papers(z: float, w: float) -> None:
    p, odds = sigmoid(z), math.log(w / (1 - w))
    assert gradient("product", z, w, alpha=0.5, beta=0.8) == pytest.approx(p - sigmoid(0.8 * z + 0.5 * odds), abs=1e-6)
    assert gradient("reverse_ce", z, w) == pytest.approx(-p * (1 - p) * odds, abs=1e-6)
    assert gradient("reverse_kl", z, w) == pytest.approx(p * (1 - p) * (z - odds), abs=1e-6)
    assert gradient("gce", z, 1.0, q=0.7) == pytest.approx(p**0.7 * (p - 1), abs=1e-6)
    assert gradient("entropy", z, w, weight=0.2) == pytest.approx(0.8 * (p - w) - 0.2 * p * (1 - p) * z, abs=1e-6)


def test_hard_targets_make_the_product_of_experts_plain_cross_entropy() -> None:
    logits, targets = torch.tensor([0.5, -2.0]), torch.tensor([1.0, 0.0])
    torch.testing.assert_close(loss("product", logits, targets), loss("xent", logits, targets))


def test_reverse_losses_cut_the_odds_of_hard_targets() -> None:
    p = sigmoid(1.0)
    assert gradient("reverse_ce", 1.0, 1.0, clip=2) == pytest.approx(-p * (1 - p) * 2, abs=1e-6)


def test_the_window_trains_unsure_rows_alone() -> None:
    logits, targets = torch.tensor([0.1, -3.0]), torch.tensor([1.0, 1.0])
    losses = loss("window", logits, targets, width=0.15)
    torch.testing.assert_close(losses, torch.tensor([softplus(-0.1), 0.0]))


def test_adaptive_confidence_weighs_the_own_answer_by_the_doubt_about_it() -> None:
    # The student says 0 with z = -1, the teacher 1 with w = 0.9.
    own, teacher = softplus(-1.0), softplus(1.0)
    share = sigmoid((own - teacher) / 2)
    divergence = 0.9 * math.log(0.9 / sigmoid(-1.0)) + 0.1 * math.log(0.1 / sigmoid(1.0))
    found = loss("adaptconf", torch.tensor([-1.0]), torch.tensor([0.9]), temperature=2)
    torch.testing.assert_close(found, torch.tensor([(1 - share) * divergence + share * own]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("mse", {}, "must be one of xent, logconf"),
        ("gce", {"p": 1.0}, 'the loss "gce" has no option .p.; its options: q'),
        ("xent", {"q": 1.0}, "its options: none"),
        ("gce", {"q": 1.5}, 'q of the loss "gce" is 1.5; it must be from 0.01 to 1'),
        ("gce", {"q": math.nan}, "q .* is nan"),
    ],
)
def test_what_is_no_loss_is_refused_with_what_is_allowed(name: str, options: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Loss.named(name, options)


def test_xent_is_the_cross_entropy_against_a_soft_target() -> None:
    losses = loss("xent", torch.tensor([0.0, 2.0, -1.0]), torch.tensor([0.3, 1.0, 0.25]), progress=0.5)
    expected = [math.log(2), softplus(-2.0), 0.25 * softplus(1.0) + 0.75 * softplus(-1.0)]
    torch.testing.assert_close(losses, torch.tensor(expected))


def test_logconf_begins_as_xent() -> None:
    logits, targets = torch.tensor([0.5, -2.0]), torch.tensor([0.9, 0.4])
    one, other = (loss(name, logits, targets, progress=0.0) for name in ("xent", "logconf"))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("progress", "share"), [(0.1, 0.25), (0.2, 0.5), (1.0, 0.5)])
def test_logconf_mixes_in_the_students_own_answer(progress: float, share: float) -> None:
    # One of two is expected to be 1, so the larger logit hardens to 1 and the smaller to 0, although both are positive.
    logits, targets = torch.tensor([3.0, 1.0]), torch.tensor([0.2, 0.8])
    losses = loss("logconf", logits, targets, progress)
    xent = [0.2 * softplus(-3.0) + 0.8 * softplus(3.0), 0.8 * softplus(-1.0) + 0.2 * softplus(1.0)]
    own = [softplus(-3.0), softplus(1.0)]
    expected = [(1 - share) * a + share * b for a, b in zip(xent, own, strict=True)]
    torch.testing.assert_close(losses, torch.tensor(expected))


def test_nothing_is_learnt_through_the_hardened_answer() -> None:
    logits = torch.tensor([3.0, 1.0], requires_grad=True)
    losses = loss("logconf", logits, torch.tensor([0.2, 0.8]), 1.0)
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
