"""The leaderboard and the summary, in tables, words and data."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from aar.reporting.data import leaderboard_data, state_data, to_json
from aar.reporting.leaderboard import NOTHING_YET, leaderboard
from aar.reporting.summary import campaign_argument, places, retest_words, summary, trial_words
from tests.reporting.states import EMPTY, MEASURED, experiment, retest, with_experiments


def printed(what: RenderableType) -> str:
    output = io.StringIO()
    Console(file=output, width=80).print(what)
    return output.getvalue()


def test_an_empty_leaderboard_says_so() -> None:
    assert NOTHING_YET in printed(leaderboard(EMPTY))


def test_a_method_above_the_ceiling_stands_above_it() -> None:
    lines = printed(leaderboard(with_experiments(experiment(2, "researcher-1", 1.2)))).splitlines()
    rows = [next(i for i, line in enumerate(lines) if word in line) for word in ("e2", "ceiling:", "e1", "teacher:")]
    assert rows == sorted(rows)


def test_every_score_of_a_campaign_without_a_wall_is_marked() -> None:
    walled = with_experiments(experiment(2, "researcher-1", 0.5), experiment(3, "researcher-2", 0.4))
    bare = replace(walled, protected=False)
    rows = [line for line in printed(leaderboard(bare)).splitlines() if line.split()[:1] in (["1"], ["2"], ["e1"])]
    shown = printed(summary(bare))
    assert len(rows) == 3 and " ".join(shown.split()).count("(unprotected)") == 3
    assert "could have changed any of these scores" in " ".join(shown.split())
    assert "unprotected" not in printed(summary(walled)).lower()
    assert {row["protected"] for row in leaderboard_data(bare)["experiments"]} == {False}


def test_the_caption_tells_seeds_and_items() -> None:
    shown = printed(leaderboard(with_experiments(experiment(2, "researcher-1", 0.5))))
    assert "minimal-pairs: means over 2 seeds, references over 3; 1000 hidden test items" in shown


def test_text_of_methods_cannot_style_the_table() -> None:
    noted = replace(experiment(2, "researcher-1", 0.5), note="[red]x[/red]\x1b[2J")
    shown = printed(leaderboard(with_experiments(noted)))
    assert "[red]x[/red]" in shown and "\x1b" not in shown


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.1, "it beats vanilla by"),
        (-0.1, 0.1, "it is not shown to differ"),
        (-0.2, -0.1, "it is worse than vanilla"),
    ],
)
def test_the_retest_is_told_in_words(low: float, high: float, verdict: str) -> None:
    state = replace(MEASURED, retests=(retest("e2", low, high), replace(retest("e1", 0, 0), over_vanilla=None)))
    (words,) = retest_words(state)
    assert verdict in words and "1000 test items drawn anew: e2" in words


def test_without_a_retest_or_a_best_method_nothing_is_claimed() -> None:
    shown = printed(summary(MEASURED))
    assert "Retest" not in shown and "Best method" not in shown


def test_a_trial_is_compared_with_vanilla_or_its_failure_told() -> None:
    good, bad = experiment(2, "person", 0.5), experiment(3, "person", failure="it raised\nline 3")
    assert "PGR 0.50 [0.40, 0.60]; vanilla: 0.808, PGR 0.40" in " ".join(printed(trial_words(MEASURED, good)).split())
    assert "failed: it raised\nline 3" in printed(trial_words(MEASURED, bad))


def test_commands_name_a_campaign_by_name_where_that_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AAR_HOME", "/nowhere")
    assert campaign_argument(EMPTY) == "little"
    assert any(line.endswith(" forum list -c little") for line in places(EMPTY, tmp_path / "best-pgr.png"))
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    assert campaign_argument(replace(EMPTY, folder=Path("/no where/little"))) == "'/no where/little'"


def test_data_is_json_even_where_a_number_is_none() -> None:
    assert json.loads(to_json({"pgr": float("nan"), "pair": (1, 0.5)})) == {"pgr": None, "pair": [1, 0.5]}


def test_data_of_an_empty_campaign_has_the_same_keys_as_that_of_a_full_one() -> None:
    full = with_experiments(experiment(2, "researcher-1", 0.5))
    assert set(state_data(EMPTY)) == set(state_data(full))
    assert set(leaderboard_data(EMPTY)) == set(leaderboard_data(full))
    assert json.loads(to_json(leaderboard_data(full)))["experiments"][0]["rank"] == 1
