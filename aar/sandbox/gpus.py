"""What a sandbox needs in order to use certain GPUs: their device nodes, and the driver's libraries.

Covers: only the devices that were asked for; without any, none of this is shown.
Does not cover: the driver behind the nodes, which is kernel surface that seccomp cannot narrow.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aar.errors import SandboxError

DEVICES = Path("/dev")
SHARED_NODES = ("nvidiactl", "nvidia-uvm")
DRIVER = "/driver"
LIBRARY = re.compile(r"^\s*(lib(?:cuda|nvidia-[\w-]+|nvcuvid)\.so[.\d]*) \(.*x86-64.*\) => (\S+)$", re.MULTILINE)


def device_nodes(gpus: Sequence[int], devices: Path = DEVICES) -> list[Path]:
    """The nodes of these GPUs, by their numbers, and those that all GPUs share; none for no GPUs.

    Raises:
        SandboxError: there is no such device.
    """
    if not gpus:
        return []
    nodes = [devices / name for name in (*SHARED_NODES, *(f"nvidia{number}" for number in gpus))]
    missing = [str(node) for node in nodes if not node.exists()]
    if missing:
        raise SandboxError(f"{', '.join(missing)}: no such device. Ask for GPUs that nvidia-smi shows on this machine.")
    return nodes


def driver_libraries(listing: str | None = None) -> dict[str, Path]:
    """The driver's libraries by the path at which a sandbox finds them. `listing`: as `ldconfig -p` prints."""
    if listing is None:
        listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    return {f"{DRIVER}/{name}": Path(path) for name, path in LIBRARY.findall(listing)}
