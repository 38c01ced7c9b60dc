"""How an example becomes text for a model.

Templates may come from method code, which is not trusted: a placeholder is a bare field name, filled in one pass with
the example's text and nothing else. `str.format`, which reaches attributes, is never used.

Examples as the texts that a model of a given form reads.
"""

import re
from collections.abc import Sequence
from typing import Literal

from aar.errors import ProblemError
from aar.problems.dataset import Example, Kind, Preference

LABEL_TOKENS: dict[Kind, tuple[str, str]] = {"preference": (" A", " B"), "binary": (" False", " True")}
DEFAULT_TEMPLATES: dict[Kind, str] = {
    "preference": "Question: {prompt}\nAnswer A: {first}\nAnswer B: {second}\nLabel:",
    "binary": "Question: {question}\nAnswer: {choice}\nLabel:",
}
MAX_TEMPLATE = 4000
"""The most characters a template may have."""
MAX_REPEATS = 3
"""How often a placeholder may stand in a template; every text of the data is multiplied by it."""

_ALLOWED: dict[Kind, tuple[str, ...]] = {"preference": ("prompt", "first", "second"), "binary": ("question", "choice")}
_REQUIRED: dict[Kind, tuple[str, ...]] = {"preference": ("first", "second"), "binary": ("choice",)}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def kind_of(example: Example) -> Kind:
    """The kind of dataset that the example belongs to."""
    return "preference" if isinstance(example, Preference) else "binary"


def candidates(example: Example) -> tuple[str, ...]:
    """The texts that compete for the higher score: the prompt with each response, or the question with its answer."""
    if isinstance(example, Preference):
        return _joined(example.prompt, example.first), _joined(example.prompt, example.second)
    return (_joined(example.question, example.choice),)


def label_prompt(example: Example, template: str | None = None) -> str:
    """The text after which one of LABEL_TOKENS comes. Raises ProblemError for a template that `fill` refuses."""
    if template is None:
        template = DEFAULT_TEMPLATES[kind_of(example)]
    return fill(example, template)[0]


def fill(example: Example, template: str) -> tuple[str, ...]:
    """The template with the example's texts in place of its placeholders.

    A binary example gives one text. A preference gives two, one for each order of the responses: in the second text
    the responses have changed places and so have the labels, so that a bias towards a position can be averaged out.

    Raises:
        ProblemError: a placeholder is unknown or one that is needed is missing, or the template is too long.
    """
    _check(template, kind_of(example))
    if isinstance(example, Preference):
        orders = ((example.first, example.second), (example.second, example.first))
        return tuple(_replace(template, {"prompt": example.prompt, "first": a, "second": b}) for a, b in orders)
    return (_replace(template, {"question": example.question, "choice": example.choice}),)


def _check(template: str, kind: Kind) -> None:
    if len(template) > MAX_TEMPLATE:
        raise ProblemError(f"the template has {len(template)} characters; at most {MAX_TEMPLATE} are allowed.")
    found = _PLACEHOLDER.findall(template)
    names = ", ".join(f"{{{name}}}" for name in _ALLOWED[kind])
    for name in found:
        if name not in _ALLOWED[kind]:
            raise ProblemError(f"the template has {{{name[:40]}}}; for {kind} data these are allowed: {names}")
    for name in set(found):
        if found.count(name) > MAX_REPEATS:
            raise ProblemError(f"the template has {{{name}}} {found.count(name)} times; at most {MAX_REPEATS} may be")
    missing = [name for name in _REQUIRED[kind] if name not in found]
    if missing:
        raise ProblemError(f"the template lacks {{{missing[0]}}}; for {kind} data these are allowed: {names}")


def _replace(template: str, texts: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: texts[match[1]], template)


def _joined(context: str, text: str) -> str:
    return f"{context}\n\n{text}" if context else text


def model_texts(
    examples: Sequence[Example], form: Literal["label_token", "scalar_head"]
) -> tuple[tuple[str, ...], ...]:
    """One text per example for label tokens; for a scalar head one, or two that compete where it is a preference."""
    if form == "label_token":
        return tuple((label_prompt(example),) for example in examples)
    return tuple(candidates(example) for example in examples)
