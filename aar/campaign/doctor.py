"""What a campaign finds on this machine, what it lacks, and how to get it.

Looks and tries only: nothing is downloaded or installed. (The sandbox is tried for real, and keeps its copy of the
interpreter for the campaign.) The versions of Python packages are not checked: setup installs them from the lock file.
"""

import ctypes
import os
import platform
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from aar.assets import MINILM, SARCASM, SMOLLM2, WheelFile, cache_folder
from aar.campaign.cluster import port_refusal, token_file, token_refusal
from aar.campaign.folder import NEEDED_BYTES, campaigns_root
from aar.config import ClusterConfig, ComputeConfig
from aar.sandbox import Check, Limits, probe, provider
from aar.sandbox.api import GIB
from aar.sandbox.conformance import conformance
from aar.sandbox.linux import bubblewrap
from aar.sandbox.memory import CGROUPS, machine_bytes

NEEDED_MEMORY = 6 * GIB
NEEDED_CORES = int(ComputeConfig().cpus_per_worker)
CACHE_BYTES = GIB  # the built-in models and data, and the sandbox's interpreter
DASHBOARD_PORT = ClusterConfig().dashboard_port
PACKAGES = {"bwrap": "bubblewrap", "git": "git", "setpriv": "util-linux", "prlimit": "util-linux"}
ASSETS = {"quickstart student": SMOLLM2, "quickstart teacher": MINILM, "sarcasm headlines": SARCASM}
OPTIONAL_KEYS = {
    "ANTHROPIC_API_KEY": "only researchers that a language model drives need it",
    "WANDB_API_KEY": "only logging to Weights & Biases needs it",
}


def diagnose(*, full: bool = False) -> list[Check]:
    """Every check, in the order in which a campaign would meet them; takes ten seconds or so.

    `full`: the sandbox's whole conformance suite too.
    """
    return [
        _python(),
        _cores(),
        _memory(),
        _space("disk for campaigns", campaigns_root(), NEEDED_BYTES, "AAR_HOME"),
        _space("disk for the cache", cache_folder(), CACHE_BYTES, "XDG_CACHE_HOME"),
        _system_packages(),
        *_sandbox(),
        *(_asset(name, asset) for name, asset in ASSETS.items()),
        _device(),
        *(_key(name, use) for name, use in OPTIONAL_KEYS.items()),
        _token(token_file()),
        _port(DASHBOARD_PORT),
        *(_conformance() if full else ()),
    ]


def _python() -> Check:
    return Check("Python", True, f"{platform.python_version()} ({platform.machine()}, {platform.system()})")


def _cores() -> Check:
    cores = len(os.sched_getaffinity(0))
    remedy = f"Run it on {NEEDED_CORES} cores, or set compute.cpus_per_worker={cores}; it will take longer."
    return _verdict("cores", cores >= NEEDED_CORES, f"{cores}", remedy)


def _memory(cgroups: Path = CGROUPS) -> Check:
    has = machine_bytes(cgroups)
    remedy = f"A campaign needs {NEEDED_MEMORY / GIB:.0f} GiB: use a larger machine, or raise the container's limit."
    return _verdict("memory", has >= NEEDED_MEMORY, f"{has / GIB:.1f} GiB", remedy)


def _space(name: str, folder: Path, needed: int, variable: str) -> Check:
    """Room in a folder that may not exist yet. `variable`: the environment variable that names another one."""
    exists = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    elsewhere = f"let the environment variable {variable} name another folder."
    if not (exists.is_dir() and os.access(exists, os.W_OK | os.X_OK)):
        return Check(name, False, f"{folder} cannot be written", f"Change the rights of {exists}, or {elsewhere}")
    free = shutil.disk_usage(exists).free
    remedy = f"It needs {needed / GIB:.0f} GiB: free some space, or {elsewhere}"
    return _verdict(name, free >= needed, f"{free / GIB:.1f} GiB free in {folder}", remedy)


def _system_packages() -> Check:
    path = os.pathsep.join([os.environ.get("PATH", ""), bubblewrap.OUTER_ENVIRONMENT["PATH"]])
    missing = {package for program, package in PACKAGES.items() if shutil.which(program, path=path) is None}
    missing |= set() if _has_library("libseccomp.so.2") else {"libseccomp2"}
    command = f"apt-get update && apt-get install -y {' '.join(sorted(missing))}"
    remedy = f"Run: {command}" if os.geteuid() == 0 else f"Run: sudo sh -c '{command}'"
    detail = f"missing: {', '.join(sorted(missing))}" if missing else "all there"
    return _verdict("system packages", not missing, detail, remedy)


def _has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _sandbox() -> Iterator[Check]:
    for check in probe(Limits()):
        yield replace(check, name=f"sandbox: {check.name}")


def _conformance() -> Iterator[Check]:
    for check in conformance(provider("bubblewrap")):
        yield replace(check, name=f"sandbox {check.name}")


def _asset(name: str, asset: WheelFile) -> Check:
    """Fetching is not tried: whether the package index answers now says little about when it will be needed."""
    kept = (cache_folder() / "assets").glob(f"{asset.stem}*/{Path(asset.member).name}")
    later = f"not fetched yet; comes from the package index ({asset.package} {asset.version}) when first needed"
    return Check(name, True, next((f"in {path}" for path in kept), later))


def _device(driver: Path = Path("/dev/nvidiactl")) -> Check:
    import torch  # takes seconds

    from aar.models.language_model import choose_dtype

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if driver.exists() and not usable and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        why = "; ".join(str(warning.message) for warning in said) or f"torch {torch.__version__} finds none"
        remedy = (
            f"Install an NVIDIA driver for CUDA {torch.version.cuda} or newer (nvidia-smi shows what is there), or set "
            "CUDA_VISIBLE_DEVICES to nothing to use the CPU."
        )
        return Check("device", False, f"there is an NVIDIA GPU that cannot be used: {why}", remedy)
    device = torch.device("cuda" if usable else "cpu")
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count() if usable else 0)]
    names = ", ".join(f"{gpu.name} ({gpu.total_memory / GIB:.0f} GiB)" for gpu in gpus)
    precision = str(choose_dtype("auto", device)).removeprefix("torch.")
    return Check("device", True, f"{names or 'CPU'}, computes in {precision}")


def _key(name: str, use: str) -> Check:
    return Check(name, True, "set" if os.environ.get(name) else f"not set; {use}")


def _token(file: Path) -> Check:
    refusal = token_refusal(file)
    if refusal is None:
        return Check("Ray token", True, f"in {file}" if file.exists() else f"made in {file} when first needed")
    found, _, remedy = refusal.partition("; ")
    return Check("Ray token", False, found, remedy)


def _port(port: int) -> Check:
    refusal = port_refusal(port)
    if refusal is None:
        return Check("dashboard port", True, f"{port} is free")
    remedy = (
        "If that is the campaign you are running, all is well; otherwise stop what uses it, or take another "
        f"one: cluster.dashboard_port={port + 1}"
    )
    return Check("dashboard port", False, f"port {port} cannot be had: {refusal}", remedy)


def _verdict(name: str, passed: bool, detail: str, remedy: str) -> Check:
    return Check(name, passed, detail, "" if passed else remedy)
