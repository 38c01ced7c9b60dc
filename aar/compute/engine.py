"""The training loop: a DeepSpeed engine over a group of students on one loaded base model.

All students of a group share the base, the hidden states below its trained layers, and the optimizer's step. Each has
its own batches, learning rate and number of steps, all decided by its own seed, and its own forward and backward pass.
So its result is bit for bit the same whichever students it is trained with.

A student that diverges fails alone: nothing that it computes reaches the step that all of a group take. In bfloat16,
and wherever ZeRO shards its state, DeepSpeed takes one norm over the gradients of all students and skips everybody's
step when it is not finite. So a gradient that is not finite, or so large that its square might not be, is set to zero
before DeepSpeed sees it, and its student is marked. The student keeps its place in the group until the end, so that
the others compute exactly what they would have beside one that does not diverge.

Covers: losses and gradients of one student that are not finite, at any step; weights that are not finite at the end;
steps that were skipped in spite of all this.
Does not cover: a student that is bad without being infinite. Its score shows that.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from aar.errors import TrainingError, WithdrawnError
from aar.models.batching import Batch, SampleSchedule, learning_rate, plan_batches
from aar.models.language_model import HiddenStateCache, LanguageModel
from aar.models.lora import Adapter
from aar.models.losses import per_example_loss
from aar.models.recipe import Loss, Recipe
from aar.models.student import Student, StudentGroup, StudentShape, log_odds, new_weights

STEPS_BETWEEN_QUESTIONS = 8
"""Steps between two questions whether a caller still waits for the students."""
LARGEST_NORM = 1e12
"""Of one student's gradient. In training that works it stays below 1e4."""
NEVER = 1 << 30


@dataclass(frozen=True)
class FitSpec:
    """One student to train.

    targets: (n,) float32 probability of class 1. start: the student to continue from, or None for a fresh one.
    """

    visits: SampleSchedule
    targets: np.ndarray
    loss: Loss
    epochs: float
    lr: float
    seed: int
    start: Student | None = None


class Group:
    """The ranks that train a student together, and how DeepSpeed shards its state among them."""

    def __init__(self, zero_stage: int) -> None:
        self.zero_stage = zero_stage
        world = list(range(dist.get_world_size()))
        alone = [dist.new_group([rank]) for rank in world]
        together = dist.new_group(world)
        self.alone = cast(dist.ProcessGroup, alone[dist.get_rank()])
        self.ranks = cast(dist.ProcessGroup, together if zero_stage else self.alone)
        self.size = dist.get_world_size(self.ranks)
        self.rank = dist.get_rank(self.ranks)


class Divergence:
    """Watches the losses and gradients of a group's students during training.

    A loss can be infinite where its gradient is not, so both are watched.

    Args:
        ranks: the processes that train the group together.
    """

    def __init__(self, students: StudentGroup, ranks: dist.ProcessGroup) -> None:
        self._ranks, self.step = ranks, 0
        device = next(students.parameters()).device
        self._first_bad = torch.full((len(students.adapters),), NEVER, device=device)
        for parts in (students.adapters, students.heads):
            for index, parameter in enumerate(parts):
                parameter.register_hook(self._guard(index))

    def watch(self, student_indices: Sequence[int], losses: Tensor) -> None:
        """Check this step's losses, (s,), of these students."""
        for index, good in zip(student_indices, torch.isfinite(losses.detach()), strict=True):
            self._note(index, good)

    def failures(self) -> dict[int, TrainingError]:
        """Return why students cannot be used, by student index. All ranks agree on it."""
        first = self._first_bad.clone()
        dist.all_reduce(first, dist.ReduceOp.MIN, group=self._ranks)
        return {
            index: TrainingError(
                f"the training diverged: at step {step + 1} its loss or gradient was infinite, not a number or far "
                "too large. Use a lower learning rate, fewer epochs, or targets and weights of a usual size."
            )
            for index, step in enumerate(first.tolist())
            if step != NEVER
        }

    def _guard(self, student_index: int) -> Callable[[Tensor], Tensor]:
        def guarded(gradient: Tensor) -> Tensor:
            good = torch.linalg.vector_norm(gradient, dtype=torch.float32) < LARGEST_NORM  # False for NaN
            self._note(student_index, good)
            return torch.where(good, gradient, torch.zeros_like(gradient))

        return guarded

    def _note(self, student_index: int, good: Tensor) -> None:
        first = self._first_bad[student_index]
        self._first_bad[student_index] = torch.where(good, first, torch.clamp(first, max=self.step))


def fine_tune(
    model: LanguageModel,
    prefix: HiddenStateCache,
    texts_per_example: int,
    recipe: Recipe,
    labels: tuple[str, str],
    fits: Sequence[FitSpec],
    group: Group,
    is_wanted: Callable[[], bool] = lambda: True,
) -> list[Student | TrainingError]:
    """Train students side by side; return them in the order of `fits`, or the reason why one cannot be used.

    All ranks of `group` call this with the same arguments; every rank gets the same students.

    Args:
        is_wanted: called between steps, at the same steps on every rank; training ends when it returns False.

    Raises:
        WithdrawnError: no caller is waiting for the students.
        TrainingError: not every planned step was taken, and no student is the reason.
    """
    shape = StudentShape.of(recipe, labels)
    cut = model.cut(recipe.last_layers)
    starts = [
        fit.start.weights if fit.start else new_weights(cut, recipe.form, recipe.lora_rank, fit.seed) for fit in fits
    ]
    # A start may come from a run in bfloat16. DeepSpeed converts float32 to the type that this run computes in.
    starts = [{name: tensor.float() for name, tensor in weights.items()} for weights in starts]
    students = StudentGroup(model, shape, starts)
    engine, optimizer = _start_engine(students, model, recipe, group)
    lengths = _example_lengths(prefix, texts_per_example)
    divergence = Divergence(students, group.ranks)
    plans = [plan_batches(fit.visits, lengths, fit.epochs, recipe.batch_size, fit.seed) for fit in fits]
    model.train_mode(True)
    # In bfloat16 DeepSpeed creates its optimizer state by a step of its own, which must not be counted.
    steps_before = max(_steps_taken(optimizer), default=0)
    steps_planned = max(len(plan) for plan in plans)
    for step in range(steps_planned):
        divergence.step = step
        if step % STEPS_BETWEEN_QUESTIONS == 0 and not is_wanted():
            model.train_mode(False)
            raise WithdrawnError("cancelled: no caller is waiting for this training")
        active = [index for index, plan in enumerate(plans) if step < len(plan)]
        _set_rates(optimizer, fits, plans, step, recipe)
        losses = torch.stack(
            [
                _loss(engine, prefix, texts_per_example, fits[index], plans[index], step, index, group)
                for index in active
            ]
        )
        divergence.watch(active, losses)
        engine.backward(losses.sum())
        engine.step()
    model.train_mode(False)
    if engine.skipped_steps or _steps_taken(optimizer) != {steps_before + steps_planned}:
        raise TrainingError(f"training did not complete its {steps_planned} planned steps; the students are discarded")
    failures = divergence.failures()
    return [failures.get(index) or _finished(shape, students.weights_of(index)) for index in range(len(fits))]


def _finished(shape: StudentShape, weights: Adapter) -> Student | TrainingError:
    if all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        return Student(shape, weights)
    return TrainingError(
        "the training diverged: after its last step its weights are infinite or not numbers. Use a lower learning rate."
    )


def _start_engine(
    students: StudentGroup, model: LanguageModel, recipe: Recipe, group: Group
) -> tuple[Any, torch.optim.Optimizer]:
    deepspeed = _import_deepspeed(model.device)
    optimizer = torch.optim.AdamW(_parameter_groups(students), lr=0.0, weight_decay=0.0)  # see _set_rates
    config = {
        "train_micro_batch_size_per_gpu": recipe.batch_size // group.size,
        "gradient_accumulation_steps": 1,
        "zero_optimization": {"stage": group.zero_stage},
        "gradient_clipping": 0.0,  # the default clips the norm over all students, which would couple them
        "bf16": {"enabled": model.dtype == torch.bfloat16},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 1 << 40,
    }
    engine, wrapped, *_ = deepspeed.initialize(model=students, optimizer=optimizer, config=config, mpu=_Peers(group))
    return engine, wrapped


def _steps_taken(optimizer: torch.optim.Optimizer) -> set[int]:
    """Return the numbers of steps that the parts of the optimizer's state have seen."""
    return {int(state["step"]) for state in optimizer.state.values() if "step" in state}


def _import_deepspeed(device: torch.device) -> Any:
    """Import DeepSpeed without its shared-memory collectives, which it would compile on a CPU: a minute of g++."""
    if device.type == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


class _Peers:
    """Tells DeepSpeed which ranks are data-parallel with this one (its "mpu" protocol); nothing is model-parallel."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def get_data_parallel_group(self) -> Any:
        return self._group.ranks

    def get_data_parallel_world_size(self) -> int:
        return self._group.size

    def get_data_parallel_rank(self) -> int:
        return self._group.rank

    def get_data_parallel_group_ranks(self) -> list[int]:
        return list(dist.get_process_group_ranks(self._group.ranks))

    def get_model_parallel_group(self) -> Any:
        return self._group.alone

    def get_model_parallel_world_size(self) -> int:
        return 1

    def get_model_parallel_rank(self) -> int:
        return 0


def _parameter_groups(students: StudentGroup) -> list[dict[str, Any]]:
    """Return a group for each student's adapter and for its head, if it has one, so that each has its own rate."""
    return [
        {"params": [parameter], "student_index": index, "part": part}
        for part, parameters in (("adapter", students.adapters), ("head", students.heads))
        for index, parameter in enumerate(parameters)
    ]


def _set_rates(
    optimizer: Any, fits: Sequence[FitSpec], plans: Sequence[Sequence[Batch]], step: int, recipe: Recipe
) -> None:
    """Set the learning rates of a step, by each student's own schedule.

    A student whose steps have all been taken gets rate 0, which leaves its weights as they are.
    """
    for group in optimizer.param_groups:
        index = group["student_index"]
        steps = len(plans[index])
        rate = learning_rate(step, steps, fits[index].lr, recipe.warmup) if step < steps else 0.0
        group["lr"] = rate * (recipe.head_lr_factor if group["part"] == "head" else 1.0)


def _share(batch: Batch, group: Group) -> Batch:
    """Return this rank's part of a batch."""
    return Batch(batch.rows[group.rank :: group.size], batch.weights[group.rank :: group.size])


def _sequence_rows(batch: Batch, texts_per_example: int) -> torch.Tensor:
    """Return the row numbers of a batch's sequences: example i has sequences k·i … k·i + k - 1."""
    return torch.from_numpy((batch.rows[:, None] * texts_per_example + np.arange(texts_per_example)).ravel())


def _example_lengths(prefix: HiddenStateCache, texts_per_example: int) -> np.ndarray:
    return prefix.lengths.view(-1, texts_per_example).amax(1).numpy()


def _loss(
    engine: Any,
    prefix: HiddenStateCache,
    texts_per_example: int,
    fit: FitSpec,
    plan: Sequence[Batch],
    step: int,
    student_index: int,
    group: Group,
) -> torch.Tensor:
    """Return one student's loss in a step, computed alone: not even its rounding depends on other students."""
    batch = _share(plan[step], group)
    states, last = prefix.rows(_sequence_rows(batch, texts_per_example))
    [odds] = log_odds(engine(states, last, [student_index]), texts_per_example)
    targets = torch.from_numpy(fit.targets[batch.rows]).to(odds)
    losses = per_example_loss(fit.loss, odds, targets, progress=step / len(plan))
    return (losses * torch.from_numpy(batch.weights).to(odds)).mean()
