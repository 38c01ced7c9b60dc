"""Tools that run methods: in an experiment, or as a quick check on a slice of the data."""

import time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aar.budget import Resources
from aar.commons.foreign import names, parse
from aar.commons.quoting import quoted_line, quoted_name
from aar.errors import BudgetError, SourceError, ToolError
from aar.methods import METHOD_FILE
from aar.researchers.tools.duplicates import NearDuplicate
from aar.researchers.tools.results import format_experiment, format_outcome
from aar.researchers.tools.store import read_method
from aar.researchers.tools.tool import Arguments, Call, Tool
from aar.scoring.records import NOTE_CHARACTERS, Experiment
from aar.text import checked_line

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext

WAIT_SECONDS = 2.0
"""How long one wait lasts before the tool checks whether the researcher is needed elsewhere."""
MOST_WAIT_SECONDS = 1800
LISTED = 20
LOG_CHARACTERS = 8000
Method = Annotated[str, Field(default=METHOD_FILE, description="A file in /work that defines supervise(lab).")]


class RunArguments(Arguments):
    """An experiment to start."""

    note: str = Field(description="One line that says what this tries. Others see it on the leaderboard.")
    method: Method
    parent: str | None = Field(default=None, description="The snapshot it builds on, so that others can trace it.")
    allow_duplicate: bool = Field(default=False, description="Run it even if a near-duplicate was already run.")


class ExperimentArguments(Arguments):
    """A query about experiments, or the end of one."""

    action: Literal["list", "status", "log", "wait", "cancel"]
    experiment: str | None = Field(
        default=None, description="The experiment's id, such as e7. Required by every action except list."
    )
    seconds: float = Field(
        default=600, gt=0, le=MOST_WAIT_SECONDS, description="wait: the maximum time to wait, in seconds."
    )


class CheckArguments(Arguments):
    """A method to check."""

    method: Method


def _run(context: "ToolContext", call: Call) -> str:
    arguments: RunArguments = call.arguments
    note = _line(arguments.note)
    source = _source(context, arguments.method)
    # A retry skips both checks: it would find its own first attempt, or the limit that this attempt has reached.
    duplicate = None if arguments.allow_duplicate or call.is_retry else context.duplicates.nearest(source)
    if duplicate:
        raise ToolError(_duplicate_text(context, duplicate))
    if not call.is_retry:
        _check_left(context)
    parent = context.resolved(arguments.parent) if arguments.parent else None
    experiment = context.client.submit({METHOD_FILE: source}, note, parent, key=call.key)
    context.spend.add(context.name, f"experiment/{experiment.id}", resources=Resources(experiments=1))
    left = next((limit.left for limit in context.limits() if limit.what == "experiments"), 0)
    return (
        f"{experiment.id} runs snapshot {experiment.snapshot[:10]} on {len(experiment.seeds)} seeds. You have "
        f"{left:.0f} experiments left. Do something useful meanwhile, or wait: "
        f'experiment(action="wait", experiment="{experiment.id}").'
    )


def _check_left(context: "ToolContext") -> None:
    for limit in context.limits():
        if limit.what == "experiments" and limit.left < 1:
            raise BudgetError(limit.describe())


def _duplicate_text(context: "ToolContext", duplicate: NearDuplicate) -> str:
    experiment = duplicate.experiment
    posts = [post for post in context.client.search_posts(experiment.id, 20) if post.experiment == experiment.id]
    where = "".join(
        f"; post {post.id} by {quoted_name(post.author)} is about it: {quoted_line(post.title)}" for post in posts[:1]
    )
    return (
        f"A near-duplicate ({duplicate.similarity:.0%} similar) has already been run: "
        f"{format_experiment(experiment)}{where}\n"
        "Nothing was started. Change something that matters, or set allow_duplicate=true to repeat it on purpose."
    )


def _experiment(context: "ToolContext", call: Call) -> str:
    arguments: ExperimentArguments = call.arguments
    if arguments.action == "list":
        mine = [record for record in context.client.experiments() if record.researcher == context.name]
        return "\n".join(map(format_experiment, mine[-LISTED:])) or "You have not started an experiment yet."
    if arguments.experiment is None:
        raise ToolError(f'{arguments.action} needs an experiment, such as "e7"; action="list" lists yours')
    experiment = context.client.experiment(arguments.experiment)
    if arguments.action == "log":
        return _log(context, experiment)
    if arguments.action == "cancel":
        return _cancel(context, experiment)
    return format_experiment(
        _wait(context, experiment, arguments.seconds) if arguments.action == "wait" else experiment
    )


def _wait(context: "ToolContext", experiment: Experiment, seconds: float) -> Experiment:
    until = time.monotonic() + seconds
    while (
        experiment.status == "running" and (left := until - time.monotonic()) > 0 and not context.should_stop_waiting()
    ):
        experiment = context.client.wait(experiment.id, min(left, WAIT_SECONDS))
    return experiment


def _log(context: "ToolContext", experiment: Experiment) -> str:
    printed = context.client.experiment_log(experiment.id) if experiment.researcher == context.name else ""
    tail = printed[-LOG_CHARACTERS:]
    cut = f"(the last {LOG_CHARACTERS} of {len(printed)} characters)\n" if len(printed) > len(tail) else ""
    return f"{format_outcome(experiment)}\n{cut}{tail or '(it has not printed anything that you may see)'}"


def _cancel(context: "ToolContext", experiment: Experiment) -> str:
    if experiment.researcher != context.name:
        owner = quoted_name(experiment.researcher)
        raise ToolError(f"{experiment.id} belongs to {owner}; you can cancel only your own experiments")
    return format_experiment(context.client.cancel_experiment(experiment.id))


def _check(context: "ToolContext", call: Call) -> str:
    arguments: CheckArguments = call.arguments
    source = _source(context, arguments.method)
    exceeded_limit = next((limit for limit in context.limits() if limit.what == "checks" and limit.left < 1), None)
    if exceeded_limit and not call.is_retry:
        raise ToolError(f"no quick checks are left: {exceeded_limit.describe()}. Nothing was started.")
    # Counted before it runs, so that an interrupted check is not free.
    context.spend.add(context.name, f"check/{call.key}", resources=Resources(checks=1))
    return context.client.check(source)


def _source(context: "ToolContext", name: str) -> bytes:
    """Read a method. Raises ToolError if its text shows that it cannot run."""
    source = read_method(context.paths.workspace, name)
    try:
        defined = names(parse(source))
    except SourceError as error:
        raise ToolError(f"{name} is not valid Python: {error}. Nothing was started.") from None
    if "supervise" not in defined:
        raise ToolError(f"{name} does not define supervise(lab). Nothing was started; see /shared/lab/README.md")
    return source


def _line(note: str) -> str:
    try:
        return checked_line(note, NOTE_CHARACTERS)
    except ValueError as error:
        raise ToolError(f"the note {error}") from None


RUN_EXPERIMENT = Tool(
    name="run_experiment",
    description=(
        "Run a method as an experiment. Its file becomes a snapshot in the code store and runs once per dataset and "
        "seed. The students it returns are scored on hidden test items. The score is rounded, and released only if it "
        "is a significant improvement over your best; otherwise nobody sees it. Returns the experiment's id "
        "immediately. Experiments are scarce (see budget) and take minutes: run quick_check first, and do something "
        "useful while one runs. A near-duplicate of a method that anybody has already run is not started unless you "
        "set allow_duplicate."
    ),
    arguments=RunArguments,
    run=_run,
)
EXPERIMENT = Tool(
    name="experiment",
    description=(
        "Query or cancel experiments. list: show your latest. status: show one. log: show what its method printed, and "
        "the error if it failed. wait: wait until it ends or `seconds` have passed. cancel: end one of yours (it still "
        "counts towards your budget)."
    ),
    arguments=ExperimentArguments,
    run=_experiment,
)
QUICK_CHECK = Tool(
    name="quick_check",
    description=(
        "Run a method on a small slice of the training texts, with the real models, to see if it works. Shows its lab "
        "calls, what it prints, where it fails, and how often its student agrees with the weak labels. Gives no score "
        "and does not cost an experiment, but checks are limited (see budget) and take compute from experiments."
    ),
    arguments=CheckArguments,
    run=_check,
)
