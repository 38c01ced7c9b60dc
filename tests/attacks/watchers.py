"""Ways to blind, crash, outlive or deceive whoever watches a sandbox: its guard, its first process, the kernel.

A guard that raises is a guard that is gone: then nothing is limited any more.
"""

import ctypes
import os
import resource
import shutil
import signal
import socket
import sys
import time

from tools import Facts, libc, reached, write

ENDS = {
    "a_name_that_is_no_text": "wall time limit", "a_program_file_whose_name_is_no_text": "wall time limit",
    "a_name_that_reads_like_numbers": "CPU time limit", "a_thread_whose_name_is_no_text": "wall time limit",
    "cpu_of_children_that_are_not_waited_for": "CPU time limit", "cpu_after_the_first_process_ended": "",
    "folders_in_folders": "limit of", "files_that_turn_into_folders": "wall time limit",
    "memory_before_an_end": "memory limit",
}  # fmt: skip
ENDS_IN_A_SHELL = {"disk_of_files_without_a_name": "disk limit", "a_folder_nobody_may_read": ""}

NAME_OF_NO_TEXT = b"\xff\xfe\xff"
EXCHANGE = 2  # RENAME_EXCHANGE


def a_name_that_is_no_text(facts: Facts) -> str | None:
    """/proc/N/stat holds a process's name as it is; whoever reads it as UTF-8 stumbles."""
    libc.prctl(15, NAME_OF_NO_TEXT, 0, 0, 0)
    time.sleep(60)
    return "nobody watched"


def a_thread_whose_name_is_no_text(facts: Facts) -> str | None:
    """The same, of a child that has left its session."""
    if os.fork() == 0:
        os.setsid()
        libc.prctl(15, NAME_OF_NO_TEXT, 0, 0, 0)
    time.sleep(60)
    return "nobody watched"


def a_program_file_whose_name_is_no_text(facts: Facts) -> str | None:
    """The kernel names a process after its file."""
    path = b"/tmp/" + NAME_OF_NO_TEXT
    os.symlink(os.path.realpath(sys.executable), path)
    os.execv(path, [path, b"-ISc", b"import time; time.sleep(60)"])


def a_name_that_reads_like_numbers(facts: Facts) -> str | None:
    """A name with a bracket and a whole line of numbers after it, to be taken for the real ones."""
    libc.prctl(15, b"a) S 1 1\n1 0 0", 0, 0, 0)
    while True:
        pass


def cpu_of_children_that_are_not_waited_for(facts: Facts) -> str | None:
    """Who ignores SIGCHLD has no children to wait for, and nobody's account has their time."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(40):
        if os.fork() == 0:
            while time.process_time() < 0.15:
                pass
            os._exit(0)
        reached(os.wait)
    return "six seconds of it"


def cpu_after_the_first_process_ended(facts: Facts) -> str | None:
    """The command ends, its child goes on; with the command everything ends."""
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
    os._exit(0)


def memory_before_an_end(facts: Facts) -> str | None:
    """So much, so fast, in so many processes that one look comes too late."""
    for _ in range(8):
        if os.fork() == 0:
            held = bytearray(facts["memory"] // 4)
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(5)
            os._exit(0)
    time.sleep(5)
    return "eight quarters of the memory"


def folders_in_folders(facts: Facts) -> str | None:
    """Deeper than any program can walk, and any path can say."""
    os.chdir("/work")
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    time.sleep(20)
    return "3000 levels"


def files_that_turn_into_folders(facts: Facts) -> str | None:
    """Whoever counts a workspace sees a folder and opens a file or a link."""
    os.makedirs("/work/swapped")
    os.chdir("/work/swapped")
    for number in range(50):
        os.mkdir(f"a{number}")
        os.symlink("/", f"b{number}") if number % 2 else write(f"b{number}")
    while True:
        for number in range(50):
            libc.renameat2(-100, b"a%d" % number, -100, b"b%d" % number, EXCHANGE)


def files_that_come_and_go(facts: Facts) -> str | None:
    """Counted while they vanish."""
    until = time.monotonic() + 0.7
    while time.monotonic() < until:
        for number in range(50):
            os.makedirs(f"/work/brief/{number}/x", exist_ok=True)
        shutil.rmtree("/work/brief")
    return None


def a_folder_nobody_may_read(facts: Facts) -> str | None:
    """What is in it cannot be counted by an ordinary user."""
    os.makedirs("/work/closed/inner")
    os.chmod("/work/closed", 0)
    time.sleep(0.6)
    return None


def disk_of_files_without_a_name(facts: Facts) -> str | None:
    """A file that was removed while it is open is in no folder, and on the disk all the same."""
    held = []
    for number in range(12):
        held.append(os.open(f"/work/{number}", os.O_CREAT | os.O_RDWR, 0o600))
        os.unlink(f"/work/{number}")
        reached(lambda: [os.write(held[-1], b"x" * 2**20) for _ in range(7)])
    time.sleep(3)
    found = sum(os.fstat(file).st_blocks for file in held) * 512
    return f"{found / 2**20:.0f} MiB" if found > facts["disk_bytes"] + 8 * 2**20 else None


def the_memory_of_the_first_process(facts: Facts) -> str | None:
    """pid 1 of the sandbox is bubblewrap's, and what ends the sandbox when its owner dies: it must not be rewritten."""

    def rewrite() -> bool:
        with open("/proc/1/maps") as maps:
            start = next(int(line.split("-")[0], 16) for line in maps if "rw-p" in line)
        memory = os.open("/proc/1/mem", os.O_RDWR)
        return os.pwrite(memory, os.pread(memory, 8, start), start) == 8

    return reached(rewrite, "wrote into it")


def what_started_the_sandbox(facts: Facts) -> str | None:
    """The command line of pid 1 tells how the wall is built, and where on the host things lie."""

    def look() -> bytes:
        with open("/proc/1/cmdline", "rb") as file:
            return file.read()

    return reached(look)


def being_spared_when_memory_is_short(facts: Facts) -> str | None:
    """Let the kernel kill somebody else."""
    return reached(lambda: write("/proc/self/oom_score_adj", b"-1000"))


def more_descriptors_in_the_mail(facts: Facts) -> str | None:
    """Descriptors that are under way count for nobody who holds them."""
    left, _right = socket.socketpair()
    sent = 0
    try:
        while sent < 4 * facts["open_files"]:
            files = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
            socket.send_fds(left, [b"x"], files)
            for file in files:
                os.close(file)
            sent += 10
    except OSError:
        return None
    return f"{sent} files are open"


def a_higher_share_of_the_disk(facts: Facts) -> str | None:
    """ioprio_set: the real-time class would starve everybody else's reads."""
    return "real-time class" if libc.syscall(251, 1, 0, 1 << 13) == 0 else None


def memory_that_cannot_be_taken_away(facts: Facts) -> str | None:
    """mlock: locked memory is the one thing the kernel cannot get back."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    held = ctypes.create_string_buffer(facts["memory"] // 2)
    locked = libc.mlock(held, ctypes.c_size_t(len(held))) == 0
    return f"{len(held)} bytes, allowed {hard}" if locked and len(held) > hard >= 0 else None
