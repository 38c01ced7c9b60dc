"""What a researcher uses up, as data."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Tokens:
    """Tokens of one request, each counted once: `input` is what was neither read from the cache nor written to it."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def prompt(self) -> int:
        """The whole prompt, cached parts included."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        """Every token, whatever it cost."""
        return self.prompt + self.output


@dataclass(frozen=True)
class Amounts:
    """How much was used up of everything that can be limited, or how much may be. Seconds are wall time.

    `checks` are quick checks of a method; `cpu_seconds` and `gpu_seconds` are device time of training and inference.
    """

    tokens: float = 0
    dollars: float = 0
    seconds: float = 0
    experiments: float = 0
    checks: float = 0
    cpu_seconds: float = 0
    gpu_seconds: float = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


NAMES = tuple(one.name for one in fields(Amounts))
KINDS = tuple(one.name for one in fields(Tokens))
