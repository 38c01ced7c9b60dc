"""Rules for shells: how a shell keeps its state, answers, and ends."""

import threading
import time

from aar.sandbox.conformance.trial import ConformanceTrial, expect, expect_killed

BACKGROUND = "(while :; do sleep 0.1; echo x >>beat; done) &"


def keeps_its_state(trial: ConformanceTrial) -> None:
    """Folder, variables and functions persist from one command to the next."""
    with trial.shell() as shell:
        shell.run("mkdir d; cd d; export A=3; b() { echo b$1; }", 10)
        expect(shell.run("basename $PWD; sh -c 'echo $A'; b 4", 10).output, "d\n3\nb4\n")


def answers_in_order(trial: ConformanceTrial) -> None:
    """Output and errors are returned in their order, with the exit code."""
    with trial.shell() as shell:
        reply = shell.run("echo one; echo two >&2; echo three; (exit 7)", 10)
    expect((reply.output, reply.exit_code, reply.killed), ("one\ntwo\nthree\n", 7, None))


def takes_any_text(trial: ConformanceTrial) -> None:
    """Quotes, backslashes, comments and here-documents are part of a command."""
    with trial.shell() as shell:
        command = "cat <<'EOF'\nit's \"$HOME\" `x` \\ ö\nEOF\n# a comment"
        expect(shell.run(command, 10).output, 'it\'s "$HOME" `x` \\ ö\n')


def survives_errors(trial: ConformanceTrial) -> None:
    """A syntax error and an unknown program give a reply, and the shell continues."""
    with trial.shell() as shell:
        shell.run("x=1", 10)
        expect(shell.run("for (", 10).exit_code not in (0, None), True)
        expect(shell.run("no-such-program", 10).exit_code, 127)
        expect(shell.run("echo $x", 10).output, "1\n")


def restarts_after_exit(trial: ConformanceTrial) -> None:
    """`exit` gives a reply, and the next command gets a fresh shell in the same workspace."""
    with trial.shell() as shell:
        expect(shell.run("echo kept >f; x=1; exit 3", 10).exit_code, 3)
        expect(shell.run("echo ${x-fresh}; cat f", 10).output, "fresh\nkept\n")


def ends_everything_at_a_time_out(trial: ConformanceTrial) -> None:
    """A command that takes too long ends together with all background processes."""
    with trial.shell() as shell:
        shell.run(BACKGROUND, 10)
        reply = shell.run("sleep 60", 0.4)
        expect((reply.exit_code, reply.killed), (None, "wall time limit 0.4 s"))
        beats = shell.run("cat beat", 10).output
        time.sleep(0.3)
        expect(shell.run("cat beat", 10).output, beats)


def ends_a_shell_that_does_not_respond(trial: ConformanceTrial) -> None:
    """Stopping the shell process does not stop its time, however long the command is."""
    with trial.shell() as shell:
        shell.run("(sleep 0.1; kill -STOP $$) &", 10)
        time.sleep(0.3)
        expect_killed(shell.run("echo " + "x" * 500_000, 0.4).killed, "wall time limit 0.4 s")


def limits_a_commands_output(trial: ConformanceTrial) -> None:
    """A flood ends the shell."""
    with trial.shell() as shell:
        expect_killed(shell.run("cat /dev/zero", 10).killed, "output limit 1 MiB")


def counts_cpu_time_for_each_command(trial: ConformanceTrial) -> None:
    """Many short commands stay within the limit; one long command exceeds it."""
    burn = "import time\nwhile time.process_time() < {}: pass"
    with trial.shell(cpu_seconds=1.0) as shell:
        codes = [shell.run(f"python3 -c '{burn.format(0.6)}'", 20).exit_code for _ in range(3)]
        expect(codes, [0, 0, 0])
        expect_killed(shell.run(f"python3 -c '{burn.format(9)}'", 20).killed, "CPU time limit 1 s")


def can_be_stopped(trial: ConformanceTrial) -> None:
    """A shell can be stopped from another thread."""
    with trial.shell() as shell:
        shell.run("true", 10)
        threading.Timer(0.2, shell.stop).start()
        expect_killed(shell.run("sleep 60", 20).killed, "stopped")


def has_the_usual_tools(trial: ConformanceTrial) -> None:
    """A shell has Python with numpy and the lab's client, git, and the usual text tools."""
    with trial.shell() as shell:
        reply = shell.run("python3 -c 'import numpy, aar.guest.lab' && git --version | cut -c 1-3 | sed s/g/G/", 20)
    expect((reply.output, reply.exit_code), ("Git\n", 0))


RULES = (
    keeps_its_state, answers_in_order, takes_any_text, survives_errors, restarts_after_exit,
    ends_everything_at_a_time_out, ends_a_shell_that_does_not_respond, limits_a_commands_output,
    counts_cpu_time_for_each_command, can_be_stopped, has_the_usual_tools,
)  # fmt: skip
