"""A verification as people read it: figures by dataset, controls, and the verdicts in words."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aar.campaign.state import CampaignState
from aar.reporting.text import UNPROTECTED, estimate_text, new_table, plain
from aar.scoring.records import DatasetVerification, Verification
from aar.scoring.verification.verdicts import corrected, latest, strict, verdicts


def verification_report(state: CampaignState, one: Verification) -> RenderableType:
    """Tables and sentences on one verification."""
    return Group(_figures(one), *(Text(line) for line in verification_lines(state, one)), _controls(one))


def verification_lines(state: CampaignState, one: Verification) -> Iterator[str]:
    """What was found, sentence by sentence."""
    p_value = corrected(state.verifications)[one.experiment]
    yield f"{one.experiment}: {_verdicts(state, one, p_value)}."
    yield (
        f"Verified PGR {estimate_text(one.pgr, 2)} on {len(one.seeds)} fresh seeds and sealed test items; above vanilla"
        f" by {estimate_text(one.over_vanilla, 2)} PGR."
    )
    yield (
        f"p = {one.p_value:.2g}; {p_value:.2g} corrected for {len(state.verifications)} looks at the sealed items;"
        f" {strict(one):.2g} if all {one.candidates} candidates had been tested on them."
    )
    if one.recipe_matched_pgr is not None:
        yield f"Against a ceiling trained by the same recipe: PGR {estimate_text(one.recipe_matched_pgr, 2)}."
    if one.optimism is not None:
        yield f"On dev, where it was chosen, its PGR was higher by {estimate_text(one.optimism, 2)}."


def verdict_words(state: CampaignState) -> dict[str, str]:
    """All verdicts on a verified experiment, by its id."""
    p_values = corrected(state.verifications)
    return {one.experiment: _verdicts(state, one, p_values[one.experiment]) for one in latest(state.verifications)}


def _verdicts(state: CampaignState, one: Verification, p_value: float) -> str:
    return "; ".join([*verdicts(one, p_value), *([] if state.protected else [UNPROTECTED])])


def _figures(one: Verification) -> Table:
    table = new_table(caption="accuracies on sealed test items, 95 % intervals")
    for name in ("dataset", "items", "teacher", "vanilla", "method", "ceiling", "PGR", "method - vanilla"):
        table.add_column(name, justify="left" if name == "dataset" else "right")
    for part in one.datasets:
        table.add_row(*_cells(part))
    return table


def _cells(part: DatasetVerification) -> list[str]:
    accuracies = [estimate_text(each) for each in (part.weak, part.vanilla, part.accuracy, part.ceiling)]
    name = part.dataset if part.role == "research" else f"{part.dataset} (transfer)"
    return [name, str(part.items), *accuracies, estimate_text(part.pgr, 2), estimate_text(part.over_vanilla)]


def _controls(one: Verification) -> Table:
    table = new_table()
    for name in ("control", "verdict", "effect [95 %]", "what that is"):
        table.add_column(name, overflow="fold")
    for control in one.controls:
        effect = estimate_text(control.effect, 2) if control.effect else ""
        table.add_row(control.control, control.verdict, effect, plain(control.words))
    return table
