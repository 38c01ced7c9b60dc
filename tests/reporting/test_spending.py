"""What a campaign costs, in tables for people: used up, what is left, and failed requests."""

from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from aar.budget import Resources, Tokens, Usage, UsageStore
from aar.campaign.state import ApiFailures, CampaignState, read_state
from aar.reporting.spending import api_failure_tables, cost_words, dollars, spending
from tests.campaign_fixture import write_campaign, write_toml


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    file = write_toml(tmp_path)
    file.write_text(
        file.read_text().replace("minutes = 14", "minutes = 14\ndollars = 10\nresearcher = {tokens = 1000}")
    )
    write_campaign(file, tmp_path / "little")
    return tmp_path / "little"


def state_of(folder: Path) -> CampaignState:
    return read_state(folder)


def shown(tables: list[RenderableType]) -> str:
    console = Console(width=120, record=True, force_terminal=False)
    for table in tables:
        console.print(table)
    return console.export_text()


def test_nothing_is_shown_before_anything_can_be_used_up(folder: Path) -> None:
    assert spending(state_of(folder)) == [] and api_failure_tables({}) == []


def test_without_a_language_model_time_and_what_is_left_are_shown(folder: Path) -> None:
    UsageStore(folder).add("researcher-1", "1", resources=Resources(seconds=90))
    text = shown(spending(state_of(folder)))
    assert "1:30" in text and "1,000 tokens (researcher-1)" in text
    assert "tokens in" not in text and "cost" not in text


def test_with_one_tokens_cost_and_the_limit_that_is_nearest_are_shown(folder: Path) -> None:
    tokens = Tokens(input=100, output=50, cache_read=700, cache_write_5m=30)
    UsageStore(folder).add("researcher-2", "1", tokens=tokens, resources=Resources(dollars=1.25, seconds=60))
    text = shown(spending(state_of(folder)))
    (row,) = [line for line in text.splitlines() if line.strip().startswith("researcher-2")]
    assert all(cell in row for cell in ("130", "700", "50", "$1.25", "120 tokens (researcher-2)"))
    (other,) = [line for line in text.splitlines() if line.strip().startswith("researcher-1")]
    assert "$8.75 (the campaign)" in other


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (0.004, "$0.0040"), (0.01, "$0.01"), (3, "$3.00"), (18_000, "$18000.00")]
)
def test_an_amount_below_a_cent_has_more_digits(amount: float, text: str) -> None:
    assert dollars(amount) == text


def test_the_cost_is_one_line_with_its_rate(folder: Path) -> None:
    assert cost_words(Usage(Resources(seconds=3600), Tokens())) == []
    usage = Usage(Resources(dollars=3, seconds=5400), Tokens(input=10), recent_dollars=0.5)
    assert cost_words(usage) == [
        "cost $3.00 ($0.50 in the last 10 min) in 1.50 researcher-hours, $2.00 per researcher-hour"
    ]
    assert cost_words(Usage(Resources(dollars=1), Tokens(input=1)))[0].endswith("in 0.00 researcher-hours")


def test_failed_requests_are_shown_with_their_last_message_as_text() -> None:
    text = shown(api_failure_tables({"ada": ApiFailures(3, "[bold]overloaded[/bold]\nagain", 1_790_000_000.0)}))
    assert "ada" in text and " 3 " in text and "[bold]overloaded[/bold]" in text
