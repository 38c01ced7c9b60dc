"""What a researcher driven by a language model is told, beside the answers of its tools."""

from collections.abc import Sequence

from aar.budget import Limit
from aar.budget.limits import readable
from aar.config import CampaignConfig, ResearcherConfig
from aar.researchers.commands import render_direction, render_later_direction, render_mark
from aar.researchers.prompts import fill, read_prompt, system_prompt


def system_words(researcher: ResearcherConfig, config: CampaignConfig, mark: str) -> str:
    """The system prompt, and by which `mark` people are known. Raises ConfigError when its file cannot be read."""
    mind = researcher.claude or config.claude
    prompt = fill(system_prompt(mind.prompt), name=researcher.name, problem=problem_words(config))
    return f"{prompt}\n{render_mark(mark)}"


def problem_words(config: CampaignConfig) -> str:
    """The campaign's problem in a sentence."""
    problem, dataset = config.problem, config.problem.dataset()
    return f'dataset "{dataset.name}"; the teacher is {problem.teacher.model}, the student {problem.student.model}.'


def first_words(researcher: ResearcherConfig, limits: Sequence[Limit]) -> str:
    """The first message. Raises ConfigError when the direction cannot be read."""
    return fill(read_prompt("begin"), direction=render_direction(researcher.direction), budget=budget_words(limits))


def words_anew(direction: str | None, limits: Sequence[Limit], why: str, notes: dict[str, str]) -> str:
    """The first message of a conversation that takes the place of another one."""
    noted = "\n\n".join(f"{path}:\n{text}" for path, text in notes.items()) or "(none)"
    told = render_later_direction(direction)
    return fill(read_prompt("reset"), why=why, direction=told, notes=noted, budget=budget_words(limits))


def nudge_words(limits: Sequence[Limit]) -> str:
    """What is told to a researcher that ended its turn."""
    return fill(read_prompt("nudge"), budget=budget_words(limits))


def budget_words(limits: Sequence[Limit]) -> str:
    """What is left, one limit a line."""
    return "\n".join(f"* {limit.describe()}, {readable(limit.what, limit.left)} left" for limit in limits)
