"""Prices of tokens: a table with the date and the source of its prices. A model without a price is an error."""

import datetime
import tomllib
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aar.budget.usage import Tokens
from aar.errors import ConfigError

BUILTIN = "prices.toml"
PER = 1_000_000


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rates(_Strict):
    """US dollars per million tokens of each kind."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float = Field(ge=0)
    cache_write_5m: float = Field(ge=0)
    cache_write_1h: float = Field(ge=0)


class LongRates(Rates):
    """The rates of a request whose prompt has more than `tokens` tokens."""

    tokens: int = Field(ge=1)


class Price(Rates):
    """A model's rates. `source` and `date` default to the table's."""

    above: LongRates | None = None
    source: str | None = None
    date: datetime.date | None = None

    def dollars(self, tokens: Tokens) -> float:
        """Return the cost of one request."""
        rates: Rates = self.above if self.above and tokens.prompt > self.above.tokens else self
        return float(sum(getattr(rates, kind) * count for kind, count in vars(tokens).items())) / PER


class PriceTable(_Strict):
    """Prices by model, with the date and the source from which they were read."""

    source: str
    date: datetime.date
    models: dict[str, Price]

    def price(self, model: str) -> Price:
        """Return the price of a model. Raises ConfigError when the table has none."""
        if model not in self.models:
            raise ConfigError(
                f'the price table of {self.date} has no price for the model "{model}"; add it to a copy of '
                f"{BUILTIN} and name that file in claude.prices. It has: {', '.join(self.models)}"
            )
        return self.models[model]


def read_prices(file: Path | None = None) -> PriceTable:
    """Read the price table in `file`, or the one that comes with aar.

    Raises:
        ConfigError: the file cannot be read, or is not a price table.
    """
    where = file or BUILTIN
    try:
        text = file.read_text() if file else files(__package__).joinpath(BUILTIN).read_text(encoding="utf-8")
        return PriceTable.model_validate(tomllib.loads(text))
    except OSError as error:
        raise ConfigError(f"{where}: the price table cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: not TOML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"{where}: not a price table: {problems}") from None
