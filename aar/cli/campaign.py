"""`aar run`, `try`, `baselines` and `stop`: the commands that start and stop campaigns."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aar.cli.output import AsJson, WhichCampaign, console, echo, echo_json, print_error

if TYPE_CHECKING:
    from aar.campaign.state import CampaignState
    from aar.config import CampaignConfig
    from aar.reporting.views import LiveView, LogView

QUICKSTART = Path("jobs/quickstart.toml")
STOP_SECONDS = 60.0

File = Annotated[Path, typer.Argument(metavar="FILE", help="A campaign's TOML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings that override the file's, such as budget.minutes=5."),
]
Dataset = Annotated[str | None, typer.Option(help="One of its datasets.", show_default="those for research")]


def run(file: File, overrides: Overrides = None) -> None:
    """Run a campaign, or resume it. Ctrl-C stops it; the same command resumes it."""
    from aar.config import load_config

    with resumable("run", file, overrides):
        run_to_the_end(load_config(file, overrides))


def run_to_the_end(config: "CampaignConfig") -> None:
    """Run or resume a campaign, and show its results. A finished campaign is only shown."""
    from aar.campaign.state import read_state
    from aar.reporting.results import summary

    finished = _finished(config)
    if finished:
        state = read_state(finished)
        echo(f"Campaign {state.name} is finished. To run another one, change its name: name={state.name}-2", "")
    else:
        from aar.campaign.run import run_campaign

        with view() as current:
            state = run_campaign(config, current)
    echo(summary(state), "")
    _print_places(state)


def try_method(
    method: Annotated[str, typer.Argument(help="A method file, or the name of a built-in method.")],
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="A campaign's TOML file.")] = QUICKSTART,
    overrides: Overrides = None,
    dataset: Dataset = None,
) -> None:
    """Run one method by hand, in the same sandbox and with the same scorer as a researcher's."""
    from aar.config import load_config
    from aar.reporting.results import summary, trial_words

    name, source = read_method(method)
    config = load_config(file, overrides)
    from aar.campaign.adhoc import Method, run_trial  # imports Ray, which is slow: only after the inputs are checked

    with resumable(f"try {shlex.quote(method)}", file, overrides, *_dataset(dataset)), view() as current:
        state, trial = run_trial(config, Method(name, source), current, dataset)
    echo(summary(state), trial_words(state, trial))
    if trial.failure:
        raise typer.Exit(1)


def baselines(file: File, overrides: Overrides = None, dataset: Dataset = None, as_json: AsJson = False) -> None:
    """Measure a problem's teacher, ceiling and vanilla; or recompute the table of a JSON file of published results."""
    if file.suffix == ".json":
        return _published(file, as_json)
    from aar.campaign.adhoc import measure_baselines
    from aar.config import load_config
    from aar.reporting.baselines import baselines_data, baselines_tables

    config = load_config(file, overrides)
    with resumable("baselines", file, overrides, *_dataset(dataset)), view(to_stderr=as_json) as current:
        state = measure_baselines(config, current, dataset)
    if as_json:
        return echo_json(baselines_data(state))
    echo(*baselines_tables(state), f"Folder: {state.folder}")


def _published(file: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from aar.reporting.baselines import published_tables
    from aar.scoring.published import read_published

    datasets = read_published(file)
    if as_json:
        return echo_json([asdict(each) for each in datasets])
    echo(*published_tables(datasets))


def read_method(name_or_file: str) -> tuple[str, bytes]:
    """Return a method's name and source, given its file or the name of a built-in one. The source is parsed, not run.

    Raises:
        MethodError: there is no such method, it is not valid Python, or it does not define `supervise`.
    """
    from aar.errors import MethodError
    from aar.methods import builtin_names, builtin_source

    if name_or_file in builtin_names():
        return name_or_file, builtin_source(name_or_file).encode()
    file = Path(name_or_file)
    try:
        source = file.read_bytes()
    except OSError as error:
        names = ", ".join(builtin_names())
        raise MethodError(f"{file}: {error.strerror}. Give a method file, or a built-in method: {names}") from None
    _check_method(file, source)
    return file.stem, source


def _check_method(file: Path, source: bytes) -> None:
    from aar.commons.foreign import names, parse
    from aar.errors import MethodError, SourceError

    try:
        defined = names(parse(source))
    except SourceError as error:
        raise MethodError(f"{file} is not valid Python: {error}") from None
    if "supervise" not in defined:
        raise MethodError(f"{file} does not define supervise(lab)")


def stop(campaign: WhichCampaign = None) -> None:
    """Stop a running campaign. `aar run` with the same file resumes it."""
    import time

    from aar.campaign.folder import find_campaign, is_running, request_stop
    from aar.errors import CampaignError

    folder = find_campaign(campaign)
    if not is_running(folder):
        return echo(f"{folder} does not run.")
    request_stop(folder)
    until = time.monotonic() + STOP_SECONDS
    while is_running(folder):
        if time.monotonic() > until:
            raise CampaignError(
                f"{folder} still runs {STOP_SECONDS:.0f} s after it was asked to stop; look at its output"
            )
        time.sleep(0.5)
    echo(f"{folder} has stopped; nothing is lost. `aar run` with the same file resumes it.")


def _finished(config: "CampaignConfig") -> Path | None:
    """Return the folder of exactly this campaign if it is finished, else None. Needs no Ray."""
    from aar.campaign.events import FILE, EventLog
    from aar.campaign.folder import campaign_folder, stored_config

    folder = campaign_folder(config).resolve()
    if not ((folder / "config.json").is_file() and (folder / FILE).is_file()):
        return None
    is_same = stored_config(folder) == config
    return folder if is_same and EventLog(folder, read_only=True).finished() else None


@contextmanager
def view(*, to_stderr: bool = False) -> "Iterator[LiveView | LogView]":
    """Open the view of a running campaign: drawn on a terminal, else line by line."""
    from aar.reporting.views import LiveView, LogView

    output = console(stderr=to_stderr)
    with LiveView(output) if output.is_terminal else LogView(output) as view:
        yield view


@contextmanager
def resumable(command: str, file: Path, overrides: list[str] | None, *options: str) -> Iterator[None]:
    """After an interruption, print the command that resumes, with the same arguments, and exit with code 130."""
    try:
        yield
    except KeyboardInterrupt:
        arguments = shlex.join([str(file), *(overrides or []), *options])
        print_error(f"stopped; nothing is lost. Resume with: aar {command} {arguments}")
        raise typer.Exit(130) from None


def _dataset(dataset: str | None) -> list[str]:
    return ["--dataset", dataset] if dataset else []


def _print_places(state: "CampaignState") -> None:
    from aar.campaign.events import EventLog
    from aar.reporting.plot import save_plot
    from aar.reporting.results import places

    echo(*places(state, save_plot(state, EventLog(state.folder, read_only=True).seconds_until)))
