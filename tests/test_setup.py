"""setup.sh, the Makefile, .ci/run and cluster.yaml, on machines made of a PATH with handwritten programs."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from aar.sandbox.probe import APPARMOR_RULE

ROOT = Path(__file__).parents[1]
PLAIN_TOOLS = (
    "bash", "cat", "chmod", "cut", "dirname", "du", "env", "flock", "git", "grep", "head", "make", "mkdir", "mv", "rm",
    "sed", "sh", "sha256sum", "sleep", "sort", "tail", "touch", "uname",
)  # fmt: skip
SANDBOX_PROGRAMS = {
    "bwrap": "echo bubblewrap 0.8.0",
    "setpriv": "",
    "prlimit": "",
    "ldconfig": "echo '	libseccomp.so.2 (libc6,x86-64) => /lib/libseccomp.so.2'",
}
UV = """
    [ "$1" = --version ] && echo "uv 0.13.9 (build)" && exit
    echo "uv $*" >>"$LOG"
    env | sort >"$LOG.uv-environment"
    for number in $(cat "$LOG.uv-prints" 2>/dev/null); do echo " + package==$number" >&2; done
    sleep "$(cat "$LOG.uv-takes" 2>/dev/null || echo 0)"
    [ ! -e "$LOG.uv-fails" ] || exit 2
    mkdir -p .venv/bin && touch .venv/bin/python && chmod +x .venv/bin/python
"""


@dataclass
class Machine:
    """A checkout, a PATH that holds nothing but what a test put there, and a log of what was called."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.checkout, self.bin, self.log = self.folder / "checkout", self.folder / "bin", self.folder / "log"
        self.checkout.mkdir()
        self.bin.mkdir()
        (self.folder / "home").mkdir()
        for name in ("setup.sh", "pyproject.toml", "uv.lock"):
            shutil.copy(ROOT / name, self.checkout / name)
        # The folders of the real machine are left out, so that a program is there only when a test installed it.
        script = (self.checkout / "setup.sh").read_text()
        (self.checkout / "setup.sh").write_text(script.replace("PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin\n", ""))
        for name in PLAIN_TOOLS:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        for name, script in SANDBOX_PROGRAMS.items():
            self.install(name, script)
        self.install("id", "echo 0")
        self.install("apt-get", 'echo "apt-get $*" >>"$LOG"')
        self.install("uv", UV)
        (self.bin / "python3").symlink_to(sys.executable)

    def install(self, name: str, script: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink()

    def setup(self) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "LOG": str(self.log), "HOME": str(self.folder / "home")}
        command = [str(self.checkout / "setup.sh")]
        return subprocess.run(command, capture_output=True, text=True, env=environment | self.environment, cwd="/")

    def called(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def uv_environment(self) -> dict[str, str]:
        lines = Path(f"{self.log}.uv-environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def user(machine: Machine) -> Machine:
    """A machine on which one is an ordinary user without sudo."""
    machine.install("id", "echo 1000")
    return machine


def test_a_machine_that_has_everything_gets_the_locked_packages_byte_compiled(machine: Machine) -> None:
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    (call,) = machine.called()
    assert call.startswith("uv sync --frozen") and "--compile-bytecode" in call
    assert machine.uv_environment()["UV_PYTHON_DOWNLOADS"] == "never"


def test_a_second_setup_does_nothing_and_takes_no_time(machine: Machine) -> None:
    machine.setup()
    started = time.monotonic()
    done = machine.setup()
    assert time.monotonic() - started < 1
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(machine.called()) == 1


@pytest.mark.parametrize("file", ["uv.lock", "pyproject.toml"])
def test_changed_requirements_are_installed(machine: Machine, file: str) -> None:
    machine.setup()
    with (machine.checkout / file).open("a") as stream:
        stream.write("\n# changed\n")
    machine.setup()
    assert len(machine.called()) == 2


def test_an_installation_that_failed_is_tried_again(machine: Machine) -> None:
    Path(f"{machine.log}.uv-fails").touch()
    done = machine.setup()
    assert done.returncode != 0 and "run it again" in done.stderr
    Path(f"{machine.log}.uv-fails").unlink()
    assert machine.setup().returncode == 0
    assert len(machine.called()) == 2


def test_the_names_of_170_packages_are_in_a_log_and_not_on_the_screen(machine: Machine) -> None:
    Path(f"{machine.log}.uv-prints").write_text(" ".join(map(str, range(170))))
    done = machine.setup()
    assert done.returncode == 0
    assert "package==" not in done.stdout + done.stderr and len(done.stderr.splitlines()) <= 3
    assert (machine.checkout / ".uv/setup.log").read_text().count(" + package==") == 170


def test_an_installation_that_failed_names_the_log_and_shows_its_end(machine: Machine) -> None:
    Path(f"{machine.log}.uv-prints").write_text("1 2 3")
    Path(f"{machine.log}.uv-fails").touch()
    done = machine.setup()
    log = machine.checkout / ".uv/setup.log"
    assert str(log) in done.stderr and " + package==3" in done.stderr
    assert "uv sync --frozen" in log.read_text()


def test_a_long_installation_says_now_and_then_how_much_is_there(machine: Machine) -> None:
    script = machine.checkout / "setup.sh"
    script.write_text(script.read_text().replace("PROGRESS_SECONDS=20", "PROGRESS_SECONDS=1"))
    Path(f"{machine.log}.uv-takes").write_text("2.5")
    (machine.checkout / ".venv").mkdir()
    done = machine.setup()
    assert done.returncode == 0 and "installing for 1 s: " in done.stderr
    assert done.stderr.count("of about 7G unpacked") >= 2


def test_what_reports_progress_ends_with_the_installation(machine: Machine) -> None:
    started = time.monotonic()
    assert machine.setup().returncode == 0  # returns when nobody holds its pipes any longer
    assert time.monotonic() - started < 10


def test_a_moved_checkout_gets_a_new_environment_because_a_venv_knows_its_path(machine: Machine) -> None:
    machine.setup()
    (machine.checkout / ".venv" / "old").touch()
    machine.checkout = machine.checkout.rename(machine.folder / "moved")
    assert machine.setup().returncode == 0
    assert not (machine.checkout / ".venv" / "old").exists()


def test_an_environment_whose_python_was_removed_is_made_anew(machine: Machine) -> None:
    machine.setup()
    (machine.checkout / ".venv/bin/python").unlink()
    machine.setup()
    assert len(machine.called()) == 2


def test_root_gets_missing_system_packages_installed_in_one_go(machine: Machine) -> None:
    machine.remove("git", "bwrap")
    machine.install("new-bwrap", SANDBOX_PROGRAMS["bwrap"])
    machine.install("apt-get", f'echo "apt-get $*" >>"$LOG"; cd {machine.bin}; [ "$1" = update ] || mv new-bwrap bwrap')
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    update, install, sync = machine.called()
    assert update.startswith("apt-get update")
    assert install.endswith("bubblewrap git") and " -y " in install
    assert sync.startswith("uv sync")


def test_sudo_without_password_is_used(user: Machine) -> None:
    user.remove("setpriv")
    user.install("sudo", '[ "$1" = -n ] && shift; echo "sudo $*" >>"$LOG"; "$@"')
    user.install("true", "")
    assert user.setup().returncode == 0
    assert [call for call in user.called() if call.startswith("apt-get")]
    assert [call for call in user.called() if call.startswith("sudo apt-get ") and " install " in call]


def test_an_ordinary_user_is_told_the_exact_command_and_nothing_is_installed(user: Machine) -> None:
    user.remove("bwrap", "git")
    user.install("ldconfig", "")
    done = user.setup()
    assert done.returncode != 0
    command = done.stderr.strip().splitlines()[-1].removeprefix("setup:").strip()
    assert command.startswith("sudo sh -c 'apt-get update && apt-get ")
    assert command.endswith(" bubblewrap git libseccomp2'")
    assert user.called() == []


def test_a_sudo_that_asks_for_a_password_is_not_used(user: Machine) -> None:
    user.remove("git")
    user.install("sudo", "exit 1")
    done = user.setup()
    assert done.returncode != 0 and "sudo sh -c" in done.stderr


def test_an_ordinary_user_who_has_everything_needs_no_rights(user: Machine) -> None:
    assert user.setup().returncode == 0


def test_a_distribution_without_apt_hears_what_to_look_for(machine: Machine) -> None:
    machine.remove("apt-get", "bwrap")
    done = machine.setup()
    assert done.returncode != 0 and "missing: bubblewrap" in done.stderr


def test_a_bubblewrap_that_stays_too_old_is_named_with_the_release_that_has_a_newer_one(machine: Machine) -> None:
    machine.install("bwrap", "echo bubblewrap 0.6.1")
    done = machine.setup()
    assert done.returncode != 0
    assert "bubblewrap 0.6.1 is too old" in done.stderr and "Debian 12" in done.stderr


def test_packages_that_cannot_be_installed_are_an_error(machine: Machine) -> None:
    machine.remove("git")
    machine.install("apt-get", "exit 100")
    done = machine.setup()
    assert done.returncode != 0 and "could not install: git" in done.stderr


def test_a_package_list_that_cannot_be_refreshed_does_not_stop_the_installation(machine: Machine) -> None:
    machine.remove("setpriv")
    machine.install("apt-get", '[ "$1" != update ]')
    assert machine.setup().returncode == 0


def test_the_newest_usable_python_on_the_path_is_taken_when_python3_is_too_old(machine: Machine) -> None:
    machine.remove("python3")
    machine.install("python3", "exit 1")
    (machine.bin / "python3.13").symlink_to(sys.executable)
    assert machine.setup().returncode == 0
    assert " --python /" in machine.called()[0]


def test_no_python_is_a_clear_message(machine: Machine) -> None:
    machine.remove("python3")
    done = machine.setup()
    assert done.returncode != 0
    assert "no Python 3.11 to 3.14" in done.stderr and "apt-get install python3" in done.stderr


FAKE_PYTHON = """
    case "$*" in
    *_base_executable*) echo "$0" ;;
    *ensurepip*) [ -e "$LOG.has-venv" ] ;;
    *version_info*) echo python3.12-venv ;;
    "-m venv"*) mkdir -p .uv/bin && cp "$0" .uv/bin/python ;;
    *"pip install"*)
        echo "$* $(cat .uv/requirement.txt)" >>"$LOG"
        printf '#!/bin/sh\\n%s' "$NEW_UV" >.uv/bin/uv
        chmod +x .uv/bin/uv ;;
    esac
"""


def with_fake_python(machine: Machine) -> Machine:
    machine.remove("python3")
    machine.install("python3", FAKE_PYTHON)
    (machine.bin / "cp").symlink_to(str(shutil.which("cp")))
    machine.environment["NEW_UV"] = UV
    return machine


@pytest.mark.parametrize("broken", ["", "echo uv 0.4.30", "echo 'uv: command not found' >&2; exit 127"])
def test_uv_is_installed_at_a_pinned_version_where_none_can_be_used(machine: Machine, broken: str) -> None:
    with_fake_python(machine)
    Path(f"{machine.log}.has-venv").touch()
    machine.install("uv", broken)
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    pip, sync = machine.called()
    assert "--require-hashes" in pip and "--only-binary=:all:" in pip
    assert re.search(r" uv==[0-9.]+( --hash=sha256:[0-9a-f]{64}){4}$", pip)
    assert sync.startswith("uv sync")


def test_python_without_venv_gets_it_before_uv(machine: Machine) -> None:
    with_fake_python(machine).remove("uv")
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert machine.called()[1].endswith("python3.12-venv")


def test_what_the_caller_has_set_does_not_lead_the_installation_elsewhere(machine: Machine) -> None:
    machine.environment = {
        "PYTHONDONTWRITEBYTECODE": "1", "VIRTUAL_ENV": "/other", "UV_PROJECT_ENVIRONMENT": "/other", "UV_LOCKED": "1",
    }  # fmt: skip
    assert machine.setup().returncode == 0
    environment = machine.uv_environment()
    assert environment["UV_PROJECT_ENVIRONMENT"] == str(machine.checkout / ".venv")
    assert {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "UV_LOCKED"}.isdisjoint(environment)


@pytest.mark.parametrize("home", ["", "/nonexistent-home", "/proc"])
def test_a_home_that_cannot_be_used_is_not_used(machine: Machine, home: str) -> None:
    machine.environment = {"HOME": home}
    assert machine.setup().returncode == 0
    assert machine.uv_environment()["UV_CACHE_DIR"] == str(machine.checkout / ".uv/cache")
    assert not Path("/nonexistent-home").exists()


def test_a_usable_home_keeps_uvs_own_cache(machine: Machine) -> None:
    machine.setup()
    assert "UV_CACHE_DIR" not in machine.uv_environment()


def test_two_setups_at_once_install_once(machine: Machine) -> None:
    machine.install("uv", f"{UV}\n/bin/sleep 0.3")
    environment = {"PATH": str(machine.bin), "LOG": str(machine.log), "HOME": str(machine.folder / "home")}
    both = [subprocess.Popen([machine.checkout / "setup.sh"], env=environment, stderr=subprocess.DEVNULL) for _ in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    assert len(machine.called()) == 1


def make(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT, *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    return done.stdout


def test_make_alone_tells_what_there_is() -> None:
    assert {"make run", "make test", "make check"} <= {line[:10].strip() for line in make().splitlines()}


def test_make_test_checks_first_and_ends_with_pytest() -> None:
    lines = make("-n", "test").splitlines()
    assert lines[0] == "./setup.sh"
    assert [line.split()[0] for line in lines[1:4]] == [".venv/bin/ruff", ".venv/bin/ruff", ".venv/bin/mypy"]
    assert lines[4:] == [".venv/bin/pytest -q -n 2 -m 'not campaign'", ".venv/bin/pytest -q -m campaign"]


def test_make_check_leaves_slow_tests_out() -> None:
    assert make("-n", "check").splitlines()[-1] == ".venv/bin/pytest -q -n 2 -m 'not slow'"


def test_make_run_starts_the_quickstart() -> None:
    assert make("-n", "run").splitlines() == ["./setup.sh", ".venv/bin/aar run jobs/quickstart.toml"]


def test_make_lets_python_write_bytecode(tmp_path: Path) -> None:
    (tmp_path / "show.mk").write_text(f"include {ROOT}/Makefile\nshow:\n\t@env\n")
    assert "PYTHONDONTWRITEBYTECODE" not in make("-f", str(tmp_path / "show.mk"), "show", PYTHONDONTWRITEBYTECODE="1")


def test_continuous_integration_runs_make_test_in_the_checkout_from_anywhere(machine: Machine) -> None:
    (machine.checkout / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", machine.checkout / ".ci/run")
    machine.install("make", 'pwd; echo "$*"; cat; exit 7')
    command, environment = ["bash", str(machine.checkout / ".ci/run")], {"PATH": str(machine.bin)}
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, input="not read")
    assert done.stdout.splitlines() == [str(machine.checkout), "--no-print-directory test"]
    assert done.returncode == 7


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def test_ray_accepts_the_cluster_file(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(cluster))
    workers = [kind for name, kind in cluster["available_node_types"].items() if name != cluster["head_node_type"]]
    assert workers and all(kind["resources"]["GPU"] > 0 for kind in workers)


def test_the_cluster_allows_namespaces_to_bubblewrap_by_the_rule_that_the_probe_names(cluster: dict[str, Any]) -> None:
    assert APPARMOR_RULE in [command.strip() for command in cluster["setup_commands"]]


def test_every_node_of_the_cluster_asks_for_the_token(cluster: dict[str, Any], shell: Callable[[str], str]) -> None:
    assert "~/.ray/auth_token" in cluster["file_mounts"].values()
    shell("mkdir ~/.ray && echo secret >~/.ray/auth_token && touch ~/.bashrc")
    for command in 2 * cluster["initialization_commands"]:
        shell(command)
    assert shell("cat ~/.bashrc").count("export") == 1
    assert shell(". ~/.bashrc && echo $RAY_AUTH_MODE").strip() == "token"
    assert shell(". ~/.bashrc && stat -c %a ~/.ray/auth_token $RAY_TMPDIR").split() == ["600", "700"]


def test_every_node_of_the_cluster_sets_up_the_bundled_commit(
    cluster: dict[str, Any], shell: Callable[[str], str]
) -> None:
    identity = "-c user.name=n -c user.email=e"
    for text in ("first", "second"):
        shell(f"git init -q ~/own && cd ~/own && printf '#!/bin/sh\\necho {text}' >setup.sh && chmod +x setup.sh")
        shell(f"cd ~/own && git add . && git {identity} commit -qm {text} && git bundle create -q ~/aar.bundle HEAD")
        fetch, run = cluster["setup_commands"][-2:]
        shell(fetch)
        assert shell(run).strip() == text


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], str]:
    """Runs a command as Ray's launcher does, in a home of its own."""

    def run(command: str) -> str:
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    return run
