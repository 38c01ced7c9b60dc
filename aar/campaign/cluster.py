"""The Ray cluster that a campaign runs on: the one its process belongs to, one given by address, or a local one.

Covers: a cluster that aar starts admits nobody without a token. Only this user can read or replace the token's file,
and only this user can enter the folder with Ray's sockets. A cluster that aar did not start and that admits everybody
is refused, unless it is on loopback or the campaign's settings allow it; then the operator is warned.
Does not cover: the rest of a cluster that aar did not start, such as who has its token and where it keeps its sockets;
the folders above the token file's own; a token in the environment (RAY_AUTH_TOKEN), which Ray prefers.

Anyone who has the token, or who reaches a cluster without one, can run commands as the user who started it and read all
its data.
"""

import ipaddress
import logging
import os
import secrets
import shlex
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import ray

from aar.config import CampaignConfig
from aar.errors import CampaignError, ConfigError
from aar.storage import write_atomic

DEFAULT_TOKEN_FILE = "~/.ray/auth_token"
PROBE_SECONDS = 10.0
# Its empty request names no node. The answer is not looked at.
_PROBE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_ELSEWHERE = "set RAY_AUTH_TOKEN_PATH to another file"


def port_refusal(port: int) -> str | None:
    """Return the system's reason why this loopback port cannot be listened on now, or None if it can."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return None


def token_file() -> Path:
    """Return the file in which Ray looks for the token."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or DEFAULT_TOKEN_FILE).expanduser()


def ensure_token(file: Path) -> None:
    """Create a token in `file` unless it has one, and let only this user read it.

    Raises:
        CampaignError: the file is not a plain file of this user, or others could replace it; the message says what to
            do.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refusal = token_refusal(file)
        if refusal is None:
            _create(file)
            os.chmod(file, 0o600)  # Ray itself writes it for everyone to read
    except OSError as error:
        raise CampaignError(f"{file}: could not write the Ray token ({error.strerror}); {_ELSEWHERE}") from None
    if refusal is not None:
        raise CampaignError(refusal)


def token_refusal(file: Path) -> str | None:
    """Return why `file` cannot hold the token, and what to do, or None if it can or could be created."""
    if not file.parent.exists():
        return None
    folder = file.parent.stat()
    if folder.st_uid not in (0, os.geteuid()) or folder.st_mode & 0o022:
        return f"{file.parent}: others can write there, and so replace the Ray token; chmod go-w it, or {_ELSEWHERE}"
    if not os.path.lexists(file):
        return None
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode):
        return f"{file}: the Ray token must be a plain file, not a link; remove it, or {_ELSEWHERE}"
    if status.st_uid != os.geteuid():
        return f"{file}: the Ray token belongs to another user (uid {status.st_uid}); remove it, or {_ELSEWHERE}"
    if not status.st_size:
        return f"{file}: the Ray token is empty; remove it, and a new one will be created"
    return None


def _create(file: Path) -> None:
    """Create a token unless there is one."""
    if file.exists():
        return
    with suppress(FileExistsError):  # another process was faster
        write_atomic(file, secrets.token_hex(32), mode=0o600, exclusive=True)


def accepts_unauthenticated(address: str) -> bool:
    """True if the Ray control service at `address` (host:port) answers a caller without a token.

    Raises:
        CampaignError: it neither answered nor asked for a token.
    """
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        probe = channel.unary_unary(_PROBE, request_serializer=bytes, response_deserializer=bytes)
        try:
            probe(b"", timeout=PROBE_SECONDS)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED or _requires_tls(error):
                return False
            raise CampaignError(
                f"the Ray cluster at {address} did not say whether it asks for a token ({error.code().name}); "
                "start it with RAY_AUTH_MODE=token and the Ray version that aar is installed with"
            ) from None
    return True


def is_loopback(address: str) -> bool:
    """True if `address` (host:port) is certain to be reachable from this machine only. Most names are not."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _requires_tls(error: grpc.RpcError) -> bool:
    """True if the cluster uses Ray's TLS: it requires a certificate and does not understand a caller without one."""
    return error.code() == grpc.StatusCode.UNAVAILABLE and os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


@dataclass(frozen=True)
class RayConnection:
    """A connection to the Ray cluster that a campaign runs on.

    Attributes:
        logs: the folder on this machine with the actors' logs, which the dashboard shows, too.
        dashboard: its URL, or None if none runs.
        is_open: the cluster admits callers without a token.
        warning: for the operator, or None.
    """

    logs: Path
    dashboard: str | None
    is_open: bool
    warning: str | None

    def places(self) -> list[str]:
        """Tell an operator where to look, line by line. No line contains the token itself."""
        lines = [f"Logs:      {self.logs} (also in the dashboard)" if self.dashboard else f"Logs:      {self.logs}"]
        if self.dashboard:
            ask = (
                "" if self.is_open else f' (at "Authentication Token Required", paste what `{token_command()}` prints)'
            )
            lines.append(f"Dashboard: {self.dashboard}{ask}")
        return lines


def token_command() -> str:
    """Return the command that prints the token for the dashboard of the Ray that this process uses."""
    return "printenv RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else f"cat {shlex.quote(str(token_file()))}"


def connect(config: CampaignConfig, namespace: str) -> RayConnection:
    """Connect to Ray.

    Raises:
        CampaignError: there is no cluster at the address, a local one cannot start, or the cluster admits everybody and
            can be reached from elsewhere.
        ConfigError: the address is not that of a cluster's node, or the cluster is too small for the compute workers.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # workers import twice as fast from byte-compiled files
    address = config.cluster.address or os.environ.get("RAY_ADDRESS") or None
    if address and "://" in address:
        raise ConfigError(
            f"{address}: a campaign must run on a node of its cluster. Submit it there (ray job submit, see "
            "jobs/research.py), or unset RAY_ADDRESS."
        )
    try:
        if address:
            context = ray.init(address=address, namespace=namespace, log_to_driver=False)
        else:
            context = _start_local(config.cluster.dashboard_port, namespace)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at {address}" if address else "a local Ray"
        raise CampaignError(f"{where} cannot be used: {error}") from error
    warning = check_closed(address, allow_open=config.cluster.allow_open)
    check_size(config)
    logs = Path(context.address_info["session_dir"]) / "logs"
    dashboard = f"http://{context.dashboard_url}" if context.dashboard_url else None
    return RayConnection(logs, dashboard, warning is not None, warning)


def check_closed(address: str | None, *, allow_open: bool) -> str | None:
    """Check that the cluster of this process requires a token.

    Args:
        address: how the cluster was found, such as "auto" or host:port; None if aar has started it.
        allow_open: accept a cluster that requires no token and can be reached from elsewhere.

    Returns:
        A warning for the operator if it requires no token, or None.

    Raises:
        CampaignError: it must require a token and does not.
    """
    control = str(ray.get_runtime_context().gcs_address)
    if not accepts_unauthenticated(control):
        return None
    if address is None:
        raise CampaignError(f"the Ray that aar started at {control} requires no token. Unset the variables RAY_AUTH_*.")
    problem = (
        f"the Ray cluster at {control} is open: anyone who reaches its ports can run commands on it and read all data"
    )
    remedy = "Restart it with RAY_AUTH_MODE=token, as cluster.yaml does"
    if not (is_loopback(address) or is_loopback(control) or allow_open):
        raise CampaignError(f"{problem}. {remedy}, or, if nobody else can reach it, set cluster.allow_open=true.")
    return f"{problem}. {remedy}."


def _start_local(dashboard_port: int, namespace: str) -> Any:
    """Start a local cluster and return Ray's context of it."""
    _check_port(dashboard_port)
    ensure_token(token_file())
    # Unset, a local Ray turns token authentication on by itself. Any other value would be obeyed.
    os.environ.pop("RAY_AUTH_MODE", None)
    # The folder's path must be short: socket paths, which begin with it, have at most 107 characters.
    private = private_folder(Path(f"/tmp/aar-{os.getuid()}"))
    return ray.init(
        address="local",
        namespace=namespace,
        dashboard_port=dashboard_port,
        include_dashboard=True,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(private / "ray"),
    )


def private_folder(folder: Path) -> Path:
    """Create a folder that only this user can enter, or close an existing one of this user to others; return it.

    Raises:
        CampaignError: something else has its name.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise CampaignError(f"{folder} is not a folder of this user; remove it")
    folder.chmod(0o700)
    return folder


def _check_port(port: int) -> None:
    if port_refusal(port) is not None:
        raise CampaignError(
            f"port {port} for the Ray dashboard is in use. Stop the process that uses it, or choose another port: "
            f"cluster.dashboard_port={port + 1}"
        )


def check_size(config: CampaignConfig) -> None:
    """Check that the cluster has room for the compute workers and a training program. Ray would wait for ever.

    Raises:
        ConfigError: it has not; the message says which settings to lower.
    """
    has, compute, programs = ray.cluster_resources(), config.compute, config.programs
    for resource, each in (("CPU", compute.cpus_per_worker), ("GPU", compute.gpus_per_worker)):
        needed = each * compute.workers
        if needed > has.get(resource, 0):
            raise ConfigError(
                f"compute asks for {needed:g} {resource}s ({compute.workers} workers), the cluster has "
                f"{has.get(resource, 0):g}. Lower compute.{resource.lower()}s_per_worker or compute.workers."
            )
    left = has.get("GPU", 0) - compute.gpus_per_worker * compute.workers
    if programs.per_method and programs.gpus > left:
        raise ConfigError(
            f"a training program asks for {programs.gpus} GPUs, but the compute workers keep theirs and leave {left:g} "
            "of the cluster's. Lower programs.gpus or compute.gpus_per_worker."
        )
