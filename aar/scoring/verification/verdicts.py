"""Verdicts: what the effects and p-values of a verification mean in words, corrected for looking more than once.

Each effect is in PGR with its 95 % interval. A verdict needs evidence: an interval above 0 shows an effect, one below
`NEGLIGIBLE` shows that any effect is negligible, and anything else is undecided.
"""

from collections.abc import Iterable, Sequence

from aar.scoring.records import ControlResult, Verification
from aar.scoring.stats.uncertainty import Estimate


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values in the given order: below 0.05 for all that Holm's procedure rejects at that level.

    Holm 1979, "A simple sequentially rejective multiple test procedure". Valid for any dependence between the tests.
    """
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def bonferroni(p_value: float, looks: int) -> float:
    """Correct a p-value for the number of looks of which it was the best."""
    return min(1.0, p_value * max(1, looks))


NEGLIGIBLE = 0.1
"""An effect below this share of the gap counts as none."""
LOSS_ALLOWED = 0.1
"""The increase in nats per token that the language model may suffer: a perplexity 10 % higher."""
SIGNIFICANT = 0.05

NO_SUPERVISION = "uses no weak supervision"
INDIFFERENT = "indifferent to its teacher"
FROM_ENSEMBLING = "gain is from ensembling"
FROM_RECIPE = "gain is from the recipe"
CAPABILITY_LOST = "capability lost"
UNDECIDED = "undecided"
BETTER, WORSE, NOT_SHOWN = "better than vanilla", "worse than vanilla", "not shown to be better than vanilla"


def shuffled(effect: Estimate) -> ControlResult:
    """Judge `effect`: the method's PGR with its teacher's labels minus that with the same labels in random order."""
    verdict = _three_ways(effect, "uses its teacher", NO_SUPERVISION)
    return ControlResult("shuffled", verdict, effect, "PGR lost when the teacher's labels are shuffled")


def teachers(effect: Estimate, compared: str) -> ControlResult:
    """Judge `effect`: the PGR with a better teacher minus that with a worse one. `compared`: these two, in words."""
    verdict = _three_ways(effect, "follows its teacher", INDIFFERENT)
    return ControlResult("teachers", verdict, effect, f"PGR with {compared}")


def recipe(over_recipe: Estimate, recipe_gain: Estimate, gain: Estimate, ensemble: bool) -> ControlResult:
    """Judge where a gain comes from.

    Args:
        over_recipe: the method's PGR minus that of vanilla labels with the method's recipe.
        recipe_gain: the PGR that the recipe alone adds to vanilla.
        gain: the PGR that the method adds to vanilla.
        ensemble: the method's student learned from several others.
    """
    words = "PGR above vanilla's labels trained by the method's own recipe"
    if over_recipe.low > 0:
        return ControlResult("recipe", "gain is from supervision", over_recipe, words)
    if gain.low > 0 and (recipe_gain.low > 0 or over_recipe.high < NEGLIGIBLE):
        return ControlResult("recipe", FROM_ENSEMBLING if ensemble else FROM_RECIPE, over_recipe, words)
    return ControlResult("recipe", UNDECIDED if gain.low > 0 else "no gain to explain", over_recipe, words)


def plain_recipe() -> ControlResult:
    """Return the result for a method that fits as the baselines do."""
    return ControlResult("recipe", "plain recipe", None, "one fit, as vanilla and ceiling had it")


def unknown_recipe() -> ControlResult:
    """Return the result for a method that makes students itself: by a program, or with a head."""
    return ControlResult(
        "recipe", "not checked", None, "it makes students by a program or a head of its own, which cannot be replayed"
    )


def capability(loss: Estimate) -> ControlResult:
    """Judge `loss`: nats per token on neutral text by which the student is worse than the untrained model."""
    verdict = CAPABILITY_LOST if loss.low > LOSS_ALLOWED else UNDECIDED
    if loss.high < LOSS_ALLOWED:
        verdict = "capability kept"
    return ControlResult("capability", verdict, loss, "nats per token lost on neutral text")


def no_student() -> ControlResult:
    """Return the result for a method that submitted predictions."""
    return ControlResult("capability", "not checked", None, "it submitted predictions instead of a student")


def failed(control: str, reason: str) -> ControlResult:
    """Return the result for a method that could not be run under this control."""
    return ControlResult(control, "failed", None, reason)


def _three_ways(effect: Estimate, present: str, absent: str) -> str:
    if effect.low > 0:
        return present
    return absent if effect.high < NEGLIGIBLE else UNDECIDED


def corrected(verifications: Sequence[Verification]) -> dict[str, float]:
    """Return the p-value of each experiment's latest verification, corrected by Holm for all looks at sealed.

    Candidates that were compared on dev only need no correction here: sealed items and fresh seeds had no part in the
    choice. `strict` corrects for them all the same.
    """
    adjusted = holm([verification.p_value for verification in verifications])
    return {one.experiment: p_value for one, p_value in zip(verifications, adjusted, strict=True)}


def latest(verifications: Iterable[Verification]) -> list[Verification]:
    """Return the last verification of each experiment."""
    return list({verification.experiment: verification for verification in verifications}.values())


def strict(verification: Verification) -> float:
    """Return the p-value, corrected as if every candidate scored on dev had been tested on sealed too."""
    return bonferroni(verification.p_value, verification.candidates)


def against_vanilla(verification: Verification, p_value: float) -> str:
    """Return the verdict of the paired test. `p_value`: already corrected."""
    if p_value >= SIGNIFICANT:
        return NOT_SHOWN
    return BETTER if verification.over_vanilla.value > 0 else WORSE


def verdicts(verification: Verification, p_value: float) -> list[str]:
    """Return all that a reader should know about a verified method, worst last; good findings are left out."""
    negative = {NO_SUPERVISION, INDIFFERENT, FROM_ENSEMBLING, FROM_RECIPE, CAPABILITY_LOST, "failed"}
    findings = [control.verdict for control in verification.controls if control.verdict in negative]
    optimism = verification.optimism
    overfitted = ["overfitted to dev"] if optimism is not None and optimism.low > NEGLIGIBLE else []
    return [against_vanilla(verification, p_value), *overfitted, *findings]
