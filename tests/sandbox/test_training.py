"""What a training program's sandbox is shown: packages to train with, none that know labels, and the GPUs asked for."""

from importlib.metadata import distribution
from pathlib import Path

import pytest

from aar.errors import SandboxError
from aar.sandbox import PYTHON, TRAINING_PYTHON, Limits, Outcome, Spec, provider
from aar.sandbox.linux import training
from aar.sandbox.linux.training import device_nodes, driver_libraries, packages

NEEDED = (
    "torch", "transformers", "safetensors.torch", "accelerate", "numpy", "aar.guest.training_task",
    "aar.models.student",
)  # fmt: skip
HIDDEN = (
    "aar.problems", "aar.problems.grammar.pairs", "aar.scoring.evaluator", "aar.sandbox", "aar.compute", "aar.campaign",
    "aar.researchers", "aar.commons", "aar.assets", "aar.experiments.actor", "ray", "sklearn", "anthropic", "wandb",
)  # fmt: skip


@pytest.fixture(params=["bubblewrap", "none"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(program: str, folder: Path, where: str = "bubblewrap") -> Outcome:
    limits = Limits(memory_bytes=4 * 2**30, processes=128, open_files=1024)
    with provider(where).open(Spec((*TRAINING_PYTHON, "-c", program), limits, "training", workspace=folder)) as sandbox:
        return sandbox.run()


@pytest.mark.slow
def test_packages_to_train_with_can_be_imported(tmp_path: Path, where: str) -> None:
    outcome = run(f"import {', '.join(NEEDED)}; print(torch.ones(2).sum().item())", tmp_path, where)
    assert (outcome.exit_code, outcome.stdout) == (0, "2.0\n"), outcome.stderr


def test_nothing_else_of_aar_or_of_the_machines_packages_can(tmp_path: Path) -> None:
    program = f"""
import importlib
for name in {HIDDEN}:
    try:
        print("found", importlib.import_module(name))
    except ModuleNotFoundError:
        pass
"""
    outcome = run(program, tmp_path)
    assert (outcome.exit_code, outcome.stdout) == (0, ""), outcome.stderr


CUDA = [line for line in distribution("torch").requires or () if line.startswith("cuda-toolkit[")]


@pytest.mark.skipif(not CUDA, reason="this torch was built without CUDA")
def test_a_packages_required_extras_are_shown_too() -> None:
    shown = {name.removeprefix("/packages/").split("-")[0] for name in packages()}
    assert {"nvidia_cufft", "nvidia_nvtx", "nvidia_cusolver"} <= shown


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "ROOTS", ("no-such-package",))
    packages.cache_clear()
    with pytest.raises(SandboxError, match=r"no-such-package is not installed; .* Run: make setup"):
        packages()


LISTING = """3 libs found in cache `/etc/ld.so.cache'
\tlibnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1
\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6,AArch64) => /usr/lib/aarch64-linux-gnu/libcuda.so.1
\tlibc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6
"""
INFORMATION = """Model: \t\t NVIDIA H100 80GB HBM3
IRQ:   \t\t 120
Bus Location: \t 0000:{place}:00.0
Device Minor: \t {minor}
GPU Excluded:\t No
"""
PLACES = {"1b": 2, "3b": 0, "5b": 1}
"""Three devices by their places on the bus, and the numbers of their nodes: not in the same order."""


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    for name in ("nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia2", "sda"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    for place, minor in PLACES.items():
        (tmp_path / "gpus" / f"0000:{place}:00.0").mkdir(parents=True)
        text = INFORMATION.format(place=place, minor=minor)
        (tmp_path / "gpus" / f"0000:{place}:00.0" / "information").write_text(text)
    return tmp_path / "gpus"


def test_only_the_requested_devices_are_shown(devices: Path, bus: Path) -> None:
    assert {node.name for node in device_nodes([1], devices, bus)} == {"nvidiactl", "nvidia-uvm", "nvidia0"}
    assert device_nodes([], devices, bus) == []


def test_devices_are_counted_by_their_places_on_the_bus(devices: Path, bus: Path) -> None:
    assert [node.name for node in device_nodes([0, 1, 2], devices, bus)[2:]] == ["nvidia2", "nvidia0", "nvidia1"]


def test_a_container_with_a_few_of_the_devices_counts_those(devices: Path, bus: Path) -> None:
    (devices / "nvidia2").unlink()
    assert [node.name for node in device_nodes([0, 1], devices, bus)[2:]] == ["nvidia0", "nvidia1"]


def test_a_missing_device_is_named(devices: Path, bus: Path) -> None:
    with pytest.raises(SandboxError, match="GPU 7 does not exist; this machine has 3"):
        device_nodes([0, 7], devices, bus)
    (devices / "nvidia-uvm").unlink()
    with pytest.raises(SandboxError, match="nvidia-uvm: missing"):
        device_nodes([0], devices, bus)


def test_a_machine_without_a_driver_has_no_devices(devices: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="this machine has 0"):
        device_nodes([0], devices, tmp_path / "none")
    with pytest.raises(SandboxError, match=r"libcuda\.so\.1"):
        driver_libraries("0 libs found in cache `/etc/ld.so.cache'", "x86_64")


def test_the_drivers_libraries_are_those_of_this_architecture() -> None:
    assert driver_libraries(LISTING, "x86_64") == {
        "/driver/libnvidia-ml.so.1": Path("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"),
        "/driver/libcuda.so.1": Path("/usr/lib/x86_64-linux-gnu/libcuda.so.1"),
    }
    assert driver_libraries(LISTING, "aarch64") == {
        "/driver/libcuda.so.1": Path("/usr/lib/aarch64-linux-gnu/libcuda.so.1")
    }


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_a_sandbox_for_a_missing_gpu_is_an_error() -> None:
    with pytest.raises(SandboxError, match="GPUs cannot be used"):
        provider("bubblewrap").open(Spec((*PYTHON, "-c", "pass"), gpus=(0,)))
