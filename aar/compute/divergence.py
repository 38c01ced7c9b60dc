"""Students that diverge fail alone: what one of them computes never reaches the step that all of a group take.

In bfloat16, and wherever ZeRO shards its state, DeepSpeed takes one norm over the gradients of all students and skips
everybody's step when it is not finite. So a gradient that is not finite, or so large that its square might not be, is
put to zero before DeepSpeed sees it, and its student is marked. It keeps its place in the group until the end, so that
the others compute exactly what they would have beside one that is well.

A loss can be infinite where its gradient is not, so that it is looked at for itself.

Covers: losses and gradients of one student that are not finite, at any step. Weights that are not finite at the end,
and steps that were skipped in spite of all this, are found by `aar.compute.engine`.
Does not cover: a student that is bad without being infinite. That is what it is scored for.
"""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from aar.errors import TrainingError
from aar.models.student import StudentGroup

LARGEST_NORM = 1e12
"""Of one student's gradient. Those of training that works stay below 1e4."""
NEVER = 1 << 30


class Divergence:
    """Watches the losses and gradients of a group's students while they are trained.

    Args:
        ranks: the processes that train the group together.
    """

    def __init__(self, students: StudentGroup, ranks: dist.ProcessGroup) -> None:
        self._ranks, self.step = ranks, 0
        device = next(students.parameters()).device
        self._first_bad = torch.full((len(students.adapters),), NEVER, device=device)
        for parts in (students.adapters, students.heads):
            for member, part in enumerate(parts):
                part.register_hook(self._guard(member))

    def watch(self, members: Sequence[int], losses: Tensor) -> None:
        """Look at this step's losses, (members,), of the students with these numbers."""
        for member, good in zip(members, torch.isfinite(losses.detach()), strict=True):
            self._note(member, good)

    def failures(self) -> dict[int, TrainingError]:
        """Why students cannot be used, by their number, agreed on by all ranks."""
        first = self._first_bad.clone()
        dist.all_reduce(first, dist.ReduceOp.MIN, group=self._ranks)
        return {
            member: TrainingError(
                f"the training diverged: at step {step + 1} its loss or gradient was infinite, not a number or far "
                "too large. Use a lower learning rate, fewer epochs, or targets and weights of a usual size."
            )
            for member, step in enumerate(first.tolist())
            if step != NEVER
        }

    def _guard(self, member: int) -> Callable[[Tensor], Tensor]:
        def guarded(gradient: Tensor) -> Tensor:
            good = torch.linalg.vector_norm(gradient, dtype=torch.float32) < LARGEST_NORM  # no NaN is below anything
            self._note(member, good)
            return torch.where(good, gradient, torch.zeros_like(gradient))

        return guarded

    def _note(self, member: int, good: Tensor) -> None:
        first = self._first_bad[member]
        self._first_bad[member] = torch.where(good, first, torch.clamp(first, max=self.step))


def steps_taken(optimizer: torch.optim.Optimizer) -> set[int]:
    """How many steps each part of the optimizer's state has seen."""
    return {int(state["step"]) for state in optimizer.state.values() if "step" in state}
