"""The probe: it passes on this machine, and names what is missing elsewhere with the remedy."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aar.errors import SandboxError
from aar.sandbox import Limits, Sandbox, Spec, probe, provider, require_sandbox
from aar.sandbox.linux import bubblewrap
from aar.sandbox.probe import REMEDY, namespace_remedy, probe_once
from tests.sandbox.conftest import SMALL


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine without installed programs, that has not been probed; tests put their own programs there."""
    monkeypatch.setitem(bubblewrap.OUTER_ENVIRONMENT, "PATH", str(tmp_path))
    probe_once.cache_clear()
    yield tmp_path
    probe_once.cache_clear()


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("limits", [Limits(), SMALL])
def test_sandboxes_isolate_on_this_machine(limits: Limits) -> None:
    checks = probe(limits)
    assert [check for check in checks if not check.passed] == []
    names = {check.name for check in checks}
    assert {"method: connect outside", "shell: read host file", "shell: see environment", "memory limit"} <= names


def test_require_sandbox_accepts_this_machine() -> None:
    require_sandbox()


def test_a_missing_bubblewrap_is_named_with_its_remedy(no_bubblewrap: Path) -> None:
    (check,) = probe(SMALL)
    assert not check.passed
    assert "apt-get install bubblewrap" in check.remedy
    with pytest.raises(SandboxError, match=r"bwrap was not found.*apt-get install"):
        require_sandbox()


def test_an_old_bubblewrap_is_refused(no_bubblewrap: Path) -> None:
    install(no_bubblewrap, "bwrap", "echo bubblewrap 0.6.1")
    (check,) = probe(SMALL)
    assert "too old" in check.detail


def test_a_kernel_that_refuses_is_named_with_its_remedy(no_bubblewrap: Path) -> None:
    install(no_bubblewrap, "setpriv", 'while [ "${1##*/}" != bwrap ]; do shift; done; exec "$@"')
    install(no_bubblewrap, "bwrap", '[ "$1" = --version ] && echo bubblewrap 0.9.0 && exit; echo refused >&2; exit 1')
    installed, started = probe(SMALL)
    assert installed.passed and not started.passed
    assert "refused" in started.detail
    assert started.remedy


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "/etc/apparmor.d/bwrap"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("kernel/nothing", "0", "docker run"),
    ],
)
def test_the_remedy_fits_the_setting_that_forbids(tmp_path: Path, setting: str, value: str, remedy: str) -> None:
    (tmp_path / setting).parent.mkdir()
    (tmp_path / setting).write_text(f"{value}\n")
    assert remedy in namespace_remedy(tmp_path)


class Leaky:
    """Bubblewrap's sandboxes, but with the one host file that no sandbox may see."""

    name = "leaky"
    is_isolating = True

    def open(self, spec: Spec) -> Sandbox:
        if "canary" in spec.command[-1]:
            canary = json.loads(spec.command[-1])["canary"]
            spec = replace(spec, read_only={canary: Path(canary)})
        return provider("bubblewrap").open(spec)


def test_a_sandbox_that_leaks_is_refused_with_the_attempt_that_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["aar.sandbox.probe"], "ISOLATING", Leaky())
    failures = {check.name: check.remedy for check in probe(SMALL) if not check.passed}
    assert failures == {"method: read host file": REMEDY, "shell: read host file": REMEDY}
    probe_once.cache_clear()
    with pytest.raises(SandboxError, match=r"not safe here: method: read host file: .*Do not run method"):
        require_sandbox()
    probe_once.cache_clear()
