"""What a training program's sandbox is shown besides the runtime: Python packages, and GPUs with their driver.

Packages: torch, transformers and all that they require, and the program's side of aar. Each is shown where it is
installed, at its own path below /packages; the rest of site-packages is not.

Covers: the rest of aar. A generated problem has its labels in the code that generates it, so no program sees that code.
Does not cover: a provider without isolation.

GPUs: their device nodes, and the driver's libraries.

Covers: only the devices that were asked for; a sandbox without any is shown none of this.
Does not cover: the driver behind the nodes, which is kernel surface that seccomp cannot narrow.
"""

import functools
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import aar
from aar.errors import SandboxError

PLACE = "/packages"
ROOTS = ("torch", "transformers", "safetensors", "numpy", "accelerate", "pydantic")
OWN = ("__init__.py", "errors.py", "guest", "models")
"""The parts of aar that are shown."""

DEVICES = Path("/dev")
BUS = Path("/proc/driver/nvidia/gpus")
SHARED_NODES = ("nvidiactl", "nvidia-uvm")
DRIVER = "/driver"
MINOR = re.compile(r"^Device Minor:\s+(\d+)", re.MULTILINE)
LIBRARY = re.compile(r"^\s*(lib(?:cuda|nvidia-[\w-]+|nvcuvid)\.so[.\d]*) \(.*?([\w-]+)\) => (\S+)$", re.MULTILINE)
ARCHITECTURES = {"x86_64": "x86-64", "aarch64": "AArch64"}  # as ldconfig calls them


@functools.cache
def packages() -> dict[str, Path]:
    """Return host files and folders by the path at which a training program finds them.

    Raises:
        SandboxError: one of the packages is not installed.
    """
    shown = {f"{PLACE}/aar/{name}": _aar() / name for name in OWN}
    for package in _closure():
        shown |= {f"{PLACE}/{name}": path for name, path in _top_level(package)}
    return shown


def package_folders() -> list[str]:
    """Return the host's folders that contain the packages, for a provider that shows the host as it is.

    Raises:
        SandboxError: one of the packages is not installed.
    """
    folders = {path.parent for package in _closure() for _, path in _top_level(package)}
    return sorted(map(str, {*folders, _aar().parent}))


def _aar() -> Path:
    return Path(aar.__file__).parent


def _closure() -> list[Distribution]:
    """Return ROOTS and the packages that they require on this machine, with the extras that they ask for."""
    from packaging.requirements import Requirement  # sandboxes that do not train are opened without it

    closure: dict[tuple[str, str], Distribution] = {}
    queue = [(name, "") for name in ROOTS]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in closure:
            continue
        closure[name, extra] = _installed(name)
        for requirement in map(Requirement, closure[name, extra].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                queue += [(_normal(requirement.name), required) for required in ("", *requirement.extras)]
    return list({name: package for (name, _), package in closure.items()}.values())


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise SandboxError(f"the package {name} is not installed; training programs need it. Run: make setup") from None


def _top_level(package: Distribution) -> Iterator[tuple[str, Path]]:
    """Yield the top-level entries of a distribution in site-packages, without its scripts."""
    names = {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}
    for name in sorted(names):
        path = Path(str(package.locate_file(name)))
        if path.exists():
            yield name, path


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def device_nodes(gpus: Sequence[int], devices: Path = DEVICES, bus: Path = BUS) -> list[Path]:
    """Return the device nodes of these GPUs and those that all GPUs share; an empty list for no GPUs.

    Args:
        gpus: numbers as nvidia-smi and Ray count, by place on the bus. A device's node may have another number.
        bus: a folder for each device, by its place on the bus, in which the driver names the device's node.

    Raises:
        SandboxError: a device does not exist.
    """
    if not gpus:
        return []
    present = _nodes_by_number(devices, bus)
    beyond = [number for number in gpus if number >= len(present)]
    if beyond:
        raise SandboxError(f"GPU {beyond[0]} does not exist; this machine has {len(present)}. Compare with nvidia-smi")
    nodes = [devices / name for name in SHARED_NODES] + [present[number] for number in gpus]
    missing = [str(node) for node in nodes if not node.exists()]
    if missing:
        raise SandboxError(f"{', '.join(missing)}: missing, so GPUs cannot be used. Check that nvidia-smi works here")
    return nodes


def driver_libraries(listing: str | None = None, machine: str = platform.machine()) -> dict[str, Path]:
    """Return the driver's libraries by the path at which a sandbox finds them.

    Args:
        listing: the output of `ldconfig -p`.

    Raises:
        SandboxError: no driver for programs of this machine is installed.
    """
    if listing is None:
        listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    architecture = ARCHITECTURES.get(machine)
    libraries = {name: Path(path) for name, kind, path in LIBRARY.findall(listing) if kind == architecture}
    if "libcuda.so.1" not in libraries:
        raise SandboxError("libcuda.so.1 was not found, so GPUs cannot be used. Install NVIDIA's driver.")
    return {f"{DRIVER}/{name}": path for name, path in libraries.items()}


def _nodes_by_number(devices: Path, bus: Path) -> list[Path]:
    """Return the existing nodes in the order of the devices on the bus; a container may have only some of them."""
    minors = [MINOR.search((device / "information").read_text()) for device in sorted(bus.glob("*:*"))]
    nodes = [devices / f"nvidia{minor[1]}" for minor in minors if minor]
    return [node for node in nodes if node.exists()]
