"""Settings: read from TOML, overridden by key=value, and refused with an answer that helps."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from aar.campaign.state import CAMPAIGN
from aar.config import PLATFORM, RESERVED_NAMES, CampaignConfig, ProblemConfig, load_config
from aar.errors import ConfigError
from aar.models.recipe import Recipe

MINIMAL = """
name = "c"

[problem.teacher]
model = "minilm"

[problem.student]
model = "smollm2-135m"

[problem.recipe]
form = "scalar_head"

[[problem.datasets]]
name = "pairs"
source = "minimal-pairs"

[[problem.datasets]]
name = "moved"
source = "./moved"
role = "transfer"
recipe = { epochs = 5 }

[[researchers]]
name = "ada"
direction = "strong-prior"
"""
HUB = f"Qwen/Qwen3-4B-Base@{'0a' * 20}"
JOBS = sorted((Path(__file__).parent.parent / "jobs").glob("*.toml"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "campaign.toml"
    path.write_text(MINIMAL)
    return path


def refused(file: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file, list(overrides))
    return str(caught.value)


def test_settings_that_a_file_omits_have_defaults(file: Path) -> None:
    config = load_config(file)
    assert (config.name, config.folder, config.compute.workers) == ("c", None, 1)
    assert config.problem.recipe == Recipe(form="scalar_head")
    assert [researcher.brain for researcher in config.researchers] == ["search"]


def test_going_without_a_sandbox_is_written_in_the_campaigns_own_file(file: Path) -> None:
    assert load_config(file).sandbox.provider == "bubblewrap"
    file.write_text('sandbox = "none"\n' + file.read_text())
    assert load_config(file).sandbox.provider == "none"


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_job_that_comes_with_aar_can_be_read(job: Path) -> None:
    assert load_config(job).name == job.stem


def test_overrides_are_toml_values_or_else_plain_text(file: Path) -> None:
    config = load_config(
        file,
        [
            "budget.minutes=5",
            f"problem.student.model={HUB}",
            'compute.precision="float32"',
            "scoring.seeds = 2",
            "problem.recipe.last_layers=10",
        ],
    )
    assert config.budget.minutes == 5
    assert config.problem.student.model == HUB
    assert (config.compute.precision, config.scoring.seeds) == ("float32", 2)
    assert config.problem.recipe == Recipe(form="scalar_head", last_layers=10)


def test_several_datasets_may_be_for_research(file: Path) -> None:
    file.write_text(MINIMAL.replace('role = "transfer"', ""))
    assert [dataset.name for dataset in load_config(file).problem.research] == ["pairs", "moved"]
    file.write_text(MINIMAL)
    problem = load_config(file).problem
    assert [dataset.name for dataset in problem.research] == ["pairs"]
    assert [dataset.name for dataset in problem.transfer] == ["moved"]


def test_the_last_override_wins(file: Path) -> None:
    assert load_config(file, ["budget.minutes=5", "budget.minutes=7"]).budget.minutes == 7


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("budget.minuts=5", r"budget.minuts: unknown key; did you mean minutes?"),
        ("budgt.minutes=5", r"budgt: unknown key; did you mean budget?"),
        ("problem.recipe.learning=5", r"problem.recipe.learning: unknown key; valid keys: form, lora_rank"),
        ("problem.teacher.recipe.epoch=5", r"problem.teacher.recipe.epoch: unknown key; did you mean epochs?"),
        ("budget.minutes=soon", "budget.minutes: Input should be a valid number"),
        ("budget.minutes=0", "budget.minutes: Input should be greater than 0"),
        ("problem.recipe.form=both", "problem.recipe.form: Input should be 'label_token' or 'scalar_head'"),
        ("compute.zero_stage=3", "compute.zero_stage: Input should be 0, 1 or 2"),
        ("name=Über Alles", "name: String should match pattern"),
        ("scoring.seeds=9", "scoring: seeds (9) are drawn from the baselines' 5: lower seeds"),
        ("sandbox=none", "can only be chosen in the campaign's own file"),
        ("sandbox.provider=none", "can only be chosen in the campaign's own file"),
        ("budget", '"budget" is not an override; write key=value'),
        ("name.x=1", '"name.x=1": name has no keys below it'),
    ],
)
def test_an_invalid_override_is_refused_with_what_would_be_valid(file: Path, override: str, expected: str) -> None:
    assert expected in refused(file, override)


def test_an_unknown_key_in_a_list_is_named_with_its_place(file: Path) -> None:
    file.write_text(MINIMAL.replace('source = "minimal-pairs"', 'sorce = "minimal-pairs"'))
    message = refused(file)
    assert "problem.datasets.0.sorce: unknown key; did you mean source?" in message
    assert "problem.datasets.0.source: Field required" in message


def test_an_unknown_key_below_an_optional_part_is_named_too(file: Path) -> None:
    file.write_text(MINIMAL.replace("epochs = 5", "epoch = 5"))
    assert "problem.datasets.1.recipe.epoch: unknown key; did you mean epochs?" in refused(file)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            MINIMAL.replace('"minimal-pairs"', '"minimal-pairs"\nrole = "transfer"'),
            'at least one dataset must have role = "research"',
        ),
        (MINIMAL.replace('name = "moved"', 'name = "pairs"'), "two datasets share a name: pairs, pairs"),
        (MINIMAL + '[[researchers]]\nname = "ada"\ndirection = "x"\n', "two researchers share a name: ada, ada"),
        (MINIMAL + '[[researchers]]\nname = "platform"\ndirection = "x"\n', "no researcher may be called platform"),
        (MINIMAL.replace("[[researchers]]", "[researchers]"), "researchers: Input should be a valid list"),
        ("name = ", "not TOML"),
        ('name = "c"', "problem: Field required"),
        ("problem = 3\nresearchers = 4", "problem: Input should be"),
    ],
)
def test_an_invalid_file_is_refused_with_the_reason(file: Path, wrong: str, expected: str) -> None:
    file.write_text(wrong)
    message = refused(file)
    assert message.startswith(f"{file}: ")
    assert expected in message
    assert "Value error" not in message


def test_a_missing_file_and_one_that_is_not_text_are_named(tmp_path: Path) -> None:
    assert "missing.toml: cannot be read (No such file or directory)" in refused(tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "binary.toml: not TOML" in refused(tmp_path / "binary.toml")


def test_relative_paths_belong_to_the_file_and_names_stay_names(file: Path, tmp_path: Path) -> None:
    overrides = ["folder=./out", "problem.student.model=../models/m"]
    config = load_config(file, overrides)
    assert config.folder == tmp_path / "out"
    assert config.problem.student.model == str(tmp_path.parent / "models" / "m")
    assert config.problem.teacher.model == "minilm"
    assert [one.source for one in config.problem.datasets] == ["minimal-pairs", str(tmp_path / "moved")]
    assert config.researchers[0].direction == "strong-prior"


def test_the_home_folder_may_be_abbreviated(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert load_config(file, ["folder=~/out"]).folder == Path("/somewhere/out")


def test_a_dataset_is_found_by_name_or_by_being_for_research(file: Path) -> None:
    problem = load_config(file).problem
    assert problem.dataset().name == "pairs"
    assert problem.dataset("moved").role == "transfer"
    with pytest.raises(ConfigError, match='no dataset "other"; it has: pairs, moved'):
        problem.dataset("other")


def test_a_datasets_own_recipe_goes_before_the_problems(file: Path) -> None:
    problem = load_config(file).problem
    assert problem.recipe_for(problem.dataset("pairs")) == Recipe(form="scalar_head")
    assert problem.recipe_for(problem.dataset("moved")) == Recipe(epochs=5)


def test_a_resolved_configuration_survives_as_json(file: Path) -> None:
    config = load_config(file)
    assert CampaignConfig.model_validate_json(config.model_dump_json()) == config


def test_settings_do_not_change_after_they_are_read(file: Path) -> None:
    problem: ProblemConfig = load_config(file).problem
    with pytest.raises(ValidationError, match="frozen"):
        problem.recipe.epochs = 3


def test_a_researcher_cannot_have_the_platforms_name_in_the_records() -> None:
    assert {PLATFORM, CAMPAIGN} == set(RESERVED_NAMES)


@pytest.mark.parametrize("model", ["Qwen/Qwen3-4B-Base", "Qwen/Qwen3-4B-Base@main", "Qwen/Qwen3-4B-Base@0123456"])
def test_a_hub_name_without_its_commit_is_refused_with_the_way_to_learn_it(file: Path, model: str) -> None:
    message = refused(file, f"problem.student.model={model}")
    assert "problem.student.model" in message and "Write Qwen/Qwen3-4B-Base@COMMIT" in message
    assert "model_info('Qwen/Qwen3-4B-Base').sha" in message


@pytest.mark.parametrize("model", [HUB, "/models/qwen", "minilm"])
def test_what_always_means_the_same_model_is_accepted(file: Path, model: str) -> None:
    assert load_config(file, [f"problem.student.model={model}"]).problem.student.model == model
