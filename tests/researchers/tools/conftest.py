"""The tools of a researcher with a real sandbox, real files and databases, and a campaign in one process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aar.config import CampaignConfig, load_config
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.tools.executor import Answer, ToolExecutor
from aar.researchers.transcript import Transcript, transcript_folder
from tests.campaign_fixture import write_toml
from tests.researchers.client_double import Campaign


def nested(levels: int) -> Any:
    """A text inside so many lists."""
    value: Any = "in the middle"
    for _ in range(levels):
        value = [value]
    return value


METHOD = '"""Try it."""\ndef supervise(lab):\n    return lab.fine_tune(lab.weak_labels, epochs={epochs})\n'


@dataclass
class Bench:
    """A researcher's tools. `call` calls one as a model would and returns the answer."""

    context: ToolContext
    caller: ToolExecutor
    transcript: Transcript
    campaign: Campaign
    calls: int = 0

    def call(self, tool: str, **arguments: Any) -> Answer:
        self.calls += 1
        return self.caller.answer(tool, arguments, f"{len(self.transcript.entries)}.{self.calls}")

    def does(self, tool: str, **arguments: Any) -> str:
        answer = self.call(tool, **arguments)
        assert not answer.is_error, answer.text
        return answer.text

    def refuses(self, tool: str, **arguments: Any) -> str:
        answer = self.call(tool, **arguments)
        assert answer.is_error, answer.text
        return answer.text

    def writes_method(self, epochs: int = 1, name: str = "method.py") -> None:
        self.does("files", command="create", path=name, file_text=METHOD.format(epochs=epochs))


@pytest.fixture
def config(tmp_path: Path) -> CampaignConfig:
    return load_config(write_toml(tmp_path))


NewBench = Callable[..., Bench]


@pytest.fixture
def new_bench(tmp_path: Path, config: CampaignConfig) -> Iterator[NewBench]:
    """Makes benches of one campaign, by researcher number."""
    campaign, contexts = Campaign(tmp_path), list[ToolContext]()

    def make(number: int = 0, config: CampaignConfig = config) -> Bench:
        researcher = config.researchers[number]
        runtime = ResearcherRuntime(researcher, config, tmp_path)
        context = ToolContext(runtime, campaign.client(researcher.name), tmp_path)
        contexts.append(context)
        transcript = Transcript(transcript_folder(tmp_path, researcher.name))
        return Bench(context, ToolExecutor(context, transcript), transcript, campaign)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def bench(new_bench: NewBench) -> Bench:
    return new_bench()
