"""Usage: nothing counted twice, nothing forgotten, and the innermost limit that is exceeded is reported."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aar.budget import Limit, Resources, Tokens, UsageStore, exceeded, limits_of
from aar.budget.limits import experiments_allowed, readable
from aar.budget.usage import FILE
from aar.config import CampaignConfig, ResearcherBudget, load_config
from aar.errors import StorageError
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


def test_the_cost_of_the_last_ten_minutes_is_reported_separately(tmp_path: Path) -> None:
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


def test_the_innermost_limit_that_is_used_up_is_reported(tmp_path: Path, config: CampaignConfig) -> None:
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


def test_used_up_experiments_and_checks_do_not_end_a_researcher(tmp_path: Path, config: CampaignConfig) -> None:
    usage, ada = UsageStore(tmp_path), config.researchers[0]
    usage.add(ada.name, "1", resources=Resources(experiments=1000, checks=1000))
    limits = {limit.what: limit for limit in limits_of(ada, config, usage) if limit.scope == ada.name}
    assert limits["experiments"].left == limits["checks"].left == 0
    assert exceeded(limits_of(ada, config, usage)) is None


def test_an_overdrawn_limit_has_nothing_left_and_says_how_much_was_used() -> None:
    limit = Limit("ada", "dollars", maximum=4, used=4.5)
    assert (limit.left, limit.describe()) == (0, "$4.50 of $4.00 used by ada")


def test_a_researcher_may_run_its_own_number_of_experiments_or_the_campaigns(config: CampaignConfig) -> None:
    researcher = config.researchers[0]
    few = researcher.model_copy(update={"budget": ResearcherBudget(experiments=3)})
    assert experiments_allowed(researcher, config) == config.budget.experiments_per_researcher
    assert experiments_allowed(few, config) == 3


def test_amounts_are_written_with_their_units() -> None:
    amounts = {"tokens": 1234567, "dollars": 0.5, "seconds": 3600, "gpu_seconds": 12.3}
    assert [readable(what, amount) for what, amount in amounts.items()] == [
        "1,234,567 tokens", "$0.50", "3,600 s of wall time", "12 GPU seconds",
    ]  # fmt: skip


def test_resources_are_those_of_the_usage_and_add_up(tmp_path: Path) -> None:
    usage = UsageStore(tmp_path)
    usage.add("ada", "1", tokens=Tokens(input=3, cache_read=4), resources=Resources(dollars=1, tokens=99))
    usage.add("ben", "2", tokens=Tokens(output=5), resources=Resources(seconds=2))
    assert usage.resources("ada") == usage.spent("ada").resources == Resources(tokens=7, dollars=1)
    assert usage.resources() == usage.resources("ada") + usage.resources("ben")


def test_threads_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    usage = UsageStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: usage.add("ada", str(number % 50), resources=Resources(checks=1)), range(100)))
    assert usage.resources("ada").checks == 50


def test_a_reader_does_not_create_the_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=FILE):
        UsageStore(tmp_path, read_only=True).spent()
    assert list(tmp_path.iterdir()) == []
