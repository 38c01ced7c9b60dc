"""The first program of a training sandbox: start every rank of a training program, and end them together.

    python -m aar.guest.launch_ranks RANKS PROGRAM

The ranks find each other over the sandbox's own loopback, as torch.distributed expects. When one fails, the others are
killed, and this program ends with the exit code of the one that failed.
"""

import os
import subprocess
import sys
import time

PORT = "29500"  # the sandbox has a network of its own
POLL_SECONDS = 0.05


def main() -> None:
    """Run all ranks until they have ended, or one has failed."""
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
    """Return a process's code as a shell does: 128 plus the signal's number for one that a signal ended."""
    return code if code >= 0 else 128 - code


def environment(rank: int, ranks: int) -> dict[str, str]:
    """Return the environment of a rank: its own number, and the address where ranks meet."""
    return {
        **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": PORT, "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo",
    }  # fmt: skip


if __name__ == "__main__":
    main()
