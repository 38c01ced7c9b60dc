"""The scorer's database: experiments, what their students got right, baselines and retests.

Everything that is acknowledged is on disk. Correctness is kept item by item, as packed bits, so that any later question
about an old experiment (an interval, a paired test) is answered from what was measured then.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from aar.database import open_database, select, transaction
from aar.errors import ScoringError
from aar.scoring.pgr import Correctness, Estimate
from aar.scoring.records import Baselines, Experiment, Retest, Score

FILE = "scores.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS experiments (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, researcher TEXT NOT NULL, snapshot TEXT NOT NULL,
    dataset TEXT NOT NULL, note TEXT NOT NULL, seeds TEXT NOT NULL, status TEXT NOT NULL, score TEXT, failure TEXT,
    started REAL NOT NULL, ended REAL
);
CREATE TABLE IF NOT EXISTS correctness (
    dataset TEXT NOT NULL, test TEXT NOT NULL, model TEXT NOT NULL, seed INTEGER NOT NULL, student TEXT,
    items INTEGER NOT NULL, bits BLOB NOT NULL, PRIMARY KEY (dataset, test, model, seed)
);
CREATE TABLE IF NOT EXISTS baselines (dataset TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS retests (experiment TEXT, test_seed INTEGER, record TEXT NOT NULL,
    PRIMARY KEY (experiment, test_seed));
"""


class Scorebook:
    """One campaign's scores. The scorer writes; any number of readers may open it `read_only` beside it."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = open_database(folder / FILE, SCHEMA, read_only=read_only)

    def admit(self, key: str, researcher: str, snapshot: str, dataset: str, note: str) -> tuple[Experiment, bool]:
        """The experiment with this idempotency key, and whether it is new. A new one is running and has no seeds yet.

        Raises ScoringError when the key was used for another snapshot or dataset.
        """
        with transaction(self._db) as db:
            row = db.execute("SELECT * FROM experiments WHERE key = ?", (key,)).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO experiments (key, researcher, snapshot, dataset, note, seeds, status, started) "
                    "VALUES (?, ?, ?, ?, ?, '[]', 'running', ?)",
                    (key, researcher, snapshot, dataset, note, time.time()),
                )
                return self._by_key(key), True
        found = _experiment(row)
        if (found.snapshot, found.dataset) != (snapshot, dataset):
            raise ScoringError(f"{found.id} was started with this key for another snapshot; use a new key")
        return found, False

    def set_seeds(self, experiment: str, seeds: tuple[int, ...]) -> Experiment:
        """Note which seeds were drawn."""
        with transaction(self._db) as db:
            db.execute("UPDATE experiments SET seeds = ? WHERE number = ?", (json.dumps(seeds), _number(experiment)))
        return self.experiment(experiment)

    def finish(self, experiment: str, score: Score | None, failure: str | None) -> Experiment:
        """Record the outcome of a running experiment; one that has an outcome keeps it."""
        status = "scored" if score else "failed"
        with transaction(self._db) as db:
            db.execute(
                "UPDATE experiments SET status = ?, score = ?, failure = ?, ended = ? "
                "WHERE number = ? AND status = 'running'",
                (status, json.dumps(asdict(score)) if score else None, failure, time.time(), _number(experiment)),
            )
        return self.experiment(experiment)

    def experiment(self, experiment: str) -> Experiment:
        """One experiment by its id. Raises ScoringError when there is none."""
        rows = select(self._db, "SELECT * FROM experiments WHERE number = ?", _number(experiment))
        if not rows:
            raise ScoringError(f"there is no experiment {experiment}")
        return _experiment(rows[0])

    def experiments(self) -> list[Experiment]:
        """All experiments, oldest first."""
        return [_experiment(row) for row in select(self._db, "SELECT * FROM experiments ORDER BY number")]

    def count(self, researcher: str) -> int:
        """How many experiments this researcher has started."""
        return int(select(self._db, "SELECT count(*) FROM experiments WHERE researcher = ?", researcher)[0][0])

    def has(self, key: str) -> bool:
        """Was an experiment admitted with this key?"""
        return bool(select(self._db, "SELECT 1 FROM experiments WHERE key = ?", key))

    def keep_correctness(
        self, dataset: str, test: str, model: str, correct: Mapping[int, np.ndarray], students: Mapping[int, str]
    ) -> None:
        """Store who was right, by seed: (items,) bool each. `students` gives the key of each seed's student, if any."""
        with transaction(self._db) as db:
            for seed, items in correct.items():
                db.execute(
                    "INSERT OR REPLACE INTO correctness VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (dataset, test, model, seed, students.get(seed), len(items), np.packbits(items).tobytes()),
                )

    def correctness(self, dataset: str, test: str, model: str) -> Correctness | None:
        """What `keep_correctness` stored, seeds in ascending order, or None."""
        rows = select(
            self._db,
            "SELECT seed, items, bits FROM correctness WHERE dataset = ? AND test = ? AND model = ? ORDER BY seed",
            dataset, test, model,
        )  # fmt: skip
        unpacked = [np.unpackbits(np.frombuffer(row["bits"], np.uint8), count=row["items"]) for row in rows]
        seeds = tuple(int(row["seed"]) for row in rows)
        return Correctness(np.stack(unpacked).astype(bool), seeds) if unpacked else None

    def students(self, dataset: str, model: str) -> dict[int, str]:
        """Keys of a model's students, by seed."""
        rows = select(
            self._db,
            "SELECT DISTINCT seed, student FROM correctness WHERE dataset = ? AND model = ? AND student IS NOT NULL",
            dataset, model,
        )  # fmt: skip
        return {int(row["seed"]): str(row["student"]) for row in rows}

    def keep_baselines(self, baselines: Baselines) -> None:
        """Store a dataset's baselines."""
        with transaction(self._db) as db:
            db.execute(
                "INSERT OR REPLACE INTO baselines VALUES (?, ?)", (baselines.dataset, json.dumps(asdict(baselines)))
            )

    def baselines(self, dataset: str) -> Baselines | None:
        """A dataset's baselines, once they were computed."""
        rows = select(self._db, "SELECT record FROM baselines WHERE dataset = ?", dataset)
        if not rows:
            return None
        record = json.loads(rows[0]["record"])
        record["seeds"] = tuple(record["seeds"])
        return Baselines(**{**record, "weak": Estimate(**record["weak"]), "ceiling": Estimate(**record["ceiling"])})

    def keep_retest(self, retest: Retest) -> None:
        """Store a retest."""
        with transaction(self._db) as db:
            db.execute(
                "INSERT OR REPLACE INTO retests VALUES (?, ?, ?)",
                (retest.experiment, retest.test_seed, json.dumps(asdict(retest))),
            )

    def retests(self) -> list[Retest]:
        """All retests."""
        return [_retest(json.loads(row["record"])) for row in select(self._db, "SELECT record FROM retests")]

    def _by_key(self, key: str) -> Experiment:
        return _experiment(select(self._db, "SELECT * FROM experiments WHERE key = ?", key)[0])


def _number(experiment: str) -> int:
    digits = experiment.removeprefix("e")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
        raise ScoringError(f'"{experiment}" is no experiment; ids look like e7')
    return int(digits)


def _experiment(row: Any) -> Experiment:
    score = json.loads(row["score"]) if row["score"] else None
    return Experiment(
        id=f"e{row['number']}",
        researcher=row["researcher"],
        snapshot=row["snapshot"],
        dataset=row["dataset"],
        note=row["note"],
        seeds=tuple(json.loads(row["seeds"])),
        status=row["status"],
        score=Score(**{**score, "accuracies": tuple(score["accuracies"])}) if score else None,
        failure=row["failure"],
        started=row["started"],
        ended=row["ended"],
    )


def _retest(record: dict[str, Any]) -> Retest:
    over = record["over_vanilla"]
    return Retest(
        experiment=record["experiment"],
        test_seed=record["test_seed"],
        accuracy=Estimate(**record["accuracy"]),
        pgr=Estimate(**record["pgr"]),
        over_vanilla=Estimate(**over) if over else None,
        items=record["items"],
    )
