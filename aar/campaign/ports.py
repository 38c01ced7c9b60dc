"""Whether a port of this machine can be had."""

import socket


def port_refusal(port: int) -> str | None:
    """Why nobody can listen on this loopback port now, in the system's words, or None when one can."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return None
