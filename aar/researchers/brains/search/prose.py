"""The search brain's prose: descriptions of methods, hypotheses, and conclusions from results."""

import math
import textwrap
from typing import Any

from aar.commons.forum import TITLE_CHARACTERS
from aar.researchers.brains.search.optimiser import Proposal
from aar.researchers.brains.search.reading import Trial
from aar.researchers.brains.search.space import MethodSpec
from aar.scoring.records import Experiment, Score
from aar.text import fitted_text

FAILURE_BYTES = 4000

_LABELS = {
    "weak": "weak labels",
    "prior": "zero-shot prior",
    "product": "product of teacher and prior ({share:.0%} prior)",
    "em": "EM posterior of teacher and prior (start: {share:.0%} prior)",
    "local": "teacher and prior, weighed by groups of similar rows",
    "probe": "weak labels smoothed by a probe",
}
_OTHERS: dict[tuple[str, Any], str] = {
    ("filter", "confident"): "most confident {keep:.0%} of the rows",
    ("filter", "agree"): "only rows where teacher and prior agree",
    ("weights", "confidence"): "weighted by confidence",
    ("loss", "logconf"): "confidence loss",
    ("schedule", "confident_first"): "confident half first",
    ("schedule", "two_rounds"): "two rounds",
    ("epochs", 1): "1 epoch",
    ("epochs", 3): "3 epochs",
}
_WHY: dict[tuple[str, Any], str] = {
    ("labels", "weak"): "the teacher alone may carry a signal that the mixture washes out",
    ("labels", "prior"): "the strong model's own belief may be better without the teacher",
    ("labels", "product"): "both sources count as evidence, in a fixed proportion",
    ("labels", "em"): "a channel per source can weigh each level of confidence by what it is worth",
    ("labels", "local"): "the prior may be right about some sorts of rows and wrong about others",
    ("labels", "probe"): "the strong model's hidden states do not fit the teacher's idiosyncratic errors",
    ("prior_share", 0.5): "the teacher deserves as much say as the prior",
    ("prior_share", 0.7): "the prior deserves somewhat more say than the teacher",
    ("prior_share", 0.9): "the prior deserves nearly all the say",
    ("hard", True): "hard decisions give a clearer signal than probabilities",
    ("hard", False): "probabilities keep doubtful rows from pulling as hard as certain ones",
    ("filter", "all"): "more rows may help more than cleaner rows",
    ("filter", "confident"): "errors cluster among uncertain rows, which can be left out",
    ("filter", "agree"): "errors are rare where two independent sources agree",
    ("keep", 0.5): "half of the rows may be enough if they are the clean ones",
    ("keep", 0.7): "leaving out the doubtful third trades few rows for much noise",
    ("keep", 0.85): "leaving out only the most doubtful rows loses hardly any signal",
    ("weights", "uniform"): "every row that is used should count the same",
    ("weights", "confidence"): "rows should count as much as they can be trusted",
    ("loss", "xent"): "plain cross-entropy does not reinforce the student's own errors",
    ("loss", "logconf"): "the student should be able to overrule labels that it is sure are wrong",
    ("schedule", "shuffled"): "the order of rows should not matter",
    ("schedule", "confident_first"): "clean rows first should fix the concept before noise arrives",
    ("schedule", "two_rounds"): "an early student's predictions should correct its labels",
    ("epochs", None): "the recipe's number of epochs suits these labels",
    ("epochs", 1): "stopping early leaves label noise unlearned",
    ("epochs", 3): "clean labels can bear more training",
}


def describe(spec: MethodSpec) -> str:
    """Describe a method in one line."""
    parts = [_LABELS[spec.labels].format(share=spec.prior_share), "hard" if spec.hard else "soft"]
    words = (_OTHERS.get((name, value)) for name, value in spec.to_dict().items())
    return ", ".join([*parts, *(word.format(keep=spec.keep) for word in words if word)])


def hypothesis(proposal: Proposal, direction_name: str) -> str:
    """State what is expected and why, for the body of a post and the docstring of the method."""
    spec, base = proposal.spec, proposal.base
    method = describe(spec)
    claim = f"{method[0].upper()}{method[1:]}.\n\n"
    if proposal.why is not None:
        return claim + f"Direction {direction_name}. {proposal.why}"
    origin = base.spec if base else MethodSpec()
    reasons = "; ".join(_WHY[change] for change in spec.changes_from(origin).items())
    if base is None or base.value is None:
        return claim + f"Direction {direction_name}. It varies vanilla: {reasons}."
    source = f"post {base.post} by {base.author} (PGR {base.value:.2f}), the best so far"
    return claim + f"Direction {direction_name}. It varies {source}: {describe(base.spec)}. The change: {reasons}."


def conclusion(
    experiment: Experiment, method: str, vanilla: Score | None, base: Trial | None, best: Trial | None
) -> str:
    """Compare the hypothesis with the result, and state what follows.

    Args:
        method: the method in one line.
        vanilla: the vanilla method's score, if there is one.
        base: the trial that the method varies. None: it varies none, and the hypothesis is "better than vanilla".
        best: the researcher's own best before this experiment.
    """
    if experiment.failure is not None:
        reason = fitted_text(experiment.failure.text, FAILURE_BYTES)
        return f"The experiment gave no score: {reason}\n\nIt says nothing about the hypothesis: {method}"
    if experiment.score is None:
        beaten = f"my best so far, post {best.post}, {_interval(best.score)}" if best and best.score else "vanilla"
        return f"{method}: no significant improvement over {beaten}. Its score was not released."
    rival, name = (base.score, _origin(base)) if base else (vanilla, "vanilla")
    lines = [
        f"Hypothesis: {method} is better than {name}.",
        _result(experiment.score),
        f"The hypothesis {_fate(experiment.score, rival)}.",
        *(f"Against {other}: {_difference(experiment.score, score)}" for other, score in _rivals(vanilla, base, best)),
    ]
    return "\n\n".join(lines)


def headline(experiment: Experiment, vanilla: Score | None, method: str) -> str:
    """Return the title of a result's post, within the forum's limit."""
    if experiment.score is None:
        outcome = "Failed" if experiment.failure else "No significant improvement"
        return textwrap.shorten(f"{outcome}: {method}", TITLE_CHARACTERS, placeholder=" …")
    change = "" if vanilla is None else f", {experiment.score.pgr - vanilla.pgr:+.2f} against vanilla"
    return textwrap.shorten(f"PGR {experiment.score.pgr:.2f}{change}: {method}", TITLE_CHARACTERS, placeholder=" …")


def _origin(trial: Trial) -> str:
    return f"{describe(trial.spec)} (post {trial.post} by {trial.author})"


def _rivals(vanilla: Score | None, base: Trial | None, best: Trial | None) -> list[tuple[str, Score]]:
    """Return the scores to compare with: vanilla, the varied method, and the researcher's best, each once."""
    rivals = [("vanilla", vanilla)]
    if base is not None:
        rivals.append((f"the method it varies (post {base.post})", base.score))
    if best is not None and (base is None or best.post != base.post):
        rivals.append((f"my best so far (post {best.post})", best.score))
    return [(name, score) for name, score in rivals if score is not None]


def _result(score: Score) -> str:
    return f"Result: accuracy {score.accuracy:.3f}, {_interval(score)}."


def _interval(score: Score) -> str:
    return f"PGR {score.pgr:.2f} [{score.pgr_low:.2f}, {score.pgr_high:.2f}]"


def _noise(score: Score, other: Score) -> float:
    """Return how much two PGRs may differ by chance: the half-widths of both intervals, added in quadrature."""
    return math.hypot(score.pgr_high - score.pgr_low, other.pgr_high - other.pgr_low) / 2


def _fate(score: Score, rival: Score | None) -> str:
    if rival is None:
        return "stays open: there is no score to compare with yet"
    if abs(score.pgr - rival.pgr) <= _noise(score, rival):
        return "stays open: the difference is within noise"
    return "holds" if score.pgr > rival.pgr else "is refuted"


def _difference(score: Score, other: Score) -> str:
    difference, noise = score.pgr - other.pgr, _noise(score, other)
    verdict = "within noise" if abs(difference) <= noise else "better" if difference > 0 else "worse"
    return f"{difference:+.2f} from {_interval(other)}, noise ±{noise:.2f}: {verdict}."
