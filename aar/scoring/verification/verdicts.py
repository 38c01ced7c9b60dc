"""Correction for looking more than once.

What the controls of a verification mean, in words.

Each effect is in PGR with its 95 % interval. A verdict needs evidence: an interval above 0 shows an effect, one below
`NEGLIGIBLE` shows that there is none worth the name, and anything else is undecided.
"""

from collections.abc import Iterable, Sequence

from aar.scoring.records import ControlResult, Verification
from aar.scoring.stats.uncertainty import Estimate


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: below 0.05 for all that Holm's procedure rejects at that level.

    Holm 1979, "A simple sequentially rejective multiple test procedure". Valid whatever the tests' dependence.
    """
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = running
    return adjusted


def bonferroni(p_value: float, looks: int) -> float:
    """The p-value, corrected for the number of looks of which this was the best."""
    return min(1.0, p_value * max(1, looks))


NEGLIGIBLE = 0.1
"""Less than this share of the gap counts as nothing."""
LOSS_ALLOWED = 0.1
"""Nats per token by which the language model may get worse: a perplexity 10 % higher."""
SIGNIFICANT = 0.05

NO_SUPERVISION = "uses no weak supervision"
INDIFFERENT = "indifferent to its teacher"
FROM_ENSEMBLING = "gain is from ensembling"
FROM_RECIPE = "gain is from the recipe"
CAPABILITY_LOST = "capability lost"
UNDECIDED = "undecided"
BETTER, WORSE, NOT_SHOWN = "better than vanilla", "worse than vanilla", "not shown to be better than vanilla"


def shuffled(effect: Estimate) -> ControlResult:
    """`effect`: the method's PGR with its teacher's labels minus that with the same labels in a random order."""
    verdict = _three_ways(effect, "uses its teacher", NO_SUPERVISION)
    return ControlResult("shuffled", verdict, effect, "PGR lost when the teacher's labels are shuffled")


def teachers(effect: Estimate, compared: str) -> ControlResult:
    """`effect`: PGR with a better teacher minus that with a worse one."""
    verdict = _three_ways(effect, "follows its teacher", INDIFFERENT)
    return ControlResult("teachers", verdict, effect, f"PGR with {compared}")


def recipe(over_recipe: Estimate, recipe_gain: Estimate, gain: Estimate, ensemble: bool) -> ControlResult:
    """Where a gain comes from.

    Args:
        over_recipe: the method's PGR minus that of vanilla labels with the method's recipe.
        recipe_gain: what the recipe alone adds to vanilla.
        gain: what the method adds to vanilla.
    """
    words = "PGR above vanilla's labels trained by the method's own recipe"
    if over_recipe.low > 0:
        return ControlResult("recipe", "gain is from supervision", over_recipe, words)
    if gain.low > 0 and (recipe_gain.low > 0 or over_recipe.high < NEGLIGIBLE):
        return ControlResult("recipe", FROM_ENSEMBLING if ensemble else FROM_RECIPE, over_recipe, words)
    return ControlResult("recipe", UNDECIDED if gain.low > 0 else "no gain to explain", over_recipe, words)


def plain_recipe() -> ControlResult:
    """The method fits as the baselines do."""
    return ControlResult("recipe", "plain recipe", None, "one fit, as vanilla and ceiling had it")


def unknown_recipe() -> ControlResult:
    """The method trains by a program of its own."""
    return ControlResult("recipe", "not checked", None, "it trains by a program of its own, which cannot be replayed")


def capability(loss: Estimate) -> ControlResult:
    """`loss`: nats per token on neutral text that the student is worse than the untrained model."""
    verdict = _kept(loss)
    return ControlResult("capability", verdict, loss, "nats per token lost on neutral text")


def no_student() -> ControlResult:
    """The method handed in predictions."""
    return ControlResult("capability", "not checked", None, "it handed in predictions and no student")


def _kept(loss: Estimate) -> str:
    if loss.high < LOSS_ALLOWED:
        return "capability kept"
    return CAPABILITY_LOST if loss.low > LOSS_ALLOWED else UNDECIDED


def failed(control: str, reason: str) -> ControlResult:
    """The method could not be run under this control."""
    return ControlResult(control, "failed", None, reason)


def _three_ways(effect: Estimate, present: str, absent: str) -> str:
    if effect.low > 0:
        return present
    return absent if effect.high < NEGLIGIBLE else UNDECIDED


def corrected(verifications: Sequence[Verification]) -> dict[str, float]:
    """p-values by experiment, of its latest verification, corrected by Holm for all looks at the sealed part.

    Candidates that were compared on dev alone need no correction here: sealed items and fresh seeds had no part in the
    choice. `strict` corrects for them all the same.
    """
    adjusted = holm([one.p_value for one in verifications])
    return {one.experiment: p for one, p in zip(verifications, adjusted, strict=True)}


def latest(verifications: Iterable[Verification]) -> list[Verification]:
    """The last verification of each experiment."""
    return list({one.experiment: one for one in verifications}.values())


def strict(one: Verification) -> float:
    """The p-value, corrected as if every candidate that dev had seen had been tested on sealed too."""
    return bonferroni(one.p_value, one.candidates)


def against_vanilla(one: Verification, p_value: float) -> str:
    """The verdict of the paired test; `p_value` corrected."""
    if p_value >= SIGNIFICANT:
        return NOT_SHOWN
    return BETTER if one.over_vanilla.value > 0 else WORSE


def verdicts(one: Verification, p_value: float) -> list[str]:
    """All that a reader should know about a verified method, worst last; what was found in order is left out."""
    telling = {NO_SUPERVISION, INDIFFERENT, FROM_ENSEMBLING, FROM_RECIPE, CAPABILITY_LOST, "failed"}
    found = [control.verdict for control in one.controls if control.verdict in telling]
    overfitted = one.optimism is not None and one.optimism.low > NEGLIGIBLE
    return [against_vanilla(one, p_value), *(["overfitted to dev"] if overfitted else []), *found]
