"""Ways to the Ray cluster."""

import json
import os
import socket

from tools import Facts, connect, reached, read, talk

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


def ray_init_by_address(facts: Facts) -> str | None:
    """Join as a driver, if Ray can be imported at all."""

    def join() -> object:
        import ray

        return ray.init(address=facts["gcs"])

    return reached(join)


def ray_init_auto(facts: Facts) -> str | None:
    """Let Ray find the cluster by itself."""

    def join() -> object:
        import ray

        return ray.init(address="auto")

    return reached(join)


def a_named_actor(facts: Facts) -> str | None:
    """Look up the scorer and ask it."""

    def look_up() -> object:
        import ray

        return ray.get_actor("scorer", namespace=facts["namespace"])

    return reached(look_up)


def the_control_store(facts: Facts) -> str | None:
    """Speak HTTP/2 to the GCS by hand."""
    host, _, port = facts["gcs"].rpartition(":")
    return reached(lambda: talk(socket.AF_INET, (host, int(port)), PREFACE))


def the_dashboard(facts: Facts) -> str | None:
    """Reach the dashboard's port."""
    return reached(lambda: connect(socket.AF_INET, ("127.0.0.1", facts["dashboard"])))


def the_job_api(facts: Facts) -> str | None:
    """Submit a job, as curl would."""
    body = json.dumps({"entrypoint": "id"}).encode()
    request = b"POST /api/jobs/ HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    return reached(lambda: talk(socket.AF_INET, ("127.0.0.1", facts["dashboard"]), request % (len(body), body)))


def every_port_of_ray(facts: Facts) -> str | None:
    """Node manager, object manager, agents, workers: all that listens."""
    for port in facts["ray_ports"]:
        found = reached(lambda p=port: connect(socket.AF_INET, ("127.0.0.1", p)), f"port {port}")
        if found:
            return found
    return None


def the_raylets_socket(facts: Facts) -> str | None:
    """The raylet's Unix socket."""
    return reached(lambda: connect(socket.AF_UNIX, facts["session"] + "/sockets/raylet"))


def the_object_stores_socket(facts: Facts) -> str | None:
    """Plasma's Unix socket."""
    return reached(lambda: connect(socket.AF_UNIX, facts["session"] + "/sockets/plasma_store"))


def the_object_stores_memory(facts: Facts) -> str | None:
    """Objects lie in /dev/shm."""
    return reached(lambda: [name for name in os.listdir("/dev/shm") if "plasma" in name])


def the_session_folder(facts: Facts) -> str | None:
    """Logs, addresses and sockets of the cluster."""
    return reached(lambda: os.listdir(facts["session"]))


def the_token(facts: Facts) -> str | None:
    """The cluster's token at its configured path."""
    return reached(lambda: read(facts["token"]))


def the_token_in_some_home(facts: Facts) -> str | None:
    """The token at its usual path."""
    homes = ["/root", os.path.expanduser("~"), *(f"/home/{name}" for name in ("ray", "ubuntu", "user"))]
    return reached(lambda: [home for home in homes if os.path.exists(f"{home}/.ray/auth_token")])
