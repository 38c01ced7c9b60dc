"""What a direction means to the search brain: what it tries first, and which dimensions it varies afterwards."""

from dataclasses import dataclass

from aar.researchers.brains.search.space import DIMENSIONS, MethodSpec


@dataclass(frozen=True)
class Opening:
    """A spec to try before the optimiser takes over, and why (a sentence)."""

    spec: MethodSpec
    why: str


@dataclass(frozen=True)
class Prior:
    """The openings of a direction, and the dimensions in which it varies the best method known."""

    openings: tuple[Opening, ...]
    explore: tuple[str, ...]


PRIORS: dict[str, Prior] = {
    "data-reweighting": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=True, weights="confidence"),
                "Rows are not equally trustworthy: weight each by how sure teacher and prior are together.",
            ),
        ),
        ("weights", "filter", "keep"),
    ),
    "strong-prior": Prior(
        (
            Opening(
                MethodSpec(labels="product", prior_share=0.9, hard=False),
                "The strong model already knows most of the answer; the teacher should only tip the balance.",
            ),
        ),
        ("labels", "prior_share", "hard"),
    ),
    "label-denoising": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=False),
                "Teacher and prior err independently, so the posterior of the label is cleaner than either.",
            ),
        ),
        ("labels", "prior_share", "filter", "keep", "hard"),
    ),
    "confidence-loss": Prior(
        (
            Opening(
                MethodSpec(labels="product", prior_share=0.7, hard=True, loss="logconf"),
                "A student that is allowed to overrule its targets corrects the errors that remain in them.",
            ),
        ),
        ("loss", "hard", "epochs", "weights"),
    ),
    "curriculum": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=True, schedule="confident_first"),
                "Clean rows first fix the concept; what comes after is read in its light (MDL curriculum).",
            ),
        ),
        ("schedule", "epochs", "filter", "keep"),
    ),
    "agreement": Prior(
        (
            Opening(
                MethodSpec(labels="weak", hard=True, filter="agree"),
                "Where two independent annotators agree, both are seldom wrong; fewer but cleaner rows win.",
            ),
        ),
        ("filter", "keep", "labels", "weights"),
    ),
    "unsupervised-elicitation": Prior(
        (
            Opening(
                MethodSpec(labels="prior", hard=True),
                "The student's own untrained beliefs are better labels than the teacher's.",
            ),
            Opening(
                MethodSpec(labels="prior", hard=True, filter="confident", keep=0.7),
                "Its own beliefs are nearly always right where they are firm; generalise from those.",
            ),
        ),
        ("labels", "filter", "keep", "schedule"),
    ),
    "training-dynamics": Prior(
        (
            Opening(
                MethodSpec(labels="em", hard=False, schedule="two_rounds"),
                "A student learns what is regular before it memorises noise, so its early predictions correct labels.",
            ),
        ),
        ("schedule", "epochs", "loss"),
    ),
    "representation": Prior(
        (
            Opening(
                MethodSpec(labels="probe", hard=True, filter="agree"),
                "The strong model's hidden states smooth the teacher's labels: its chance errors do not fit them.",
            ),
        ),
        ("labels", "filter", "keep", "weights", "hard"),
    ),
    "calibration": Prior(
        (
            Opening(
                MethodSpec(labels="product", prior_share=0.7, hard=False, weights="confidence"),
                "Calibrated soft targets carry more than decisions: doubt should reach the student as doubt.",
            ),
        ),
        ("hard", "prior_share", "weights", "loss"),
    ),
}

DEFAULT = Prior(
    (
        Opening(
            MethodSpec(labels="em", hard=False, weights="confidence"),
            "Combine all there is to know about a label, and trust each row as far as the sources support it.",
        ),
    ),
    tuple(DIMENSIONS),
)


def prior_of(direction_name: str) -> Prior:
    """The prior of a built-in direction; the default for any other name."""
    return PRIORS.get(direction_name, DEFAULT)
