"""A claude researcher on the real anthropic package, against a real server on loopback that plays it by script."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aar.config import CampaignConfig, load_config
from aar.mock_api.script import Scenario, Schedule
from aar.mock_api.server import Endpoint, MockApi
from aar.researchers.brains.claude import messages
from aar.researchers.brains.claude.brain import ClaudeBrain
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.transcript import Transcript, TranscriptEntry, read, transcript_folder
from tests.campaign_fixture import write_toml
from tests.researchers.client_double import Campaign

NAME = "researcher-1"


@dataclass
class Stage:
    """One scripted researcher and its campaign. `perform` starts a process of it and runs it to its end."""

    folder: Path
    config: CampaignConfig
    campaign: Campaign
    stack: ExitStack
    monkeypatch: pytest.MonkeyPatch
    endpoint: Endpoint | None = None
    runtime: ResearcherRuntime | None = None

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
        self.runtime = ResearcherRuntime(researcher, self.config, self.folder)
        context = ToolContext(self.runtime, self.campaign.client(NAME), self.folder)
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

    @contextmanager
    def working(self) -> Iterator[ResearcherRuntime]:
        """The researcher works in a thread of its own, and has ended when the block is left."""
        brain, context, transcript = self.brain()
        assert self.runtime
        thread = threading.Thread(target=brain.run)
        thread.start()
        try:
            yield self.runtime
            thread.join(30)
            assert not thread.is_alive()
        finally:
            self.runtime.stop()
            thread.join(30)
            context.close()
            transcript.close()

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


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds, for at most half a minute."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "rehearsal")
    monkeypatch.setattr(messages, "FIRST_WAIT_SECONDS", 0.05)
    config = load_config(write_toml(tmp_path))
    with ExitStack() as stack:
        yield Stage(tmp_path, config, Campaign(tmp_path), stack, monkeypatch)
