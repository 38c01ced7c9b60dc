"""Rules for limits: exceeding one ends the whole tree, and the outcome names the limit."""

import time

from aar.sandbox.conformance.trial import ConformanceTrial, Nonconforming, expect, expect_killed

SEVERAL = "import os, time\nfor _ in range(3):\n    if os.fork() == 0: break\n"
DETACHED = """
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        open("beat", "a").write("x")
        time.sleep(0.05)
time.sleep(60)
"""
FILL = "for number in range(100):\n    open(f'{where}/{number}', 'wb').write(bytes(2**20))\nimport time; time.sleep(9)"
LITTER = "for number in range(1000):\n    open(f'{where}/{number}', 'w')\nimport time; time.sleep(9)"
THREADS = """
import threading
gate = threading.Event()
try:
    for number in range(200):
        threading.Thread(target=gate.wait, daemon=True).start()
except RuntimeError:
    print("refused")
"""


def limits_wall_time(trial: ConformanceTrial) -> None:
    """Sleeping counts."""
    outcome = trial.run("import time; time.sleep(60)", {"wall_seconds": 0.3})
    expect_killed(outcome.killed, "wall time limit 0.3 s")


def limits_wall_time_of_a_stopped_process(trial: ConformanceTrial) -> None:
    """Time in which a signal has stopped the process counts too."""
    outcome = trial.run("import os; os.kill(os.getpid(), 19)", {"wall_seconds": 0.3})
    expect_killed(outcome.killed, "wall time limit 0.3 s")


def ends_the_whole_tree(trial: ConformanceTrial) -> None:
    """A limit also ends processes in their own sessions."""
    workspace = trial.workspace()
    trial.run(DETACHED, {"wall_seconds": 0.5}, workspace=workspace)
    beats = (workspace / "beat").read_text()
    time.sleep(0.3)
    expect((workspace / "beat").read_text(), beats)


def limits_cpu_time_of_all_processes(trial: ConformanceTrial) -> None:
    """CPU time is summed over the tree."""
    outcome = trial.run(SEVERAL + "while True: pass", {"cpu_seconds": 0.5})
    expect_killed(outcome.killed, "CPU time limit 0.5 s")


def limits_memory_of_all_processes(trial: ConformanceTrial) -> None:
    """Memory is summed over the tree."""
    outcome = trial.run(SEVERAL + "held = bytearray(100 * 2**20); time.sleep(9)")
    expect_killed(outcome.killed, "memory limit 256 MiB")


def counts_shared_memory_once(trial: ConformanceTrial) -> None:
    """Pages that several processes share count once."""
    program = "held = bytearray(100 * 2**20)\n" + SEVERAL + "time.sleep(0.3)"
    expect(trial.run(program).killed, None)


def limits_the_address_space(trial: ConformanceTrial) -> None:
    """One allocation far beyond the limit is refused at once."""
    expect("MemoryError" in trial.run("bytearray(8 * 2**30)").stderr, True)


def limits_the_output(trial: ConformanceTrial) -> None:
    """A flood of output ends the command, and its beginning is returned."""
    outcome = trial.run("while True: print('x' * 10_000)", {"output_bytes": 2**16})
    expect_killed(outcome.killed, "output limit 64 KiB")
    expect(len(outcome.stdout), 2**16)


def limits_the_size_of_a_file(trial: ConformanceTrial) -> None:
    """No file grows beyond its limit."""
    outcome = trial.run("import os; os.posix_fallocate(os.open('x', os.O_CREAT | os.O_RDWR), 0, 5 * 2**20)")
    expect(outcome.exit_code != 0, True)


def limits_a_workspaces_bytes(trial: ConformanceTrial) -> None:
    """Disk use is summed over all files of the workspace."""
    outcome = trial.run(FILL.replace("{where}", "."), workspace=trial.workspace())
    expect_killed(outcome.killed, "disk limit 8 MiB")


def limits_a_workspaces_files(trial: ConformanceTrial) -> None:
    """Files are counted too, also empty ones."""
    outcome = trial.run(LITTER.replace("{where}", "."), workspace=trial.workspace())
    expect_killed(outcome.killed, "limit of 500 files")


def allows_what_is_within_the_limits(trial: ConformanceTrial) -> None:
    """Use below every limit does not end a command."""
    program = SEVERAL + "held = bytearray(30 * 2**20); open(str(os.getpid()), 'wb').write(held[:2**19]); print('x')"
    outcome = trial.run(program, workspace=trial.workspace())
    if outcome.killed or outcome.exit_code:
        raise Nonconforming(f"killed by {outcome.killed!r}, exit code {outcome.exit_code}: {outcome.stderr[-200:]}")


RULES = (
    limits_wall_time, limits_wall_time_of_a_stopped_process, ends_the_whole_tree, limits_cpu_time_of_all_processes,
    limits_memory_of_all_processes, counts_shared_memory_once, limits_the_address_space, limits_the_output,
    limits_the_size_of_a_file, limits_a_workspaces_bytes, limits_a_workspaces_files, allows_what_is_within_the_limits,
)  # fmt: skip
