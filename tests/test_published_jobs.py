"""The jobs of the published study: its models and recipe, one campaign for each of its datasets."""

import re
from pathlib import Path

import pytest

from aar.config import CampaignConfig, load_config
from aar.errors import ProblemError
from aar.models.recipe import Recipe
from aar.problems.loading import load_dataset
from aar.researchers.directions import read_direction
from tests.keys import KEY

FOLDER = Path(__file__).parents[1] / "jobs" / "published"


@pytest.fixture(params=["chat", "math", "code"])
def config(request: pytest.FixtureRequest) -> CampaignConfig:
    return load_config(FOLDER / f"{request.param}.toml")


def test_teacher_and_student_are_trained_by_the_studys_recipe(config: CampaignConfig) -> None:
    recipe = Recipe(form="label_token", lora_rank=32, lr=1e-4, warmup=0.1, epochs=5, batch_size=32)
    assert config.problem.recipe == config.problem.teacher.recipe == recipe
    assert config.problem.teacher.kind == "causal_lm" and config.problem.teacher.examples is None
    assert (config.scoring.seeds, config.scoring.baseline_seeds) == (5, 16)


def test_models_are_pinned_to_a_commit(config: CampaignConfig) -> None:
    for model, name in (
        (config.problem.teacher.model, "Qwen/Qwen1.5-0.5B-Chat"), (config.problem.student.model, "Qwen/Qwen3-4B-Base"),
    ):  # fmt: skip
        assert re.fullmatch(f"{re.escape(name)}@[0-9a-f]{{40}}", model)


def test_nine_researchers_start_in_nine_directions(config: CampaignConfig) -> None:
    directions = {each.direction for each in config.researchers}
    assert len(config.researchers) == len(directions) == 9
    assert all(read_direction(direction)[1] for direction in directions)
    assert {each.brain for each in config.researchers} == {"claude"}


def test_without_the_studys_data_the_missing_folder_is_named(config: CampaignConfig) -> None:
    dataset = config.problem.dataset()
    if Path(dataset.source).exists():
        pytest.skip("the data are here")
    with pytest.raises(ProblemError, match=f"published/data/{dataset.name}"):
        load_dataset(dataset, KEY)
