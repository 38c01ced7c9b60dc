"""The live view fits a small terminal; the plain view says what is new and nothing twice."""

import io
from dataclasses import replace

from rich.console import Console

from aar.campaign.state import CampaignState
from aar.commons.foreign import Foreign
from aar.config import PLATFORM
from aar.reporting.results import leaderboard
from aar.reporting.views import RESEARCHERS_SHOWN, LiveView, LogView, dashboard
from tests.reporting.states import EMPTY, MEASURED, NOW, crowded, experiment, with_experiments


def drawn(state: CampaignState, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(dashboard(state, NOW, RESEARCHERS_SHOWN))
    return captured.get().splitlines()


def test_a_crowded_campaign_fits_25_lines_of_80_columns() -> None:
    lines = drawn(crowded(researchers=40, experiments=200))
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    assert "and 34 more" in "\n".join(lines) and "running (4 of 40)" in lines


def test_the_live_view_begins_with_nothing_known() -> None:
    text = "\n".join(drawn(EMPTY))
    assert "little  research" in text and "4:11 of 14:00 used, 9:49 left" in text
    assert "accuracy" not in text and "best PGR" not in text and "running" not in text


def test_the_live_view_shows_references_once_they_are_known() -> None:
    text = "\n".join(drawn(MEASURED))
    assert "accuracy: teacher 0.700 · vanilla 0.808 · ceiling 0.970" in text
    assert "best PGR" not in text  # vanilla is nobody's discovery


def test_the_live_view_shows_the_best_what_runs_and_what_failed() -> None:
    state = with_experiments(
        experiment(2, "researcher-1", 0.62),
        experiment(3, "researcher-1", failure="it [bold]raised[/bold]\nmore"),
        experiment(4, "researcher-1"),
    )
    text = "\n".join(drawn(state))
    assert "best PGR 0.62 [0.52, 0.72] by researcher-1 · vanilla 0.40 [0.30, 0.50]" in text
    assert "failed: it [bold]raised[/bold]" in text and "more" not in text
    assert any(line.startswith("e4") and line.endswith("0:42") for line in text.splitlines())


def test_what_an_ended_driver_left_is_called_interrupted() -> None:
    text = "\n".join(drawn(replace(with_experiments(experiment(2, "researcher-1")), running=False)))
    assert "interrupted" in text and "resumes with the next run" in text


def test_a_campaign_without_a_wall_is_marked_above_all_its_scores() -> None:
    assert "unprotected" in drawn(replace(MEASURED, protected=False))[0]
    assert "unprotected" not in drawn(MEASURED)[0]


def test_the_live_view_draws_on_a_terminal() -> None:
    screen = io.StringIO()
    with LiveView(Console(file=screen, force_terminal=True, width=80)) as view:
        view.show(EMPTY)
    assert "reading the forum" in screen.getvalue()


def logged(*states: CampaignState) -> list[str]:
    """What the plain view wrote, without the times."""
    output = io.StringIO()
    with LogView(Console(file=output, width=80)) as view:
        for state in states:
            view.show(state)
    return [line.split(" ", 1)[1] for line in output.getvalue().splitlines()]


def test_the_plain_view_writes_only_what_changed() -> None:
    busy = replace(EMPTY, researchers=(replace(EMPTY.researchers[0], activity="writing a method"),))
    assert logged(EMPTY, EMPTY, busy, busy) == ["campaign: research", "researcher-1: writing a method"]


def test_the_plain_view_tells_baselines_scores_and_failures() -> None:
    failed = experiment(3, "researcher-1", failure="too [red]slow")
    lines = logged(EMPTY, with_experiments(experiment(2, "researcher-1", 0.62), failed))[1:]
    assert lines[0] == "campaign: minimal-pairs: teacher accuracy 0.700 [0.680, 0.720], ceiling 0.970 [0.960, 0.980]"
    assert lines[1].startswith(f"{PLATFORM}: e1 scored PGR 0.40 [0.30, 0.50], accuracy 0.808: vanilla")
    assert lines[2].startswith("researcher-1: e2 scored PGR 0.62") and len(lines[2]) > 100  # a line is not wrapped
    assert lines[3] == "researcher-1: e3 failed: too [red]slow"


def test_the_plain_view_of_a_resumed_campaign_does_not_repeat_what_was_known() -> None:
    assert logged(with_experiments(experiment(2, "researcher-1", 0.62))) == ["campaign: research"]


HOSTILE = "good\x1b[2J\u202e\x9b0m [red]PGR 9.99[/red]\nresearcher-9: e9 scored PGR 9.99"


def test_a_line_that_is_said_stays_whole_in_both_views() -> None:
    line = "Logs:      /tmp/" + "x" * 100 + " [bold]not markup[/bold]"
    for terminal, view in ((True, LiveView), (False, LogView)):
        output = io.StringIO()
        with view(Console(file=output, force_terminal=terminal, width=80, color_system=None)) as shown:
            shown.show(EMPTY)
            shown.say(line)
            shown.show(EMPTY)
        assert line in output.getvalue()


def test_hostile_notes_and_failures_stay_on_one_line_in_every_view() -> None:
    state = with_experiments(
        replace(experiment(2, "researcher-1", 0.62), note=Foreign(HOSTILE)),
        experiment(3, "researcher-1", failure=HOSTILE),
    )
    console = Console(file=io.StringIO(), width=200, color_system=None)
    with console.capture() as captured:
        console.print(leaderboard(state))
    for lines in (drawn(state, 200), logged(EMPTY, state), captured.get().splitlines()):
        assert any("[red]PGR 9.99[/red]" in line for line in lines)
        assert all(line.isprintable() for line in lines)
        assert "researcher-9" not in "".join(lines)
