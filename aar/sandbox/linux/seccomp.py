"""The system calls that a sandbox is refused, as a filter that bubblewrap loads.

Covers: kernel surface that namespaces leave open: other socket families (AF_VSOCK reaches the hypervisor from any
network namespace), io_uring, new namespaces, mounts, tracing, keys, BPF, memory that belongs to no process (memfd,
System V segments) and would escape the memory limit, and input into the terminal.
Does not cover: bugs in the remaining system calls; this is a list of refusals, not of permissions.
"""

import ctypes
import errno
import functools
import os
from collections.abc import Iterator

from aar.errors import SandboxError

ALLOW = 0x7FFF0000
ERRNO = 0x00050000

EQUAL, GREATER, MASKED_EQUAL = 4, 6, 7  # enum scmp_compare of libseccomp

REFUSED = (
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module",
    "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter",
    "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
    "lookup_dcookie", "memfd_create", "memfd_secret", "modify_ldt", "mount", "mount_setattr", "move_mount",
    "mq_open", "msgget", "name_to_handle_at", "open_by_handle_at", "open_tree", "perf_event_open", "pidfd_getfd",
    "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "quotactl_fd",
    "reboot", "request_key", "semget", "setdomainname", "sethostname", "setns", "settimeofday", "shmget", "swapoff",
    "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup",
)  # fmt: skip
NEWEST_KNOWN, LAST_NUMBER = 462, 600  # mseal; later system calls did not exist when this list was written
NAMESPACE_FLAGS = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
FAMILIES = frozenset({1, 2, 10})  # AF_UNIX, AF_INET and AF_INET6: the network namespace is empty
NETLINK, ROUTES = 16, 0


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = (("argument", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


Condition = tuple[int, int, int, int]


def _rules(routes: bool) -> Iterator[tuple[str | int, int, *tuple[Condition, ...]]]:
    """Yield system calls by name or number, the error that each returns, and the conditions for it.

    A condition is (argument, comparison, a, b); all of them must hold.
    """
    for name in REFUSED:
        yield name, errno.EPERM
    for number in range(NEWEST_KNOWN + 1, LAST_NUMBER):  # libraries fall back on older calls
        yield number, errno.ENOSYS
    # Its flags are in memory, which a filter cannot read; libraries fall back to clone.
    yield "clone3", errno.ENOSYS
    for flag in NAMESPACE_FLAGS:
        yield "clone", errno.EPERM, (0, MASKED_EQUAL, flag, flag)
    for request in TERMINAL_INPUT:
        yield "ioctl", errno.EPERM, (1, MASKED_EQUAL, 0xFFFFFFFF, request)
    allowed = FAMILIES | {NETLINK} if routes else FAMILIES
    for call in ("socket", "socketpair"):
        yield call, errno.EPERM, (0, GREATER, max(allowed), 0)
        for family in set(range(max(allowed))) - allowed:
            yield call, errno.EPERM, (0, EQUAL, family, 0)
    if routes:  # of netlink, only routes
        yield "socket", errno.EPERM, (2, GREATER, ROUTES, 0), (0, EQUAL, NETLINK, 0)


def filter_fd(*, routes: bool = False) -> int:
    """Return a new memory file with the filter, for one sandbox: reading moves its offset, so it cannot be shared.

    `routes`: allow queries for network interfaces, which processes that connect over loopback need.

    Raises:
        SandboxError: libseccomp is missing or refuses a rule.
    """
    file = os.memfd_create("aar-seccomp", os.MFD_CLOEXEC)
    os.write(file, _program(routes))
    os.lseek(file, 0, os.SEEK_SET)
    return file


@functools.cache
def _program(routes: bool) -> bytes:
    library = _libseccomp()
    context = library.seccomp_init(ALLOW)
    file = os.memfd_create("aar-seccomp-build", os.MFD_CLOEXEC)
    try:
        for name, error, *conditions in _rules(routes):
            number = name if isinstance(name, int) else library.seccomp_syscall_resolve_name(name.encode())
            comparisons = (_Comparison * len(conditions))(*(_Comparison(*condition) for condition in conditions))
            _check(library.seccomp_rule_add_array(context, ERRNO | error, number, len(conditions), comparisons), name)
        _check(library.seccomp_export_bpf(context, file), "export")
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)
        library.seccomp_release(context)


def _check(status: int, what: str | int) -> None:
    if status < 0:
        raise SandboxError(f"libseccomp refused the rule for {what}: {os.strerror(-status)}")


def _libseccomp() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise SandboxError("libseccomp.so.2 was not found. Install it: apt-get install libseccomp2") from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.restype = None
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison),
    )  # fmt: skip
    return library
