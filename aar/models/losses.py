"""Training losses of a two-way classifier whose output is one logit, the log-odds of class 1."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from aar.models.recipe import Loss

CONFIDENCE_WEIGHT = 0.5
CONFIDENCE_WARMUP = 0.2


LossFunction = Callable[[Tensor, Tensor, float], Tensor]
"""Computes the loss of each example, (..., n), from logits, targets and progress; see `per_example_loss`."""


def cross_entropy(logits: Tensor, targets: Tensor, progress: float) -> Tensor:
    """Return the cross-entropy against the soft target."""
    return binary_cross_entropy_with_logits(logits, targets, reduction="none")


def confidence_loss(logits: Tensor, targets: Tensor, progress: float) -> Tensor:
    """The auxiliary confidence loss of Burns et al. 2023 (arXiv 2312.09390, section 4.3.2 and appendix A.4).

    (1 - a) · xent(target) + a · xent(the student's own hardened prediction), where a rises linearly over the first
    fifth of training.
    """
    share = CONFIDENCE_WEIGHT * min(1.0, progress / CONFIDENCE_WARMUP)
    to_itself = cross_entropy(logits, harden(logits.detach(), targets), progress)
    return (1 - share) * cross_entropy(logits, targets, progress) + share * to_itself


LOSSES: dict[Loss, LossFunction] = {"xent": cross_entropy, "logconf": confidence_loss}


def per_example_loss(loss: Loss, logits: Tensor, targets: Tensor, progress: float) -> Tensor:
    """Return the loss of each example.

    Args:
        logits: (..., n) log-odds of class 1. The last axis is one batch.
        targets: (..., n) probability of class 1.
        progress: the fraction of training that is done, in [0, 1].

    Returns:
        (..., n) losses.
    """
    return LOSSES[loss](logits, targets, progress)


def harden(logits: Tensor, targets: Tensor) -> Tensor:
    """Return 0/1 predictions, with the threshold that gives as many ones in the batch as the targets expect.

    The adaptive threshold keeps the confidence term from collapsing the student to one class (same source, A.4).
    """
    ones = targets.sum(-1, keepdim=True).round()
    rank_from_top = torch.argsort(torch.argsort(logits, dim=-1, descending=True), dim=-1)
    return (rank_from_top < ones).to(logits.dtype)
