"""Spending: nothing counted twice, nothing forgotten, and the innermost limit is the one that is told."""

import sqlite3
from pathlib import Path

import pytest

from aar.budget import Resources, Tokens, UsageStore, exceeded, limits_of
from aar.budget.usage import FILE
from aar.config import CampaignConfig, ResearcherBudget, load_config
from tests.campaign_fixture import write_toml


@pytest.fixture
def config(tmp_path: Path) -> CampaignConfig:
    return load_config(write_toml(tmp_path), ["budget.dollars=10", "budget.researcher={dollars=4, minutes=1}"])


def test_the_same_key_counts_once_and_a_new_process_remembers(tmp_path: Path) -> None:
    spend = UsageStore(tmp_path)
    for _ in range(2):
        spend.add("ada", "ada/3", tokens=Tokens(input=5, output=2), resources=Resources(dollars=0.5))
    spend.close()
    spent = UsageStore(tmp_path).spent("ada")
    assert (spent.resources.tokens, spent.resources.dollars, spent.tokens.output) == (7, 0.5, 2)


def test_two_processes_write_to_one_account(tmp_path: Path) -> None:
    one, other = UsageStore(tmp_path), UsageStore(tmp_path)
    one.add("ada", "1", resources=Resources(dollars=1))
    other.add("ben", "2", resources=Resources(dollars=2))
    assert one.spent().resources.dollars == other.spent().resources.dollars == 3
    assert one.researchers() == ["ada", "ben"]


def test_sums_are_those_of_the_entries_however_often_each_was_written(tmp_path: Path) -> None:
    spend = UsageStore(tmp_path)
    for number in range(20):
        for _ in range(1 + number % 3):
            spend.add("ada", f"ada/{number}", tokens=Tokens(input=number), resources=Resources(gpu_seconds=number / 2))
    spend.add("ben", "ben/1")
    with sqlite3.connect(tmp_path / FILE) as db:
        tokens, seconds = db.execute("SELECT sum(input), sum(gpu_seconds) FROM entries").fetchone()
    spent = spend.spent("ada")
    assert (spent.tokens.input, spent.resources.gpu_seconds) == (tokens, seconds) == (190, 95)
    assert spend.spent("ben").resources == Resources() and spend.researchers() == ["ada", "ben"]


def test_what_was_spent_within_the_last_ten_minutes_is_told_apart(tmp_path: Path) -> None:
    spend = UsageStore(tmp_path)
    spend.add("ada", "1", resources=Resources(dollars=2))
    spend.add("ben", "2", resources=Resources(dollars=1))
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE entries SET time = time - 700 WHERE key = '1'")
    assert (spend.spent("ada").recent_dollars, spend.spent().recent_dollars) == (0, 1)
    assert spend.spent().resources.dollars == 3


def test_cost_per_researcher_hour(tmp_path: Path) -> None:
    spend = UsageStore(tmp_path)
    assert spend.spent("ada").dollars_per_hour is None
    spend.add("ada", "1", resources=Resources(dollars=2, seconds=1800))
    assert spend.spent("ada").dollars_per_hour == pytest.approx(4)


def test_the_innermost_limit_that_is_used_up_is_told(tmp_path: Path, config: CampaignConfig) -> None:
    spend, ada = UsageStore(tmp_path), config.researchers[0]
    assert exceeded(limits_of(ada, config, spend)) is None
    spend.add("somebody-else", "1", resources=Resources(dollars=10))
    outer = exceeded(limits_of(ada, config, spend))
    assert outer and outer.describe() == "$10.00 of $10.00 used by the campaign"
    spend.add(ada.name, "2", resources=Resources(dollars=4))
    inner = exceeded(limits_of(ada, config, spend))
    assert inner and inner.describe() == "$4.00 of $4.00 used by researcher-1"


def test_a_researchers_own_budget_replaces_the_campaigns_for_each(tmp_path: Path, config: CampaignConfig) -> None:
    rich = config.researchers[0].model_copy(update={"budget": ResearcherBudget(dollars=9)})
    spend = UsageStore(tmp_path)
    spend.add(rich.name, "1", resources=Resources(dollars=5, seconds=1e6))
    assert exceeded(limits_of(rich, config, spend)) is None


def test_time_is_a_limit_of_each_researcher(tmp_path: Path, config: CampaignConfig) -> None:
    spend, ada = UsageStore(tmp_path), config.researchers[0]
    spend.add(ada.name, "1", resources=Resources(seconds=61))
    limit = exceeded(limits_of(ada, config, spend))
    assert limit and limit.describe() == "61 s of wall time of 60 s of wall time used by researcher-1"
