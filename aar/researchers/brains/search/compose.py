"""Turn a MethodSpec into a complete method file: readable, and with nothing but numpy and lab.

Functions are copied from parts.py; `supervise` is written line by line.
"""

import inspect
import re
import textwrap
from collections.abc import Callable

import numpy as np

from aar.researchers.brains.search import parts
from aar.researchers.brains.search.space import MethodSpec

_LABELS = {
    "weak": "weak",
    "prior": "prior",
    "product": "product(weak, prior, prior_share={share})",
    "em": "posterior(weak, prior, prior_share={share})",
    "probe": "probe(lab.embed(), weak, lab.seed)",
}
_FILTERS = {
    "confident": ["weights = weights * most_confident(confidence, keep={keep})"],
    "agree": ["weights = weights * ((weak > 0.5) == (prior > 0.5))  # only rows on which both agree"],
}


def compose(spec: MethodSpec, hypothesis: str) -> str:
    """The source of `method.py` for a spec, with the hypothesis it tests as its docstring."""
    body = "\n".join("    " + line for line in _supervise(spec))
    head = _docstring(hypothesis) + "\nimport numpy as np\n"
    functions = [inspect.getsource(part) for part in _needed(body)]
    return "\n\n".join([head, *functions, f"def supervise(lab):\n{body}\n"])


def _docstring(hypothesis: str) -> str:
    safe = hypothesis.replace("\\", "/").replace('"', "'")
    paragraphs = [textwrap.fill(paragraph, 110) for paragraph in safe.split("\n\n")]
    return '"""' + "\n\n".join(paragraphs) + '\n"""\n'


def _needed(body: str) -> list[Callable[..., np.ndarray]]:
    """The parts that the body calls, and those that these call, in the order in which a reader meets them."""
    needed: list[str] = []
    texts = [body]
    while texts:
        text = texts.pop()
        for name in parts.__all__:
            if re.search(rf"\b{name}\(", text) and name not in needed:
                needed.append(name)
                texts.append(inspect.getsource(getattr(parts, name)))
    return [getattr(parts, name) for name in parts.__all__ if name in needed]


def _supervise(spec: MethodSpec) -> list[str]:
    return [*_beliefs(spec), *_targets(spec), *_weights(spec), *_training(spec)]


def _beliefs(spec: MethodSpec) -> list[str]:
    lines = []
    if spec.labels != "prior" or spec.filter == "agree":
        lines.append("weak = calibrated(lab.weak_labels)")
    if spec.labels in ("prior", "product", "em") or spec.filter == "agree":
        lines.append("prior = calibrated(lab.zero_shot())")
    return [*lines, f"belief = {_LABELS[spec.labels].format(share=spec.prior_share)}"]


def _targets(spec: MethodSpec) -> list[str]:
    lines = ["belief = (belief > 0.5).astype(float)"] if spec.hard else []
    lines.append("targets = np.stack([1 - belief, belief], axis=1)")
    uses_confidence = "confidence" in spec.weights or spec.filter == "confident" or spec.schedule == "confident_first"
    return ["confidence = np.abs(2 * belief - 1)", *lines] if uses_confidence else lines


def _weights(spec: MethodSpec) -> list[str]:
    lines = ["weights = confidence" if spec.weights == "confidence" else "weights = np.ones(len(belief))"]
    return lines + [line.format(keep=spec.keep) for line in _FILTERS.get(spec.filter, [])]


def _training(spec: MethodSpec) -> list[str]:
    if spec.schedule == "confident_first":
        return [
            "order = confident_first(confidence, weights, lab.seed)",
            f'return lab.fine_tune(targets, weights, order=order, loss="{spec.loss}", epochs=1)',
        ]
    fit = f'return lab.fine_tune(targets, weights, loss="{spec.loss}", epochs={spec.epochs})'
    if spec.schedule == "shuffled":
        return [fit]
    lines = [
        f'first = lab.fine_tune(targets, weights, loss="{spec.loss}", epochs=1)  # before it memorises what is noise',
        "targets = (targets + first.predict()) / 2",
    ]
    if spec.hard:
        lines.append("targets = (targets[:, 1] > 0.5).astype(int)")
    return [*lines, fit]
