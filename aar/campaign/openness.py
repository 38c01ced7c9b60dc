"""Whether a Ray cluster lets strangers in: asked as a stranger would, without a token.

On a cluster that answers, whoever reaches its ports runs commands as the user who started it and reads all its data.
"""

import ipaddress
import os

import grpc

from aar.errors import CampaignError

SECONDS = 10.0
_QUESTION = "/ray.rpc.NodeInfoGcsService/CheckAlive"  # its empty request asks for no node; the answer is not looked at


def is_open(address: str) -> bool:
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
