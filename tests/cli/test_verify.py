"""`aar verify`, `aar audit`, badges in `aar forum show`, and `aar baselines` on published results."""

import json
from pathlib import Path

from tests.cli.conftest import Aar
from tests.scoring.test_published import write


def test_an_audit_with_findings_says_so_and_ends_with_1(campaign: Path, aar: Aar) -> None:
    ended = aar("audit")
    assert ended.code == 1
    assert "unbacked claim" in ended.out and str(campaign / "audit.md") in ended.out
    assert json.loads(aar("audit", "--json").out)[0]["kind"] == "unbacked claim"


def test_findings_stand_on_the_leaderboards_rows(campaign: Path, aar: Aar) -> None:
    aar("audit")
    assert "(unbacked claim)" in " ".join(aar("leaderboard").out.split())
    rows = {row["id"]: row["findings"] for row in json.loads(aar("leaderboard", "--json").out)["experiments"]}
    assert rows["e3"] == ["unbacked claim"] and rows["e5"] == []


def test_a_post_shows_a_badge_for_every_number(campaign: Path, aar: Aar) -> None:
    aar("forum", "post", "done", "PGR 0.68 and in truth PGR 0.99", "--kind", "result")
    shown = aar("forum", "show", "3").out
    assert "Numbers: PGR 0.68 measured · PGR 0.99 claimed" in shown
    numbers = json.loads(aar("forum", "show", "3", "--json").out)["numbers"]
    assert [one["badge"] for one in numbers] == ["measured", "claimed"]


def test_what_cannot_be_verified_is_refused_before_anything_starts(campaign: Path, aar: Aar) -> None:
    ended = aar("verify", "e99")
    assert ended.code == 1 and 'no experiment or snapshot "e99"' in ended.err
    assert "there is no campaign" in aar("verify", "e2", "-c", "nowhere").err


def test_an_unknown_control_is_a_wrong_command_line(campaign: Path, aar: Aar) -> None:
    ended = aar("verify", "e2", "--control", "luck")
    assert ended.code == 2 and "luck is not a control" in ended.err


def test_published_results_give_their_table(campaign: Path, aar: Aar, tmp_path: Path) -> None:
    file = write(tmp_path)
    shown = aar("baselines", str(file)).out
    assert shown.startswith("chat: 1000 test items, weak 0.520 (2), ceiling 0.720 (2)")
    assert "0.200  0.115" in shown and max(map(len, shown.splitlines())) <= 80
    assert json.loads(aar("baselines", str(file), "--json").out)[0]["methods"][0]["seeds"] == 3
    assert aar("baselines", str(tmp_path / "gone.json")).code == 1
