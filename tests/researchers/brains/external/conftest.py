"""An external researcher in one process, with a real desk and a platform in one process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aar.budget import Spend
from aar.config import CampaignConfig, ResearcherBudget, load_config
from aar.researchers.brains.external.brain import ExternalBrain
from aar.researchers.context import Desk, Places
from aar.researchers.runtime import Life
from aar.researchers.tools.shared_folder import stock
from aar.researchers.transcript import Transcript, transcript_folder
from tests.campaign_fixture import write_toml
from tests.researchers.platform_double import Campaign

NewBrain = Callable[..., ExternalBrain]


@pytest.fixture
def config(tmp_path: Path) -> CampaignConfig:
    return load_config(write_toml(tmp_path))


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


@pytest.fixture
def new_brain(tmp_path: Path, config: CampaignConfig, campaign: Campaign) -> Iterator[NewBrain]:
    """Makes processes of external researchers, by number; `budget` is that researcher's own."""
    made: list[tuple[Desk, Transcript]] = []

    def make(number: int = 0, budget: ResearcherBudget | None = None) -> ExternalBrain:
        researcher = config.researchers[number].model_copy(update={"brain": "external", "budget": budget})
        platform = campaign.platform(researcher.name)
        life = Life(researcher, config, tmp_path)
        desk = Desk(researcher, config, Places.of(tmp_path, researcher.name), platform, Spend(tmp_path), life.account)
        stock(desk.shared, platform)
        for _, earlier in made:
            earlier.close()
        transcript = Transcript(transcript_folder(tmp_path, researcher.name))
        made.append((desk, transcript))
        return ExternalBrain(life, desk, transcript)

    yield make
    for desk, transcript in made:
        desk.close()
        transcript.close()
