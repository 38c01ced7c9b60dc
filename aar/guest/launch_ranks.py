"""The first program of a training sandbox: start every rank of a training program, and end them together.

    python -m aar.guest.launch_ranks RANKS PROGRAM

The ranks find each other over the sandbox's own loopback, as torch.distributed expects. When one fails, all end, and so
does this, with its exit code.
"""

import os
import subprocess
import sys
import time

PORT = "29500"  # the sandbox has a network of its own
POLL_SECONDS = 0.05


def main() -> None:
    """Run the ranks."""
    ranks, program = int(sys.argv[1]), sys.argv[2]
    command = [sys.executable, "-sB", program]
    processes = [subprocess.Popen(command, env=environment(rank, ranks)) for rank in range(ranks)]
    codes = [process.poll() for process in processes]
    while None in codes and not any(codes):
        time.sleep(POLL_SECONDS)
        codes = [process.poll() for process in processes]
    for process in processes:
        process.kill()
    sys.exit(next((exit_code(code) for code in codes if code), 0))


def exit_code(code: int) -> int:
    """A process's return code as a shell tells it: one that a signal ended has 128 and the signal's number."""
    return code if code >= 0 else 128 - code


def environment(rank: int, ranks: int) -> dict[str, str]:
    """The variables by which a rank knows itself and finds the others."""
    return {
        **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": PORT, "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo",
    }  # fmt: skip


if __name__ == "__main__":
    main()
