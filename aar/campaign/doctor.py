"""Checks of this machine: what a campaign needs, what is missing, and how to get it.

The checks only inspect and try: they download and install nothing. (The sandbox is started for real, and its copy of
the interpreter is kept for the campaign.) Versions of Python packages are not checked: setup installs them from the
lock file.
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
LIBRARIES = {"libseccomp.so.2": "libseccomp2"}
PACKAGES = {"bwrap": "bubblewrap", "git": "git", "setpriv": "util-linux", "prlimit": "util-linux"}
ASSETS = {"quickstart student": SMOLLM2, "quickstart teacher": MINILM, "sarcasm headlines": SARCASM}
OPTIONAL_KEYS = {"ANTHROPIC_API_KEY": "only researchers that a language model drives need it"}


def diagnose(*, full: bool = False) -> list[Check]:
    """Run all checks, in the order in which a campaign would meet them. Takes about ten seconds.

    Args:
        full: run the sandbox's whole conformance suite, too. Takes about a minute.
    """
    return [
        check_python(),
        check_cores(),
        check_memory(),
        check_space("disk for campaigns", campaigns_root(), NEEDED_BYTES, "AAR_HOME"),
        check_space("disk for the cache", cache_folder(), CACHE_BYTES, "XDG_CACHE_HOME"),
        check_system_packages(),
        *check_sandbox(),
        *(check_asset(name, asset) for name, asset in ASSETS.items()),
        check_device(),
        *(check_key(name, use) for name, use in OPTIONAL_KEYS.items()),
        check_token(token_file()),
        check_port(DASHBOARD_PORT),
        *(check_conformance() if full else ()),
    ]


def check_python() -> Check:
    """Report the version of Python and the platform."""
    return Check("Python", True, f"{platform.python_version()} ({platform.machine()}, {platform.system()})")


def check_cores() -> Check:
    """Check that a compute worker gets the CPU cores that it asks for by default."""
    cores = len(os.sched_getaffinity(0))
    remedy = f"Run it on {NEEDED_CORES} cores, or set compute.cpus_per_worker={cores}; it will take longer."
    return _verdict("cores", cores >= NEEDED_CORES, f"{cores}", remedy)


def check_memory(cgroups: Path = CGROUPS) -> Check:
    """Check the memory of the machine, or of the container if that has less. `cgroups`: where its limit is mounted."""
    has = machine_bytes(cgroups)
    remedy = f"A campaign needs {NEEDED_MEMORY / GIB:.0f} GiB: use a larger machine, or raise the container's limit."
    return _verdict("memory", has >= NEEDED_MEMORY, f"{has / GIB:.1f} GiB", remedy)


def check_space(name: str, folder: Path, needed: int, variable: str) -> Check:
    """Check that `folder`, which need not exist yet, can be written and has `needed` bytes free.

    Args:
        variable: the environment variable by which the operator can choose another folder.
    """
    exists = next(parent for parent in (folder, *folder.parents) if os.path.exists(parent))
    elsewhere = f"set the environment variable {variable} to another folder."
    if not (exists.is_dir() and os.access(exists, os.W_OK | os.X_OK)):
        return Check(name, False, f"{folder} is not writable", f"Change the permissions of {exists}, or {elsewhere}")
    free = shutil.disk_usage(exists).free
    remedy = f"It needs {needed / GIB:.0f} GiB: free some space, or {elsewhere}"
    return _verdict(name, free >= needed, f"{free / GIB:.1f} GiB free in {folder}", remedy)


def check_system_packages() -> Check:
    """Check the programs and libraries that the operating system has to provide."""
    path = os.pathsep.join([os.environ.get("PATH", ""), bubblewrap.OUTER_ENVIRONMENT["PATH"]])
    missing = {package for program, package in PACKAGES.items() if shutil.which(program, path=path) is None}
    missing |= {package for library, package in LIBRARIES.items() if not _has_library(library)}
    command = f"apt-get update && apt-get install -y {' '.join(sorted(missing))}"
    remedy = f"Run: {command}" if os.geteuid() == 0 else f"Run: sudo sh -c '{command}'"
    detail = f"missing: {', '.join(sorted(missing))}" if missing else "all installed"
    return _verdict("system packages", not missing, detail, remedy)


def _has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def check_asset(name: str, asset: WheelFile) -> Check:
    """Report whether a model or dataset is in the cache.

    Fetching is not tried: whether the package index answers now says little about when it will be needed.
    """
    cached = (cache_folder() / "assets").glob(f"{asset.stem}*/{Path(asset.member).name}")
    later = f"not fetched yet; will come from the package index ({asset.package} {asset.version}) when first needed"
    return Check(name, True, next((f"in {path}" for path in cached), later))


def check_device(driver: Path = Path("/dev/nvidiactl")) -> Check:
    """Check that an NVIDIA GPU, if there is one, can be used. `driver`: the file that exists where there is one."""
    import torch  # takes seconds

    from aar.models.language_model import choose_dtype

    with warnings.catch_warnings(record=True) as reasons:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if driver.exists() and not usable and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        why = "; ".join(str(warning.message) for warning in reasons) or f"torch {torch.__version__} finds none"
        remedy = (
            f"Install an NVIDIA driver for CUDA {torch.version.cuda} or newer (nvidia-smi shows the installed one), or "
            "set CUDA_VISIBLE_DEVICES to nothing to use the CPU."
        )
        return Check("device", False, f"there is an NVIDIA GPU that cannot be used: {why}", remedy)
    device = torch.device("cuda" if usable else "cpu")
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count() if usable else 0)]
    names = ", ".join(f"{gpu.name} ({gpu.total_memory / GIB:.0f} GiB)" for gpu in gpus)
    precision = str(choose_dtype("auto", device)).removeprefix("torch.")
    return Check("device", True, f"{names or 'CPU'}, computes in {precision}")


def check_key(name: str, use: str) -> Check:
    """Report whether an optional key is in the environment, but not the key."""
    return Check(name, True, "set" if os.environ.get(name) else f"not set; {use}")


def check_token(file: Path) -> Check:
    """Check that the token of a local Ray cluster can be used or created."""
    refusal = token_refusal(file)
    if refusal is None:
        return Check(
            "Ray token", True, f"in {file}" if file.exists() else f"will be created in {file} when first needed"
        )
    problem, _, remedy = refusal.partition("; ")
    return Check("Ray token", False, problem, remedy)


def check_port(port: int) -> Check:
    """Check that the dashboard of a local Ray cluster can listen on `port`."""
    refusal = port_refusal(port)
    if refusal is None:
        return Check("dashboard port", True, f"{port} is free")
    remedy = (
        "If a running campaign of yours uses it, all is well. Otherwise stop the process that does, or choose another "
        f"port: cluster.dashboard_port={port + 1}"
    )
    return Check("dashboard port", False, f"port {port} is not available: {refusal}", remedy)


def check_sandbox() -> Iterator[Check]:
    """Try what every start of a campaign tries: that sandboxes start here and isolate what runs in them."""
    for check in probe(Limits()):
        yield replace(check, name=f"sandbox: {check.name}")


def check_conformance() -> Iterator[Check]:
    """Try everything that a sandbox promises."""
    for check in conformance(provider("bubblewrap")):
        yield replace(check, name=f"sandbox {check.name}")


def _verdict(name: str, passed: bool, detail: str, remedy: str) -> Check:
    return Check(name, passed, detail, "" if passed else remedy)
