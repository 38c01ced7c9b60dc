"""`aar status` and `aar leaderboard` on a finished campaign."""

import json
from pathlib import Path

from aar.budget import Resources, UsageStore
from aar.campaign.folder import stored_config
from aar.config import ResearcherBudget
from aar.researchers.transcript import Transcript, transcript_folder
from tests.cli.conftest import Aar


def test_status_tells_researchers_and_the_best_score(campaign: Path, aar: Aar) -> None:
    shown = aar("status")
    assert shown.code == 0
    assert "researcher-3" in shown.out and "best PGR 0.81" in shown.out
    assert "It does not run" in shown.out and str(campaign) in shown.out


def test_status_as_json_is_one_document_with_stable_keys(campaign: Path, aar: Aar) -> None:
    data = json.loads(aar("status", "little", "--json").out)
    assert set(data) == {
        "name", "folder", "running", "protected", "phase", "seconds_used", "seconds_budget", "researchers",
        "spent", "families", "diversity", "experiments", "baselines", "verifications", "protocol", "findings",
        "ledger_head", "best", "reference", "api_failures",
    }  # fmt: skip
    assert (data["name"], data["best"], data["reference"], data["running"]) == ("little", "e5", "e1", False)
    assert data["researchers"][0]["experiments"] == 2


def test_status_shows_every_researcher_however_many(campaign: Path, aar: Aar) -> None:
    for number in range(4, 12):
        aar("steer", "add", f"researcher-{number}")
    out = aar("status").out
    assert all(f"researcher-{number} " in out for number in range(1, 12)) and " more" not in out


def test_status_tells_what_went_wrong_also_when_a_researcher_has_gone_on(campaign: Path, aar: Aar) -> None:
    transcript = Transcript(transcript_folder(campaign, "researcher-1"))
    for message in ("429: slow down", "529: \x1b[31moverloaded"):
        transcript.append("api_failure", message=message)
    transcript.append("message", role="user", content='go on; "kind": "api_failure" is only quoted')
    (line,) = [line for line in aar("status").out.splitlines() if "overloaded" in line]
    assert line.split()[:2] == ["researcher-1", "2"] and line.isprintable()
    assert json.loads(aar("status", "--json").out)["api_failures"]["researcher-1"]["count"] == 2


def test_status_tells_what_is_left_also_to_those_who_pay_for_no_tokens(campaign: Path, aar: Aar) -> None:
    UsageStore(campaign).add("researcher-2", "e4", resources=Resources(experiments=1))
    budget = ResearcherBudget(experiments=7)
    config = stored_config(campaign)
    config.researchers[1] = config.researchers[1].model_copy(update={"budget": budget})
    (campaign / "config.json").write_text(config.model_dump_json())
    rows = [line.split() for line in aar("status").out.splitlines() if line.startswith("researcher-2")]
    assert "3/7" in rows[0]
    assert rows[1][-3:] == ["6", "experiments", "(researcher-2)"]


def test_a_campaign_is_named_by_its_folder_too(campaign: Path, aar: Aar) -> None:
    assert json.loads(aar("status", str(campaign), "--json").out)["folder"] == str(campaign)


def test_the_leaderboard_ranks_researchers_among_the_references(campaign: Path, aar: Aar) -> None:
    lines = aar("leaderboard").out.splitlines()
    rows = ("ceiling:", "1  e5", "e1 ", "teacher:")
    order = [next(number for number, line in enumerate(lines) if row in line) for row in rows]
    assert order == sorted(order)
    assert any("[" in line and "0.81 [0.35, 1.13]" in line for line in lines)


def test_the_leaderboard_names_failures_in_one_line_and_verifications_in_words(campaign: Path, aar: Aar) -> None:
    out = aar("leaderboard").out
    assert "e6 researcher-2: method raised ValueError" in out and "method.py line 4" not in out
    assert "e5: better than vanilla." in out and "Ledger: " in out


def test_no_line_is_wider_than_the_terminal(campaign: Path, aar: Aar) -> None:
    for command in ("status", "leaderboard"):
        lines = [line for line in aar(command).out.splitlines() if "folder:" not in line]
        assert max(map(len, lines)) <= 80


def test_the_leaderboard_as_json_has_ranks_failures_and_baselines(campaign: Path, aar: Aar) -> None:
    data = json.loads(aar("leaderboard", "--json").out)
    assert [(one["rank"], one["id"]) for one in data["experiments"]][:2] == [(1, "e5"), (2, "e4")]
    assert [one["id"] for one in data["experiments"] if one["rank"] is None] == ["e1"]
    assert [one["id"] for one in data["failed"]] == ["e6"]
    assert [one["test_items"] for one in data["baselines"]] == [400]
    assert [one["id"] for one in data["no_significant_improvement"]] == ["e7"]
    assert data["verifications"][0]["experiment"] == "e5"


def test_an_unknown_campaign_is_one_message_and_exit_code_1(campaign: Path, aar: Aar) -> None:
    ended = aar("status", "nowhere")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("aar: there is no campaign at nowhere") and "Traceback" not in ended.err


def test_a_wrong_command_line_is_exit_code_2(campaign: Path, aar: Aar) -> None:
    assert aar("status", "--unheard-of").code == 2
    assert aar("forum", "list", "--kind", "gossip").code == 2
