"""Attacks on the sandbox from a method's process and from a shell, as root and as an ordinary user."""

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aar.errors import MethodError
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import method_pool, run_method
from aar.sandbox import Limits, provider
from aar.sandbox.processes import descendants
from tests.attacks.harness import (
    CATEGORIES,
    HERE,
    PLACES,
    SHORT,
    Attack,
    as_method,
    attacks,
    find_failure,
    on_the_host,
)
from tests.experiments.doubles import NumpyBackend

pytestmark = pytest.mark.slow  # a minute or two in total

ALL = [attack for category in CATEGORIES for attack in attacks(category)]
BROKER = [attack for attack in attacks("broker") if attack.name not in ("send", "frame", "answer", "refused")]
SUCCEED_ON_A_HOST = (
    "tcp_to_the_hosts_loopback", "tcp_to_the_hosts_own_address", "tcp_to_every_loopback_address",
    "ipv6_to_the_hosts_loopback", "udp_to_the_hosts_loopback", "an_abstract_unix_socket", "a_unix_socket_by_its_path",
    "netlink", "the_control_store", "the_dashboard", "the_job_api", "every_port_of_ray", "the_raylets_socket",
    "the_object_stores_socket", "the_session_folder", "the_token", "a_file_that_everyone_may_read", "the_labels",
    "the_campaign_folder", "another_workspace", "accounts_and_homes", "keys_in_other_environments",
    "the_root_of_other_processes", "above_the_root", "a_link_that_leads_out", "seeing_other_processes",
    "signalling_a_process_of_the_host", "being_traced", "taking_a_descriptor_of_a_process", "a_better_priority",
    "real_time_scheduling", "becoming_root", "capabilities", "new_privileges", "a_user_namespace",
    "every_other_namespace", "a_namespace_by_clone", "a_namespace_by_clone3", "joining_a_namespace", "memory_files",
    "the_kernels_log", "many_threads", "many_descriptors", "endless_programs",
)  # fmt: skip
"""Attacks that succeed on a host, for root, without harm; the others would damage it, or need devices."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", ALL, ids=str)
def test_an_attack_is_refused(attack: Attack, place: str, facts: dict[str, Any]) -> None:
    assert find_failure(attack, place, facts) is None


@pytest.mark.parametrize("place", PLACES)
def test_every_attack_is_refused_for_an_ordinary_user(
    as_ordinary_user: Callable[[str], str], place: str, facts: dict[str, Any]
) -> None:
    program = f"""
import json
from tests.attacks.harness import CATEGORIES, attacks, find_failure
facts = json.loads({json.dumps(facts)!r})
failures = {{str(attack): find_failure(attack, {place!r}, facts) for name in CATEGORIES for attack in attacks(name)}}
print(json.dumps([len(failures), {{name: failure for name, failure in failures.items() if failure}}]))
"""
    count, failures = json.loads(as_ordinary_user(program))
    assert (count, failures) == (len(ALL), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="what an ordinary user may do on a host differs between machines")
@pytest.mark.parametrize("name", SUCCEED_ON_A_HOST)
def test_the_attack_works_on_a_host_without_a_sandbox(name: str, facts: dict[str, Any]) -> None:
    (attack,) = [attack for attack in ALL if attack.name == name]
    assert on_the_host(attack, facts).through


@pytest.mark.parametrize("attack", BROKER, ids=str)
def test_the_broker_is_not_confused(attack: Attack) -> None:
    source = (
        (HERE / "broker.py").read_text()
        + f"""
def supervise(lab):
    through = {attack.name}(lab)
    if through:
        raise RuntimeError("THROUGH: " + through)
    return lab.fine_tune(lab.weak_labels)
"""
    )
    backend = NumpyBackend()
    limits = Limits(memory_bytes=256 * 2**20, wall_seconds=20)
    with closing(method_pool(provider("bubblewrap"), limits, size=0)) as pool:
        try:
            run_method(source.encode(), backend, pool, RunBudget(3))
        except MethodError as error:
            assert "THROUGH" not in str(error)
            assert "killed" not in str(error), error
        honest = b"def supervise(lab): return lab.fine_tune(lab.weak_labels)"
        assert run_method(honest, NumpyBackend(), pool, RunBudget(1)) == "student-1"
    assert len(backend.requests) <= 3


def test_there_are_at_least_120_attacks() -> None:
    assert len(ALL) + len(BROKER) >= 120


def test_a_daemon_does_not_outlive_its_sandbox(facts: dict[str, Any], others: set[int]) -> None:
    as_method(Attack("resources", "a_daemon"), facts, SHORT)
    assert set(descendants(os.getpid())) <= others


def test_the_victim_lives(facts: dict[str, Any]) -> None:
    assert Path(f"/proc/{facts['victim']}").exists()
