"""What a sandbox provider has to pass, tried for real: `aar doctor --full` and the tests run it.

`BEHAVIOUR` says how commands, shells and limits work, wall or not; `WALL` what nothing inside may reach. A provider
that `is_isolating` has to pass both.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from aar.errors import SandboxError
from aar.sandbox.conformance import commands, limits, shells, walls
from aar.sandbox.conformance.trial import ConformanceTrial, Nonconforming
from aar.sandbox.probe import REMEDY, Check
from aar.sandbox.provider import Provider

__all__ = ["BEHAVIOUR", "WALL", "Rule", "conformance", "conforms", "rules_for"]

Rule = Callable[[ConformanceTrial], None]

BEHAVIOUR: tuple[Rule, ...] = (*commands.RULES, *limits.RULES, *shells.RULES)
WALL: tuple[Rule, ...] = walls.RULES


def rules_for(provider: Provider) -> tuple[Rule, ...]:
    """What a provider has to pass."""
    return BEHAVIOUR + WALL if provider.is_isolating else BEHAVIOUR


def conformance(provider: Provider) -> Iterator[Check]:
    """Every check that concerns the provider, one after the other; half a minute in all."""
    for rule in rules_for(provider):
        yield conforms(provider, rule)


def conforms(provider: Provider, rule: Rule) -> Check:
    """Try one rule."""
    name = rule.__name__.replace("_", " ")
    with tempfile.TemporaryDirectory(prefix="aar-conformance-") as folder:
        try:
            rule(ConformanceTrial(provider, Path(folder)))
        except (Nonconforming, SandboxError) as error:
            return Check(name, False, str(error), REMEDY)
    return Check(name, True, (rule.__doc__ or "").strip())
