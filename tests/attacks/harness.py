"""Running attacks: one sandbox each, as a method's process or in a researcher's shell, or with no wall at all."""

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
PATIENCE_SECONDS = 40.0  # twice the longest wall time limit: who has not answered by then never will
CATEGORIES = ("network", "ray_cluster", "files", "processes", "kernel", "resources", "watchers", "labels")
LAUNCH = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
attack = getattr(importlib.import_module(sys.argv[2]), sys.argv[3])
print("verdict:" + json.dumps(attack(json.loads(sys.argv[4]))), flush=True)
"""


Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], seconds: float = PATIENCE_SECONDS) -> Answer:
    """What `ask` returns, or raises; an attack that makes the platform wait for ever is a TimeoutError instead."""
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            answers.append(ask())
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
    """One attack, by the module and the function that it is."""

    category: str
    name: str

    def __str__(self) -> str:
        return f"{self.category}: {self.name}"


@dataclass(frozen=True)
class Verdict:
    """What came of an attack: what it said got through, whether it came to say so, and what the sandbox ended it by.

    `usable`: whether the place serves its owner afterwards.
    """

    through: str | None
    spoke: bool
    killed: str | None
    said: str
    usable: bool = True


def module_of(category: str) -> ModuleType:
    """The module of a category, which finds its neighbours as it does in a sandbox."""
    sys.path.insert(0, str(HERE))
    try:
        return importlib.import_module(category)
    finally:
        sys.path.remove(str(HERE))


def attacks(category: str) -> Iterator[Attack]:
    """Every attack of a category."""
    module = module_of(category)
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == category and not name.startswith("_"):
            yield Attack(category, name)


def sources(category: str) -> dict[str, bytes]:
    """The files that an attack consists of."""
    return {name: (HERE / name).read_bytes() for name in ("tools.py", f"{category}.py")}


def as_method(attack: Attack, facts: dict[str, Any], limits: Limits = LIMITS) -> Verdict:
    """Run an attack where methods run."""
    command = (*PYTHON, "-c", LAUNCH, "/work", attack.category, attack.name, json.dumps(facts))
    with provider("bubblewrap").open(Spec(command, limits, files=sources(attack.category))) as sandbox:
        outcome = sandbox.run()
    return _verdict(outcome.stdout + outcome.stderr, outcome.killed)


@contextmanager
def _workspace() -> Iterator[Path]:
    """A folder that is removed whatever was done to it: rm copes with any depth, Python does not."""
    folder = Path(tempfile.mkdtemp(prefix="aar-attack-"))
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", folder], capture_output=True, check=False)
        subprocess.run(["rm", "-rf", folder], check=True)


def as_training(attack: Attack, facts: dict[str, Any], limits: Limits = LIMITS) -> Verdict:
    """Run an attack where training programs run; it costs more memory, since they see torch."""
    with _workspace() as work:
        for name, content in {**sources(attack.category), "launch.py": LAUNCH.encode()}.items():
            (work / name).write_bytes(content)
        command = (*TRAINING_PYTHON, "launch.py", "/work", attack.category, attack.name, json.dumps(facts))
        with provider("bubblewrap").open(Spec(command, limits, view="training", workspace=work)) as sandbox:
            outcome = sandbox.run()
    return _verdict(outcome.stdout + outcome.stderr, outcome.killed)


def in_shell(attack: Attack, facts: dict[str, Any], limits: Limits = LIMITS) -> Verdict:
    """Run an attack as a command of a researcher's."""
    with _workspace() as folder:
        for name, content in {**sources(attack.category), "launch.py": LAUNCH.encode()}.items():
            (folder / name).write_bytes(content)
        (folder / "facts").write_text(json.dumps(facts))
        command = f'python3 launch.py /work {attack.category} {attack.name} "$(cat facts)"'
        with Shell(provider("bubblewrap"), folder, limits) as shell:
            reply = shell.run(command, limits.wall_seconds)
            usable = comes_back(shell)
    return replace(_verdict(reply.output, reply.killed), usable=usable)


def comes_back(shell: Shell) -> bool:
    """Whether a shell can be used again; if its workspace is over a limit, once its owner has removed what is in it."""
    for _ in range(3):
        shell.run("chmod -R u+rwx /work; rm -rf /work/*", 10)
    return shell.run("echo back", 10).output.endswith("back\n")


PLACES = {"method": as_method, "shell": in_shell}
MORE_PLACES = {**PLACES, "training": as_training}
SLOW_ENDS = ("wall time limit", "")


NEED_A_CONTROL_GROUP = ("memory_in_sockets", "cpu_of_children_that_are_not_waited_for")
"""What only the kernel can hold, and the README says so; elsewhere these get through."""


def expected_end(attack: Attack, place: str) -> str | None:
    """How the sandbox ends an attack: the beginning of `killed`; "" where that may differ; None where it refuses."""
    module = module_of(attack.category)
    ends: dict[str, str] = getattr(module, "ENDS", {})
    in_a_shell: dict[str, str] = getattr(module, "ENDS_IN_A_SHELL", {})
    return {**ends, **(in_a_shell if place != "method" else {})}.get(attack.name)


def _has_cgroup() -> bool:
    cgroup = make_cgroup(LIMITS)
    if cgroup:
        cgroup.remove()
    return cgroup is not None


def what_is_wrong(attack: Attack, place: str, facts: dict[str, Any]) -> str | None:
    """That an attack got through, or did not end as it should; None where all is well."""
    if attack.name in NEED_A_CONTROL_GROUP and not _has_cgroup():
        return None
    end = expected_end(attack, place)
    try:
        verdict = patiently(lambda: MORE_PLACES[place](attack, facts, SHORT if end in SLOW_ENDS else LIMITS))
    except (ValueError, RecursionError, TimeoutError, OSError) as error:  # what a hostile tree may raise in its watcher
        return f"got at the platform: {error!r}"
    if verdict.through:
        return f"got through: {verdict.through}"
    if not verdict.usable:
        return f"left a shell that cannot be used: {verdict.said}"
    if end:
        return None if (verdict.killed or "").startswith(end) else f"ended by {verdict.killed}: {verdict.said}"
    return None if verdict.spoke or end == "" else f"did not run to its end: {verdict.killed} {verdict.said}"


def without_a_wall(attack: Attack, facts: dict[str, Any]) -> Verdict:
    """Run an attack as an ordinary program of the host."""
    command = [sys.executable, "-c", LAUNCH, str(HERE), attack.category, attack.name, json.dumps(facts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/tmp")
    return _verdict(done.stdout + done.stderr, None)


def _verdict(output: str, killed: str | None) -> Verdict:
    lines = [line for line in output.splitlines() if line.startswith("verdict:")]
    through = json.loads(lines[-1].removeprefix("verdict:")) if lines else None
    return Verdict(through, bool(lines), killed, output[-500:])
