"""The Ray cluster that a campaign runs on: the one its process belongs to, one given by address, or a local one.

Protected: a cluster that aar starts lets nobody in without a token; the token's file can be read by its user alone, and
so can the folder with Ray's sockets. A cluster elsewhere that lets everybody in is refused unless the campaign's
settings allow it, and told of otherwise.
Not protected: a cluster that aar did not start, in all other ways: who has its token, and where it keeps its sockets.

The token of the Ray clusters that aar starts: whoever has it may run anything on them.

Protected: only this user can read the file or put another one in its place. Not protected: the folders above the
file's own, and a token in the environment (RAY_AUTH_TOKEN), which Ray prefers.

Whether a Ray cluster lets strangers in: asked as a stranger would, without a token.

On a cluster that answers, whoever reaches its ports runs commands as the user who started it and reads all its data.

Whether a port of this machine can be had.
"""

import ipaddress
import logging
import os
import secrets
import shlex
import socket
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import ray

from aar.config import CampaignConfig
from aar.errors import CampaignError, ConfigError


def port_refusal(port: int) -> str | None:
    """Why nobody can listen on this loopback port now, in the system's words, or None when one can."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return None


DEFAULT_FILE = "~/.ray/auth_token"


def token_file() -> Path:
    """Where Ray looks for the token."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or DEFAULT_FILE).expanduser()


def ensure_token(file: Path) -> None:
    """Make `file` hold a token that this user alone can read: the one it holds, or a new one.

    Raises:
        CampaignError: the file is no plain file of this user, or others could replace it; the message says what to do.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refusal = token_refusal(file)
        if refusal is None:
            _create(file)
            os.chmod(file, 0o600)  # Ray itself writes it for everyone to read
    except OSError as error:
        raise CampaignError(f"{file}: the Ray token cannot be written ({error.strerror}); {_ELSEWHERE}") from None
    if refusal is not None:
        raise CampaignError(refusal)


def token_refusal(file: Path) -> str | None:
    """Why `file` may not be used as token, and what to do; None when it may, or may be made."""
    if not file.parent.exists():
        return None
    folder = file.parent.stat()
    if folder.st_uid not in (0, os.geteuid()) or folder.st_mode & 0o022:
        return f"{file.parent}: others may write there, and so replace the Ray token; chmod go-w it, or {_ELSEWHERE}"
    if not os.path.lexists(file):
        return None
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode):
        return f"{file}: the Ray token must be a plain file, no link; remove it, or {_ELSEWHERE}"
    if found.st_uid != os.geteuid():
        return f"{file}: the Ray token belongs to another user (uid {found.st_uid}); remove it, or {_ELSEWHERE}"
    if not found.st_size:
        return f"{file}: the Ray token is empty; remove it, and a new one is made"
    return None


def _create(file: Path) -> None:
    """A new token, unless there is one. It is whole before it has its name: no other process finds half of it."""
    if file.exists():
        return
    descriptor, staged = tempfile.mkstemp(dir=file.parent)  # 0600
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(staged, file)
    finally:
        os.unlink(staged)


_ELSEWHERE = "let RAY_AUTH_TOKEN_PATH name another file"


SECONDS = 10.0
_QUESTION = "/ray.rpc.NodeInfoGcsService/CheckAlive"  # its empty request asks for no node; the answer is not looked at


def accepts_unauthenticated(address: str) -> bool:
    """Whether the Ray control service at `address` (host:port) answers somebody without a token.

    Raises:
        CampaignError: it neither answered nor asked for a token.
    """
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary(_QUESTION, request_serializer=bytes, response_deserializer=bytes)
        try:
            ask(b"", timeout=SECONDS)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED or _speaks_tls_alone(error):
                return False
            raise CampaignError(
                f"the Ray cluster at {address} did not say whether it asks for a token ({error.code().name}); "
                "start it with RAY_AUTH_MODE=token and the Ray version that aar is installed with"
            ) from None
    return True


def is_loopback(address: str) -> bool:
    """Whether `address` (host:port) is reached on this machine alone; a name that could be anything is not."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _speaks_tls_alone(error: grpc.RpcError) -> bool:
    """A cluster with Ray's TLS asks everyone for a certificate, and does not understand a stranger without."""
    return error.code() == grpc.StatusCode.UNAVAILABLE and os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


@dataclass(frozen=True)
class RayConnection:
    """The Ray that a campaign runs on.

    Attributes:
        logs: the folder on this machine where Ray keeps what actors write; the dashboard shows it.
        dashboard: its URL, or None where none runs.
        is_open: it asks nobody for a token.
        warning: what the operator has to be warned of, if there is something.
    """

    logs: Path
    dashboard: str | None
    is_open: bool
    warning: str | None

    def places(self) -> list[str]:
        """Where an operator can look, line by line. The token itself is in none of them."""
        lines = [f"Logs:      {self.logs} (also in the dashboard)" if self.dashboard else f"Logs:      {self.logs}"]
        if self.dashboard:
            ask = (
                "" if self.is_open else f' (at "Authentication Token Required", paste what `{token_command()}` prints)'
            )
            lines.append(f"Dashboard: {self.dashboard}{ask}")
        return lines


def token_command() -> str:
    """The command that prints the token for the dashboard of the Ray that this process uses."""
    return "printenv RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else f"cat {shlex.quote(str(token_file()))}"


def connect(config: CampaignConfig, namespace: str) -> RayConnection:
    """Connect to Ray.

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
            context = ray.init(address=address, namespace=namespace, log_to_driver=False)
        else:
            context = _start_local(config.cluster.dashboard_port, namespace)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at {address}" if address else "a local Ray"
        raise CampaignError(f"{where} cannot be used: {error}") from error
    warning = _check_closed(address, allow_open=config.cluster.allow_open)
    _check_size(config)
    logs = Path(context.address_info["session_dir"]) / "logs"
    dashboard = f"http://{context.dashboard_url}" if context.dashboard_url else None
    return RayConnection(logs, dashboard, warning is not None, warning)


def _check_closed(address: str | None, *, allow_open: bool) -> str | None:
    """What there is to warn of. `address`: how the cluster was found, such as "auto" or host:port; None: aar's own."""
    control = str(ray.get_runtime_context().gcs_address)
    if not accepts_unauthenticated(control):
        return None
    if address is None:
        raise CampaignError(f"the Ray that aar started at {control} asks for no token. Unset the variables RAY_AUTH_*.")
    trouble = f"the Ray cluster at {control} is open: whoever reaches its ports runs commands on it and reads all data"
    remedy = "Start it again with RAY_AUTH_MODE=token, as cluster.yaml does"
    if not (is_loopback(address) or is_loopback(control) or allow_open):
        raise CampaignError(f"{trouble}. {remedy}, or, where nobody else reaches it, set cluster.allow_open=true.")
    return f"{trouble}. {remedy}."


def _start_local(dashboard_port: int, namespace: str) -> Any:
    """Ray's context of a new local cluster."""
    _check_port(dashboard_port)
    ensure_token(token_file())
    # Unset, a local Ray turns token authentication on by itself; set to anything else, it would obey.
    os.environ.pop("RAY_AUTH_MODE", None)
    # The folder's path must stay short: it is the beginning of socket paths, which may have 107 characters.
    private = _private_folder(Path(f"/tmp/aar-{os.getuid()}"))
    return ray.init(
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
