"""Which devices and libraries a program with GPUs is shown, on a machine made of files."""

from pathlib import Path

import pytest

from aar.errors import SandboxError
from aar.sandbox import PYTHON, Spec, provider
from aar.sandbox.gpus import device_nodes, driver_libraries

LISTING = """3 libs found in cache `/etc/ld.so.cache'
\tlibnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1
\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1
\tlibc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6
"""


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    for name in ("nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "sda"):
        (tmp_path / name).touch()
    return tmp_path


def test_only_the_devices_that_were_given_are_shown(devices: Path) -> None:
    assert {node.name for node in device_nodes([1], devices)} == {"nvidiactl", "nvidia-uvm", "nvidia1"}
    assert device_nodes([], devices) == []


def test_a_device_that_is_not_there_is_named(devices: Path) -> None:
    with pytest.raises(SandboxError, match=r"nvidia7: no such device"):
        device_nodes([0, 7], devices)


def test_the_drivers_libraries_are_those_of_this_architecture() -> None:
    assert driver_libraries(LISTING) == {
        "/driver/libnvidia-ml.so.1": Path("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"),
        "/driver/libcuda.so.1": Path("/usr/lib/x86_64-linux-gnu/libcuda.so.1"),
    }


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_a_sandbox_for_a_gpu_that_is_not_there_is_an_error() -> None:
    spec = Spec((*PYTHON, "-c", "pass"), gpus=(0,))
    with provider("bubblewrap").open(spec) as sandbox, pytest.raises(SandboxError, match="no such device"):
        sandbox.run()
