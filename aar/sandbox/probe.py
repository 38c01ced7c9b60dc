"""Proof, by trying, that the wall stands on this machine.

Covers: what is needed (bubblewrap, user namespaces, libseccomp), and that an attempt to get through fails: network,
files, environment, processes, namespaces, limits.
Does not cover: kernel bugs, and whatever is changed on the machine after the probe.
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
from aar.sandbox.linux import command_line
from aar.sandbox.linux.bubblewrap import Bubblewrap
from aar.sandbox.provider import Provider

WALLED = Bubblewrap()
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
    """One thing that was tried. `remedy` says what to do about it and is empty when it passed."""

    name: str
    passed: bool
    detail: str
    remedy: str = ""


def require_sandbox() -> None:
    """Return only where the wall stands; tried once per process.

    Raises:
        SandboxError: naming the check that failed and the remedy.
    """
    for check in _probed():
        if not check.passed:
            raise SandboxError(f"the sandbox is not safe here: {check.name}: {check.detail}. {check.remedy}")


@functools.cache
def _probed() -> tuple[Check, ...]:
    return tuple(probe(Limits()))


def probe(limits: Limits) -> list[Check]:
    """Try everything; in the order of dependence, so that the first failed check is the one to look at.

    `limits` are those of a campaign; time and memory limits are tried with small values, in the same way.
    """
    installed = _bubblewrap()
    if not installed.passed:
        return [installed]
    try:
        through = {view: what_gets_through(WALLED, replace(limits, wall_seconds=30), view) for view in VIEWS}
    except SandboxError as error:
        return [installed, Check("start", False, str(error), namespace_remedy())]
    walls = [_wall(view, attempt.__name__, through[view]) for view in VIEWS for attempt in escape_attempts.ATTEMPTS]
    return [installed, Check("start", True, "a sandbox starts and ends"), *walls, *_kills(limits)]


def what_gets_through(provider: Provider, limits: Limits, view: View) -> dict[str, str | None]:
    """What each attempt, by its name, reached from inside a sandbox, in words, or None where the wall held.

    Raises:
        SandboxError: the sandbox could not be set up, or the attempts did not run to their end.
    """
    with _bait() as facts:
        facts |= {
            "environment": list(command_line.environment(view)), "file_bytes": limits.file_bytes,
            "processes": limits.processes,
        }  # fmt: skip
        command = (*PYTHON, "-m", escape_attempts.__name__, json.dumps(facts))
        with provider.open(Spec(command, limits, view)) as sandbox:
            outcome = sandbox.run()
    try:
        found: dict[str, str | None] = json.loads(outcome.stdout)
    except json.JSONDecodeError:
        how = outcome.killed or outcome.stderr.strip()[-300:]
        raise SandboxError(f"the attempts to get through did not run to their end ({how})") from None
    return found


def _bubblewrap() -> Check:
    path = shutil.which("bwrap", path=command_line.OUTER_ENVIRONMENT["PATH"])
    if path is None:
        return Check("bubblewrap", False, "bwrap was not found", f"Install it: {INSTALL}")
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    version = tuple(int(number) for number in re.findall(r"\d+", answer)[:2])
    if version < OLDEST_BUBBLEWRAP:
        return Check("bubblewrap", False, f"{answer.strip()} at {path} is too old", f"Install a newer one: {INSTALL}")
    return Check("bubblewrap", True, f"{answer.strip()} at {path}")


@contextmanager
def _bait() -> Iterator[dict[str, Any]]:
    """Things on the host that a sandbox must not reach: a readable file, a listening port, an abstract socket."""
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


def _wall(view: View, name: str, through: dict[str, str | None]) -> Check:
    success = through.get(name, "it was not tried")
    title = f"{view}: {name.replace('_', ' ')}"
    return Check(title, success is None, success or "refused", "" if success is None else REMEDY)


def _kills(limits: Limits) -> Iterator[Check]:
    yield _killed("memory limit", HOG, replace(limits, memory_bytes=128 * MIB, wall_seconds=30))
    yield _killed("wall time limit", SLEEP, replace(limits, wall_seconds=0.2))
    yield _killed("CPU time limit", SPIN, replace(limits, cpu_seconds=0.2, wall_seconds=30))


def _killed(name: str, program: str, limits: Limits) -> Check:
    with WALLED.open(Spec((*PYTHON, "-c", program), limits)) as sandbox:
        outcome = sandbox.run()
    passed = (outcome.killed or "").startswith(name)
    detail = f"killed: {outcome.killed}" if outcome.killed else f"not killed; exit code {outcome.exit_code}"
    return Check(name, passed, detail, "" if passed else REMEDY)


def namespace_remedy(proc_sys: Path = Path("/proc/sys")) -> str:
    """What to do when the kernel refuses a sandbox, by the settings that distributions use to forbid it."""
    if _setting(proc_sys / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return f"AppArmor forbids user namespaces (Ubuntu 24.04). Allow them for bubblewrap alone: {APPARMOR_RULE}"
    if _setting(proc_sys / "kernel/unprivileged_userns_clone") == "0":
        return "User namespaces are switched off. Run: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting(proc_sys / "user/max_user_namespaces") == "0":
        return "User namespaces are switched off. Run: sudo sysctl -w user.max_user_namespaces=15000"
    return (
        "If this is a container, it must allow user namespaces and mounting a fresh /proc (docker run --security-opt "
        "seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)."
    )


def _setting(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
