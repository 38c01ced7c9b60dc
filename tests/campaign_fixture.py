"""A small campaign in a folder, as a real one leaves it, written through the real record, scorebook, forum, store."""

import sqlite3
from pathlib import Path

import numpy as np

from aar.campaign.events import FILE as RECORD_FILE
from aar.campaign.events import EventLog
from aar.campaign.state import CAMPAIGN
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum
from aar.config import PLATFORM, CampaignConfig, load_config
from aar.scoring.records import (
    VANILLA,
    Baselines,
    ControlResult,
    DatasetScore,
    DatasetVerification,
    Experiment,
    Score,
    Verification,
)
from aar.scoring.stats.pgr import Correctness, Gap, accuracy_estimate, difference, pgr_estimate
from aar.scoring.stats.uncertainty import Estimate
from aar.scoring.store import FILE as SCORES_FILE
from aar.scoring.store import ExperimentRequest, ScoreStore

ITEMS = 400
SEEDS = (11, 5, 7)
STARTED = 1_790_000_000.0
EXPERIMENT_SECONDS = 60.0
FAILURE = "method raised ValueError: targets has shape (3,), expected (800,) or (800, 2)\n  method.py line 4"
TRIALS = (
    ("researcher-1", "product of teacher and prior (70% prior), soft, weighted by confidence", 0.87),
    ("researcher-2", "weak labels, hard, most confident 50% of the rows", 0.82),
    ("researcher-3", "zero-shot prior, soft, only rows where teacher and prior agree", 0.90),
    ("researcher-1", "EM posterior of teacher and prior (start: 70% prior), soft, two rounds", 0.93),
)
TOML = """
name = "little"
{folder}
[problem]
teacher = {{ model = "minilm", examples = 150 }}
student = {{ model = "smollm2-135m" }}
recipe = {{ form = "scalar_head" }}

[[problem.datasets]]
name = "minimal-pairs"
source = "minimal-pairs"

[[problem.datasets]]
name = "sarcasm"
source = "sarcasm"
role = "transfer"

[scoring]
baseline_seeds = 3
seeds = 2

[budget]
minutes = 14
experiments_per_researcher = 3

[[researchers]]
name = "researcher-1"
direction = "strong-prior"

[[researchers]]
name = "researcher-2"
direction = "data-reweighting"

[[researchers]]
name = "researcher-3"
direction = "unsupervised-elicitation"
"""


def write_toml(base: Path, folder: Path | None = None) -> Path:
    """The campaign's TOML file; its folder is `folder`, or the usual one."""
    file = base / "little.toml"
    file.write_text(TOML.format(folder=f'folder = "{folder}"' if folder else ""))
    return file


def correctness(accuracy: float, seeds: int) -> Correctness:
    rng = np.random.default_rng([int(accuracy * 1000), seeds])
    return Correctness(rng.random((seeds, ITEMS)) < accuracy, tuple(sorted(SEEDS)[:seeds]))


WEAK, CEILING, REFERENCE = correctness(0.69, 3), correctness(0.97, 3), correctness(0.80, 3)


def write_campaign(file: Path, folder: Path, outcome: str | None = "finished") -> CampaignConfig:
    """A campaign of `file` in `folder`: baselines, vanilla, four scored experiments, one failed, one still running."""
    config = load_config(file)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config.model_dump_json())
    _write_scores(folder, _write_commons(folder / "commons"))
    _write_record(folder, config, outcome)
    return config


def _write_scores(folder: Path, snapshots: tuple[str, str]) -> None:
    book = ScoreStore(folder)
    for model, correct in (("teacher", WEAK), ("ceiling", CEILING), ("e1", REFERENCE)):
        book.save_correctness("minimal-pairs", "dev", model, dict(zip(sorted(SEEDS), correct.by_seed, strict=True)))
    ends = accuracy_estimate(WEAK), accuracy_estimate(CEILING)
    book.save_baselines(Baselines("minimal-pairs", SEEDS, *ends, ITEMS, *[Estimate(0.5, 0.45, 0.55)] * 2))
    first, changed = snapshots
    _score(book, _admit(book, PLATFORM, VANILLA, first), REFERENCE)
    for researcher, note, accuracy in TRIALS:
        _score(book, _admit(book, researcher, note, changed), correctness(accuracy, 2))
    book.fail(_admit(book, "researcher-2", "two rounds, [bold]hard[/bold]", changed).id, FAILURE)
    book.finish(_admit(book, "researcher-2", "as good as before", changed).id, None, {"released": False})
    _admit(book, "researcher-3", "still at it", changed)
    book.save_verification(verification("e5", correctness(0.975, 3)), {"experiment": "e5"})
    with sqlite3.connect(folder / SCORES_FILE) as database:  # one a minute
        database.execute(
            "UPDATE experiments SET started = ? + number * ?, ended = CASE WHEN ended THEN ? + (number + 1) * ? END",
            (STARTED, EXPERIMENT_SECONDS, STARTED, EXPERIMENT_SECONDS),
        )
    database.close()


def verification(experiment: str, student: Correctness) -> Verification:
    """A verification of an experiment whose students did so well."""
    lead, gap = difference(student, REFERENCE), Gap(student, WEAK, CEILING)
    accuracies = [accuracy_estimate(one) for one in (WEAK, REFERENCE, student, CEILING)]
    part = DatasetVerification("minimal-pairs", "research", ITEMS, *accuracies, pgr_estimate(gap), lead.estimate())
    shuffled = ControlResult("shuffled", "uses its teacher", Estimate(0.4, 0.3, 0.5), "PGR lost")
    pgr, over = pgr_estimate(gap), (lead / gap.size).estimate()
    return Verification(experiment, (1, 2, 3), pgr, over, lead.p_value(), 5, None, (part,), (shuffled,), None, STARTED)


def _admit(book: ScoreStore, researcher: str, note: str, snapshot: str) -> Experiment:
    seeds = SEEDS if researcher == PLATFORM else SEEDS[:2]
    return book.admit(ExperimentRequest(f"{researcher}/{note}", researcher, snapshot, ("minimal-pairs",), note, seeds))


def _score(book: ScoreStore, experiment: Experiment, correct: Correctness) -> None:
    pgr = pgr_estimate(Gap(correct, WEAK, CEILING))
    part = DatasetScore("minimal-pairs", correct.accuracy, pgr.value)
    score = Score(correct.accuracy, pgr.value, pgr.low, pgr.high, (part,))
    book.finish(experiment.id, score, {"released": True, "pgr": pgr.value})


def _write_commons(folder: Path) -> tuple[str, str]:
    folder.mkdir()
    store = CodeStore(folder / "code.git")
    first = store.publish("researcher-1", {"method.py": b"def supervise(lab): ...\n"}, "a first try", None, key="1")
    second = {"method.py": b"def supervise(lab): return 2\n", "notes/why.txt": b"why not\n"}
    changed = store.publish("researcher-2", second, "a second try", first.id, key="2")
    store.close()
    forum = Forum(folder / "forum.sqlite")
    post = forum.post("researcher-1", "hypothesis", "soft labels help", "Because\nthey do.", key="1", snapshot=first.id)
    forum.post("researcher-2", "result", "[red]PGR 0.40[/red] :smile:", "\u202eevil", key="2", experiment="e3",
               snapshot=changed.id, reply_to=post.id)  # fmt: skip
    forum.vote(post.id, "researcher-2", 1, key="3")
    forum.close()
    return first.id, changed.id


def _write_record(folder: Path, config: CampaignConfig, outcome: str | None) -> None:
    record = EventLog(folder)
    record.begin_run()
    record.event(CAMPAIGN, "research")
    for number, one in enumerate(config.researchers):
        record.event(one.name, f"experiment {number + 1}: soft labels, weighted by confidence, confidence loss")
    if outcome:
        record.event(CAMPAIGN, outcome)
        record.end_run(outcome)
    with sqlite3.connect(folder / RECORD_FILE) as database:
        database.execute("UPDATE runs SET started = ?, seen = ?", (STARTED, STARTED + 10 * EXPERIMENT_SECONDS))
    database.close()
