"""The Ray cluster that a campaign runs on: the one its process belongs to, one given by address, or a local one.

Protected: a cluster that aar starts lets nobody in without a token; the token's file can be read by its user alone, and
so can the folder with Ray's sockets.
Not protected: a cluster that aar did not start is taken as it is.
"""

import logging
import os
import secrets
from pathlib import Path

import ray

from aar.campaign.ports import port_refusal
from aar.config import CampaignConfig
from aar.errors import CampaignError, ConfigError

TOKEN_FILE = Path("~/.ray/auth_token")


def connect(config: CampaignConfig, namespace: str) -> None:
    """Connect to Ray.

    Raises:
        CampaignError: there is no cluster at the address, or a local one cannot start.
        ConfigError: the cluster is too small for the compute workers.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # workers import twice as fast from byte-compiled files
    address = config.cluster.address or os.environ.get("RAY_ADDRESS")
    try:
        if address:
            ray.init(address=address, namespace=namespace, log_to_driver=False)
        else:
            _start_local(config.cluster.dashboard_port, namespace)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at {address}" if address else "a local Ray"
        raise CampaignError(f"{where} cannot be used: {error}") from error
    _check_size(config)


def _start_local(dashboard_port: int, namespace: str) -> None:
    _check_port(dashboard_port)
    _ensure_token(Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE).expanduser())
    # Unset, a local Ray turns token authentication on by itself; set to anything else, it would obey.
    os.environ.pop("RAY_AUTH_MODE", None)
    # The folder's path must stay short: it is the beginning of socket paths, which may have 107 characters.
    private = Path(f"/tmp/aar-{os.getuid()}")
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid() or private.is_symlink():
        raise CampaignError(f"{private} belongs to somebody else; remove it")
    private.chmod(0o700)
    ray.init(
        address="local",
        namespace=namespace,
        dashboard_port=dashboard_port,
        include_dashboard=True,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(private / "ray"),
    )


def _ensure_token(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists():
        file.chmod(0o600)
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(32))


def _check_port(port: int) -> None:
    if port_refusal(port) is not None:
        raise CampaignError(
            f"port {port} for the Ray dashboard is in use. Stop what uses it, or take another one: "
            f"cluster.dashboard_port={port + 1}"
        )


def _check_size(config: CampaignConfig) -> None:
    """Ray Train would wait for ever for workers that fit nowhere."""
    has, compute = ray.cluster_resources(), config.compute
    for resource, each in (("CPU", compute.cpus_per_worker), ("GPU", compute.gpus_per_worker)):
        wanted = each * compute.workers
        if wanted > has.get(resource, 0):
            raise ConfigError(
                f"compute asks for {wanted:g} {resource}s ({compute.workers} workers), the cluster has "
                f"{has.get(resource, 0):g}. Lower compute.{resource.lower()}s_per_worker or compute.workers."
            )
