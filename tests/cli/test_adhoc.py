"""What a person runs by hand has a folder and a name of its own, and the campaign's problem and scoring."""

from pathlib import Path

import pytest

from aar.budget.limits import experiments_allowed
from aar.campaign.adhoc import PERSON, derived_config
from aar.config import CampaignConfig, ResearcherBudget, load_config
from aar.errors import ConfigError
from tests.campaign_fixture import write_toml


@pytest.fixture
def config(tmp_path: Path) -> CampaignConfig:
    return load_config(write_toml(tmp_path, folder=tmp_path / "mine"))


def test_a_trial_has_a_folder_next_to_its_campaign(config: CampaignConfig, tmp_path: Path) -> None:
    trial = derived_config(config, "try", None)
    assert (trial.name, trial.folder) == ("little-try", tmp_path / "mine-try")
    assert (trial.problem, trial.scoring) == (config.problem, config.scoring)
    assert trial.researchers == [PERSON]


def test_a_person_is_not_held_to_a_researchers_number_of_experiments(config: CampaignConfig) -> None:
    few = config.budget.model_copy(update={"researcher": ResearcherBudget(experiments=1)})
    trial = derived_config(config.model_copy(update={"budget": few}), "try", None)
    assert experiments_allowed(PERSON, trial) > 1000


def test_another_dataset_takes_the_place_of_the_one_for_research(config: CampaignConfig, tmp_path: Path) -> None:
    trial = derived_config(config, "try", "sarcasm")
    assert trial.problem.dataset().name == "sarcasm"
    assert [one.role for one in trial.problem.datasets] == ["transfer", "research"]
    assert trial.folder == tmp_path / "mine-try-sarcasm"  # scores on two datasets are not comparable


def test_an_unknown_dataset_is_refused(config: CampaignConfig) -> None:
    with pytest.raises(ConfigError, match="minimal-pairs, sarcasm"):
        derived_config(config, "try", "chess")


def test_a_derived_configuration_is_a_valid_one(config: CampaignConfig) -> None:
    trial = derived_config(config, "baselines", "sarcasm")
    assert CampaignConfig.model_validate_json(trial.model_dump_json()) == trial
