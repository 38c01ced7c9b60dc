"""Ways to exhaust the machine. Each must end by the limit in `ENDS`."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from tools import Facts, reached

ENDS = {
    "memory_of_one_process": "memory limit", "memory_of_many_processes": "memory limit",
    "memory_of_orphans": "memory limit", "memory_in_files": "memory limit", "cpu_of_many_processes": "CPU time limit",
    "cpu_of_orphans": "CPU time limit", "a_flood_of_output": "output limit", "a_flood_of_errors": "output limit",
    "empty_files": "limit of", "the_disk": "", "sleeping": "wall time limit", "stopping_itself": "wall time limit",
    "ignoring_every_signal": "wall time limit", "a_daemon": "", "endless_forking": "",
    "memory_in_sockets": "memory limit",
}  # fmt: skip
"""How the sandbox ends it: the beginning of `killed`, or "" if it is refused while it runs."""


def _spread(count: int) -> None:
    """Continue in `count` processes."""
    for _ in range(count - 1):
        if os.fork() == 0:
            return


def memory_of_one_process(facts: Facts) -> str | None:
    """Allocate and touch memory piece by piece."""
    held = []
    try:
        while True:
            held.append(bytearray(os.urandom(1) * 2**20))
    except MemoryError:
        time.sleep(30)
    return "it allocated without limit"


def memory_of_many_processes(facts: Facts) -> str | None:
    """Each is within the limit, all together exceed it."""
    _spread(4)
    held = bytearray(b"x" * (facts["memory"] // 3))
    time.sleep(30)
    return f"all have their {len(held)} bytes"


def memory_of_orphans(facts: Facts) -> str | None:
    """The same in processes whose parents have ended."""
    for _ in range(4):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            held = bytearray(b"x" * (facts["memory"] // 3))
            time.sleep(30)
            os._exit(len(held) & 1)
    time.sleep(30)
    return "the orphans have their memory"


def memory_in_files(facts: Facts) -> str | None:
    """/tmp and /dev/shm are in memory."""
    for place in ("/tmp", "/dev/shm"):
        for number in range(200):
            reached(lambda p=f"{place}/{number}": os.write(os.open(p, os.O_CREAT | os.O_WRONLY), b"x" * 2**20) > 0)
    held = bytearray(b"x" * (facts["memory"] - 5 * 2**20))
    time.sleep(30)
    return f"files and {len(held)} bytes fit together"


def memory_in_sockets(facts: Facts) -> str | None:
    """Bytes in transit between two sockets belong to no process; only a control group counts them."""
    pairs = []
    for _ in range(100):
        pair = socket.socketpair()
        pair[0].setblocking(False)
        pairs.append(pair)
        reached(lambda p=pair: [p[0].send(b"x" * 2**16) for _ in range(100)])
        if os.fork() == 0:
            pairs.clear()
            for _ in range(100):
                pairs.append(socket.socketpair())
                pairs[-1][0].setblocking(False)
                reached(lambda: [pairs[-1][0].send(b"x" * 2**16) for _ in range(100)])
            time.sleep(30)
    time.sleep(30)
    return "the buffers are full"


def cpu_of_many_processes(facts: Facts) -> str | None:
    """The limit is on the whole tree."""
    _spread(4)
    while True:
        pass


def cpu_of_orphans(facts: Facts) -> str | None:
    """CPU time of many orphans, a little each."""
    while True:
        if os.fork() == 0:
            if os.fork() == 0:
                end = time.process_time() + 0.2
                while time.process_time() < end:
                    pass
            os._exit(0)
        os.wait()
        time.sleep(0.1)


def a_flood_of_output(facts: Facts) -> str | None:
    """More than is stored."""
    while True:
        print("x" * 10_000)


def a_flood_of_errors(facts: Facts) -> str | None:
    """The same on the other stream."""
    while True:
        print("x" * 10_000, file=sys.stderr)


def empty_files(facts: Facts) -> str | None:
    """They need no bytes, but memory of the kernel, or inodes of the disk."""
    for number in range(facts["files"] * 3):
        reached(lambda n=number: os.close(os.open(f"/tmp/empty-{n}", os.O_CREAT)) is None)
    time.sleep(30)
    return "three times as many as allowed"


def the_disk(facts: Facts) -> str | None:
    """Write more into /tmp than its limit."""

    def fill(number: int) -> bool:
        return os.write(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY), b"x" * 2**20) == 2**20

    written = sum(bool(reached(lambda n=number: fill(n))) for number in range(3 * facts["file_bytes"] // 2**20))
    return f"wrote {written} MiB" if written * 2**20 > facts["file_bytes"] else None


def one_large_file(facts: Facts) -> str | None:
    """Exceed the limit of a file, also with a sparse file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def grow() -> bool:
        descriptor = os.open("/work/large", os.O_CREAT | os.O_RDWR)
        os.lseek(descriptor, facts["file_bytes"] + 1, os.SEEK_SET)
        return os.write(descriptor, b"x") > 0

    return reached(grow)


def many_threads(facts: Facts) -> str | None:
    """Threads count as processes."""
    gate, started = threading.Event(), 0
    try:
        while started < 2 * facts["processes"]:
            threading.Thread(target=gate.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        return None
    return f"started {started} threads"


def many_descriptors(facts: Facts) -> str | None:
    """Open files, up to any number."""
    held = []
    try:
        while len(held) < 2 * facts["open_files"]:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return None
    return f"opened {len(held)} files"


def a_core_file(facts: Facts) -> str | None:
    """A crash would leave a file as large as the memory."""
    child = os.fork()
    if child == 0:
        os.chdir("/work")
        os.abort()
    os.waitpid(child, 0)
    return reached(lambda: [name for name in os.listdir("/work") if name.startswith("core")])


def sleeping(facts: Facts) -> str | None:
    """Idle time counts."""
    time.sleep(60)
    return "it was not ended"


def stopping_itself(facts: Facts) -> str | None:
    """A stopped process cannot be asked to end."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return "it continued"


def ignoring_every_signal(facts: Facts) -> str | None:
    """Except those that cannot be ignored."""
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        reached(lambda n=number: signal.signal(n, signal.SIG_IGN) is None)
    time.sleep(60)
    return "it was not ended"


def a_daemon(facts: Facts) -> str | None:
    """It outlives its parent; the test checks that it does not outlive the sandbox."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            time.sleep(30)
        os._exit(0)
    os.wait()
    return None


def endless_forking(facts: Facts) -> str | None:
    """A fork bomb."""
    while True:
        reached(os.fork)


def endless_programs(facts: Facts) -> str | None:
    """New programs instead of forks: the number of processes counts."""
    started = []
    try:
        while len(started) < 2 * facts["processes"]:
            started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"]))
    except OSError:
        return None
    finally:
        for program in started:
            program.kill()
    return f"started {len(started)} programs"
