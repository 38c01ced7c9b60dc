"""Ways to other processes, and ways to outlive the sandbox."""

import ctypes
import os
import resource
import signal
import time

from tools import Facts, call, libc, processes, reached, strangers


def seeing_other_processes(facts: Facts) -> str | None:
    """Any process other than itself and its ancestors."""
    return reached(strangers)


def signalling_a_process_of_the_host(facts: Facts) -> str | None:
    """By its number outside."""
    return reached(lambda: os.kill(facts["victim"], 0) is None)


def signalling_every_number(facts: Facts) -> str | None:
    """Whatever its number is: the processes that can be signalled are those of the sandbox."""
    found = [pid for pid in range(2, 70_000) if reached(lambda p=pid: os.kill(p, 0) is None)]
    return f"signalled {found[:9]}" if len(found) > 9 else None


def tracing_a_process(facts: Facts) -> str | None:
    """ptrace of its own parent, of pid 1 and of the host's."""

    def attach(pid: int) -> bool:
        if libc.ptrace(16, pid, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        return True

    targets = (1, os.getppid(), facts["victim"])
    return reached(lambda: [pid for pid in targets if reached(lambda p=pid: attach(p))])


def being_traced(facts: Facts) -> str | None:
    """PTRACE_TRACEME in a child, the beginning of tracing it."""
    child = os.fork()
    if child == 0:
        os._exit(7 if libc.ptrace(0, 0, 0, 0) == 0 else 0)
    return "a child can be traced" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7 else None


def reading_the_memory_of_a_process(facts: Facts) -> str | None:
    """process_vm_readv and /proc/N/mem."""

    def by_call(pid: int) -> bool:
        return call(310, pid, ctypes.create_string_buffer(16), 1, ctypes.create_string_buffer(16), 1, 0)

    def by_file(pid: int) -> bool:
        with open(f"/proc/{pid}/mem", "rb"):
            return pid not in (os.getpid(), os.getppid())

    others = [pid for pid in (facts["victim"], *strangers()) if pid != os.getpid()]
    return reached(lambda: [p for p in others if reached(lambda q=p: by_call(q)) or reached(lambda q=p: by_file(q))])


def taking_a_descriptor_of_a_process(facts: Facts) -> str | None:
    """pidfd_getfd."""

    def take() -> bool:
        return call(438, os.pidfd_open(os.getppid()), 0, 0)

    return reached(take)


def the_first_process(facts: Facts) -> str | None:
    """Kill the sandbox's own pid 1 from inside: only its ancestors may."""
    reached(lambda: os.kill(1, signal.SIGKILL))
    time.sleep(0.05)
    return None if 1 in processes() else "pid 1 is gone"


def not_dying_with_the_parent(facts: Facts) -> str | None:
    """Take back PR_SET_PDEATHSIG and leave the session; that it dies all the same is tested with the time-out."""
    libc.prctl(1, 0, 0, 0, 0)
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(0)
    os.waitpid(child, 0)
    return None


def a_better_priority(facts: Facts) -> str | None:
    """A negative niceness."""
    return reached(lambda: os.nice(-5) < 0)


def real_time_scheduling(facts: Facts) -> str | None:
    """SCHED_FIFO would starve the machine."""

    def set_scheduler() -> bool:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        return True

    return reached(set_scheduler)


def higher_limits(facts: Facts) -> str | None:
    """Raise one's own hard limits."""
    raised = []
    for which in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        hard = resource.getrlimit(which)[1]
        try:
            resource.setrlimit(which, (hard + 1, hard + 1))
            raised.append(which)
        except (ValueError, OSError):
            continue
    return f"raised limits {raised}" if raised else None


def becoming_root(facts: Facts) -> str | None:
    """setuid, setgid, setgroups, setresuid to 0."""
    attempts = (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0))
    done = [number for number, attempt in enumerate(attempts) if reached(lambda a=attempt: a() is None)]
    return f"calls {done}" if done or 0 in (os.getuid(), os.geteuid()) else None


def capabilities(facts: Facts) -> str | None:
    """Any capability at all, effective, permitted, inheritable, ambient or bounding."""
    with open("/proc/self/status") as file:
        held = [line.split() for line in file if line.startswith("Cap")]
    return repr(held) if any(int(mask, 16) for _, mask in held) else None


def new_privileges(facts: Facts) -> str | None:
    """no_new_privs must be on."""
    return None if libc.prctl(39, 0, 0, 0, 0) == 1 else "setuid programs would give privileges"
