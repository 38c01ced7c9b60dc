"""Prove, by attempts, that sandboxes isolate on this machine.

Covers: the requirements (bubblewrap, user namespaces, libseccomp), and that every attempt to escape fails: network,
files, environment, processes, namespaces, limits.
Does not cover: kernel bugs, and changes of the machine after the probe.
"""

import functools
import json
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aar.errors import SandboxError
from aar.guest import escape_attempts
from aar.sandbox.api import MIB, PYTHON, Limits, Spec, View
from aar.sandbox.linux import bubblewrap
from aar.sandbox.linux.bubblewrap import Bubblewrap
from aar.sandbox.provider import Provider

ISOLATING = Bubblewrap()
VIEWS: tuple[View, ...] = ("method", "shell")
OLDEST_BUBBLEWRAP = (0, 8)
REMEDY = "Do not run method code on this machine; report the failed check with the output of `aar doctor --json`."
INSTALL = "apt-get install bubblewrap util-linux libseccomp2 (bubblewrap 0.8 or newer: Debian 12, Ubuntu 24.04)"
APPARMOR_RULE = (
    r"printf 'abi <abi/4.0>,\ninclude <tunables/global>\n"
    r"profile bwrap /usr/bin/bwrap flags=(unconfined) {\n  userns,\n}\n'"
    " | sudo tee /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap"
)
HOG = "held = []\nwhile True: held.append(bytes(bytearray(2**20)))"
SLEEP = "import time; time.sleep(60)"
SPIN = "while True: pass"


@dataclass(frozen=True)
class Check:
    """The result of one check. `remedy` is what to do about a failure; empty if the check passed."""

    name: str
    passed: bool
    detail: str
    remedy: str = ""


def require_sandbox() -> None:
    """Check that sandboxes isolate on this machine; probes once per process.

    Raises:
        SandboxError: a check failed; the message has its name and the remedy.
    """
    for check in probe_once():
        if not check.passed:
            raise SandboxError(f"the sandbox is not safe here: {check.name}: {check.detail}. {check.remedy}")


@functools.cache
def probe_once() -> tuple[Check, ...]:
    """Return the checks of `probe` with default limits, made by the first call in this process."""
    return tuple(probe(Limits()))


def probe(limits: Limits) -> list[Check]:
    """Run every check, in the order of dependence: the first failed check is the one to look at.

    `limits` are a campaign's; limits on time and memory are checked with small values instead.
    """
    installed = _bubblewrap()
    if not installed.passed:
        return [installed]
    try:
        escapes = {view: find_escapes(ISOLATING, replace(limits, wall_seconds=30), view) for view in VIEWS}
    except SandboxError as error:
        return [installed, Check("start", False, str(error), namespace_remedy())]
    attempts = [attempt.__name__ for attempt in escape_attempts.ATTEMPTS]
    isolation = [_isolation(view, name, escapes[view]) for view in VIEWS for name in attempts]
    return [installed, Check("start", True, "a sandbox starts and ends"), *isolation, *_kills(limits)]


def find_escapes(provider: Provider, limits: Limits, view: View) -> dict[str, str | None]:
    """Run every escape attempt inside a sandbox. Return what each reached, by its name; None if it failed.

    Raises:
        SandboxError: the sandbox could not be set up, or the attempts did not finish.
    """
    with _bait() as facts:
        facts |= {
            "environment": list(bubblewrap.environment(view)), "file_bytes": limits.file_bytes,
            "processes": limits.processes,
        }  # fmt: skip
        command = (*PYTHON, "-m", escape_attempts.__name__, json.dumps(facts))
        with provider.open(Spec(command, limits, view)) as sandbox:
            outcome = sandbox.run()
    try:
        escapes: dict[str, str | None] = json.loads(outcome.stdout)
    except json.JSONDecodeError:
        reason = outcome.killed or outcome.stderr.strip()[-300:]
        raise SandboxError(f"the escape attempts did not finish ({reason})") from None
    return escapes


def _bubblewrap() -> Check:
    path = shutil.which("bwrap", path=bubblewrap.OUTER_ENVIRONMENT["PATH"])
    if path is None:
        return Check("bubblewrap", False, "bwrap was not found", f"Install it: {INSTALL}")
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    version = tuple(int(number) for number in re.findall(r"\d+", answer)[:2])
    if version < OLDEST_BUBBLEWRAP:
        return Check("bubblewrap", False, f"{answer.strip()} at {path} is too old", f"Install a newer one: {INSTALL}")
    return Check("bubblewrap", True, f"{answer.strip()} at {path}")


@contextmanager
def _bait() -> Iterator[dict[str, Any]]:
    """Set up what a sandbox must not reach on the host: a readable file, a listening port, an abstract socket."""
    abstract = f"aar-probe-{secrets.token_hex(8)}"
    with (
        tempfile.NamedTemporaryFile(prefix="aar-canary-") as canary,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        Path(canary.name).chmod(0o644)
        unix.bind(f"\0{abstract}")
        unix.listen(1)
        yield {"canary": canary.name, "port": server.getsockname()[1], "abstract": abstract}


def _isolation(view: View, name: str, escapes: dict[str, str | None]) -> Check:
    reached = escapes.get(name, "it was not attempted")
    title = f"{view}: {name.replace('_', ' ')}"
    return Check(title, reached is None, reached or "refused", "" if reached is None else REMEDY)


def _kills(limits: Limits) -> Iterator[Check]:
    yield _killed("memory limit", HOG, replace(limits, memory_bytes=128 * MIB, wall_seconds=30))
    yield _killed("wall time limit", SLEEP, replace(limits, wall_seconds=0.2))
    yield _killed("CPU time limit", SPIN, replace(limits, cpu_seconds=0.2, wall_seconds=30))


def _killed(name: str, program: str, limits: Limits) -> Check:
    with ISOLATING.open(Spec((*PYTHON, "-c", program), limits)) as sandbox:
        outcome = sandbox.run()
    passed = (outcome.killed or "").startswith(name)
    detail = f"killed: {outcome.killed}" if outcome.killed else f"not killed; exit code {outcome.exit_code}"
    return Check(name, passed, detail, "" if passed else REMEDY)


def namespace_remedy(proc_sys: Path = Path("/proc/sys")) -> str:
    """Return the remedy if the kernel refuses a sandbox, by the settings with which distributions forbid it."""
    if _setting(proc_sys / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return f"AppArmor forbids user namespaces (Ubuntu 24.04). Allow them for bubblewrap only: {APPARMOR_RULE}"
    if _setting(proc_sys / "kernel/unprivileged_userns_clone") == "0":
        return "User namespaces are disabled. Run: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting(proc_sys / "user/max_user_namespaces") == "0":
        return "User namespaces are disabled. Run: sudo sysctl -w user.max_user_namespaces=15000"
    return (
        "If this is a container, it must allow user namespaces and mounting a fresh /proc (docker run --security-opt "
        "seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)."
    )


def _setting(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
