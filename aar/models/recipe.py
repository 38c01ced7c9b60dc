"""How students are trained: the part of the settings that training programs see as well."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """How a causal language model is fine-tuned into a two-way classifier.

    `form`: "label_token" reads the answer from the logits of two label tokens after a prompt; "scalar_head" puts a
    scalar head on the last hidden state and, for preferences, a Bradley-Terry loss on the pair.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["label_token", "scalar_head"] = "label_token"
    lora_rank: int = Field(default=8, ge=1, le=512)
    last_layers: int | None = Field(default=None, ge=1, description="LoRA on the last so many layers; None: on all")
    lr: float = Field(default=1e-4, gt=0, le=1)
    head_lr_factor: float = Field(default=3.0, gt=0, description="learning rate of the scalar head, times lr")
    epochs: float = Field(default=2, gt=0, le=100)
    batch_size: int = Field(default=16, ge=1)
    warmup: float = Field(default=0.1, ge=0, le=1, description="fraction of the steps that the rate rises linearly")
    max_tokens: int = Field(default=1024, ge=8, description="longer inputs lose their beginning")
