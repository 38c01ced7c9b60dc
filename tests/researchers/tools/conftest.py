"""A desk with a real sandbox, real files and databases, and a platform in one process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aar.budget import Account, StorageQuota, UsageStore
from aar.config import CampaignConfig, load_config
from aar.researchers.context import ResearcherPaths, ToolContext
from aar.researchers.tools.executor import Answer, ToolExecutor
from aar.researchers.tools.shared_folder import populate_shared_folder
from aar.researchers.transcript import Transcript, transcript_folder
from tests.campaign_fixture import write_toml
from tests.researchers.client_double import Campaign

METHOD = '"""Try it."""\ndef supervise(lab):\n    return lab.fine_tune(lab.weak_labels, epochs={epochs})\n'


@dataclass
class Bench:
    """A researcher at its desk; `call` calls a tool as a model would and returns the answer."""

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
    campaign, desks = Campaign(tmp_path), list[ToolContext]()

    def make(number: int = 0, config: CampaignConfig = config) -> Bench:
        researcher = config.researchers[number]
        client = campaign.client(researcher.name)
        account = Account(StorageQuota(tmp_path), researcher.name)
        context = ToolContext(
            researcher, config, ResearcherPaths.of(tmp_path, researcher.name), client, UsageStore(tmp_path), account
        )
        desks.append(context)
        populate_shared_folder(context.shared, client)
        transcript = Transcript(transcript_folder(tmp_path, researcher.name))
        return Bench(context, ToolExecutor(context, transcript), transcript, campaign)

    yield make
    for context in desks:
        context.close()


@pytest.fixture
def bench(new_bench: NewBench) -> Bench:
    return new_bench()
