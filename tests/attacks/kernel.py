"""Kernel surface beyond files, sockets and processes."""

import ctypes
import mmap
import os
import socket

from tools import Facts, call, libc, reached

USER_NAMESPACE = 0x10000000


def a_user_namespace(facts: Facts) -> str | None:
    """unshare: to be root of a namespace opens most of the kernel."""
    return reached(lambda: call(272, USER_NAMESPACE))


def every_other_namespace(facts: Facts) -> str | None:
    """Mount, uts, ipc, pid, network, cgroup, time."""
    flags = (0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000, 0x2000000, 0x80)
    return reached(lambda: [hex(flag) for flag in flags if reached(lambda f=flag: call(272, f))])


def a_namespace_by_clone(facts: Facts) -> str | None:
    """The flag given to clone."""
    return _child_of(56, USER_NAMESPACE | 17, 0, 0, 0, 0)


def a_namespace_by_clone3(facts: Facts) -> str | None:
    """The flag in memory, which a filter cannot read."""
    arguments = (ctypes.c_uint64 * 11)(USER_NAMESPACE, 0, 0, 0, 17)
    return _child_of(435, ctypes.byref(arguments), ctypes.sizeof(arguments))


def _child_of(number: int, *arguments: object) -> str | None:
    child = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if child == 0:
        os._exit(0)
    if child > 0:
        os.waitpid(child, 0)
        return "a child in a namespace of its own"
    return None


def joining_a_namespace(facts: Facts) -> str | None:
    """setns to a visible namespace."""
    names = [f"/proc/{pid}/ns/{kind}" for pid in (1, "self") for kind in ("user", "mnt", "net", "pid", "ipc", "uts")]
    return reached(lambda: [name for name in names if reached(lambda n=name: call(308, os.open(n, os.O_RDONLY), 0))])


def io_uring(facts: Facts) -> str | None:
    """Its requests pass no seccomp filter."""
    return reached(lambda: call(425, 1, ctypes.create_string_buffer(120)))


def kernel_keys(facts: Facts) -> str | None:
    """add_key, keyctl, request_key."""

    def add() -> bool:
        return call(248, b"user", b"name", b"payload", 7, -4)

    return reached(add) or reached(lambda: call(250, 0, -4, 1))


def bpf(facts: Facts) -> str | None:
    """Programs in the kernel."""
    return reached(lambda: call(321, 0, ctypes.create_string_buffer((1).to_bytes(4, "little") + bytes(68)), 72))


def perf(facts: Facts) -> str | None:
    """Performance counters see other processes' secrets."""
    attributes = ctypes.create_string_buffer(bytes([1, 0, 0, 0, 112, 0, 0, 0]) + bytes(104))
    return reached(lambda: call(298, attributes, 0, -1, -1, 0))


def userfaultfd(facts: Facts) -> str | None:
    """Stops the kernel in the middle of a copy: a tool of exploits."""
    return reached(lambda: call(323, 0x80001))


def memory_files(facts: Facts) -> str | None:
    """memfd_create: memory that belongs to no process, and programs without a file."""
    return reached(lambda: call(319, b"x", 0)) or reached(lambda: call(447, 0))


def shared_memory_segments(facts: Facts) -> str | None:
    """System V segments outlive their makers."""
    return reached(lambda: call(29, 0, 4096, 0o1600))


def message_queues(facts: Facts) -> str | None:
    """System V and POSIX queues hold memory of the kernel's."""
    return reached(lambda: call(68, 0, 0o1600)) or reached(lambda: call(240, b"q", 0o102, 0o600, 0))


def kernel_modules(facts: Facts) -> str | None:
    """init_module, finit_module, delete_module."""

    def permitted(number: int, *arguments: object) -> bool:
        libc.syscall(ctypes.c_long(number), *arguments)
        return ctypes.get_errno() not in (1, 38)  # anything but "not permitted" or "no such call" was looked at

    by_memory = reached(lambda: permitted(175, None, ctypes.c_long(0), b""))
    return by_memory or reached(lambda: permitted(313, ctypes.c_long(-1), b"", 0))


def another_kernel(facts: Facts) -> str | None:
    """kexec_load and reboot."""
    return reached(lambda: call(246, 0, 0, 0, 0)) or reached(lambda: call(169, 0xFEE1DEAD, 672274793, 0, 0))


def the_clock_and_the_name(facts: Facts) -> str | None:
    """settimeofday, clock_settime, sethostname."""
    seconds = (ctypes.c_long * 2)(1_700_000_000, 0)
    return (
        reached(lambda: call(164, seconds, 0)) or reached(lambda: call(227, 0, seconds))
        or reached(lambda: socket.sethostname("x") is None)
    )  # fmt: skip


def the_kernels_log(facts: Facts) -> str | None:
    """Addresses and devices of the host."""
    return reached(lambda: call(103, 3, ctypes.create_string_buffer(1000), 1000))


def swap_and_quota(facts: Facts) -> str | None:
    """swapoff, quotactl, acct."""
    return (
        reached(lambda: call(168, b"/tmp/x")) or reached(lambda: call(179, 0x800001, b"/", 0, 0))
        or reached(lambda: call(163, b"/tmp/x"))
    )  # fmt: skip


def typing_into_a_terminal(facts: Facts) -> str | None:
    """TIOCSTI and TIOCLINUX put keys into the terminal that started this."""
    import fcntl

    for number in (0x5412, 0x541C):
        for terminal in (0, 1, 2):
            found = reached(lambda n=number, t=terminal: fcntl.ioctl(t, n, b"x") is not None)
            if found:
                return found
    return reached(lambda: os.open("/dev/tty", os.O_RDWR))


def io_ports(facts: Facts) -> str | None:
    """iopl and ioperm."""
    return reached(lambda: call(172, 3)) or reached(lambda: call(173, 0x60, 1, 1))


def fanotify(facts: Facts) -> str | None:
    """Watching a whole file system."""
    return reached(lambda: call(300, 0, 0))


def system_calls_of_32_bits(facts: Facts) -> str | None:
    """int 0x80 has its own numbers, which a filter for the other table would miss. Call mkdir by it."""
    path = b"/tmp/by-int-80\0"
    low = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, prot=7)
    address = ctypes.addressof(ctypes.c_char.from_buffer(low))
    low[256 : 256 + len(path)] = path
    pointer = (address + 256 & 0xFFFFFFFF).to_bytes(4, "little")
    code = b"\x53\xb8\x27\0\0\0\xbb" + pointer + b"\xb9\xff\x01\0\0\xcd\x80\x5b\xc3"
    low[: len(code)] = code
    child = os.fork()
    if child == 0:
        ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        os._exit(0)
    os.waitpid(child, 0)
    return "a directory was made" if os.path.exists("/tmp/by-int-80") else None


def system_calls_of_x32(facts: Facts) -> str | None:
    """The third table of x86-64: getpid by its number there, in a child."""
    child = os.fork()
    if child == 0:
        os._exit(7 if libc.syscall(ctypes.c_long(0x40000000 + 39)) > 0 else 0)
    return "it answered" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7 else None


def a_filter_of_its_own(facts: Facts) -> str | None:
    """A second seccomp filter that allows all must not weaken the first."""
    allow = (ctypes.c_uint64 * 1)(0x7FFF000000000006)
    program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(allow))
    libc.prctl(22, 2, program, 0, 0)
    return a_user_namespace(facts)
