"""The texts that the platform writes to a researcher, other than the answers of its tools.

Each comes from a file that a person can edit, in which `{names}` are filled in.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from aar.budget import Limit
from aar.budget.limits import readable
from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import ConfigError
from aar.researchers.commands import OperatorCommand
from aar.researchers.directions import read_direction


def read_prompt(name: str) -> str:
    """Read a prompt that comes with aar, by its file name without the suffix."""
    return files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")


def fill(template: str, **values: object) -> str:
    """Replace each `{name}` in a template with its value. Other braces stay as they are."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", str(value))
    return template.strip() + "\n"


def render_system_prompt(researcher: ResearcherConfig, config: CampaignConfig, mark: str) -> str:
    """Render the system prompt, with the `mark` of operators' messages. Raises ConfigError if unreadable."""
    llm = researcher.claude or config.claude
    prompt = fill(_system_template(llm.prompt), name=researcher.name, problem=format_problem(config))
    return f"{prompt}\n{fill(read_prompt('operators'), mark=mark)}"


def _system_template(file: Path | None) -> str:
    """Read the user's template of the system prompt; None: the one that comes with aar."""
    if file is None:
        return read_prompt("system")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the prompt cannot be read ({error})") from None


def format_problem(config: CampaignConfig) -> str:
    """Describe the campaign's problem in one sentence."""
    problem, dataset = config.problem, config.problem.dataset()
    return f'dataset "{dataset.name}"; the teacher is {problem.teacher.model}, the student {problem.student.model}.'


def render_first_message(researcher: ResearcherConfig, limits: Sequence[Limit]) -> str:
    """Render the first message of the first conversation. Raises ConfigError if the direction cannot be read."""
    return fill(read_prompt("begin"), direction=render_direction(researcher.direction), budget=format_budget(limits))


def render_restart(direction: str | None, limits: Sequence[Limit], why: str, notes: dict[str, str]) -> str:
    """Render the first message of a conversation that replaces an earlier one."""
    notes_text = "\n\n".join(f"{path}:\n{text}" for path, text in notes.items()) or "(none)"
    direction_text = render_later_direction(direction)
    return fill(read_prompt("reset"), why=why, direction=direction_text, notes=notes_text, budget=format_budget(limits))


def render_nudge(limits: Sequence[Limit]) -> str:
    """Render the message that answers the end of a researcher's turn."""
    return fill(read_prompt("nudge"), budget=format_budget(limits))


def format_budget(limits: Sequence[Limit]) -> str:
    """List what is left, one limit per line."""
    return "\n".join(f"* {limit.describe()}, {readable(limit.what, limit.left)} left" for limit in limits)


def render_direction(direction: str | None) -> str:
    """Render a direction, or the absence of one. Raises ConfigError if it cannot be read."""
    _, text = read_direction(direction)
    return fill(read_prompt("directed"), direction=text) if text else read_prompt("undirected").strip()


def render_later_direction(direction: str | None) -> str:
    """Render a direction for a researcher that is already working: an unreadable file must not end it."""
    try:
        return render_direction(direction)
    except ConfigError as error:
        return f"(The direction can no longer be read: {error}. Continue as you see fit.)"


def render_command(command: OperatorCommand, mark: str) -> str:
    """Render an operator's message or direction, with the mark that authenticates it."""
    if command.action == "direction":
        direction = render_later_direction(command.text or None)
        return f"[{mark}] {command.by}, an operator of this campaign, gives you a new direction:\n{direction}"
    return f"[{mark}] message from {command.by}, an operator of this campaign:\n{command.text}"


def render_platform_note(text: str, mark: str) -> str:
    """Render a message of the platform that does not answer a tool call."""
    return f"[{mark}] from the platform:\n{text}"
