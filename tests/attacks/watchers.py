"""Ways to blind, crash, outlive or deceive the supervisor of a sandbox, its first process or the kernel.

A supervisor that raises is gone: then nothing is limited any more.
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
    "a_name_that_is_not_text": "wall time limit", "a_program_file_whose_name_is_not_text": "wall time limit",
    "a_name_that_reads_like_numbers": "CPU time limit", "a_thread_whose_name_is_not_text": "wall time limit",
    "cpu_of_children_that_are_not_waited_for": "CPU time limit", "cpu_after_the_first_process_ended": "",
    "folders_in_folders": "limit of", "files_that_turn_into_folders": "wall time limit",
    "memory_before_an_end": "memory limit",
}  # fmt: skip
ENDS_IN_A_SHELL = {"disk_of_removed_files": "disk limit", "an_unreadable_folder": ""}

NAME_THAT_IS_NOT_TEXT = b"\xff\xfe\xff"
EXCHANGE = 2  # RENAME_EXCHANGE


def a_name_that_is_not_text(facts: Facts) -> str | None:
    """/proc/N/stat contains a process's raw name; a reader that expects UTF-8 fails."""
    libc.prctl(15, NAME_THAT_IS_NOT_TEXT, 0, 0, 0)
    time.sleep(60)
    return "it was not ended"


def a_thread_whose_name_is_not_text(facts: Facts) -> str | None:
    """The same in a child that has left its session."""
    if os.fork() == 0:
        os.setsid()
        libc.prctl(15, NAME_THAT_IS_NOT_TEXT, 0, 0, 0)
    time.sleep(60)
    return "it was not ended"


def a_program_file_whose_name_is_not_text(facts: Facts) -> str | None:
    """The kernel names a process after its file."""
    path = b"/tmp/" + NAME_THAT_IS_NOT_TEXT
    os.symlink(os.path.realpath(sys.executable), path)
    os.execv(path, [path, b"-ISc", b"import time; time.sleep(60)"])


def a_name_that_reads_like_numbers(facts: Facts) -> str | None:
    """A name with a bracket and a line of numbers, to be taken for the real fields."""
    libc.prctl(15, b"a) S 1 1\n1 0 0", 0, 0, 0)
    while True:
        pass


def cpu_of_children_that_are_not_waited_for(facts: Facts) -> str | None:
    """A process that ignores SIGCHLD has no children to wait for, so their time is not added to its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(40):
        if os.fork() == 0:
            while time.process_time() < 0.15:
                pass
            os._exit(0)
        reached(os.wait)
    return "six seconds of it"


def cpu_after_the_first_process_ended(facts: Facts) -> str | None:
    """The command ends and its child continues; everything must end with the command."""
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
    os._exit(0)


def memory_before_an_end(facts: Facts) -> str | None:
    """Use so much memory so fast that a check comes too late."""
    for _ in range(8):
        if os.fork() == 0:
            held = bytearray(facts["memory"] // 4)
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(5)
            os._exit(0)
    time.sleep(5)
    return "eight quarters of the memory"


def folders_in_folders(facts: Facts) -> str | None:
    """Deeper than a program can walk and a path can express."""
    os.chdir("/work")
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    time.sleep(20)
    return "3000 levels"


def files_that_turn_into_folders(facts: Facts) -> str | None:
    """The count of the workspace sees a folder and then opens a file or a link."""
    os.makedirs("/work/swapped")
    os.chdir("/work/swapped")
    for number in range(50):
        os.mkdir(f"a{number}")
        os.symlink("/", f"b{number}") if number % 2 else write(f"b{number}")
    while True:
        for number in range(50):
            libc.renameat2(-100, b"a%d" % number, -100, b"b%d" % number, EXCHANGE)


def files_that_come_and_go(facts: Facts) -> str | None:
    """They are removed while they are counted."""
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        for number in range(50):
            os.makedirs(f"/work/brief/{number}/x", exist_ok=True)
        shutil.rmtree("/work/brief")
    return None


def an_unreadable_folder(facts: Facts) -> str | None:
    """An ordinary user cannot count its content."""
    os.makedirs("/work/closed/inner")
    os.chmod("/work/closed", 0)
    time.sleep(0.6)
    return None


def disk_of_removed_files(facts: Facts) -> str | None:
    """A removed file that is still open is in no folder, but still on the disk."""
    held = []
    for number in range(12):
        held.append(os.open(f"/work/{number}", os.O_CREAT | os.O_RDWR, 0o600))
        os.unlink(f"/work/{number}")
        reached(lambda: [os.write(held[-1], b"x" * 2**20) for _ in range(7)])
    time.sleep(3)
    used = sum(os.fstat(file).st_blocks for file in held) * 512
    return f"{used / 2**20:.0f} MiB" if used > facts["disk_bytes"] + 8 * 2**20 else None


def the_memory_of_the_first_process(facts: Facts) -> str | None:
    """pid 1 of the sandbox is bubblewrap's and ends the sandbox when its owner dies: it must not be rewritten."""

    def rewrite() -> bool:
        with open("/proc/1/maps") as maps:
            start = next(int(line.split("-")[0], 16) for line in maps if "rw-p" in line)
        memory = os.open("/proc/1/mem", os.O_RDWR)
        return os.pwrite(memory, os.pread(memory, 8, start), start) == 8

    return reached(rewrite, "wrote into it")


def the_command_that_started_the_sandbox(facts: Facts) -> str | None:
    """The command line of pid 1 reveals how the sandbox is built, and paths of the host."""

    def look() -> bytes:
        with open("/proc/1/cmdline", "rb") as file:
            return file.read()

    return reached(look)


def being_spared_when_memory_is_short(facts: Facts) -> str | None:
    """Make the kernel kill another process."""
    return reached(lambda: write("/proc/self/oom_score_adj", b"-1000"))


def more_descriptors_in_transit(facts: Facts) -> str | None:
    """Descriptors in transit are not counted for any process."""
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
    """ioprio_set: the real-time class would starve all other reads."""
    return "real-time class" if libc.syscall(251, 1, 0, 1 << 13) == 0 else None


def memory_that_cannot_be_taken_away(facts: Facts) -> str | None:
    """mlock: the kernel cannot reclaim locked memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    held = ctypes.create_string_buffer(facts["memory"] // 2)
    locked = libc.mlock(held, ctypes.c_size_t(len(held))) == 0
    return f"{len(held)} bytes, allowed {hard}" if locked and len(held) > hard >= 0 else None
