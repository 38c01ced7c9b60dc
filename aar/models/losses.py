"""The two training losses of a two-way classifier whose output is one logit, the log-odds of class 1."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from aar.models.data import Loss

CONFIDENCE_WEIGHT = 0.5
CONFIDENCE_WARMUP = 0.2


def per_example_loss(loss: Loss, logits: Tensor, targets: Tensor, progress: float) -> Tensor:
    """The loss of each example.

    Args:
        loss: "xent", cross-entropy against the soft target; or "logconf", the auxiliary confidence loss of Burns et
            al. 2023 (arXiv 2312.09390, section 4.3.2 and appendix A.4): (1 - a) · xent(target) + a · xent(the student's
            own hardened prediction), where a rises linearly over the first fifth of training.
        logits: (..., n) log-odds of class 1. The last axis is one batch.
        targets: (..., n) probability of class 1.
        progress: how much of training is done, in [0, 1].

    Returns:
        (..., n) losses.
    """
    to_targets = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if loss == "xent":
        return to_targets
    share = CONFIDENCE_WEIGHT * min(1.0, progress / CONFIDENCE_WARMUP)
    hardened = harden(logits.detach(), targets)
    return (1 - share) * to_targets + share * binary_cross_entropy_with_logits(logits, hardened, reduction="none")


def harden(logits: Tensor, targets: Tensor) -> Tensor:
    """0/1 predictions with the threshold that gives as many ones in the batch as the targets expect.

    The adaptive threshold keeps the confidence term from collapsing the student to one class (same source, A.4).
    """
    ones = targets.sum(-1, keepdim=True).round()
    rank_from_top = torch.argsort(torch.argsort(logits, dim=-1, descending=True), dim=-1)
    return (rank_from_top < ones).to(logits.dtype)
