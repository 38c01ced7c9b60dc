"""The Ray cluster that a campaign runs on: the one its process belongs to, one given by address, or a local one.

Protected: a cluster that aar starts lets nobody in without a token; the token's file can be read by its user alone, and
so can the folder with Ray's sockets. A cluster elsewhere that lets everybody in is refused unless the campaign's
settings allow it, and told of otherwise.
Not protected: a cluster that aar did not start, in all other ways: who has its token, and where it keeps its sockets.
"""

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

import ray

from aar.campaign.openness import is_loopback, is_open
from aar.campaign.ports import port_refusal
from aar.campaign.token import ensure_token, token_file
from aar.config import CampaignConfig
from aar.errors import CampaignError, ConfigError


def connect(config: CampaignConfig, namespace: str) -> str | None:
    """Connect to Ray.

    Returns:
        What the user has to be warned of, if there is something.

    Raises:
        CampaignError: there is no cluster at the address, a local one cannot start, or the cluster lets everybody in
            and can be reached from elsewhere.
        ConfigError: the address is no cluster's own, or the cluster is too small for the compute workers.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # workers import twice as fast from byte-compiled files
    address = config.cluster.address or os.environ.get("RAY_ADDRESS") or None
    if address and "://" in address:
        raise ConfigError(
            f"{address}: a campaign runs on a node of its cluster. Submit it there (ray job submit, see "
            "jobs/research.py), or unset RAY_ADDRESS."
        )
    try:
        if address:
            ray.init(address=address, namespace=namespace, log_to_driver=False)
        else:
            _start_local(config.cluster.dashboard_port, namespace)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at {address}" if address else "a local Ray"
        raise CampaignError(f"{where} cannot be used: {error}") from error
    warning = _check_closed(address, allow_open=config.cluster.allow_open)
    _check_size(config)
    return warning


def _check_closed(address: str | None, *, allow_open: bool) -> str | None:
    """What there is to warn of. `address`: how the cluster was found, such as "auto" or host:port; None: aar's own."""
    control = str(ray.get_runtime_context().gcs_address)
    if not is_open(control):
        return None
    if address is None:
        raise CampaignError(f"the Ray that aar started at {control} asks for no token. Unset the variables RAY_AUTH_*.")
    trouble = f"the Ray cluster at {control} is open: whoever reaches its ports runs commands on it and reads all data"
    remedy = "Start it again with RAY_AUTH_MODE=token, as cluster.yaml does"
    if not (is_loopback(address) or is_loopback(control) or allow_open):
        raise CampaignError(f"{trouble}. {remedy}, or, where nobody else reaches it, set cluster.allow_open=true.")
    return f"{trouble}. {remedy}."


def _start_local(dashboard_port: int, namespace: str) -> None:
    _check_port(dashboard_port)
    ensure_token(token_file())
    # Unset, a local Ray turns token authentication on by itself; set to anything else, it would obey.
    os.environ.pop("RAY_AUTH_MODE", None)
    # The folder's path must stay short: it is the beginning of socket paths, which may have 107 characters.
    private = _private_folder(Path(f"/tmp/aar-{os.getuid()}"))
    ray.init(
        address="local",
        namespace=namespace,
        dashboard_port=dashboard_port,
        include_dashboard=True,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(private / "ray"),
    )


def _private_folder(folder: Path) -> Path:
    """A folder that this user alone may enter. Raises CampaignError when something else has its name."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise CampaignError(f"{folder} is no folder of this user's own; remove it")
    folder.chmod(0o700)
    return folder


def _check_port(port: int) -> None:
    if port_refusal(port) is not None:
        raise CampaignError(
            f"port {port} for the Ray dashboard is in use. Stop what uses it, or take another one: "
            f"cluster.dashboard_port={port + 1}"
        )


def _check_size(config: CampaignConfig) -> None:
    """Ray would wait for ever for workers and training programs that fit nowhere."""
    has, compute, programs = ray.cluster_resources(), config.compute, config.programs
    for resource, each in (("CPU", compute.cpus_per_worker), ("GPU", compute.gpus_per_worker)):
        wanted = each * compute.workers
        if wanted > has.get(resource, 0):
            raise ConfigError(
                f"compute asks for {wanted:g} {resource}s ({compute.workers} workers), the cluster has "
                f"{has.get(resource, 0):g}. Lower compute.{resource.lower()}s_per_worker or compute.workers."
            )
    left = has.get("GPU", 0) - compute.gpus_per_worker * compute.workers
    if programs.per_method and programs.gpus > left:
        raise ConfigError(
            f"a training program asks for {programs.gpus} GPUs, and {left:g} of the cluster's are left beside the "
            "compute workers, who keep theirs. Lower programs.gpus or compute.gpus_per_worker."
        )
