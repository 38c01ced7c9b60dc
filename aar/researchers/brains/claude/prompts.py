"""Texts for a researcher driven by a language model, other than the answers of its tools."""

from collections.abc import Sequence

from aar.budget import Limit
from aar.budget.limits import readable
from aar.config import CampaignConfig, ResearcherConfig
from aar.researchers.commands import render_direction, render_later_direction, render_mark
from aar.researchers.prompts import fill, read_prompt, system_prompt


def render_system_prompt(researcher: ResearcherConfig, config: CampaignConfig, mark: str) -> str:
    """The system prompt, including the `mark` of operators' messages. Raises ConfigError if its file is unreadable."""
    llm = researcher.claude or config.claude
    prompt = fill(system_prompt(llm.prompt), name=researcher.name, problem=format_problem(config))
    return f"{prompt}\n{render_mark(mark)}"


def format_problem(config: CampaignConfig) -> str:
    """The campaign's problem in a sentence."""
    problem, dataset = config.problem, config.problem.dataset()
    return f'dataset "{dataset.name}"; the teacher is {problem.teacher.model}, the student {problem.student.model}.'


def render_first_message(researcher: ResearcherConfig, limits: Sequence[Limit]) -> str:
    """The first message of the first conversation. Raises ConfigError when the direction cannot be read."""
    return fill(read_prompt("begin"), direction=render_direction(researcher.direction), budget=format_budget(limits))


def render_restart(direction: str | None, limits: Sequence[Limit], why: str, notes: dict[str, str]) -> str:
    """The first message of a conversation that replaces an earlier one."""
    notes_text = "\n\n".join(f"{path}:\n{text}" for path, text in notes.items()) or "(none)"
    direction_text = render_later_direction(direction)
    return fill(read_prompt("reset"), why=why, direction=direction_text, notes=notes_text, budget=format_budget(limits))


def render_nudge(limits: Sequence[Limit]) -> str:
    """The answer to a researcher that ended its turn."""
    return fill(read_prompt("nudge"), budget=format_budget(limits))


def format_budget(limits: Sequence[Limit]) -> str:
    """What is left, one limit per line."""
    return "\n".join(f"* {limit.describe()}, {readable(limit.what, limit.left)} left" for limit in limits)
