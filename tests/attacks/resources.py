"""Ways to use up the machine. Each is expected to end by the limit that its name in `ENDS` stands for."""

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
    "ignoring_every_signal": "wall time limit", "a_daemon": "", "forking_without_end": "",
    "memory_in_sockets": "memory limit",
}  # fmt: skip
"""How the sandbox ends it: the beginning of `killed`, or "" where it is refused while it runs."""


def _spread(count: int) -> None:
    """Go on in so many processes."""
    for _ in range(count - 1):
        if os.fork() == 0:
            return


def memory_of_one_process(facts: Facts) -> str | None:
    """Allocate and touch, by pieces."""
    held = []
    try:
        while True:
            held.append(bytearray(os.urandom(1) * 2**20))
    except MemoryError:
        time.sleep(30)
    return "it took as much as it wanted"


def memory_of_many_processes(facts: Facts) -> str | None:
    """Each within the limit, all together beyond it."""
    _spread(4)
    held = bytearray(b"x" * (facts["memory"] // 3))
    time.sleep(30)
    return f"all have their {len(held)} bytes"


def memory_of_orphans(facts: Facts) -> str | None:
    """The same, in processes whose parents have gone."""
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
    """/tmp and /dev/shm lie in memory."""
    for place in ("/tmp", "/dev/shm"):
        for number in range(200):
            reached(lambda p=f"{place}/{number}": os.write(os.open(p, os.O_CREAT | os.O_WRONLY), b"x" * 2**20) > 0)
    held = bytearray(b"x" * (facts["memory"] - 5 * 2**20))
    time.sleep(30)
    return f"files and {len(held)} bytes fit together"


def memory_in_sockets(facts: Facts) -> str | None:
    """Bytes under way between two ends belong to no process; seen only where there is a control group."""
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
    """The limit is that of the tree."""
    _spread(4)
    while True:
        pass


def cpu_of_orphans(facts: Facts) -> str | None:
    """Burned by children that nobody waits for, a little each."""
    while True:
        if os.fork() == 0:
            if os.fork() == 0:
                until = time.process_time() + 0.2
                while time.process_time() < until:
                    pass
            os._exit(0)
        os.wait()
        time.sleep(0.1)


def a_flood_of_output(facts: Facts) -> str | None:
    """More than can be kept."""
    while True:
        print("x" * 10_000)


def a_flood_of_errors(facts: Facts) -> str | None:
    """The same on the other stream."""
    while True:
        print("x" * 10_000, file=sys.stderr)


def empty_files(facts: Facts) -> str | None:
    """They need no bytes, but memory of the kernel's, or inodes of the disk."""
    for number in range(facts["files"] * 3):
        reached(lambda n=number: os.close(os.open(f"/tmp/empty-{n}", os.O_CREAT)) is None)
    time.sleep(30)
    return "three times as many as allowed"


def the_disk(facts: Facts) -> str | None:
    """More in /tmp than all of it may hold."""

    def fill(number: int) -> bool:
        return os.write(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY), b"x" * 2**20) == 2**20

    written = sum(bool(reached(lambda n=number: fill(n))) for number in range(3 * facts["file_bytes"] // 2**20))
    return f"wrote {written} MiB" if written * 2**20 > facts["file_bytes"] else None


def one_large_file(facts: Facts) -> str | None:
    """Beyond the limit of a file, also where it is sparse."""
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
    """What a crash would leave, as large as the memory was."""
    child = os.fork()
    if child == 0:
        os.chdir("/work")
        os.abort()
    os.waitpid(child, 0)
    return reached(lambda: [name for name in os.listdir("/work") if name.startswith("core")])


def sleeping(facts: Facts) -> str | None:
    """Idle time counts."""
    time.sleep(60)
    return "nobody cares"


def stopping_itself(facts: Facts) -> str | None:
    """A stopped process cannot be asked to end."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return "it went on"


def ignoring_every_signal(facts: Facts) -> str | None:
    """But one."""
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        reached(lambda n=number: signal.signal(n, signal.SIG_IGN) is None)
    time.sleep(60)
    return "nobody cares"


def a_daemon(facts: Facts) -> str | None:
    """It beats on after its parent has ended; the test looks whether it does after the sandbox has."""
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


def forking_without_end(facts: Facts) -> str | None:
    """A fork bomb."""
    while True:
        reached(os.fork)


def programs_without_end(facts: Facts) -> str | None:
    """New programs instead of forks: the number of processes is what counts."""
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
