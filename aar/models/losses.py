"""Training losses of a two-way classifier whose output is one logit z, the log-odds of class 1.

p = sigmoid(z) is the student's probability of class 1, w the target's, and omega = logit(w). `LOSS_OPTIONS` in
`aar.models.recipe` has the range of each option.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from aar.models.recipe import Loss

LARGEST_ODDS = 30.0
"""Hard targets have infinite log-odds; beyond this they make no difference in float32."""

LossFunction = Callable[..., Tensor]
"""Computes the loss of each example, (..., n), from logits, targets, progress and its options; see
`per_example_loss`."""


def cross_entropy(logits: Tensor, targets: Tensor, progress: float) -> Tensor:
    """Return the cross-entropy against the soft target."""
    return binary_cross_entropy_with_logits(logits, targets, reduction="none")


def confidence_loss(logits: Tensor, targets: Tensor, progress: float, weight: float, warmup: float) -> Tensor:
    """The auxiliary confidence loss of Burns et al. 2023 (arXiv 2312.09390, section 4.3.2 and appendix A.4).

    (1 - a) · xent(target) + a · xent(the student's own hardened prediction), where a rises linearly to `weight` over
    the first share `warmup` of training.
    """
    share = weight * min(1.0, progress / warmup)
    to_itself = cross_entropy(logits, harden(logits.detach(), targets), progress)
    return (1 - share) * cross_entropy(logits, targets, progress) + share * to_itself


def product_loss(logits: Tensor, targets: Tensor, progress: float, alpha: float, beta: float) -> Tensor:
    """The product of experts as target, sigmoid(beta · z + alpha · omega), through which nothing is learnt.

    Source: `product_loss_fn` of openai/weak-to-strong (weak_to_strong/loss.py). With hard targets it equals xent.
    """
    mixed = torch.sigmoid(beta * logits.detach() + alpha * log_odds_of(targets, LARGEST_ODDS))
    return cross_entropy(logits, mixed, progress)


def reverse_cross_entropy(logits: Tensor, targets: Tensor, progress: float, clip: float) -> Tensor:
    """-p log w - (1 - p) log(1 - w), with omega cut at ±`clip`: its gradient, -p (1 - p) omega, spares sure students.

    Source: Yao et al. 2025, "Revisiting Weak-to-Strong Generalization: Reverse KL vs. Forward KL", arXiv 2502.11107.
    """
    p, odds = torch.sigmoid(logits), log_odds_of(targets, clip)
    return -p * logsigmoid(odds) - (1 - p) * logsigmoid(-odds)


def reverse_kl(logits: Tensor, targets: Tensor, progress: float, clip: float) -> Tensor:
    """KL(p || w), with omega cut at ±`clip`: the reverse cross-entropy without the student's entropy (same source)."""
    p = torch.sigmoid(logits)
    own = p * logsigmoid(logits) + (1 - p) * logsigmoid(-logits)
    return own + reverse_cross_entropy(logits, targets, progress, clip)


def generalised_cross_entropy(logits: Tensor, targets: Tensor, progress: float, q: float) -> Tensor:
    """(1 - p_y^q) / q for the target class y, in expectation over a soft target: wrong labels pull less than in xent.

    Source: Zhang & Sabuncu 2018, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    arXiv 1805.07836, equation 6. It tends to xent as q tends to 0, and to the mean absolute error as q tends to 1.
    """
    ones, zeros = (q * logsigmoid(logits)).exp(), (q * logsigmoid(-logits)).exp()
    return (targets * (1 - ones) + (1 - targets) * (1 - zeros)) / q


def entropy_loss(logits: Tensor, targets: Tensor, progress: float, weight: float) -> Tensor:
    """(1 - a) · xent + a · H(p): the student is also asked to be sure of its answers.

    Source: Grandvalet & Bengio 2004, "Semi-supervised Learning by Entropy Minimization"; one of the auxiliary losses
    that EleutherAI compared for weak-to-strong (blog.eleuther.ai/weak-to-strong).
    """
    p = torch.sigmoid(logits)
    entropy = -p * logsigmoid(logits) - (1 - p) * logsigmoid(-logits)
    return (1 - weight) * cross_entropy(logits, targets, progress) + weight * entropy


def window_loss(logits: Tensor, targets: Tensor, progress: float, width: float) -> Tensor:
    """Xent on the examples alone of which the student is not sure: max(p, 1 - p) < 0.5 + `width`.

    Source: the window loss of EleutherAI's comparison (blog.eleuther.ai/weak-to-strong).
    """
    unsure = (torch.sigmoid(logits.detach()) - 0.5).abs() < width
    return cross_entropy(logits, targets, progress) * unsure.to(logits.dtype)


def adaptive_confidence_loss(logits: Tensor, targets: Tensor, progress: float, temperature: float) -> Tensor:
    """(1 - b) · KL(w || p) + b · xent(the student's own decision), with its own b for each example.

    b = softmax over xent(own decision) / T and xent(the teacher's decision) / T, of the first.
    Source: Guo et al. 2024, "Vision Superalignment", arXiv 2402.03749, equations 2 and 3.
    """
    own = (logits.detach() > 0).to(logits.dtype)
    decided = (targets > 0.5).to(logits.dtype)
    to_own, to_teacher = (cross_entropy(logits, answer, progress) for answer in (own, decided))
    share = torch.sigmoid((to_own - to_teacher).detach() / temperature)
    divergence = cross_entropy(logits, targets, progress) - cross_entropy(
        log_odds_of(targets, LARGEST_ODDS), targets, progress
    )
    return (1 - share) * divergence + share * to_own


LOSSES: dict[str, LossFunction] = {
    "xent": cross_entropy,
    "logconf": confidence_loss,
    "product": product_loss,
    "reverse_ce": reverse_cross_entropy,
    "reverse_kl": reverse_kl,
    "gce": generalised_cross_entropy,
    "entropy": entropy_loss,
    "window": window_loss,
    "adaptconf": adaptive_confidence_loss,
}


def per_example_loss(loss: Loss, logits: Tensor, targets: Tensor, progress: float) -> Tensor:
    """Return the loss of each example.

    Args:
        logits: (..., n) log-odds of class 1. The last axis is one batch.
        targets: (..., n) probability of class 1.
        progress: the fraction of training that is done, in [0, 1].

    Returns:
        (..., n) losses.
    """
    return LOSSES[loss.name](logits, targets, progress, **dict(loss.options))


def log_odds_of(targets: Tensor, clip: float) -> Tensor:
    """Return the log-odds of probabilities, cut at ±`clip`."""
    return torch.logit(targets.float()).clamp(-clip, clip).to(targets.dtype)


def harden(logits: Tensor, targets: Tensor) -> Tensor:
    """Return 0/1 predictions, with the threshold that gives as many ones in the batch as the targets expect.

    The adaptive threshold keeps the confidence term from collapsing the student to one class (same source, A.4).
    """
    ones = targets.sum(-1, keepdim=True).round()
    rank_from_top = torch.argsort(torch.argsort(logits, dim=-1, descending=True), dim=-1)
    return (rank_from_top < ones).to(logits.dtype)
