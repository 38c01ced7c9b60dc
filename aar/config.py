"""The settings of a campaign: one frozen model per part, read from TOML, with `part.key=value` overrides.

Data only. An unknown key is refused with the nearest valid key. A relative path in a file is relative to that file. The
resolved configuration is stored in the campaign folder and is all that a campaign needs to run again.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from aar.errors import ConfigError
from aar.models.recipe import Recipe

PLATFORM = "platform"
"""The author and account of what no researcher pays for: baselines, reference experiments, verification."""
RESERVED_NAMES = (PLATFORM, "campaign")
"""Names of the platform and of the campaign's own events in its records; not allowed for researchers."""


class Settings(BaseModel):
    """The base of every part: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _pinned(model: str) -> str:
    """Return `model`; refuse a hub name without a commit, which may have other weights tomorrow."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(@.*)?", model) or re.search("@[0-9a-f]{40}$", model) or model[0] in ".~/":
        return model
    name = model.partition("@")[0]
    raise ValueError(
        f'the hub name "{model}" does not name a commit. Write {name}@COMMIT with its 40 hex digits; this '
        f"prints it: python -c \"import huggingface_hub as hub; print(hub.model_info('{name}').sha)\""
    )


Model = Annotated[str, AfterValidator(_pinned)]
"""A name in aar's catalog, a hub name with its commit (`Qwen/Qwen3-4B-Base@<40 hex digits>`), or a local folder."""


class TeacherConfig(Settings):
    """The weak model. "encoder": a frozen sentence encoder under a linear head; "causal_lm": fine-tuned by `recipe`."""

    model: Model
    kind: Literal["encoder", "causal_lm"] = "encoder"
    examples: int | None = Field(default=None, ge=8, description="labelled examples per seed; None: all of train_label")
    recipe: Recipe = Recipe()


class StudentConfig(Settings):
    """The strong model."""

    model: Model


class DatasetConfig(Settings):
    """One dataset. `source` is "dialect", "minimal-pairs", "sarcasm", or a folder with the three published JSONL files.

    Sizes are the numbers of rows to draw, at random by the campaign's key; None draws all rows of a folder.
    Researchers see datasets with role "research", and a score is the mean over them. The others test whether a finding
    transfers.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    source: str
    concept: int | None = Field(
        default=None, ge=0, description="of a dialect: which one; drawn by the campaign's key where it is not given"
    )
    role: Literal["research", "transfer"] = "research"
    train_label: int | None = Field(default=None, ge=8)
    train_unlabel: int | None = Field(default=None, ge=8)
    test: int | None = Field(default=None, ge=8)
    recipe: Recipe | None = Field(default=None, description="this dataset's own recipe instead of the problem's")

    @model_validator(mode="after")
    def _has_a_concept(self) -> "DatasetConfig":
        if self.concept is not None and self.source != "dialect":
            raise ValueError(f'concept is a setting of source = "dialect"; {self.source} has none')
        return self


class ProblemConfig(Settings):
    """Datasets, the weak and the strong model, and the training recipe."""

    teacher: TeacherConfig
    student: StudentConfig
    recipe: Recipe
    datasets: list[DatasetConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_research_datasets(self) -> "ProblemConfig":
        names = [dataset.name for dataset in self.datasets]
        if len(set(names)) != len(names):
            raise ValueError(f"two datasets share a name: {', '.join(names)}")
        if not self.research:
            raise ValueError('at least one dataset must have role = "research"')
        return self

    @property
    def research(self) -> list[DatasetConfig]:
        """Return the datasets that researchers work on, in the order of the file."""
        return [dataset for dataset in self.datasets if dataset.role == "research"]

    @property
    def transfer(self) -> list[DatasetConfig]:
        """Return the datasets that researchers do not see."""
        return [dataset for dataset in self.datasets if dataset.role == "transfer"]

    def dataset(self, name: str | None = None) -> DatasetConfig:
        """Return the dataset called `name`, or the first research dataset. Raises ConfigError if it does not exist."""
        for dataset in self.datasets:
            if dataset.name == name or (name is None and dataset.role == "research"):
                return dataset
        names = ", ".join(dataset.name for dataset in self.datasets)
        raise ConfigError(f'the problem has no dataset "{name}"; it has: {names}')

    def recipe_for(self, dataset: DatasetConfig) -> Recipe:
        """Return the dataset's own recipe, or the problem's."""
        return dataset.recipe or self.recipe


class ScoringConfig(Settings):
    """The scoring of researchers' submissions.

    `protocol` "weights": method code never sees a test input; the platform predicts with the student. "predictions":
    method code sees the dev inputs and submits predictions, as in the published system; its scores are marked and never
    ranked with others.
    """

    protocol: Literal["weights", "predictions"] = "weights"
    baseline_seeds: int = Field(default=5, ge=1, le=64, description="number of seeds of teacher and ceiling")
    seeds: int = Field(default=3, ge=1, le=64, description="number of the baselines' seeds that an experiment runs on")
    dev_share: float = Field(default=0.5, ge=0.1, le=0.9, description="of the hidden test set; the rest is sealed")
    ladder_step: float = Field(default=0.02, gt=0, le=1, description="in PGR: smallest released improvement, rounding")
    ladder_level: float = Field(default=0.05, gt=0, lt=0.5, description="significance of the first submission's test")

    @model_validator(mode="after")
    def _seeds_are_paired(self) -> "ScoringConfig":
        if self.seeds > self.baseline_seeds:
            raise ValueError(f"seeds ({self.seeds}) are drawn from the baselines' {self.baseline_seeds}: lower seeds")
        return self


class ClaudeConfig(Settings):
    """The language model of a `claude` researcher, behind any endpoint with the Messages API.

    Its address and key come from the environment of the `anthropic` package (ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY and
    others), never from a setting. A setting that is None is not sent, for endpoints that do not support it.
    """

    model: str = "claude-opus-5-5"
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = "high"
    thinking: Literal["adaptive", "disabled"] | None = "adaptive"
    max_tokens: int = Field(default=32_000, ge=256, description="of one reply, thinking included")
    cache: Literal["5m", "1h"] | None = Field(default="5m", description="how long prompts are cached")
    compact_at: int | None = Field(
        default=150_000, ge=50_000, description="the endpoint summarises prompts with more tokens"
    )
    prices: Path | None = Field(default=None, description="a price table in place of aar's own")
    prompt: Path | None = Field(default=None, description="a system prompt in place of aar's own")


class UsageLimits(Settings):
    """Maximum use; None: no limit. Device seconds are those of experiments."""

    tokens: int | None = Field(default=None, gt=0, description="of every kind, cached ones included")
    dollars: float | None = Field(default=None, gt=0)
    experiments: int | None = Field(default=None, ge=1)
    checks: int | None = Field(default=None, ge=1, description="quick checks")
    cpu_seconds: float | None = Field(default=None, gt=0)
    gpu_seconds: float | None = Field(default=None, gt=0)


class ResearcherBudget(UsageLimits):
    """The budget of one researcher. `minutes` is its wall time over all runs of the campaign."""

    minutes: float | None = Field(default=None, gt=0)
    storage_mib: int = Field(default=16 * 1024, ge=1, description="of everything stored for it: students, posts, ...")


Control = Literal["shuffled", "teachers", "recipe", "capability"]


class VerificationConfig(Settings):
    """Verification at a campaign's end: of the `best` methods, each on `seeds` fresh seeds, with these controls."""

    best: int = Field(default=3, ge=0)
    seeds: int = Field(default=5, ge=2, le=64)
    controls: list[Control] = ["shuffled", "teachers", "recipe", "capability"]
    transfer: bool = Field(default=True, description="also on the datasets that researchers do not see")


class ResearcherConfig(Settings):
    """One researcher. `direction` is the name of a built-in direction or a path to a text file; None for none.

    `claude` and `budget` replace the campaign's defaults for researchers.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    brain: Literal["search", "claude", "external"] = "search"
    direction: str | None = None
    claude: ClaudeConfig | None = None
    budget: ResearcherBudget | None = None

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"no researcher may be called {' or '.join(RESERVED_NAMES)}; choose another name")
        return name


class BudgetConfig(UsageLimits):
    """The budget of a campaign. `minutes` is wall time over all its runs, including baselines."""

    minutes: float = Field(default=60, gt=0)
    experiments_per_researcher: int = Field(default=8, ge=1)
    checks_per_researcher: int = Field(default=100, ge=1, description="quick checks of methods")
    verification_minutes: float = Field(default=0, ge=0, description="of `minutes`, reserved for verification")
    fits_per_method: int = Field(default=8, ge=1, description="fine_tune calls per run of supervise(lab)")
    researcher: ResearcherBudget = ResearcherBudget()


class ComputeConfig(Settings):
    """The Ray Train job that trains and predicts.

    Each of `workers` loads the base model once. With `zero_stage` 0 every worker trains its own students. With 1 or 2
    all workers train each student together, and DeepSpeed ZeRO shards its optimizer state.
    """

    workers: int = Field(default=1, ge=1)
    cpus_per_worker: float = Field(default=2, gt=0)
    gpus_per_worker: float = Field(default=0, ge=0)
    zero_stage: Literal[0, 1, 2] = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class ProgramsConfig(Settings):
    """The training programs of methods, `lab.train`: how many a run may start, and the limits of each."""

    per_method: int = Field(default=2, ge=0)
    ranks: int = Field(default=4, ge=1, le=64, description="maximum processes of one program")
    cpus: int = Field(default=2, ge=1, description="threads of all its processes together")
    gpus: int = Field(default=0, ge=0, description="devices of one program, which Ray reserves for it")
    memory_gib: float = Field(default=8, gt=0, description="or the machine's memory for programs, if that is less")
    wall_seconds: float = Field(default=1800, gt=0)


class SandboxConfig(Settings):
    """The sandboxes of agents' code, and the limits of each.

    `provider` "none" means no isolation: every score of the campaign is marked. It can only be chosen in a campaign's
    own TOML, as `sandbox = "none"`.
    """

    provider: Literal["bubblewrap", "none"] = "bubblewrap"
    memory_gib: float = Field(default=1, gt=0, description="of one sandbox; see aar.sandbox.memory for all together")
    cpu_seconds: int = Field(default=600, ge=1)
    wall_seconds: int = Field(default=3600, ge=1, description="includes time spent waiting for lab calls")
    processes: int = Field(default=64, ge=1)
    file_mib: int = Field(default=256, ge=1, description="of one file, and of all of /tmp")
    disk_mib: int = Field(default=1024, ge=1, description="of a workspace")
    files: int = Field(default=20_000, ge=100, description="files and folders of a workspace")


class ClusterConfig(Settings):
    """The Ray cluster. `address` None: the cluster of this process (a submitted job), or else a new local one."""

    address: str | None = None
    allow_open: bool = Field(default=False, description="use a remote cluster even if it requires no token")
    dashboard_port: int = Field(default=8265, ge=1, le=65535)


def _sandbox_settings(value: Any) -> Any:
    return {"provider": "none"} if value == "none" else value


class CampaignConfig(Settings):
    """One campaign. `folder` None: `~/aar/<name>`, or `$AAR_HOME/<name>`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    folder: Path | None = None
    problem: ProblemConfig
    researchers: list[ResearcherConfig] = Field(min_length=1)
    claude: ClaudeConfig = ClaudeConfig()
    scoring: ScoringConfig = ScoringConfig()
    verification: VerificationConfig = VerificationConfig()
    budget: BudgetConfig = BudgetConfig()
    compute: ComputeConfig = ComputeConfig()
    programs: ProgramsConfig = ProgramsConfig()
    sandbox: Annotated[SandboxConfig, BeforeValidator(_sandbox_settings)] = SandboxConfig()
    cluster: ClusterConfig = ClusterConfig()

    @model_validator(mode="after")
    def _names_are_unique(self) -> "CampaignConfig":
        names = [researcher.name for researcher in self.researchers]
        if len(set(names)) != len(names):
            raise ValueError(f"two researchers share a name: {', '.join(names)}")
        return self

    def researcher(self, name: str) -> ResearcherConfig:
        """Return a researcher's settings: the defaults for one that is not configured but was added to the campaign."""
        return next((each for each in self.researchers if each.name == name), None) or ResearcherConfig(name=name)


def load_config(file: Path, overrides: list[str] | None = None) -> CampaignConfig:
    """Read a campaign's TOML and apply overrides such as `budget.minutes=5` (values are TOML, or else plain text).

    Raises:
        ConfigError: the file is missing or not TOML, or a key or value is invalid; the message names it.
    """
    try:
        data = tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}). Give a campaign's TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    for override in overrides or []:
        _apply(data, override)
        _check_protection(override)
    _resolve_paths(data, file.resolve().parent)
    try:
        return CampaignConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{file}: " + "; ".join(_explain(item) for item in error.errors())) from None


def _apply(data: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator:
        raise ConfigError(f'"{override}" is not an override; write key=value, for example budget.minutes=5')
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = path.strip().split(".")
    for depth, key in enumerate(parents):
        node = data.setdefault(key, {})
        if not isinstance(node, dict):
            raise ConfigError(f'"{override}": {".".join(parents[: depth + 1])} has no keys below it')
        data = node
    data[last] = value


def _check_protection(override: str) -> None:
    """Refuse to choose the sandbox on the command line: this decision must be readable in the campaign's file."""
    key = override.partition("=")[0].strip()
    if key in ("sandbox", "sandbox.provider"):
        raise ConfigError(f'"{override}": the sandbox can only be chosen in the campaign\'s own file')


def _resolve_paths(data: dict[str, Any], base: Path) -> None:
    def absolute(node: Any, key: str) -> None:
        value = node.get(key) if isinstance(node, dict) else None
        if isinstance(value, str) and value.startswith((".", "~", "/")):
            node[key] = str((base / Path(value).expanduser()).resolve())

    absolute(data, "folder")
    for node, key in _path_settings(data):
        absolute(node, key)


def _path_settings(data: dict[str, Any]) -> list[tuple[Any, str]]:
    problem = data.get("problem")
    problem = problem if isinstance(problem, dict) else {}
    datasets, researchers = problem.get("datasets"), data.get("researchers")
    researchers = researchers if isinstance(researchers, list) else []
    paths: list[tuple[Any, str]] = [(problem.get("teacher"), "model"), (problem.get("student"), "model")]
    paths += [(node, "source") for node in datasets] if isinstance(datasets, list) else []
    paths += [(node, "direction") for node in researchers]
    claudes = [data.get("claude"), *(node.get("claude") for node in researchers if isinstance(node, dict))]
    paths += [(claude, name) for claude in claudes for name in ("prices", "prompt")]
    return paths


def _explain(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        return f"{where or 'the file'}: {item['msg'].removeprefix('Value error, ')}"
    keys = list(_model_at(item["loc"][:-1]).model_fields)
    near = difflib.get_close_matches(str(item["loc"][-1]), keys, n=1)
    hint = f"did you mean {near[0]}?" if near else f"valid keys: {', '.join(keys)}"
    return f"{where}: unknown key; {hint}"


def _model_at(location: tuple[Any, ...]) -> type[BaseModel]:
    """Return the settings class at a location such as ("problem", "datasets", 0)."""
    model: type[BaseModel] = CampaignConfig
    for part in location:
        if isinstance(part, str):
            model = _settings_in(model.model_fields[part].annotation)
    return model


def _settings_in(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_settings_in(inner) for inner in annotation.__args__ if inner is not type(None))
