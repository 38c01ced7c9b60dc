"""The words that requests to models are made of. Imports no torch, so that actors which only ask stay small."""

from collections.abc import Sequence
from typing import Literal

Form = Literal["label_token", "scalar_head"]
Loss = Literal["xent", "logconf"]
Texts = Sequence[tuple[str, ...]]
"""Examples as texts: all of one text, or all of two that compete."""
