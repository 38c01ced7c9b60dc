"""The leaderboard and the summary, in tables, words and data."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from aar.commons.foreign import Foreign
from aar.reporting.data import leaderboard_data, state_data, to_json
from aar.reporting.results import (
    NOTHING_YET,
    campaign_argument,
    leaderboard,
    places,
    summary,
    trial_words,
    verification_report,
)
from aar.scoring.records import ControlResult
from aar.scoring.stats.uncertainty import Estimate
from tests.reporting.states import EMPTY, MEASURED, experiment, unimproved, verification, with_experiments


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
    one = verification("e2", 0.1)
    report = printed(verification_report(replace(bare, verifications=(one,)), one))
    assert "e2: better than vanilla; unprotected." in report


def test_the_caption_tells_seeds_and_items() -> None:
    shown = printed(leaderboard(with_experiments(experiment(2, "researcher-1", 0.5))))
    assert "dev of minimal-pairs (1000 items): means over 2 seeds, references over 3" in shown


def test_text_of_methods_cannot_style_the_table() -> None:
    noted = replace(experiment(2, "researcher-1", 0.5), note=Foreign("[red]x[/red]\x1b[2J"))
    shown = printed(leaderboard(with_experiments(noted)))
    assert "[red]x[/red]" in shown and "\x1b" not in shown


def test_what_was_no_improvement_is_listed_without_a_number() -> None:
    shown = printed(leaderboard(with_experiments(experiment(2, "researcher-1", 0.5), unimproved(3, "researcher-1"))))
    assert "No significant improvement over the researcher's best" in shown
    assert "e3 researcher-1: method 3" in shown


def test_scores_of_the_predictions_protocol_are_marked() -> None:
    shown = printed(leaderboard(replace(MEASURED, protocol="predictions")))
    assert "predictions protocol: not to be ranked with others" in " ".join(shown.split())


def test_a_row_shows_what_was_verified_and_what_the_audit_found() -> None:
    state = with_experiments(experiment(2, "researcher-1", 0.5))
    looked_at = replace(state, verifications=(verification("e2", 0.1),), findings={"e2": ("probing",)})
    shown = printed(leaderboard(looked_at))
    assert "[0.40, 0.60]      0.75" in shown and "(probing)" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("low", "p_value", "verdict"),
    [
        (0.01, 0.01, "e2: better than vanilla."),
        (-0.1, 0.4, "e2: not shown to be better than vanilla."),
        (-0.4, 0.01, "e2: worse than vanilla."),
    ],
)
def test_a_verification_is_reported_in_words(low: float, p_value: float, verdict: str) -> None:
    state = replace(with_experiments(experiment(2, "ada", 0.5)), verifications=(verification("e2", low, p_value),))
    shown = " ".join(printed(summary(state)).split())
    assert verdict in shown
    assert "Verified PGR 0.75 [0.65, 0.85] on 3 fresh seeds and sealed test items" in shown
    assert f"p = {p_value:.2g}" in shown and "if all 9 candidates had been tested on them" in shown


def test_looks_at_sealed_are_corrected_for_together() -> None:
    looks = tuple(verification(f"e{number}", 0.1, 0.02) for number in (2, 3, 4))
    shown = " ".join(printed(summary(replace(MEASURED, verifications=looks))).split())
    assert "0.06 corrected for 3 looks at the sealed items" in shown
    assert "e2: not shown to be better than vanilla." in shown


def test_a_report_tells_datasets_controls_and_verdicts() -> None:
    nothing = ControlResult("shuffled", "uses no weak supervision", Estimate(0.0, 0.0, 0.0), "PGR lost when shuffled")
    fair, optimism = Estimate(0.5, 0.4, 0.6), Estimate(0.3, 0.2, 0.4)
    one = verification("e2", 0.1, controls=(nothing,), recipe_matched_pgr=fair, optimism=optimism)
    shown = printed(verification_report(replace(MEASURED, verifications=(one,)), one))
    words = " ".join(shown.split())
    assert "e2: better than vanilla; overfitted to dev; uses no weak supervision." in words
    assert "Against a ceiling trained by the same recipe: PGR 0.50 [0.40, 0.60]." in words
    assert "its PGR was higher by 0.30 [0.20, 0.40]" in words and "minimal" in words


def test_without_a_verification_or_a_best_method_nothing_is_claimed() -> None:
    shown = printed(summary(MEASURED))
    assert "Verified" not in shown and "Best method" not in shown
    assert "Ledger: 000000" in shown


def test_a_trial_is_compared_with_vanilla_or_its_failure_reported() -> None:
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
    assert set(state_data(EMPTY, {})) == set(state_data(full, {}))
    assert set(leaderboard_data(EMPTY)) == set(leaderboard_data(full))
    assert json.loads(to_json(leaderboard_data(full)))["experiments"][0]["rank"] == 1


def test_every_score_carries_the_platforms_badge() -> None:
    state = with_experiments(experiment(2, "researcher-1", 0.5), experiment(3, "researcher-1", 0.6))
    rows = leaderboard_data(replace(state, verifications=(verification("e2", 0.1),)))["experiments"]
    assert {row["id"]: (row["badge"], row["verdict"]) for row in rows} == {
        "e1": ("measured", None), "e2": ("verified", "better than vanilla"), "e3": ("measured", None),
    }  # fmt: skip
