"""A claude researcher on the real anthropic package, against a real server on loopback that plays it by script."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aar.budget import UsageStore
from aar.config import CampaignConfig, load_config
from aar.mock_api.script import Scenario, Schedule
from aar.mock_api.server import Endpoint, MockApi
from aar.researchers.brains.claude import messages
from aar.researchers.brains.claude.brain import ClaudeBrain
from aar.researchers.context import ResearcherPaths, ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.tools.shared_folder import populate_shared_folder
from aar.researchers.transcript import Transcript, TranscriptEntry, read, transcript_folder
from tests.campaign_fixture import write_toml
from tests.researchers.client_double import Campaign

NAME = "researcher-1"


@dataclass
class Stage:
    """Where one scripted researcher plays. `perform` lets a process of its take it up and run to its end."""

    folder: Path
    config: CampaignConfig
    campaign: Campaign
    stack: ExitStack
    monkeypatch: pytest.MonkeyPatch
    endpoint: Endpoint | None = None
    runtime: ResearcherRuntime | None = None
    said: list[str] = field(default_factory=list)

    def serve(self, part: Callable[[], Scenario], faults: Schedule | None = None) -> Endpoint:
        """From now on the endpoint plays `part`."""
        self.endpoint = Endpoint({NAME: part}, faults)
        rehearsal = self.stack.enter_context(MockApi(self.endpoint))
        self.monkeypatch.setenv("ANTHROPIC_BASE_URL", rehearsal.url)
        return self.endpoint

    def brain(self, **settings: Any) -> tuple[ClaudeBrain, ToolContext, Transcript]:
        """A process of the researcher, about to begin."""
        llm = self.config.claude.model_copy(update=settings)
        researcher = self.config.researchers[0].model_copy(update={"claude": llm})
        client = self.campaign.client(NAME)
        self.runtime = ResearcherRuntime(researcher, self.config, self.folder)
        paths, account = ResearcherPaths.of(self.folder, NAME), self.runtime.account
        context = ToolContext(researcher, self.config, paths, client, UsageStore(self.folder), account)
        populate_shared_folder(context.shared, client)
        transcript = Transcript(transcript_folder(self.folder, NAME))
        return ClaudeBrain(self.runtime, context, transcript), context, transcript

    def perform(self, **settings: Any) -> list[TranscriptEntry]:
        """Run the researcher until it has ended; its transcript."""
        brain, context, transcript = self.brain(**settings)
        try:
            brain.run()
        finally:
            transcript.close()
            context.close()
        return self.entries()

    def entries(self, *kinds: str) -> list[TranscriptEntry]:
        entries = read(transcript_folder(self.folder, NAME))
        return [entry for entry in entries if not kinds or entry.kind in kinds]

    def end(self) -> dict[str, Any]:
        last = self.entries()[-1]
        assert last.kind == "end", last
        return last.data

    def results(self) -> list[str]:
        return [entry.data["text"] for entry in self.entries("result")]

    def failures(self) -> str:
        return "\n".join(entry.data["message"] for entry in self.entries("api_failure"))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "rehearsal")
    monkeypatch.setattr(messages, "FIRST_WAIT_SECONDS", 0.05)
    config = load_config(write_toml(tmp_path))
    with ExitStack() as stack:
        yield Stage(tmp_path, config, Campaign(tmp_path), stack, monkeypatch)
