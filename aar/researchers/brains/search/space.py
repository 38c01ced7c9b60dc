"""The space of methods that the search brain looks through: one MethodSpec is one point of it."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

from aar.models.data import Loss

Labels = Literal["weak", "prior", "product", "em", "probe"]
Filter = Literal["all", "confident", "agree"]
Weights = Literal["uniform", "confidence"]
Schedule = Literal["shuffled", "confident_first", "two_rounds"]

DIMENSIONS: dict[str, tuple[Any, ...]] = {
    "labels": ("weak", "prior", "product", "em", "probe"),
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
        channel model of both), probe (teacher's labels smoothed by a probe on the strong model's hidden states).
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
    loss: Loss = "xent"
    schedule: Schedule = "shuffled"
    epochs: int | None = None

    def __post_init__(self) -> None:
        for name, values in DIMENSIONS.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {values}")

    def canonical(self) -> "MethodSpec":
        """The same method with every dimension that has no effect in it at its default."""
        return replace(self, **{name: getattr(VANILLA, name) for name in self._idle()})

    def _idle(self) -> set[str]:
        """The dimensions that have no effect in this method."""
        idle = {
            "prior_share": self.labels not in ("product", "em"),
            "keep": self.filter != "confident",
            "epochs": self.schedule == "confident_first",
        }
        return {name for name, is_idle in idle.items() if is_idle}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, one entry per dimension."""
        return asdict(self)

    def changes_from(self, other: "MethodSpec") -> dict[str, Any]:
        """The dimensions with an effect in which this spec differs from `other`, with this spec's values."""
        values = {name: value for name, value in self.to_dict().items() if name not in self._idle()}
        return {name: value for name, value in values.items() if value != getattr(other, name)}

    @staticmethod
    def from_dict(data: Any) -> "MethodSpec":
        """Read what to_dict wrote, in canonical form. Raises ValueError for anything else."""
        if not isinstance(data, dict) or not set(data) <= set(DIMENSIONS):
            raise ValueError(f"a method spec is an object with keys among {', '.join(DIMENSIONS)}; got {data!r}")
        values = {name: DIMENSIONS[name][DIMENSIONS[name].index(value)] for name, value in data.items()}
        return MethodSpec(**cast(dict[str, Any], values)).canonical()


VANILLA = MethodSpec()
