"""The space of methods that the search brain explores: a MethodSpec is one point, `compose` writes its method file."""

import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

import numpy as np

from aar.methods.em_posterior import calibrated, posterior, product
from aar.methods.local_channel import groups, local_posterior

Labels = Literal["weak", "prior", "product", "em", "local", "probe"]
Filter = Literal["all", "confident", "agree"]
Weights = Literal["uniform", "confidence"]
Schedule = Literal["shuffled", "confident_first", "two_rounds"]

DIMENSIONS: dict[str, tuple[Any, ...]] = {
    "labels": ("weak", "prior", "product", "em", "local", "probe"),
    "prior_share": (0.5, 0.7, 0.9),
    "hard": (True, False),
    "filter": ("all", "confident", "agree"),
    "keep": (0.5, 0.7, 0.85),
    "weights": ("uniform", "confidence"),
    "loss": ("xent", "logconf"),
    "schedule": ("shuffled", "confident_first", "two_rounds"),
    "epochs": (None, 1, 3),
}


@dataclass(frozen=True)
class MethodSpec:
    """Where the labels come from and how the student is trained on them; the defaults are the vanilla method.

    labels: weak (teacher), prior (zero-shot belief), product (both as independent evidence), em (posterior of a noisy
        channel model of both), local (the same with a channel for each group of similar rows), probe (teacher's
        labels smoothed by a probe on the strong model's hidden states).
    prior_share: the prior's share of the evidence in product, and at the start of em.
    hard: decisions instead of probabilities as targets.
    filter: all rows, the most confident fraction `keep`, or those on which teacher and prior agree.
    schedule: rows shuffled; the confident half first, then all; or two rounds, the second on targets averaged with
        the first student's own predictions.
    epochs: None is the recipe's number.

    Raises:
        ValueError: a value that is not in DIMENSIONS.
    """

    labels: Labels = "weak"
    prior_share: float = 0.7
    hard: bool = True
    filter: Filter = "all"
    keep: float = 0.7
    weights: Weights = "uniform"
    loss: Literal["xent", "logconf"] = "xent"
    schedule: Schedule = "shuffled"
    epochs: int | None = None

    def __post_init__(self) -> None:
        for name, values in DIMENSIONS.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {values}")

    def canonical(self) -> "MethodSpec":
        """Return the same method with every dimension that has no effect set to its default."""
        return replace(self, **{name: getattr(VANILLA, name) for name in self._idle()})

    def _idle(self) -> set[str]:
        """Return the dimensions that have no effect in this method."""
        idle = {
            "prior_share": self.labels not in ("product", "em"),
            "keep": self.filter != "confident",
            "epochs": self.schedule == "confident_first",
        }
        return {name for name, is_idle in idle.items() if is_idle}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data with one entry per dimension."""
        return asdict(self)

    def changes_from(self, other: "MethodSpec") -> dict[str, Any]:
        """Return this spec's values in the dimensions that have an effect and differ from `other`."""
        values = {name: value for name, value in self.to_dict().items() if name not in self._idle()}
        return {name: value for name, value in values.items() if value != getattr(other, name)}

    @staticmethod
    def from_dict(data: Any) -> "MethodSpec":
        """Parse the output of `to_dict` into canonical form. Raises ValueError for anything else."""
        if not isinstance(data, dict) or not set(data) <= set(DIMENSIONS):
            raise ValueError(f"a method spec is an object with keys among {', '.join(DIMENSIONS)}; got {data!r}")
        values = {name: DIMENSIONS[name][DIMENSIONS[name].index(value)] for name, value in data.items()}
        return MethodSpec(**cast(dict[str, Any], values)).canonical()


VANILLA = MethodSpec()


def probe(states: np.ndarray, belief: np.ndarray, seed: int, folds: int = 5) -> np.ndarray:
    """(n,) belief of a ridge regression on hidden states (n, k, d) that never saw the row's own label."""
    features = states[:, -1] - states[:, 0] if states.shape[1] == 2 else states[:, 0]
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    fold = np.random.default_rng(seed).permutation(len(belief)) % folds
    score = np.zeros(len(belief))
    for held_out in range(folds):
        seen = features[fold != held_out]
        gram = seen.T @ seen + 0.1 * len(belief) * np.eye(features.shape[1])
        slope = np.linalg.solve(gram, seen.T @ (2 * belief[fold != held_out] - 1))
        score[fold == held_out] = features[fold == held_out] @ slope
    rank = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    return (rank + 0.5) / len(score)


def most_confident(confidence: np.ndarray, keep: float) -> np.ndarray:
    """(n,) bool, True for the fraction `keep` of the rows with the highest confidence."""
    kept = np.zeros(len(confidence), dtype=bool)
    kept[np.argsort(-confidence, kind="stable")[: max(1, round(keep * len(confidence)))]] = True
    return kept


def confident_first(confidence: np.ndarray, weights: np.ndarray, seed: int) -> np.ndarray:
    """(m,) row numbers: the more confident half of the rows in use, shuffled, and then all of them, shuffled."""
    rows = np.flatnonzero(weights > 0)
    ranked = rows[np.argsort(-confidence[rows], kind="stable")]
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(ranked[: (len(ranked) + 1) // 2]), rng.permutation(rows)])


def local_belief(weak: np.ndarray, prior: np.ndarray, states: np.ndarray, seed: int) -> np.ndarray:
    """(n,) belief of teacher and prior, where the prior may be right in one group of rows and wrong in another."""
    weak_odds, prior_odds = np.log(weak / (1 - weak)), np.log(prior / (1 - prior))
    belief: np.ndarray = 1 / (1 + np.exp(-local_posterior(weak_odds, prior_odds, states, seed)))
    return belief


PARTS: tuple[Callable[..., np.ndarray], ...] = (
    calibrated, confident_first, groups, local_belief, local_posterior, most_confident, posterior, probe, product,
)  # fmt: skip
"""The functions that composed methods consist of. Their source is copied into the method file, so they use only numpy.

A belief is an (n,) array of P(label 1). A confidence is an (n,) array of values from 0 to 1.
"""

_LABELS = {
    "weak": "weak",
    "prior": "prior",
    "product": "product(weak, prior, prior_share={share})",
    "em": "posterior(weak, prior, prior_share={share})",
    "local": "local_belief(weak, prior, lab.embed(0.2), lab.seed)",
    "probe": "probe(lab.embed(), weak, lab.seed)",
}
_FILTERS = {
    "confident": ["weights = weights * most_confident(confidence, keep={keep})"],
    "agree": ["weights = weights * ((weak > 0.5) == (prior > 0.5))  # only rows on which both agree"],
}


def compose(spec: MethodSpec, hypothesis: str) -> str:
    """Return the source of `method.py` for a spec, with the hypothesis as its docstring."""
    body = "\n".join("    " + line for line in _supervise(spec))
    head = _docstring(hypothesis) + "\nimport numpy as np\n"
    functions = [inspect.getsource(part) for part in _needed(body)]
    return "\n\n".join([head, *functions, f"def supervise(lab):\n{body}\n"])


def _docstring(hypothesis: str) -> str:
    safe = hypothesis.replace("\\", "/").replace('"', "'")
    paragraphs = [textwrap.fill(paragraph, 110) for paragraph in safe.split("\n\n")]
    return '"""' + "\n\n".join(paragraphs) + '\n"""\n'


def _needed(body: str) -> list[Callable[..., np.ndarray]]:
    """Return the parts that the body calls, directly or through other parts, in the order of PARTS."""
    needed: list[Callable[..., np.ndarray]] = []
    texts = [body]
    while texts:
        text = texts.pop()
        for part in PARTS:
            if part not in needed and re.search(rf"\b{part.__name__}\(", text):
                needed.append(part)
                texts.append(inspect.getsource(part))
    return [part for part in PARTS if part in needed]


def _supervise(spec: MethodSpec) -> list[str]:
    return [*_beliefs(spec), *_targets(spec), *_weights(spec), *_training(spec)]


def _beliefs(spec: MethodSpec) -> list[str]:
    lines = []
    if spec.labels != "prior" or spec.filter == "agree":
        lines.append("weak = calibrated(lab.weak_labels)")
    if spec.labels in ("prior", "product", "em", "local") or spec.filter == "agree":
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
        f'first = lab.fine_tune(targets, weights, loss="{spec.loss}", epochs=1)  # before it memorises noise',
        "targets = (targets + first.predict()) / 2",
    ]
    if spec.hard:
        lines.append("targets = (targets[:, 1] > 0.5).astype(int)")
    return [*lines, fit]
