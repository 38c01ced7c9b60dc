"""The results of a campaign as people read them: the leaderboard, verifications, and what to do next."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aar.campaign.audit import REPORT_FILE
from aar.campaign.folder import campaigns_root
from aar.campaign.state import CampaignState
from aar.config import PLATFORM
from aar.reporting.spending import cost_words
from aar.reporting.text import UNPROTECTED, estimate_text, new_table, one_line, pgr_text, plain
from aar.scoring.records import DatasetVerification, Experiment, Verification
from aar.scoring.stats.pgr import performance_gap_recovered
from aar.scoring.verification.verdicts import corrected, latest, strict, verdicts

REFERENCE_STYLE = "cyan"
FITTED: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"}
NOTHING_YET = "No experiment was scored yet."


def summary(state: CampaignState) -> RenderableType:
    """Show the leaderboard, the best method, the verifications, the audit's findings and the cost."""
    verified = [line for each in latest(state.verifications) for line in verification_lines(state, each)]
    lines = [*_protection_words(state), *_best_words(state.best), *verified, *_integrity(state)]
    lines += cost_words(state.spent)
    return Group(leaderboard(state), *(Text(line) for line in lines))


def _best_words(best: Experiment | None) -> list[str]:
    if best is None or best.score is None:
        return []
    return [f"Best method: {best.id} by {best.researcher}, PGR {pgr_text(best.score)} on dev."]


def _integrity(state: CampaignState) -> list[str]:
    flagged = ", ".join(sorted(state.findings))
    audit = [f"The audit has findings on {flagged}; see {state.folder / REPORT_FILE}."] if flagged else []
    return [*audit, f"Ledger: {state.ledger_head}"]


def _protection_words(state: CampaignState) -> list[str]:
    if state.protected:
        return []
    return ["Unprotected: researchers' code ran without a sandbox and could have changed any of these scores."]


def places(state: CampaignState, picture: Path) -> list[str]:
    """Tell where the campaign's files are, and which commands to try next, line by line."""
    campaign = campaign_argument(state)
    code = [f"store show {state.best.id} -c {campaign}"] if state.best else []
    commands = [f"forum list -c {campaign}", *code, "try my_method.py"]
    return [f"Picture: {picture}", f"Folder:  {state.folder}", "Next:", *(f"  {_aar()} {line}" for line in commands)]


def _aar() -> str:
    """The command that starts this program again: its name if it is on the PATH."""
    return "aar" if shutil.which("aar") else shlex.quote(sys.argv[0])


def campaign_argument(state: CampaignState) -> str:
    """Return the campaign as an argument of a command: its name if that is enough, else its folder."""
    named = (campaigns_root() / state.name).resolve() == state.folder.resolve()
    return shlex.quote(state.name if named else str(state.folder))


def trial_words(state: CampaignState, trial: Experiment) -> RenderableType:
    """Tell how a method that a person tried compares with the reference."""
    if trial.failure is not None:
        return plain(f"{trial.note.text} failed: {trial.failure.text}")
    vanilla = state.reference.score if state.reference else None
    reference = f"; vanilla: {vanilla.accuracy:.3f}, PGR {pgr_text(vanilla)}" if vanilla else ""
    if trial.score is None:
        return plain(f"{trial.note.text}: no significant improvement over the best method tried here before{reference}")
    return plain(f"{trial.note.text}: accuracy {trial.score.accuracy:.3f}, PGR {pgr_text(trial.score)}{reference}")


def leaderboard(state: CampaignState) -> RenderableType:
    """Show scored experiments with the references among them, then those without an improvement, then failures."""
    failed = [experiment for experiment in state.experiments if experiment.status == "failed"]
    scored = _table(state) if state.scored or state.baselines else Text(NOTHING_YET)
    return Group(scored, *_unimproved(state.unimproved), *_failures(failed))


def _table(state: CampaignState) -> Table:
    table = new_table(caption=_caption(state))
    for name in ("#", "exp"):
        table.add_column(name, no_wrap=True)
    table.add_column("researcher", no_wrap=True, max_width=14, overflow="ellipsis")
    table.add_column("method", overflow="fold")
    for name in ("accuracy", "PGR [95 %]", "verified"):
        table.add_column(name, no_wrap=True, justify="right")
    rows = [(each.score.pgr, _experiment_row(rank, each, state)) for rank, each in ranked(state) if each.score]
    rows += [(pgr, _reference_row(what, accuracy, pgr)) for what, accuracy, pgr in _references(state)]
    for _, row in sorted(rows, key=lambda row: -row[0]):
        table.add_row(*row)
    return table


def _experiment_row(rank: int | None, experiment: Experiment, state: CampaignState) -> list[Text]:
    assert experiment.score is not None
    id, researcher, score = experiment.id, experiment.researcher, experiment.score
    style = REFERENCE_STYLE if researcher == PLATFORM else "bold" if rank == 1 else ""
    note = f"{experiment.note.text} (reference)" if researcher == PLATFORM else experiment.note.text
    marks = (*(() if state.protected else (UNPROTECTED,)), *state.findings.get(id, ()))
    note += "".join(f" ({mark})" for mark in marks)
    verified = next((f"{each.pgr.value:.2f}" for each in latest(state.verifications) if each.experiment == id), "")
    cells = (str(rank or ""), id, researcher, note, f"{score.accuracy:.3f}", pgr_text(score), verified)
    return [one_line(cell, style) for cell in cells]


def _references(state: CampaignState) -> Iterator[tuple[str, float, float]]:
    """Yield what no experiment is: a name, the mean accuracy over the research datasets, and the PGR that it has."""
    if state.weak_acc is None or state.ceiling_acc is None:
        return
    means = {
        "ceiling: trained on ground truth": state.ceiling_acc,
        "teacher: gave the labels": state.weak_acc,
        "untrained student": fmean(each.prior.value for each in state.baselines),
        "untrained student, sign by teacher": fmean(each.signed_prior.value for each in state.baselines),
    }
    for what, accuracy in means.items():
        yield what, accuracy, performance_gap_recovered(accuracy, state.weak_acc, state.ceiling_acc)


def _reference_row(what: str, accuracy: float, pgr: float) -> list[Text]:
    return [Text(cell, REFERENCE_STYLE) for cell in ("", "", PLATFORM, what, f"{accuracy:.3f}", f"{pgr:.2f}", "")]


def _caption(state: CampaignState) -> str | None:
    if not state.baselines:
        return None
    ends = state.baselines
    names = " and ".join(f"{baselines.dataset} ({baselines.test_items} items)" for baselines in ends)
    counts = {len(experiment.seeds) for experiment in state.ranked}
    seeds = f"means over {' or '.join(map(str, sorted(counts)))} seeds, " if counts else ""
    protocol = "" if state.protocol == "weights" else f"; {state.protocol} protocol: not to be ranked with others"
    return f"dev of {names}: {seeds}references over {len(ends[0].seeds)}{protocol}"


def _unimproved(experiments: list[Experiment]) -> list[Text]:
    title = "No significant improvement over the researcher's best"
    return _listed(title, [(experiment, experiment.note.text) for experiment in experiments])


def _failures(experiments: list[Experiment]) -> list[Text]:
    causes = [experiment.failure.text if experiment.failure else "" for experiment in experiments]
    return _listed("Failed", list(zip(experiments, causes, strict=True)))


def _listed(title: str, experiments: list[tuple[Experiment, str]]) -> list[Text]:
    """A heading, a line for each experiment, and an empty line; nothing if there are none."""
    lines = [
        Text.assemble(f"  {each.id} ", one_line(each.researcher), ": ", one_line(text), **FITTED)
        for each, text in experiments
    ]
    return [Text(title, "bold"), *lines, Text("")] if lines else []


def ranked(state: CampaignState) -> list[tuple[int | None, Experiment]]:
    """List scored experiments, best PGR first, each with its rank among the researchers', or None for a reference."""
    rank, rows = 0, []
    for experiment in state.scored:
        is_reference = experiment.researcher == PLATFORM
        rank += not is_reference
        rows.append((None if is_reference else rank, experiment))
    return rows


def verification_report(state: CampaignState, verification: Verification) -> RenderableType:
    """Show one verification in tables and sentences."""
    return Group(
        _figures(verification),
        *(Text(line) for line in verification_lines(state, verification)),
        _controls(verification),
    )


def verification_lines(state: CampaignState, verification: Verification) -> Iterator[str]:
    """Yield the result of a verification, sentence by sentence."""
    p_value = corrected(state.verifications)[verification.experiment]
    yield f"{verification.experiment}: {_verdicts(state, verification, p_value)}."
    yield (
        f"Verified PGR {estimate_text(verification.pgr, 2)} on {len(verification.seeds)} fresh seeds and sealed test "
        f"items; above vanilla by {estimate_text(verification.over_vanilla, 2)} PGR."
    )
    yield (
        f"p = {verification.p_value:.2g}; {p_value:.2g} corrected for {len(state.verifications)} looks at the sealed "
        f"items; {strict(verification):.2g} if all {verification.candidates} candidates had been tested on them."
    )
    if verification.recipe_matched_pgr is not None:
        yield f"Against a ceiling trained by the same recipe: PGR {estimate_text(verification.recipe_matched_pgr, 2)}."
    if verification.optimism is not None:
        yield f"On dev, where it was chosen, its PGR was higher by {estimate_text(verification.optimism, 2)}."


def verdict_words(state: CampaignState) -> dict[str, str]:
    """Return all verdicts on each verified experiment, by its id."""
    p_values = corrected(state.verifications)
    return {
        verification.experiment: _verdicts(state, verification, p_values[verification.experiment])
        for verification in latest(state.verifications)
    }


def _verdicts(state: CampaignState, verification: Verification, p_value: float) -> str:
    return "; ".join([*verdicts(verification, p_value), *([] if state.protected else [UNPROTECTED])])


def _figures(verification: Verification) -> Table:
    table = new_table(caption="accuracies on sealed test items, 95 % intervals")
    for name in ("dataset", "items", "teacher", "vanilla", "method", "ceiling", "PGR", "method - vanilla"):
        table.add_column(name, justify="left" if name == "dataset" else "right")
    for dataset in verification.datasets:
        table.add_row(*_cells(dataset))
    return table


def _cells(result: DatasetVerification) -> list[str]:
    accuracies = [estimate_text(each) for each in (result.weak, result.vanilla, result.accuracy, result.ceiling)]
    name = result.dataset if result.role == "research" else f"{result.dataset} (transfer)"
    return [name, str(result.items), *accuracies, estimate_text(result.pgr, 2), estimate_text(result.over_vanilla)]


def _controls(verification: Verification) -> Table:
    table = new_table()
    for name in ("control", "verdict", "effect [95 %]", "meaning"):
        table.add_column(name, overflow="fold")
    for control in verification.controls:
        effect = estimate_text(control.effect, 2) if control.effect else ""
        table.add_row(control.control, control.verdict, effect, plain(control.words))
    return table
