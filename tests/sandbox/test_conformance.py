"""Both providers against the suite that every provider has to pass."""

import json
import os
from collections.abc import Callable

import pytest

from aar.sandbox import provider
from aar.sandbox.conformance import BEHAVIOUR, WALL, Rule, conforms, rules_for
from aar.sandbox.conformance.walls import is_never_root

NEEDS_PACKAGES = "lets_nothing_through_from_a_training_program"
"""The packages of these tests may lie where an ordinary user cannot read them."""
UNHELD = {"ends_with_aar", "ends_with_its_command", "ends_the_whole_tree", "builds_the_environment_from_nothing"}
"""What takes a namespace of its own to do."""


def name(rule: Rule) -> str:
    return rule.__name__


@pytest.mark.parametrize("rule", BEHAVIOUR + WALL, ids=name)
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
wall = provider("bubblewrap")
checks = [conforms(wall, rule) for rule in rules_for(wall) if rule.__name__ != {NEEDS_PACKAGES!r}]
print(json.dumps([[check.name, check.passed, check.detail] for check in checks]))
"""
    checks = json.loads(as_ordinary_user(program))
    assert [(name, detail) for name, passed, detail in checks if not passed] == []
    assert len(checks) == len(BEHAVIOUR + WALL) - 1 >= 44


@pytest.mark.slow
@pytest.mark.parametrize("rule", BEHAVIOUR, ids=name)
def test_going_without_a_wall_behaves_alike(rule: Rule) -> None:
    if rule.__name__ not in UNHELD:
        check = conforms(provider("none"), rule)
        assert check.passed, check.detail


@pytest.mark.parametrize("rule", WALL, ids=name)
def test_going_without_a_wall_does_not_pass_for_a_wall(rule: Rule) -> None:
    if rule is not is_never_root or os.geteuid() == 0:  # an ordinary user is not root in any case
        assert not conforms(provider("none"), rule).passed


def test_the_suite_asks_of_a_provider_what_it_claims() -> None:
    assert rules_for(provider("bubblewrap")) == BEHAVIOUR + WALL
    assert rules_for(provider("none")) == BEHAVIOUR
