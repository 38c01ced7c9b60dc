"""The conformance suite for sandbox providers, with real sandboxes: `aar doctor --full` and the tests run it.

`BEHAVIOUR` has the rules for commands, shells and limits, isolated or not. `ISOLATION` has the rules for what no
program inside may reach. A provider that `is_isolating` must pass both.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from aar.errors import SandboxError
from aar.sandbox.conformance import commands, isolation, limits, shells
from aar.sandbox.conformance.trial import ConformanceTrial, Nonconforming
from aar.sandbox.probe import REMEDY, Check
from aar.sandbox.provider import Provider

__all__ = ["BEHAVIOUR", "ISOLATION", "Rule", "conformance", "conforms", "rules_for"]

Rule = Callable[[ConformanceTrial], None]

BEHAVIOUR: tuple[Rule, ...] = (*commands.RULES, *limits.RULES, *shells.RULES)
ISOLATION: tuple[Rule, ...] = isolation.RULES


def rules_for(provider: Provider) -> tuple[Rule, ...]:
    """Return the rules that a provider must pass."""
    return BEHAVIOUR + ISOLATION if provider.is_isolating else BEHAVIOUR


def conformance(provider: Provider) -> Iterator[Check]:
    """Check every rule for the provider, one after the other; half a minute in total."""
    for rule in rules_for(provider):
        yield conforms(provider, rule)


def conforms(provider: Provider, rule: Rule) -> Check:
    """Check one rule."""
    name = rule.__name__.replace("_", " ")
    with tempfile.TemporaryDirectory(prefix="aar-conformance-") as folder:
        try:
            rule(ConformanceTrial(provider, Path(folder)))
        except (Nonconforming, SandboxError) as error:
            return Check(name, False, str(error), REMEDY)
    return Check(name, True, (rule.__doc__ or "").strip())
