"""Control groups: real ones where this machine allows it, and the files of both versions as kernels lay them out."""

from pathlib import Path

import pytest

from aar.sandbox import PYTHON, Limits, Spec, provider
from aar.sandbox.linux.cgroup import Cgroup, make_cgroup
from tests.sandbox.conftest import MIB, SMALL

LIMITS = Limits(memory_bytes=64 * MIB, processes=7)


def own(folder: Path, text: str) -> Path:
    """Write the content of /proc/self/cgroup."""
    file = folder / "own"
    file.write_text(text)
    return file


def version_2(folder: Path, controllers: dict[str, str]) -> Path:
    """A tree of version 2 groups, with the controllers that each hands down."""
    root = folder / "cgroup"
    for path, names in controllers.items():
        (root / path).mkdir(parents=True, exist_ok=True)
        (root / path / "cgroup.subtree_control").write_text(names)
    return root


def test_version_1_limits_memory_and_processes_below_ones_own_groups(tmp_path: Path) -> None:
    for controller in ("memory/box", "pids"):
        (tmp_path / controller).mkdir(parents=True)
    cgroup = make_cgroup(LIMITS, tmp_path, own(tmp_path, "8:pids:/\n4:memory:/box\n0::/\n"))
    assert cgroup is not None
    memory, pids = cgroup.folders
    assert (memory.parent, pids.parent) == (tmp_path / "memory/box", tmp_path / "pids")
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 * MIB)
    assert (pids / "pids.max").read_text() == "7"


def test_version_2_makes_a_child_where_ones_own_group_hands_memory_down(tmp_path: Path) -> None:
    root = version_2(tmp_path, {"": "memory", "box": "memory pids"})
    cgroup = make_cgroup(LIMITS, root, own(tmp_path, "0::/box\n"))
    assert cgroup is not None and cgroup.folders[0].parent == root / "box"
    written = {file.name: file.read_text() for file in cgroup.folders[0].iterdir()}
    assert written == {
        "memory.max": str(64 * MIB), "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "7",
    }  # fmt: skip


def test_version_2_makes_a_sibling_where_ones_own_group_has_processes(tmp_path: Path) -> None:
    root = version_2(tmp_path, {"": "memory", "slice": "memory", "slice/own.service": ""})
    cgroup = make_cgroup(LIMITS, root, own(tmp_path, "0::/slice/own.service\n"))
    assert cgroup is not None and cgroup.folders[0].parent == root / "slice"


@pytest.mark.parametrize("text", ["0::/box\n", "", "4:memory:/elsewhere\n"])
def test_there_is_none_where_none_can_be_made(tmp_path: Path, text: str) -> None:
    root = version_2(tmp_path, {"": "", "box": "cpu"})
    assert make_cgroup(LIMITS, root, own(tmp_path, text)) is None


@pytest.mark.parametrize(("text", "ran_out"), [("oom 3\noom_kill 0\n", False), ("oom 3\noom_kill 2\n", True)])
def test_the_kernel_says_whether_it_had_to_kill(tmp_path: Path, text: str, ran_out: bool) -> None:
    (tmp_path / "events").write_text(text)
    assert Cgroup((), tmp_path / "events").ran_out_of_memory() is ran_out


def test_a_real_group_holds_memory_that_belongs_to_no_process() -> None:
    """Pages of pipes, which a sum over processes does not see."""
    real = make_cgroup(SMALL)
    if real is None:
        pytest.skip("this process may not make a control group")
    real.remove()
    program = """
import fcntl, os, time
pipes = [os.pipe() for _ in range(120)]
for _, end in pipes:
    fcntl.fcntl(end, 1031, 1 << 20)
    os.set_blocking(end, False)
    try:
        while os.write(end, bytes(1 << 16)): pass
    except BlockingIOError: pass
time.sleep(20)
"""
    limits = Limits(memory_bytes=64 * MIB, wall_seconds=20)
    with provider("bubblewrap").open(Spec((*PYTHON, "-c", program), limits)) as sandbox:
        assert sandbox.cgroup is not None
        outcome = sandbox.run()
        folders = sandbox.cgroup.folders
    assert outcome.killed == "memory limit 64 MiB"
    assert not any(folder.exists() for folder in folders)
