"""Prices: dated, with a source, and never silently missing."""

from pathlib import Path

import pytest

from aar.budget import Tokens, read_prices
from aar.config import ClaudeConfig
from aar.errors import ConfigError


def test_the_default_model_has_a_price_with_date_and_source() -> None:
    table = read_prices()
    assert table.price(ClaudeConfig().model).output > 0
    assert table.date.year >= 2026 and table.source.startswith("https://")


def test_a_model_without_a_price_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r'no price for the model "gpt-2".*claude\.prices'):
        read_prices().price("gpt-2")


def test_every_kind_of_token_costs_what_the_table_says() -> None:
    price = read_prices().price("claude-opus-5-5")
    million = 1_000_000
    assert price.dollars(Tokens(input=million)) == pytest.approx(4.0)
    assert price.dollars(Tokens(output=million)) == pytest.approx(20.0)
    assert price.dollars(Tokens(cache_read=million)) == pytest.approx(0.2)
    assert price.dollars(Tokens(cache_write_5m=million, cache_write_1h=million)) == pytest.approx(13.0)


def test_a_long_prompt_may_cost_more_on_all_its_tokens() -> None:
    price = read_prices().price("claude-haiku-5-5")
    assert price.dollars(Tokens(input=100_000, output=10)) == pytest.approx(0.1 * 0.1 + 0.5e-5)
    assert price.dollars(Tokens(input=1, cache_read=100_000, output=10)) == pytest.approx(
        (0.5 + 100_000 * 0.05 + 10 * 2.5) / 1e6
    )


def test_a_table_of_ones_own_is_read_and_a_bad_one_is_named(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(
        'source = "a contract"\ndate = 2026-11-01\n[models.mine]\n'
        "input = 1\noutput = 2\ncache_read = 0\ncache_write_5m = 0\ncache_write_1h = 0\n"
    )
    assert read_prices(own).price("mine").output == 2
    own.write_text('source = "a contract"\ndate = 2026-11-01\n[models.mine]\ninput = 1\n')
    with pytest.raises(ConfigError, match=r"mine\.toml: not a price table: models\.mine\.output"):
        read_prices(own)


def test_a_table_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    with pytest.raises(ConfigError, match=r"mine\.toml: the price table cannot be read \(No such file"):
        read_prices(file)
    for content in (b"source = ", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"mine\.toml: not TOML"):
            read_prices(file)


@pytest.mark.parametrize(
    ("line", "problem"),
    [("input = -1", r"models\.mine\.input"), ("inputs = 1", r"models\.mine\.inputs: Extra inputs")],
)
def test_negative_prices_and_unknown_fields_are_refused(tmp_path: Path, line: str, problem: str) -> None:
    rates = "output = 2\ncache_read = 0\ncache_write_5m = 0\ncache_write_1h = 0\n"
    file = tmp_path / "mine.toml"
    file.write_text(f'source = "a contract"\ndate = 2026-11-01\n[models.mine]\n{rates}{line}\n')
    with pytest.raises(ConfigError, match=f"not a price table: .*{problem}"):
        read_prices(file)


def test_a_models_own_source_and_date_may_differ_from_the_tables(tmp_path: Path) -> None:
    rates = "input = 1\noutput = 2\ncache_read = 0\ncache_write_5m = 0\ncache_write_1h = 0\n"
    file = tmp_path / "mine.toml"
    file.write_text(
        f'source = "a contract"\ndate = 2026-11-01\n[models.mine]\n{rates}[models.theirs]\n{rates}source = "a page"\n'
    )
    table = read_prices(file)
    assert (table.source, table.price("mine").source, table.price("theirs").source) == ("a contract", None, "a page")
