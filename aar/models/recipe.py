"""Training settings and the types of requests to models. Imports no torch, so that actors which only ask stay small.

Training programs in sandboxes see this module too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Form = Literal["label_token", "scalar_head"]
Pooling = Literal["mean", "last"]
Texts = Sequence[tuple[str, ...]]
"""Examples as texts: each has one text, or each has two that compete."""


@dataclass(frozen=True)
class LossOption:
    """A constant of a loss: its usual value, and the smallest and the largest that is allowed."""

    default: float
    low: float
    high: float


LOSS_OPTIONS: dict[str, dict[str, LossOption]] = {
    "xent": {},
    "logconf": {"weight": LossOption(0.5, 0, 1), "warmup": LossOption(0.2, 0.001, 1)},
    "product": {"alpha": LossOption(1, 0, 10), "beta": LossOption(1, 0, 10)},
    "reverse_ce": {"clip": LossOption(5, 0.1, 20)},
    "reverse_kl": {"clip": LossOption(5, 0.1, 20)},
    "gce": {"q": LossOption(0.7, 0.01, 1)},
    "entropy": {"weight": LossOption(0.1, 0, 0.9)},
    "window": {"width": LossOption(0.15, 0.01, 0.5)},
    "adaptconf": {"temperature": LossOption(1, 0.1, 100)},
}
"""The losses and their options. `aar.models.losses` has the function of each."""


@dataclass(frozen=True)
class Loss:
    """A loss with all of its options, sorted by name. Make one with `Loss.named`, which checks them."""

    name: str = "xent"
    options: tuple[tuple[str, float], ...] = ()

    @classmethod
    def named(cls, name: str, options: Mapping[str, float] | None = None) -> "Loss":
        """Return the loss `name`, with its usual options where `options` gives no others.

        Raises:
            ValueError: there is no such loss or option, or a value is out of range; the message says what is allowed.
        """
        if name not in LOSS_OPTIONS:
            raise ValueError(f"loss is {str(name)[:80]!r}; it must be one of {', '.join(LOSS_OPTIONS)}")
        known, given = LOSS_OPTIONS[name], dict(options or {})
        for option, value in given.items():
            if option not in known:
                allowed = ", ".join(known) or "none"
                raise ValueError(f'the loss "{name}" has no option {str(option)[:80]!r}; its options: {allowed}')
            low, high = known[option].low, known[option].high
            if not low <= value <= high:  # also refuses NaN
                raise ValueError(f'{option} of the loss "{name}" is {value!r}; it must be from {low:g} to {high:g}')
        return cls(name, tuple((option, float(given.get(option, known[option].default))) for option in sorted(known)))


XENT = Loss()
MAX_REPLICA = 63


def replica_seed(seed: int, replica: int) -> int:
    """Return the seed of a run's further student: another start and another order of rows. Replica 0 has the run's own.

    The platform's replay of a run computes the same, so the step is fixed. It is larger than every run's seed.
    """
    return seed + (replica << 32)


class Recipe(BaseModel):
    """Settings for fine-tuning a causal language model into a two-way classifier.

    `form`: "label_token" reads the answer from the logits of two label tokens after a prompt; "scalar_head" puts a
    scalar head on the last hidden state and, for preferences, a Bradley-Terry loss on the pair.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form = "label_token"
    lora_rank: int = Field(default=8, ge=1, le=512)
    last_layers: int | None = Field(default=None, ge=1, description="the number of last layers with LoRA; None: all")
    lr: float = Field(default=1e-4, gt=0, le=1)
    head_lr_factor: float = Field(default=3.0, gt=0, description="learning rate of the scalar head, times lr")
    epochs: float = Field(default=2, gt=0, le=100)
    batch_size: int = Field(default=16, ge=1)
    warmup: float = Field(
        default=0.1, ge=0, le=1, description="fraction of the steps in which the learning rate rises linearly"
    )
    max_tokens: int = Field(default=1024, ge=8, description="longer inputs are cut at the beginning")
