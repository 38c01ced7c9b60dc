"""The scorer's database: the campaign's key, experiments, correctness, baselines, verifications, and the ledger.

Everything that is acknowledged is on disk. Correctness is stored item by item, as packed bits, so that later questions
about an old experiment (an interval, a paired test) are answered from the original measurement. Whatever changes a
score is written in one transaction with its ledger entry.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from aar.commons.foreign import Foreign
from aar.config import PLATFORM
from aar.errors import ScoringError
from aar.models.recipe import Loss
from aar.problems.key import Key
from aar.scoring import ledger
from aar.scoring.ledger import LedgerEntry
from aar.scoring.records import Baselines, Experiment, ExperimentRun, FitRecipe, Labels, RunOutput, Score, Verification
from aar.scoring.stats.pgr import Correctness
from aar.storage import open_database, select, transaction

FILE = "scores.sqlite"
VERSION = 6
NOTED_REFUSALS = 20
"""At most this many refused admissions of one author get a ledger entry each; further ones are only counted."""
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS key (one INTEGER PRIMARY KEY CHECK (one = 1), secret BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS experiments (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, researcher TEXT NOT NULL, snapshot TEXT NOT NULL,
    datasets TEXT NOT NULL, note TEXT NOT NULL, seeds TEXT NOT NULL, status TEXT NOT NULL, score TEXT, failure TEXT,
    started REAL NOT NULL, ended REAL, labels TEXT NOT NULL, verification_of TEXT
);
CREATE TABLE IF NOT EXISTS trained (
    experiment TEXT NOT NULL, dataset TEXT NOT NULL, seed INTEGER NOT NULL, student TEXT, fits TEXT,
    returned INTEGER NOT NULL, PRIMARY KEY (experiment, dataset, seed)
);
CREATE TABLE IF NOT EXISTS correctness (
    dataset TEXT NOT NULL, test TEXT NOT NULL, model TEXT NOT NULL, seed INTEGER NOT NULL, items INTEGER NOT NULL,
    bits BLOB NOT NULL, PRIMARY KEY (dataset, test, model, seed)
);
CREATE TABLE IF NOT EXISTS baselines (dataset TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS verifications (
    experiment TEXT NOT NULL, seeds TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (experiment, seeds)
);
CREATE TABLE IF NOT EXISTS refusals (author TEXT PRIMARY KEY, count INTEGER NOT NULL);
{ledger.SCHEMA}
"""


@dataclass(frozen=True)
class ExperimentRequest:
    """A request to admit a snapshot as an experiment. `key`: idempotency key; for other fields, see Experiment."""

    key: str
    researcher: str
    snapshot: str
    datasets: tuple[str, ...]
    note: str
    seeds: tuple[int, ...]
    labels: Labels = "teacher"
    verification_of: str | None = None


class ScoreStore:
    """One campaign's scores. The scorer writes; any number of readers may open it `read_only` at the same time."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = open_database(folder / FILE, SCHEMA, version=VERSION, read_only=read_only)
        if not read_only:
            with transaction(self._db) as db:
                db.execute("INSERT OR IGNORE INTO key VALUES (1, ?)", (Key.new().secret,))

    def key(self) -> Key:
        """Return the campaign's key, which was drawn when the store was first opened."""
        return Key(select(self._db, "SELECT secret FROM key")[0]["secret"])

    def admit(self, request: ExperimentRequest) -> Experiment:
        """Return the experiment with this idempotency key; create it, as running, if there is none.

        Raises ScoringError when the key was used for another researcher or snapshot.
        """
        with transaction(self._db) as db:
            if db.execute("SELECT 1 FROM experiments WHERE key = ?", (request.key,)).fetchone() is None:
                row = asdict(request) | {"datasets": json.dumps(request.datasets), "seeds": json.dumps(request.seeds)}
                columns = ", ".join(row)
                marks = ", ".join(f":{column}" for column in row)
                db.execute(
                    f"INSERT INTO experiments ({columns}, status, started) VALUES ({marks}, 'running', :now)",
                    row | {"now": time.time()},
                )
                body = {**asdict(request), "experiment": self._by_key(request.key).id}
                ledger.append(db, "admitted", request.researcher, f"admitted/{request.key}", body)
            experiment = self._by_key(request.key)
        same = ("researcher", "snapshot", "labels", "verification_of")
        if any(getattr(experiment, name) != getattr(request, name) for name in same):
            raise ScoringError(f"{experiment.id} was started with this key, for something else; use a new key")
        return experiment

    def finish(self, experiment: str, score: Score | None, entry: dict[str, Any]) -> Experiment:
        """Record that a running experiment was scored, with its ledger entry. An earlier outcome stays."""
        kind: ledger.Kind = "measured" if self.experiment(experiment).verification_of else "answered"
        return self._end(experiment, kind, "scored", score, None, entry)

    def fail(self, experiment: str, failure: str) -> Experiment:
        """Record that a running experiment failed, and why. An earlier outcome stays."""
        return self._end(experiment, "failed", "failed", None, failure, {"failure": failure})

    def _end(
        self,
        experiment: str,
        kind: ledger.Kind,
        status: str,
        score: Score | None,
        failure: str | None,
        entry: dict[str, Any],
    ) -> Experiment:
        with transaction(self._db) as db:
            record = self.experiment(experiment)
            if record.status == "running":
                ended = time.time()
                db.execute(
                    "UPDATE experiments SET status = ?, score = ?, failure = ?, ended = ? WHERE number = ?",
                    (status, json.dumps(asdict(score)) if score else None, failure, ended, _number(experiment)),
                )
                body = {"experiment": experiment, "seconds": round(ended - record.started, 3), **entry}
                ledger.append(db, kind, record.researcher, f"{kind}/{experiment}", body)
        return self.experiment(experiment)

    def append_to_ledger(self, kind: ledger.Kind, author: str, key: str, body: dict[str, Any]) -> LedgerEntry:
        """Add a separate ledger entry; the same key again returns the first one. Raises as `ledger.append`."""
        with transaction(self._db) as db:
            return ledger.append(db, kind, author, key, body)

    def refuse(self, author: str, key: str, reason: str) -> None:
        """Record that an admission was refused; after NOTED_REFUSALS of an author, only count it."""
        sql = "INSERT INTO refusals VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"
        with transaction(self._db) as db:
            if ledger.entry_with_key(db, f"refused/{key}"):
                return
            count = db.execute(sql, (author,)).fetchone()["count"]
            if count <= NOTED_REFUSALS:
                last = {"further": "counted, and not entered one by one"} if count == NOTED_REFUSALS else {}
                ledger.append(db, "refused", author, f"refused/{key}", {"reason": reason, **last})

    def refusals(self, author: str) -> int:
        """Return how many admissions of an author were refused; a repeated one may count again."""
        rows = select(self._db, "SELECT count FROM refusals WHERE author = ?", author)
        return int(rows[0]["count"]) if rows else 0

    def ledger(self) -> list[LedgerEntry]:
        """Return the whole ledger, oldest entry first."""
        return ledger.entries(self._db)

    def ledger_head(self) -> str:
        """Return the digest that stands for the whole ledger."""
        return ledger.head(self._db)

    def ledger_entry(self, key: str) -> LedgerEntry | None:
        """Return the ledger entry with this idempotency key, if there is one."""
        return ledger.entry_with_key(self._db, key)

    def answers(self, researcher: str) -> list[LedgerEntry]:
        """Return the ledger entries of the answers to a researcher's experiments, oldest first."""
        return ledger.entries_of(self._db, "answered", researcher)

    def experiment(self, experiment: str) -> Experiment:
        """Return the experiment with this id. Raises ScoringError when it does not exist."""
        rows = select(self._db, "SELECT * FROM experiments WHERE number = ?", _number(experiment))
        if not rows:
            raise ScoringError(f"there is no experiment {experiment}")
        return _experiment(rows[0])

    def experiments(self, earlier: Sequence[Experiment] = ()) -> list[Experiment]:
        """Return all experiments, oldest first.

        Args:
            earlier: what an earlier call returned. Outcomes are final, so those that had one are not read again.
        """
        final = {record.id: record for record in earlier if record.status != "running"}
        running = json.dumps([_number(record.id) for record in earlier if record.status == "running"])
        last = _number(earlier[-1].id) if earlier else 0
        sql = "SELECT * FROM experiments WHERE number > ? OR number IN (SELECT value FROM json_each(?)) ORDER BY number"
        read = {record.id: record for record in map(_experiment, select(self._db, sql, last, running))}
        new = [record for id, record in read.items() if _number(id) > last]
        return [final.get(record.id) or read[record.id] for record in earlier] + new

    def count_started(self, researcher: str | None = None) -> int:
        """Return how many experiments a researcher has started, or all of them together, without the platform."""
        sql = "SELECT count(*) FROM experiments WHERE researcher != ? AND (? IS NULL OR researcher = ?)"
        return int(select(self._db, sql, PLATFORM, researcher, researcher)[0][0])

    def has(self, key: str) -> bool:
        """True if an experiment was admitted with this key."""
        return bool(select(self._db, "SELECT 1 FROM experiments WHERE key = ?", key))

    def save_outputs(self, experiment: str, outputs: Mapping[ExperimentRun, RunOutput]) -> None:
        """Store the outputs of an experiment's runs, without predictions."""
        with transaction(self._db) as db:
            for run, output in outputs.items():
                fits = None if output.fits is None else json.dumps([asdict(fit) for fit in output.fits])
                db.execute(
                    "INSERT OR REPLACE INTO trained VALUES (?, ?, ?, ?, ?, ?)",
                    (experiment, run.dataset, run.seed, output.student, fits, output.final_fit),
                )

    def outputs(self, experiment: str, dataset: str) -> dict[int, RunOutput]:
        """Return the stored outputs of a dataset's runs, by seed in ascending order."""
        sql = "SELECT * FROM trained WHERE experiment = ? AND dataset = ? ORDER BY seed"
        return {int(row["seed"]): _output(row) for row in select(self._db, sql, experiment, dataset)}

    def save_correctness(self, dataset: str, split: str, model: str, correct: Mapping[int, np.ndarray]) -> None:
        """Store which items of a split a model got right: by seed, (items,) bool each."""
        with transaction(self._db) as db:
            for seed, items in correct.items():
                db.execute(
                    "INSERT OR REPLACE INTO correctness VALUES (?, ?, ?, ?, ?, ?)",
                    (dataset, split, model, seed, len(items), np.packbits(items).tobytes()),
                )

    def correctness(self, dataset: str, split: str, model: str) -> Correctness | None:
        """Return the stored correctness of a model, seeds in ascending order, or None."""
        rows = select(
            self._db,
            "SELECT seed, items, bits FROM correctness WHERE dataset = ? AND test = ? AND model = ? ORDER BY seed",
            dataset, split, model,
        )  # fmt: skip
        unpacked = [np.unpackbits(np.frombuffer(row["bits"], np.uint8), count=row["items"]) for row in rows]
        seeds = tuple(int(row["seed"]) for row in rows)
        return Correctness(np.stack(unpacked).astype(bool), seeds) if unpacked else None

    def save_baselines(self, baselines: Baselines) -> None:
        """Store a dataset's baselines."""
        with transaction(self._db) as db:
            db.execute(
                "INSERT OR REPLACE INTO baselines VALUES (?, ?)", (baselines.dataset, json.dumps(asdict(baselines)))
            )

    def baselines(self, dataset: str) -> Baselines | None:
        """Return a dataset's baselines, or None before they were computed."""
        rows = select(self._db, "SELECT record FROM baselines WHERE dataset = ?", dataset)
        if not rows:
            return None
        return _BASELINES.validate_json(rows[0]["record"])

    def save_verification(self, verification: Verification, entry: dict[str, Any]) -> None:
        """Store a verification, with its ledger entry.

        It replaces an earlier one of the same experiment on the same seeds, which was the same look at sealed.
        """
        experiment = verification.experiment
        with transaction(self._db) as db:
            row = (experiment, json.dumps(verification.seeds), json.dumps(asdict(verification)))
            db.execute("INSERT OR REPLACE INTO verifications VALUES (?, ?, ?)", row)
            ledger.append(db, "verified", PLATFORM, f"verified/{experiment}/{verification.time}", entry)

    def verifications(self) -> list[Verification]:
        """Return all verifications, each a look at sealed; the latest of an experiment comes last."""
        rows = select(self._db, "SELECT record FROM verifications ORDER BY rowid")
        return [_VERIFICATION.validate_json(row["record"]) for row in rows]

    def _by_key(self, key: str) -> Experiment:
        return _experiment(select(self._db, "SELECT * FROM experiments WHERE key = ?", key)[0])


def _number(experiment: str) -> int:
    digits = experiment.removeprefix("e")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
        raise ScoringError(f'"{experiment}" is not an experiment id; ids look like e7')
    return int(digits)


_BASELINES = TypeAdapter(Baselines)
_VERIFICATION = TypeAdapter(Verification)
_SCORE = TypeAdapter(Score)


def _experiment(row: Any) -> Experiment:
    return Experiment(
        id=f"e{row['number']}",
        researcher=row["researcher"],
        snapshot=row["snapshot"],
        datasets=tuple(json.loads(row["datasets"])),
        note=Foreign(row["note"]),
        seeds=tuple(json.loads(row["seeds"])),
        status=row["status"],
        score=_SCORE.validate_json(row["score"]) if row["score"] else None,
        failure=None if row["failure"] is None else Foreign(row["failure"]),
        started=row["started"],
        ended=row["ended"],
        labels=row["labels"],
        verification_of=row["verification_of"],
    )


def _output(row: Any) -> RunOutput:
    fits = None if row["fits"] is None else tuple(_fit(fit) for fit in json.loads(row["fits"]))
    return RunOutput(row["student"], fits, row["returned"])


def _fit(fields: dict[str, Any]) -> FitRecipe:
    loss = Loss.named(fields["loss"]["name"], dict(fields["loss"]["options"]))
    distilled_from, average_of = tuple(fields["distilled_from"]), tuple(map(tuple, fields["average_of"]))
    return FitRecipe(**{**fields, "distilled_from": distilled_from, "average_of": average_of, "loss": loss})
