"""Examples as the texts that a model of a given form reads."""

from collections.abc import Sequence
from typing import Literal

from aar.problems.dataset import Example
from aar.problems.prompts import candidates, label_prompt


def model_texts(
    examples: Sequence[Example], form: Literal["label_token", "scalar_head"]
) -> tuple[tuple[str, ...], ...]:
    """One text per example for label tokens; for a scalar head one, or two that compete where it is a preference."""
    if form == "label_token":
        return tuple((label_prompt(example),) for example in examples)
    return tuple(candidates(example) for example in examples)
