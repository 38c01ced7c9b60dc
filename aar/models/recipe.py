"""Training settings and the types of requests to models. Imports no torch, so that actors which only ask stay small.

Training programs in sandboxes see this module too.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Form = Literal["label_token", "scalar_head"]
Loss = Literal["xent", "logconf"]
Texts = Sequence[tuple[str, ...]]
"""Examples as texts: each has one text, or each has two that compete."""


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
