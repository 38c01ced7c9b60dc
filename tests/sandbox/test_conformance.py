"""Both providers against the suite that every provider must pass."""

import json
import os
from collections.abc import Callable

import pytest

from aar.sandbox import provider
from aar.sandbox.conformance import BEHAVIOUR, ISOLATION, Rule, conforms, rules_for
from aar.sandbox.conformance.isolation import is_never_root

NEEDS_PACKAGES = "stops_every_escape_from_a_training_program"
"""The packages of these tests may be installed where an ordinary user cannot read them."""
NEED_NAMESPACES = {
    "ends_with_aar",
    "ends_with_its_command",
    "ends_the_whole_tree",
    "builds_the_environment_from_nothing",
}
"""Rules that only a sandbox with its own namespaces can follow."""


def name(rule: Rule) -> str:
    return rule.__name__


@pytest.mark.parametrize("rule", BEHAVIOUR + ISOLATION, ids=name)
def test_bubblewrap_conforms(rule: Rule) -> None:
    check = conforms(provider("bubblewrap"), rule)
    assert check.passed, check.detail


@pytest.mark.slow
def test_bubblewrap_conforms_for_an_ordinary_user(as_ordinary_user: Callable[[str], str]) -> None:
    program = f"""
import json
import os
from aar.sandbox import provider
from aar.sandbox.conformance import conforms, rules_for
bubblewrap = provider("bubblewrap")
checks = [conforms(bubblewrap, rule) for rule in rules_for(bubblewrap) if rule.__name__ != {NEEDS_PACKAGES!r}]
print(json.dumps([[check.name, check.passed, check.detail] for check in checks]))
"""
    checks = json.loads(as_ordinary_user(program))
    assert [(name, detail) for name, passed, detail in checks if not passed] == []
    assert len(checks) == len(BEHAVIOUR + ISOLATION) - 1 >= 44


@pytest.mark.slow
@pytest.mark.parametrize("rule", BEHAVIOUR, ids=name)
def test_the_provider_without_isolation_behaves_alike(rule: Rule) -> None:
    if rule.__name__ not in NEED_NAMESPACES:
        check = conforms(provider("none"), rule)
        assert check.passed, check.detail


@pytest.mark.parametrize("rule", ISOLATION, ids=name)
def test_the_provider_without_isolation_fails_every_rule_for_isolation(rule: Rule) -> None:
    if rule is not is_never_root or os.geteuid() == 0:  # an ordinary user is not root in any case
        assert not conforms(provider("none"), rule).passed


def test_the_suite_checks_what_a_provider_claims() -> None:
    assert rules_for(provider("bubblewrap")) == BEHAVIOUR + ISOLATION
    assert rules_for(provider("none")) == BEHAVIOUR
