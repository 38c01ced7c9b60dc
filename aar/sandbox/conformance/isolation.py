"""Rules for isolation: what no program may reach from inside, whatever the sandbox was opened for."""

import os

from aar.sandbox.api import PYTHON, Spec, View
from aar.sandbox.conformance.trial import ConformanceTrial, Nonconforming, expect
from aar.sandbox.probe import find_escapes

LOOK_AROUND = """
import os, sys
print(sorted(name for name in os.listdir("/proc") if name.isdigit()), os.listdir("/tmp"), os.listdir("/dev/shm"))
open("/tmp/mine", "w"); open("/dev/shm/mine", "w")
sys.stdout.flush()
import time; time.sleep(0.5)
"""


def stops_every_escape_from_a_method(trial: ConformanceTrial) -> None:
    """Attempts on network, files, environment, processes, namespaces and limits fail where methods run."""
    _expect_no_escape(trial, "method")


def stops_every_escape_from_a_shell(trial: ConformanceTrial) -> None:
    """The same attempts fail where a researcher's commands run."""
    _expect_no_escape(trial, "shell")


def stops_every_escape_from_a_training_program(trial: ConformanceTrial) -> None:
    """The same attempts fail where a training program runs."""
    _expect_no_escape(trial, "training")


def keeps_sandboxes_apart(trial: ConformanceTrial) -> None:
    """Two sandboxes at once see neither each other's processes nor each other's files."""
    with trial.open(LOOK_AROUND) as first, trial.open(LOOK_AROUND) as second:
        running = first.start(), second.start()
        outcomes = first.watch(running[0]), second.watch(running[1])
    alone = "['1', '2'] [] []\n"
    expect([outcome.stdout for outcome in outcomes], [alone, alone])


def is_never_root(trial: ConformanceTrial) -> None:
    """The user id outside is never 0, and differs between sandboxes if aar runs as root."""
    with trial.open("") as first, trial.open("") as second:
        if 0 in (first.uid, second.uid) or (os.geteuid() == 0 and first.uid == second.uid):
            raise Nonconforming(f"the sandboxes' user ids are {first.uid} and {second.uid}")


def shows_no_shell_to_a_method(trial: ConformanceTrial) -> None:
    """A method sees Python and nothing else of the machine."""
    program = "import os; print(sorted(os.listdir('/')), os.path.exists('/usr'), os.path.exists('/bin/sh'))"
    expect(trial.run(program).stdout.split("]")[1].strip(), "False False")


def shows_nothing_installed_by_hand(trial: ConformanceTrial) -> None:
    """A shell sees the distribution's programs, and no home, no settings, no /usr/local."""
    program = "import os; print([os.path.exists(f'/{n}') for n in ('home', 'root', 'var', 'etc/shadow', 'etc/ssh')])"
    spec = Spec((*PYTHON, "-c", program + "; print(os.listdir('/usr/local'))"), view="shell")
    with trial.provider.open(spec) as sandbox:
        expect(sandbox.run().stdout, "[False, False, False, False, False]\n[]\n")


def _expect_no_escape(trial: ConformanceTrial, view: View) -> None:
    escapes = find_escapes(trial.provider, trial.limits, view)
    expect({name: reached for name, reached in escapes.items() if reached}, {})


RULES = (
    stops_every_escape_from_a_method, stops_every_escape_from_a_shell,
    stops_every_escape_from_a_training_program, keeps_sandboxes_apart, is_never_root, shows_no_shell_to_a_method,
    shows_nothing_installed_by_hand,
)  # fmt: skip
