"""Run attacks, each in its own sandbox: as a method's process, in a researcher's shell, or directly on the host."""

import importlib
import inspect
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from aar.sandbox import PYTHON, TRAINING_PYTHON, Limits, Shell, Spec, provider
from aar.sandbox.linux.cgroup import make_cgroup

HERE = Path(__file__).parent
MIB = 2**20
LIMITS = Limits(
    memory_bytes=96 * MIB, cpu_seconds=1, wall_seconds=20, processes=24, file_bytes=8 * MIB, disk_bytes=16 * MIB,
    files=400, open_files=128,
)  # fmt: skip
SHORT = replace(LIMITS, wall_seconds=1.0)
PATIENCE_SECONDS = 40.0  # twice the longest wall time limit: no answer by then means never
CATEGORIES = ("network", "ray_cluster", "files", "processes", "kernel", "resources", "watchers", "labels")
LAUNCH = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
attack = getattr(importlib.import_module(sys.argv[2]), sys.argv[3])
print("verdict:" + json.dumps(attack(json.loads(sys.argv[4]))), flush=True)
"""


Answer = TypeVar("Answer")


def with_patience(call: Callable[[], Answer], seconds: float = PATIENCE_SECONDS) -> Answer:
    """Return or raise what `call` does; raise TimeoutError if an attack makes the platform wait for ever."""
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError("the platform waits for ever")
    return answers[0]


@dataclass(frozen=True)
class Attack:
    """One attack: its module and its function."""

    category: str
    name: str

    def __str__(self) -> str:
        return f"{self.category}: {self.name}"


@dataclass(frozen=True)
class Verdict:
    """The result of an attack.

    Attributes:
        through: what the attack reported to have reached; None if nothing.
        finished: True if it ran to its report.
        killed: how the sandbox ended it.
        output: the end of its output.
        usable: True if its place serves its owner afterwards.
    """

    through: str | None
    finished: bool
    killed: str | None
    output: str
    usable: bool = True


def module_of(category: str) -> ModuleType:
    """Import the module of a category, which finds its neighbours as it does in a sandbox."""
    sys.path.insert(0, str(HERE))
    try:
        return importlib.import_module(category)
    finally:
        sys.path.remove(str(HERE))


def attacks(category: str) -> Iterator[Attack]:
    """Yield every attack of a category."""
    module = module_of(category)
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == category and not name.startswith("_"):
            yield Attack(category, name)


def sources(category: str) -> dict[str, bytes]:
    """Return the files of an attack."""
    return {name: (HERE / name).read_bytes() for name in ("tools.py", f"{category}.py")}


def as_method(attack: Attack, facts: dict[str, Any], limits: Limits = LIMITS) -> Verdict:
    """Run an attack where methods run."""
    command = (*PYTHON, "-c", LAUNCH, "/work", attack.category, attack.name, json.dumps(facts))
    with provider("bubblewrap").open(Spec(command, limits, files=sources(attack.category))) as sandbox:
        outcome = sandbox.run()
    return _verdict(outcome.stdout + outcome.stderr, outcome.killed)


@contextmanager
def _workspace() -> Iterator[Path]:
    """A folder that is removed whatever its content is: rm handles any depth, Python does not."""
    folder = Path(tempfile.mkdtemp(prefix="aar-attack-"))
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", folder], capture_output=True, check=False)
        subprocess.run(["rm", "-rf", folder], check=True)


def as_training(attack: Attack, facts: dict[str, Any], limits: Limits = LIMITS) -> Verdict:
    """Run an attack where training programs run."""
    with _workspace() as work:
        for name, content in {**sources(attack.category), "launch.py": LAUNCH.encode()}.items():
            (work / name).write_bytes(content)
        command = (*TRAINING_PYTHON, "launch.py", "/work", attack.category, attack.name, json.dumps(facts))
        with provider("bubblewrap").open(Spec(command, limits, view="training", workspace=work)) as sandbox:
            outcome = sandbox.run()
    return _verdict(outcome.stdout + outcome.stderr, outcome.killed)


def in_shell(attack: Attack, facts: dict[str, Any], limits: Limits = LIMITS) -> Verdict:
    """Run an attack as a researcher's command."""
    with _workspace() as folder:
        for name, content in {**sources(attack.category), "launch.py": LAUNCH.encode()}.items():
            (folder / name).write_bytes(content)
        (folder / "facts").write_text(json.dumps(facts))
        command = f'python3 launch.py /work {attack.category} {attack.name} "$(cat facts)"'
        with Shell(provider("bubblewrap"), folder, limits) as shell:
            reply = shell.run(command, limits.wall_seconds)
            usable = is_usable(shell)
    return replace(_verdict(reply.output, reply.killed), usable=usable)


def is_usable(shell: Shell) -> bool:
    """True if a shell can be used again, after its owner has emptied a workspace that was over a limit."""
    for _ in range(3):
        shell.run("chmod -R u+rwx /work; rm -rf /work/*", 10)
    return shell.run("echo back", 10).output.endswith("back\n")


PLACES = {"method": as_method, "shell": in_shell}
MORE_PLACES = {**PLACES, "training": as_training}
SLOW_ENDS = ("wall time limit", "")


NEED_A_CONTROL_GROUP = ("memory_in_sockets", "cpu_of_children_that_are_not_waited_for")
"""Limits that only the kernel can enforce, as the README states; without a control group these attacks succeed."""


def expected_end(attack: Attack, place: str) -> str | None:
    """Return how the sandbox ends an attack: the beginning of `killed`; "" if that may differ; None if it refuses."""
    module = module_of(attack.category)
    ends: dict[str, str] = getattr(module, "ENDS", {})
    in_a_shell: dict[str, str] = getattr(module, "ENDS_IN_A_SHELL", {})
    return {**ends, **(in_a_shell if place != "method" else {})}.get(attack.name)


def _has_cgroup() -> bool:
    cgroup = make_cgroup(LIMITS)
    if cgroup:
        cgroup.remove()
    return cgroup is not None


def find_failure(attack: Attack, place: str, facts: dict[str, Any]) -> str | None:
    """Return how an attack got through, or that it did not end as expected; None if the sandbox held."""
    if attack.name in NEED_A_CONTROL_GROUP and not _has_cgroup():
        return None
    end = expected_end(attack, place)
    try:
        verdict = with_patience(lambda: MORE_PLACES[place](attack, facts, SHORT if end in SLOW_ENDS else LIMITS))
    except (
        ValueError,
        RecursionError,
        TimeoutError,
        OSError,
    ) as error:  # a hostile tree may cause these
        return f"broke the platform: {error!r}"
    if verdict.through:
        return f"got through: {verdict.through}"
    if not verdict.usable:
        return f"left an unusable shell: {verdict.output}"
    if end:
        return None if (verdict.killed or "").startswith(end) else f"ended by {verdict.killed}: {verdict.output}"
    return None if verdict.finished or end == "" else f"did not finish: {verdict.killed} {verdict.output}"


def on_the_host(attack: Attack, facts: dict[str, Any]) -> Verdict:
    """Run an attack as an ordinary program of the host, without isolation."""
    command = [sys.executable, "-c", LAUNCH, str(HERE), attack.category, attack.name, json.dumps(facts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/tmp")
    return _verdict(done.stdout + done.stderr, None)


def _verdict(output: str, killed: str | None) -> Verdict:
    lines = [line for line in output.splitlines() if line.startswith("verdict:")]
    through = json.loads(lines[-1].removeprefix("verdict:")) if lines else None
    return Verdict(through, bool(lines), killed, output[-500:])
