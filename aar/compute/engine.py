"""The training loop: a DeepSpeed engine over a group of students on one loaded base model.

All students of a group share the base, what lies below its trained layers, and the optimizer's step; each has its own
batches, learning rate and end, all decided by its own seed, and its own forward and backward pass. So its result is bit
for bit the same whoever it is trained with. One that diverges fails alone (see `aar.compute.divergence`).
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist

from aar.compute.divergence import Divergence, steps_taken
from aar.errors import TrainingError, WithdrawnError
from aar.models.batching import Batch, SampleSchedule, learning_rate, plan_batches
from aar.models.data import Loss
from aar.models.hidden_states import HiddenStateCache
from aar.models.language_model import LanguageModel
from aar.models.lora import Adapter
from aar.models.losses import per_example_loss
from aar.models.recipe import Recipe
from aar.models.student import Student, StudentGroup, StudentShape, log_odds, new_weights

STEPS_BETWEEN_QUESTIONS = 8
"""How many steps are taken before it is asked again whether anybody wants the students."""


@dataclass(frozen=True)
class FitSpec:
    """One student to train: on which rows, towards which targets, how.

    targets: (n,) float32 probability of class 1. `start`: the student to go on from, or None for a fresh one.
    """

    visits: SampleSchedule
    targets: np.ndarray
    loss: Loss
    epochs: float
    lr: float
    seed: int
    start: Student | None = None


class Group:
    """Which ranks train a student together, and how DeepSpeed shards its state among them."""

    def __init__(self, zero_stage: int) -> None:
        self.zero_stage = zero_stage
        world = list(range(dist.get_world_size()))
        alone = [dist.new_group([rank]) for rank in world]
        together = dist.new_group(world)
        self.alone = cast(dist.ProcessGroup, alone[dist.get_rank()])
        self.ranks = cast(dist.ProcessGroup, together if zero_stage else self.alone)
        self.size = dist.get_world_size(self.ranks)
        self.rank = dist.get_rank(self.ranks)


def fine_tune(
    model: LanguageModel,
    prefix: HiddenStateCache,
    texts_per_example: int,
    recipe: Recipe,
    labels: tuple[str, str],
    fits: Sequence[FitSpec],
    group: Group,
    wanted: Callable[[], bool] = lambda: True,
) -> list[Student | TrainingError]:
    """Train students side by side; returns them in the order of `fits`, or why one of them cannot be used.

    All ranks of `group` call this with the same arguments; every rank gets the same students.

    Args:
        wanted: asked between steps, by all ranks at the same ones; when it answers no, training ends.

    Raises:
        WithdrawnError: nobody wants the students any more.
        TrainingError: not every planned step was taken, for a reason that is no student's.
    """
    shape = StudentShape(recipe.form, recipe.last_layers, recipe.max_tokens, labels)
    cut = model.cut(recipe.last_layers)
    starts = [
        fit.start.weights if fit.start else new_weights(cut, recipe.form, recipe.lora_rank, fit.seed) for fit in fits
    ]
    # A start may come from a run in bfloat16; the engine converts to what this run computes in.
    students = StudentGroup(model, shape, [{name: part.float() for name, part in one.items()} for one in starts])
    engine, optimizer = _start_engine(students, model, recipe, group)
    lengths = _example_lengths(prefix, texts_per_example)
    divergence = Divergence(students, group.ranks)
    plans = [plan_batches(fit.visits, lengths, fit.epochs, recipe.batch_size, fit.seed) for fit in fits]
    model.train_mode(True)
    begun = max(steps_taken(optimizer), default=0)  # in bfloat16 DeepSpeed makes its state by a step of its own
    steps_planned = max(len(plan) for plan in plans)
    for step in range(steps_planned):
        divergence.step = step
        if step % STEPS_BETWEEN_QUESTIONS == 0 and not wanted():
            model.train_mode(False)
            raise WithdrawnError("nobody waits for this training any more; it was ended")
        going = [member for member, plan in enumerate(plans) if step < len(plan)]
        _set_rates(optimizer, fits, plans, step, recipe)
        losses = torch.stack(
            [_loss(engine, prefix, texts_per_example, fits[at], plans[at], step, at, group) for at in going]
        )
        divergence.watch(going, losses)
        engine.backward(losses.sum())
        engine.step()
    model.train_mode(False)
    if engine.skipped_steps or steps_taken(optimizer) != {begun + steps_planned}:
        raise TrainingError(f"not all of the {steps_planned} planned steps were taken; the students are not used")
    failures = divergence.failures()
    return [failures.get(member) or _finished(shape, students.weights_of(member)) for member in range(len(fits))]


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
    optimizer = torch.optim.AdamW(_parameter_groups(students), lr=recipe.lr, weight_decay=0.0)
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


def _import_deepspeed(device: torch.device) -> Any:
    """DeepSpeed, told not to compile its shared-memory collectives: on a CPU that takes a minute of g++."""
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
    """A group for each student's adapter and for its head, if it has one, so that each has its own rate."""
    adapters = [{"params": [value], "member": m, "part": "adapter"} for m, value in enumerate(students.adapters)]
    heads = [{"params": [value], "member": m, "part": "head"} for m, value in enumerate(students.heads)]
    return adapters + heads


def _set_rates(
    optimizer: Any, fits: Sequence[FitSpec], plans: Sequence[Sequence[Batch]], step: int, recipe: Recipe
) -> None:
    """Each student's own schedule; a student that has ended gets rate 0, which leaves it as it is."""
    for group in optimizer.param_groups:
        member = group["member"]
        steps = len(plans[member])
        rate = learning_rate(step, steps, fits[member].lr, recipe.warmup) if step < steps else 0.0
        group["lr"] = rate * (recipe.head_lr_factor if group["part"] == "head" else 1.0)


def _share(batch: Batch, group: Group) -> Batch:
    """This rank's part of a batch."""
    return Batch(batch.rows[group.rank :: group.size], batch.weights[group.rank :: group.size])


def _sequence_rows(batch: Batch, texts_per_example: int) -> torch.Tensor:
    """Numbers of the sequences of a batch: example i has sequences k·i … k·i + k - 1."""
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
    member: int,
    group: Group,
) -> torch.Tensor:
    """One student's loss in a step. It is computed by itself, so that not even rounding depends on other students."""
    batch = _share(plan[step], group)
    states, last = prefix.rows(_sequence_rows(batch, texts_per_example))
    [odds] = log_odds(engine(states, last, [member]), texts_per_example)
    targets = torch.from_numpy(fit.targets[batch.rows]).to(odds)
    losses = per_example_loss(fit.loss, odds, targets, progress=step / len(plan))
    return (losses * torch.from_numpy(batch.weights).to(odds)).mean()
