"""Ways to files of the host and of others, and ways to leave files that harm the host."""

import ctypes
import os
import stat

from tools import Facts, call, libc, processes, reached, read, write


def a_file_that_everyone_may_read(facts: Facts) -> str | None:
    """Isolation must not depend on permissions."""
    return reached(lambda: read(facts["canary"]))


def the_labels(facts: Facts) -> str | None:
    """Ground truth in a data folder."""
    return reached(lambda: read(facts["labels"]))


def the_campaign_folder(facts: Facts) -> str | None:
    """Scores, transcripts, the forum's database."""
    return reached(lambda: os.listdir(facts["campaign"]))


def another_workspace(facts: Facts) -> str | None:
    """Files of another researcher."""
    return reached(lambda: read(facts["other_workspace"] + "/notes"))


def folders_of_other_sandboxes(facts: Facts) -> str | None:
    """Their private folders in the host's /tmp."""
    return reached(lambda: [name for name in os.listdir("/tmp") if name.startswith("aar-sandbox-")])


def accounts_and_homes(facts: Facts) -> str | None:
    """Password hashes, keys, histories."""
    places = ("/etc/shadow", "/root/.ssh", "/root/.netrc", "/root/.aws", "/root/.bash_history", "/home", "/var/log",
              "/etc/ssh", "/root/.cache", "/opt", "/srv", "/mnt", "/boot", "/usr/local/bin")  # fmt: skip
    return reached(lambda: [place for place in places if os.path.exists(place) and not _is_empty(place)])


def _is_empty(place: str) -> bool:
    return os.path.isdir(place) and not os.listdir(place)


def keys_in_the_environment(facts: Facts) -> str | None:
    """Its own variables."""
    return reached(lambda: [name for name in os.environ if name.startswith(("ANTHROPIC", "WANDB", "RAY", "AWS", "HF"))])


def keys_in_other_environments(facts: Facts) -> str | None:
    """Variables of every visible process."""

    def look() -> list[bytes]:
        return [item for pid in processes() for item in _environment(pid) if facts["secret"].encode() in item]

    return reached(look)


def _environment(pid: int) -> list[bytes]:
    try:
        return read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return []


def the_root_of_other_processes(facts: Facts) -> str | None:
    """/proc/N/root and /proc/N/cwd lead into another mount namespace."""
    for pid in processes():
        for link in ("root", "cwd"):
            found = reached(lambda p=pid, k=link: os.path.exists(f"/proc/{p}/{k}/{facts['canary']}"), f"/proc/{pid}")
            if found:
                return found
    return None


def files_open_in_other_processes(facts: Facts) -> str | None:
    """/proc/N/fd opens a process's open files, wherever they are."""
    found = []
    for pid in processes():
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        found += [link for link in links if link.startswith(("/root", "/home", "/var", "/tmp/aar"))]
    return repr(found) if found else None


def above_the_root(facts: Facts) -> str | None:
    """Too many dots."""
    return reached(lambda: read("../" * 40 + facts["canary"]))


def out_of_a_chroot(facts: Facts) -> str | None:
    """The old escape: chroot below an open folder, then walk up."""

    def escape() -> bytes:
        top = os.open("/", os.O_RDONLY)
        os.makedirs("/tmp/inner", exist_ok=True)
        os.chroot("/tmp/inner")
        os.fchdir(top)
        return read("../" * 40 + facts["canary"])

    return reached(escape)


def the_kernels_core_pattern(facts: Facts) -> str | None:
    """A program that the kernel would run as root, outside."""
    return reached(lambda: write("/proc/sys/kernel/core_pattern", b"|/tmp/x"))


def kernel_settings(facts: Facts) -> str | None:
    """Any of /proc/sys, and the switch for magic keys."""
    names = ("/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger", "/proc/self/oom_adj")
    return reached(lambda: [name for name in names[:3] if reached(lambda n=name: write(n, b"1"))])


def the_kernels_memory(facts: Facts) -> str | None:
    """Physical and kernel memory as files."""
    names = ("/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore")
    return reached(lambda: [name for name in names if reached(lambda n=name: read(n))])


def the_kernels_addresses(facts: Facts) -> str | None:
    """The addresses of its functions."""

    def addresses() -> list[bytes]:
        return [line for line in read("/proc/kallsyms").splitlines()[:50] if not line.startswith(b"0000000000000000")]

    return reached(addresses)


def block_devices(facts: Facts) -> str | None:
    """The disk itself."""

    def disks() -> list[str]:
        return [name for name in os.listdir("/dev") if stat.S_ISBLK(os.stat(f"/dev/{name}").st_mode)]

    return reached(disks)


def a_device_of_its_own(facts: Facts) -> str | None:
    """mknod of the first disk, and of /dev/mem."""

    def make() -> bool:
        os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0))
        return True

    return reached(make)


def graphics_and_accelerators(facts: Facts) -> str | None:
    """Devices that only a program with GPUs is shown."""
    return reached(lambda: [name for name in os.listdir("/dev") if name.startswith(("nvidia", "dri", "kvm", "fuse"))])


def the_runtime(facts: Facts) -> str | None:
    """Code that the next sandbox would run."""
    import sys

    names = (sys.executable, os.__file__, "/runtime/lib/new.py", "/runtime/bin/python3")
    return reached(lambda: [name for name in names if reached(lambda n=name: write(n))])


def the_running_interpreter(facts: Facts) -> str | None:
    """Through the link that leads to its file."""
    return reached(lambda: write("/proc/self/exe"))


def the_root_folder(facts: Facts) -> str | None:
    """A file where nothing should be writable."""
    names = ("/new", "/dev/new", "/run/new", "/proc/new", "/lib64/new", "/usr/new", "/etc/new", "/usr/local/new")
    return reached(lambda: [name for name in names if reached(lambda n=name: write(n))])


def mounts(facts: Facts) -> str | None:
    """A fresh /proc, a bind of the root, a writable remount."""

    def mount(kind: bytes, flags: int) -> bool:
        if libc.mount(b"none", b"/tmp", kind, flags, None) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        return True

    kinds = ((b"proc", 0), (b"tmpfs", 0), (b"", 4096), (b"", 32 | 4096), (b"sysfs", 0))
    return reached(lambda: [kind for kind, flags in kinds if reached(lambda k=kind, f=flags: mount(k, f))])


def the_new_mount_calls(facts: Facts) -> str | None:
    """open_tree, fsopen, move_mount, mount_setattr: mounting by other names."""
    calls = {428: (-100, b"/", 1), 430: (b"proc", 0), 429: (-100, b"/", -100, b"/tmp", 0), 442: (-100, b"/", 0, 0, 0)}
    return reached(lambda: [number for number in calls if reached(lambda n=number: call(n, *calls[n]))])


def unmounting(facts: Facts) -> str | None:
    """A mount that hides something could be removed."""

    def unmount(place: bytes) -> bool:
        if libc.umount2(place, 2) != 0:
            raise OSError(ctypes.get_errno(), "umount")
        return True

    return reached(lambda: [p for p in (b"/proc/sys", b"/work", b"/dev", b"/tmp") if reached(lambda q=p: unmount(q))])


def another_root(facts: Facts) -> str | None:
    """pivot_root."""
    return reached(lambda: call(155, b"/tmp", b"/tmp"))


def files_by_handle(facts: Facts) -> str | None:
    """open_by_handle_at reaches any file of a mounted file system, past every folder."""
    handle = ctypes.create_string_buffer(128)
    handle[:4] = (120).to_bytes(4, "little")
    number = ctypes.c_int()
    return reached(lambda: call(303, -100, b"/work", handle, ctypes.byref(number), 0))


def a_setuid_program(facts: Facts) -> str | None:
    """Any program that would run as another user."""
    found = []
    for folder in ("/usr/bin", "/usr/sbin", "/bin", "/usr/lib"):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = f"{folder}/{name}"
            if os.path.isfile(path) and os.stat(path).st_mode & stat.S_ISUID and _runs_as_another(path):
                found.append(path)
    return repr(found) if found else None


def _runs_as_another(path: str) -> bool:
    child = os.fork()
    if child == 0:
        os.execv(path, [path, "--help"]) if os.access(path, os.X_OK) else os._exit(0)
    try:
        return os.stat(f"/proc/{child}").st_uid != os.getuid()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def a_setuid_file_for_the_host(facts: Facts) -> str | None:
    """Left in the workspace and run by a user of the host: harmless if it belongs to no user of the host."""
    write("/work/trap")
    os.chmod("/work/trap", 0o6755)
    return "it would belong to root" if os.stat("/work/trap").st_uid == 0 else None


def a_hard_link_to_the_runtime(facts: Facts) -> str | None:
    """A second name in a writable folder for a read-only file."""
    import sys

    def link() -> bool:
        os.link(os.path.realpath(sys.executable), "/work/python")
        return True

    return reached(link)


def a_link_that_leads_out(facts: Facts) -> str | None:
    """Here it leads nowhere; that the host does not follow it is tested with the code store."""
    os.symlink(facts["canary"], "link")
    try:
        return reached(lambda: read("link"))
    finally:
        os.unlink("link")


def shared_memory_of_the_host(facts: Facts) -> str | None:
    """A file in the host's /dev/shm."""
    return reached(lambda: read("/dev/shm/" + facts["shared_memory"]))
