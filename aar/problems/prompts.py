"""Turns examples into the texts that models read.

Templates may come from method code, which is not trusted. A placeholder is a bare field name, replaced in one pass with
the example's text and nothing else. `str.format`, which reaches attributes, is never used.
"""

import re
from collections.abc import Sequence

from aar.errors import ProblemError
from aar.models.recipe import Form
from aar.problems.dataset import Example, Kind, Preference

LABEL_TOKENS: dict[Kind, tuple[str, str]] = {"preference": (" A", " B"), "binary": (" False", " True")}
DEFAULT_TEMPLATES: dict[Kind, str] = {
    "preference": "Question: {prompt}\nAnswer A: {first}\nAnswer B: {second}\nLabel:",
    "binary": "Question: {question}\nAnswer: {choice}\nLabel:",
}
MAX_TEMPLATE = 4000
"""Characters of a template, at most."""
MAX_REPEATS = 3
"""Occurrences of a placeholder in a template, at most: each repeats every text of the data."""

_ALLOWED: dict[Kind, tuple[str, ...]] = {"preference": ("prompt", "first", "second"), "binary": ("question", "choice")}
_REQUIRED: dict[Kind, tuple[str, ...]] = {"preference": ("first", "second"), "binary": ("choice",)}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def kind_of(example: Example) -> Kind:
    """Return the kind of dataset to which the example belongs."""
    return "preference" if isinstance(example, Preference) else "binary"


def candidates(example: Example) -> tuple[str, ...]:
    """Return the texts that compete for the higher score: the prompt with each response, or the question and answer."""
    if isinstance(example, Preference):
        return _joined(example.prompt, example.first), _joined(example.prompt, example.second)
    return (_joined(example.question, example.choice),)


def label_prompt(example: Example, template: str | None = None) -> str:
    """Return the text that one of LABEL_TOKENS follows. Raises ProblemError for a template that `fill` refuses."""
    if template is None:
        template = DEFAULT_TEMPLATES[kind_of(example)]
    return fill(example, template)[0]


def fill(example: Example, template: str) -> tuple[str, ...]:
    """Replace the placeholders of a template with the example's texts.

    A binary example gives one text. A preference gives two, one for each order of the responses: in the second text
    the responses are swapped, and so are the labels, so that a bias towards a position can be averaged out.

    Raises:
        ProblemError: a placeholder is unknown, missing or repeated too often, or the template is too long.
    """
    _check(template, kind_of(example))
    if isinstance(example, Preference):
        orders = ((example.first, example.second), (example.second, example.first))
        return tuple(_replace(template, {"prompt": example.prompt, "first": a, "second": b}) for a, b in orders)
    return (_replace(template, {"question": example.question, "choice": example.choice}),)


def _check(template: str, kind: Kind) -> None:
    if len(template) > MAX_TEMPLATE:
        raise ProblemError(f"the template has {len(template)} characters; at most {MAX_TEMPLATE} are allowed.")
    used = _PLACEHOLDER.findall(template)
    names = ", ".join(f"{{{name}}}" for name in _ALLOWED[kind])
    for name in used:
        if name not in _ALLOWED[kind]:
            raise ProblemError(f"the template has {{{name[:40]}}}; for {kind} data these are allowed: {names}")
    for name in set(used):
        if used.count(name) > MAX_REPEATS:
            raise ProblemError(
                f"the template has {{{name}}} {used.count(name)} times; at most {MAX_REPEATS} are allowed"
            )
    missing = [name for name in _REQUIRED[kind] if name not in used]
    if missing:
        raise ProblemError(f"the template lacks {{{missing[0]}}}; for {kind} data these are allowed: {names}")


def _replace(template: str, texts: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: texts[match[1]], template)


def _joined(context: str, text: str) -> str:
    return f"{context}\n\n{text}" if context else text


def model_texts(examples: Sequence[Example], form: Form) -> tuple[tuple[str, ...], ...]:
    """Return one text per example for label tokens; for a scalar head one, or for preferences the two that compete."""
    if form == "label_token":
        return tuple((label_prompt(example),) for example in examples)
    return tuple(candidates(example) for example in examples)
