"""Tools that run methods: in an experiment, or as a quick check on a slice of the data."""

import time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aar.budget import Resources
from aar.commons.foreign import names, parse
from aar.commons.quoting import quoted_line, quoted_name
from aar.errors import BudgetError, SourceError, ToolError
from aar.researchers.tools.duplicates import METHOD_FILE, NearDuplicate
from aar.researchers.tools.formatting import experiment_words, outcome_words
from aar.researchers.tools.publishing import read_method
from aar.researchers.tools.tool import Arguments, Call, Tool
from aar.scoring.records import NOTE_CHARACTERS, Experiment
from aar.text import checked_line

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext

WAIT_SECONDS = 2.0
"""How long to wait at a time before looking whether the researcher is wanted elsewhere."""
MOST_WAIT_SECONDS = 1800
LISTED = 20
LOG_CHARACTERS = 8000
Method = Annotated[str, Field(default=METHOD_FILE, description="A file in /work that defines supervise(lab).")]


class RunArguments(Arguments):
    """An experiment to start."""

    note: str = Field(description="One line that says what this tries. Others see it in the leaderboard.")
    method: Method
    parent: str | None = Field(default=None, description="The snapshot that it builds on, so that others can trace it.")
    allow_duplicate: bool = Field(default=False, description="Run it even if a near-duplicate has already been run.")


class ExperimentArguments(Arguments):
    """A question about experiments."""

    action: Literal["list", "status", "log", "wait", "cancel"]
    experiment: str | None = Field(
        default=None, description="Its id, such as e7. Required by every action except list."
    )
    seconds: float = Field(
        default=600, gt=0, le=MOST_WAIT_SECONDS, description="wait: the longest time to wait, in seconds."
    )


class CheckArguments(Arguments):
    """A method to check."""

    method: Method


def _run(context: "ToolContext", call: Call) -> str:
    arguments: RunArguments = call.arguments
    note = _line(arguments.note)
    source = _source(context, arguments.method)
    twin = None if arguments.allow_duplicate or call.is_retry else context.similar.twin(source)
    if twin:
        raise ToolError(_twin_words(context, twin))
    if not call.is_retry:
        _check_left(context)
    parent = context.resolved(arguments.parent) if arguments.parent else None
    experiment = context.client.submit({METHOD_FILE: source}, note, parent, key=call.key)
    context.spend.add(context.name, f"experiment/{experiment.id}", amounts=Resources(experiments=1))
    left = next((limit.left for limit in context.limits() if limit.what == "experiments"), 0)
    return (
        f"{experiment.id} runs snapshot {experiment.snapshot[:10]} on {len(experiment.seeds)} seeds. You have "
        f"{left:.0f} experiments left. Do something else meanwhile, or wait: "
        f'experiment(action="wait", experiment="{experiment.id}").'
    )


def _check_left(context: "ToolContext") -> None:
    for limit in context.limits():
        if limit.what == "experiments" and limit.left < 1:
            raise BudgetError(limit.describe())


def _twin_words(context: "ToolContext", twin: NearDuplicate) -> str:
    one = twin.experiment
    posts = [post for post in context.client.search_posts(one.id, 20) if post.experiment == one.id]
    where = "".join(
        f"; post {post.id} by {quoted_name(post.author)} is about it: {quoted_line(post.title)}" for post in posts[:1]
    )
    return (
        f"A near-duplicate ({twin.similarity:.0%} similar) has already been run: {experiment_words(one)}{where}\n"
        "Nothing was started. Change what matters, or call again with allow_duplicate=true if you mean to repeat it."
    )


def _experiment(context: "ToolContext", call: Call) -> str:
    arguments: ExperimentArguments = call.arguments
    if arguments.action == "list":
        own = [one for one in context.client.experiments() if one.researcher == context.name]
        return "\n".join(experiment_words(one) for one in own[-LISTED:]) or "You have not started an experiment yet."
    if arguments.experiment is None:
        raise ToolError(f'{arguments.action} needs an experiment, such as "e7"; action="list" lists yours')
    one = context.client.experiment(arguments.experiment)
    if arguments.action == "log":
        return _log(context, one)
    if arguments.action == "cancel":
        return _cancel(context, one)
    return experiment_words(_waited(context, one, arguments.seconds) if arguments.action == "wait" else one)


def _waited(context: "ToolContext", one: Experiment, seconds: float) -> Experiment:
    until = time.monotonic() + seconds
    while one.status == "running" and (left := until - time.monotonic()) > 0 and not context.wanted():
        one = context.client.wait(one.id, min(left, WAIT_SECONDS))
    return one


def _log(context: "ToolContext", one: Experiment) -> str:
    printed = context.client.experiment_log(one.id) if one.researcher == context.name else ""
    tail = printed[-LOG_CHARACTERS:]
    cut = f"(the last {LOG_CHARACTERS} of {len(printed)} characters)\n" if len(printed) > len(tail) else ""
    return f"{outcome_words(one)}\n{cut}{tail or '(it has not printed anything that you may see)'}"


def _cancel(context: "ToolContext", one: Experiment) -> str:
    if one.researcher != context.name:
        raise ToolError(f"{one.id} is {quoted_name(one.researcher)}'s; you can cancel only your own")
    return experiment_words(context.client.cancel_experiment(one.id))


def _check(context: "ToolContext", call: Call) -> str:
    arguments: CheckArguments = call.arguments
    source = _source(context, arguments.method)
    exceeded_limit = next((limit for limit in context.limits() if limit.what == "checks" and limit.left < 1), None)
    if exceeded_limit and not call.is_retry:
        raise ToolError(f"no quick checks are left: {exceeded_limit.describe()}. Nothing was started.")
    context.spend.add(context.name, f"check/{call.key}", amounts=Resources(checks=1))
    return context.client.check(source)


def _source(context: "ToolContext", name: str) -> bytes:
    """A method that can be run, as far as its text shows."""
    source = read_method(context.places.workspace, name)
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
        "seed; the students it returns are scored on hidden test items. The score is released, rounded, if it is a "
        "significant improvement over your best; otherwise nobody sees it. Returns the experiment's id immediately. "
        "Experiments are few (see budget) and take minutes: check a method with quick_check first, and do something "
        "useful while one runs. A near-duplicate of a method that somebody has already run is not started unless you "
        "set allow_duplicate."
    ),
    arguments=RunArguments,
    run=_run,
)
EXPERIMENT = Tool(
    name="experiment",
    description=(
        "Ask about experiments. list: yours. status: of one. log: what its method printed, and the error if it failed. "
        "wait: until it ends or `seconds` have passed. cancel: one of yours (it still counts)."
    ),
    arguments=ExperimentArguments,
    run=_experiment,
)
QUICK_CHECK = Tool(
    name="quick_check",
    description=(
        "Run a method on a small slice of the training texts, with the real models, to see whether it works: its lab "
        "calls, what it prints, where it fails, and how often its student agrees with the weak labels. It gives no "
        "score and does not cost an experiment, but it uses compute that experiments wait for and is limited (see "
        "budget)."
    ),
    arguments=CheckArguments,
    run=_check,
)
