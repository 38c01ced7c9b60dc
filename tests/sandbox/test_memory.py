"""Reservations of memory: all sandboxes together stay within the machine's share, however they are opened."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from aar.errors import CrowdedError, MethodError, SandboxError
from aar.experiments.broker import RunBudget
from aar.experiments.method_sandbox import method_pool, run_method
from aar.sandbox import PYTHON, Shell, Spec, memory, provider
from aar.sandbox.memory import Claim, Reservation, current_claims
from tests.experiments.doubles import NumpyBackend
from tests.sandbox.conftest import MIB, SMALL

SHARE = 1000 * MIB
LIMITS = replace(SMALL, memory_bytes=300 * MIB)
HOLDS = """
import sys, time
from pathlib import Path
from aar.sandbox import memory
memory.reservations_folder = lambda: Path(sys.argv[1])
memory.share_bytes = lambda part: 1000 * 2**20
with memory.Reservation("ada") as one:
    one.take(int(sys.argv[2]))
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of this test's own that has 1000 MiB for sandboxes."""
    monkeypatch.setattr(memory, "reservations_folder", lambda: tmp_path / "memory")
    monkeypatch.setattr(memory, "share_bytes", lambda part: SHARE)
    return tmp_path / "memory"


def held() -> int:
    return sum(claim.held for claim in current_claims())


def claim_file(machine: Path, owner: str) -> Path:
    """The one file that holds a claim of an owner."""
    [file] = [file for file in machine.glob("*-*") if json.loads(file.read_bytes())["owner"] == owner]
    return file


class Watcher:
    """Records the most memory that sandboxes hold together, and the most sandboxes at once."""

    def __enter__(self) -> "Watcher":
        self.most = self.count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            now = [claim.held for claim in current_claims() if claim.held]
            self.most, self.count = max(self.most, sum(now)), max(self.count, len(now))


def test_ten_sandboxes_that_exceed_the_machine_together_take_turns() -> None:
    def run(number: int) -> str:
        program = "import time; x = bytearray(b'x' * 100 * 2**20); time.sleep(0.3); print(len(x))"
        spec = Spec((*PYTHON, "-c", program), LIMITS, owner=f"researcher-{number}")
        with provider("bubblewrap").open(spec) as sandbox:
            return sandbox.run().stdout

    with Watcher() as watcher, ThreadPoolExecutor(10) as pool:
        assert list(pool.map(run, range(10))) == [f"{100 * MIB}\n"] * 10
    assert watcher.most <= SHARE and watcher.count == 3
    assert held() == 0


def test_methods_wait_for_room_and_one_that_waits_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WAIT_SECONDS", 0.3)
    source = b"def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)"
    with closing(method_pool(provider("bubblewrap"), LIMITS, size=2)) as pool:
        assert held() == 0  # those that wait for a method hold nothing
        with Reservation("others") as others:
            others.take(800 * MIB)
            with pytest.raises(MethodError, match="300 MiB of memory for a sandbox did not become free within 0 s"):
                run_method(source, NumpyBackend(), pool, RunBudget(1), owner="ada")
        run_method(source, NumpyBackend(), pool, RunBudget(1), owner="ada")
    assert held() == 0


def test_what_can_never_fit_is_refused_at_once() -> None:
    complaint = r"one sandbox \(1\.172 GiB\) exceeds what all sandboxes .* this machine \(1000 MiB\): .*memory_gib"
    with pytest.raises(SandboxError, match=complaint):
        Reservation("ada").take(1200 * MIB)
    assert current_claims() == []


def test_one_owner_cannot_hold_everything() -> None:
    with Reservation("eve") as first, Reservation("eve") as second, Reservation("ada") as other:
        first.take(400 * MIB)
        with pytest.raises(CrowdedError):
            second.take(300 * MIB, seconds=0.2)
        second.take(200 * MIB)
        other.take(300 * MIB, seconds=1)


def test_a_single_sandbox_may_have_more_than_an_owners_part() -> None:
    with Reservation("ada") as one:
        one.take(900 * MIB, seconds=1)
        one.keep(10 * MIB)
        one.take(900 * MIB, seconds=1)


def test_a_method_that_waits_for_its_program_is_not_in_its_way() -> None:
    with Reservation("ada") as method, Reservation("bob") as other, Reservation("ada", "programs") as program:
        method.take(600 * MIB)
        other.take(400 * MIB)
        program.take(900 * MIB, seconds=1)
        with Reservation("eve", "programs") as second, pytest.raises(CrowdedError):
            second.take(200 * MIB, seconds=0.2)


def test_all_parts_together_leave_the_platform_its_memory() -> None:
    assert sum(memory.PARTS.values()) * memory.SHARE <= 0.75


def enqueue(owner: str, size: int, order: list[str]) -> threading.Thread:
    def wait() -> None:
        with Reservation(owner) as one:
            one.take(size, seconds=20)
            order.append(owner)
            time.sleep(0.1)

    before = len(current_claims())
    thread = threading.Thread(target=wait)
    thread.start()
    while len(current_claims()) == before:
        time.sleep(0.01)
    return thread


def test_the_claim_that_has_waited_longest_goes_first_however_large_it_is() -> None:
    order: list[str] = []
    with Reservation("x") as one:
        one.take(600 * MIB)
        threads = [enqueue("large", 700 * MIB, order), enqueue("small", 300 * MIB, order)]
        time.sleep(0.3)
        assert order == []
    for thread in threads:
        thread.join()
    assert order[0] == "large"


def test_an_owner_that_holds_nothing_goes_before_one_that_holds_something() -> None:
    order: list[str] = []
    with Reservation("eve") as one, Reservation("x") as other:
        one.take(300 * MIB)
        other.take(600 * MIB)
        threads = [enqueue("eve", 300 * MIB, order), enqueue("ada", 600 * MIB, order)]
        other.close()
        for thread in threads:
            thread.join()
    assert order == ["ada", "eve"]


def test_a_killed_process_holds_nothing(machine: Path) -> None:
    victim = subprocess.Popen([sys.executable, "-c", HOLDS, str(machine), str(900 * MIB)], stdout=subprocess.PIPE)
    assert victim.stdout and victim.stdout.readline() == b"held\n"
    assert held() == 900 * MIB
    with Reservation("bob") as one:
        with pytest.raises(CrowdedError):
            one.take(300 * MIB, seconds=0.2)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        one.take(300 * MIB, seconds=1)
    assert [file.name for file in machine.iterdir()] == ["lock"]
    victim.stdout.close()


def test_a_stopped_claim_waits_no_longer() -> None:
    stopped = threading.Event()
    with Reservation("x") as one, Reservation("ada") as other:
        one.take(900 * MIB)
        threading.Timer(0.2, stopped.set).start()
        began = time.monotonic()
        with pytest.raises(CrowdedError):
            other.take(300 * MIB, seconds=20, stopped=stopped)
        assert time.monotonic() - began < 5


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "work").mkdir(mode=0o700)
    with Shell(provider("bubblewrap"), tmp_path / "work", LIMITS, owner="ada") as shell:
        yield shell


def test_an_idle_shell_holds_only_what_it_uses(shell: Shell) -> None:
    shell.run("true", 10)
    assert 0 < held() < 50 * MIB
    shell.run("head -c 3000000 /dev/zero >/tmp/file", 10)
    assert 3 * MIB < held() + MIB < 50 * MIB
    with Watcher() as watcher:
        shell.run("sleep 0.3", 10)
    assert watcher.most == LIMITS.memory_bytes


def test_a_shell_with_something_in_the_background_holds_its_limit(shell: Shell) -> None:
    shell.run("sleep 100 &", 10)
    assert held() == LIMITS.memory_bytes
    shell.run("kill %1; wait", 10)
    assert held() < 50 * MIB


def test_an_ended_shell_holds_nothing(shell: Shell) -> None:
    shell.run("exit 3", 10)
    assert held() == 0
    shell.run("true", 10)
    shell.close()
    assert current_claims() == []


def test_shells_of_many_owners_fit_while_they_are_idle(tmp_path: Path) -> None:
    shells = []
    for number in range(6):
        (tmp_path / f"work-{number}").mkdir(mode=0o700)
        shells.append(Shell(provider("bubblewrap"), tmp_path / f"work-{number}", LIMITS, owner=f"r{number}"))
    with Watcher() as watcher, ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda shell: shell.run("sleep 0.2", 10).exit_code, shells))
    for shell in shells:
        shell.close()
    assert codes == [0] * 6 and watcher.most <= SHARE


def test_a_command_for_which_there_is_no_memory_is_an_error_that_says_so(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aar.sandbox.shell.WAIT_SECONDS", 0.2)
    shell.run("x=kept", 10)
    with Reservation("x") as one:
        one.take(900 * MIB)
        with pytest.raises(CrowdedError, match="Try again later"):
            shell.run("echo $x", 10)
    assert shell.run("echo $x", 10).output == "kept\n"


def test_a_folder_that_is_somebody_elses_is_not_trusted(machine: Path) -> None:
    machine.mkdir(mode=0o777)
    machine.chmod(0o777)
    with pytest.raises(SandboxError, match="is not this user's own folder"):
        Reservation("ada").take(MIB)


def test_a_wait_that_an_error_ends_leaves_nobody_queueing_behind_it(machine: Path) -> None:
    with Reservation("ada") as ada, Reservation("ben") as ben, Reservation("cleo") as cleo:
        ada.take(900 * MIB)
        ben.take(10 * MIB)
        (machine / "no-claim").mkdir()
        with pytest.raises(SandboxError, match="Is a directory"):
            ben.take(500 * MIB, seconds=5)
        (machine / "no-claim").rmdir()
        cleo.take(50 * MIB, seconds=2)
        assert {claim.owner: claim.wanted for claim in current_claims()} == {"ada": 0, "ben": 0, "cleo": 0}


def test_a_claim_that_has_stopped_trying_loses_its_place_in_the_queue(machine: Path) -> None:
    with Reservation("ada") as ada, Reservation("ben") as ben, Reservation("cleo") as cleo:
        ada.take(900 * MIB)
        ben.take(1)
        silent = Claim("ben", wanted=500 * MIB, since=time.time() - 600, asked=time.time() - memory.SILENT_SECONDS - 1)
        claim_file(machine, "ben").write_text(json.dumps(asdict(silent)))
        cleo.take(50 * MIB, seconds=2)


def test_reservations_may_come_and_go_while_others_look() -> None:
    def come_and_go(number: int) -> None:
        for _ in range(60):
            with Reservation(f"researcher-{number}") as one:
                one.take(MIB, seconds=20)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(8)))
    assert held() == 0


def test_another_version_of_aar_on_the_machine_is_counted_too(machine: Path) -> None:
    with Reservation("ada") as ada, Reservation("ben") as ben:
        ada.take(900 * MIB)
        file = claim_file(machine, "ada")
        file.write_bytes(file.read_bytes().replace(b"{", b'{"later": [1], '))
        with pytest.raises(CrowdedError):
            ben.take(200 * MIB, seconds=0.2)
        ben.take(50 * MIB, seconds=2)
