"""An external researcher with real tools, and its campaign, in one process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aar.config import CampaignConfig, ResearcherBudget, load_config
from aar.researchers.brains.external.brain import ExternalBrain
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.transcript import Transcript, transcript_folder
from tests.campaign_fixture import write_toml
from tests.researchers.client_double import Campaign

NewBrain = Callable[..., ExternalBrain]


@pytest.fixture
def config(tmp_path: Path) -> CampaignConfig:
    return load_config(write_toml(tmp_path))


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


@pytest.fixture
def new_brain(tmp_path: Path, config: CampaignConfig, campaign: Campaign) -> Iterator[NewBrain]:
    """Start processes of external researchers, by number. `budget` is that researcher's own."""
    made: list[tuple[ToolContext, Transcript]] = []

    def make(number: int = 0, budget: ResearcherBudget | None = None) -> ExternalBrain:
        researcher = config.researchers[number].model_copy(update={"brain": "external", "budget": budget})
        runtime = ResearcherRuntime(researcher, config, tmp_path)
        context = ToolContext(runtime, campaign.client(researcher.name), tmp_path)
        for _, earlier in made:
            earlier.close()
        transcript = Transcript(transcript_folder(tmp_path, researcher.name))
        made.append((context, transcript))
        return ExternalBrain(runtime, context, transcript)

    yield make
    for context, transcript in made:
        context.close()
        transcript.close()
