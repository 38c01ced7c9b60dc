"""What a sandbox needs in order to use certain GPUs: their device nodes, and the driver's libraries.

Covers: only the devices that were asked for; without any, none of this is shown.
Does not cover: the driver behind the nodes, which is kernel surface that seccomp cannot narrow.
"""

import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aar.errors import SandboxError

DEVICES = Path("/dev")
BUS = Path("/proc/driver/nvidia/gpus")
SHARED_NODES = ("nvidiactl", "nvidia-uvm")
DRIVER = "/driver"
MINOR = re.compile(r"^Device Minor:\s+(\d+)", re.MULTILINE)
LIBRARY = re.compile(r"^\s*(lib(?:cuda|nvidia-[\w-]+|nvcuvid)\.so[.\d]*) \(.*?([\w-]+)\) => (\S+)$", re.MULTILINE)
ARCHITECTURES = {"x86_64": "x86-64", "aarch64": "AArch64"}  # as ldconfig calls them


def device_nodes(gpus: Sequence[int], devices: Path = DEVICES, bus: Path = BUS) -> list[Path]:
    """The nodes of these GPUs, and those that all GPUs share; none for no GPUs.

    Args:
        gpus: numbers as nvidia-smi and Ray count: by place on the bus. A device's node may have another number.
        bus: a folder for each device, by its place on the bus, where the driver says which node it has.

    Raises:
        SandboxError: there is no such device.
    """
    if not gpus:
        return []
    present = _nodes_by_number(devices, bus)
    beyond = [number for number in gpus if number >= len(present)]
    if beyond:
        raise SandboxError(f"GPU {beyond[0]}: no such device; this machine has {len(present)}, as nvidia-smi shows")
    nodes = [devices / name for name in SHARED_NODES] + [present[number] for number in gpus]
    missing = [str(node) for node in nodes if not node.exists()]
    if missing:
        raise SandboxError(f"{', '.join(missing)}: no such device, so no GPU can be used. Does nvidia-smi work here?")
    return nodes


def driver_libraries(listing: str | None = None, machine: str = platform.machine()) -> dict[str, Path]:
    """The driver's libraries by the path at which a sandbox finds them.

    Args:
        listing: as `ldconfig -p` prints.

    Raises:
        SandboxError: there is no driver for programs of this machine.
    """
    if listing is None:
        listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    wanted = ARCHITECTURES.get(machine)
    found = {name: Path(path) for name, kind, path in LIBRARY.findall(listing) if kind == wanted}
    if "libcuda.so.1" not in found:
        raise SandboxError("libcuda.so.1: no such library, so no GPU can be used. Install NVIDIA's driver.")
    return {f"{DRIVER}/{name}": path for name, path in found.items()}


def _nodes_by_number(devices: Path, bus: Path) -> list[Path]:
    """The nodes that are here, in the order of the devices on the bus; a container may have been given a few alone."""
    said = [MINOR.search((device / "information").read_text()) for device in sorted(bus.glob("*:*"))]
    nodes = [devices / f"nvidia{minor[1]}" for minor in said if minor]
    return [node for node in nodes if node.exists()]
