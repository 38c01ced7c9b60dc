"""The draws of a campaign: which test rows are for feedback and which are sealed, and on which seeds things run.

The hidden test set is split once, into `dev` (feedback during research) and `sealed` (verification only). Rows that
share a question stay together, so that no answer in dev says anything about one in sealed. Within that, both splits get
the same shares of labels (and of questions of each size): groups are sorted by size and labels, at random among equals,
and dealt out evenly. The random order depends on the campaign's key, so nobody else can reproduce the split.
"""

import hashlib
import secrets
from collections import Counter

import numpy as np

from aar.config import PLATFORM, CampaignConfig
from aar.problems.dataset import Example, Judgement, Split, split_of
from aar.problems.key import Key, Stream
from aar.scoring.store import ScoreStore

INSTRUCTION_SHARE = 0.1
"""A text that a larger share of rows has in common is an instruction repeated in each row, not a question."""
SEED_RANGE = 1 << 20
DRAWN_SEEDS = 64
"""The number of verification seeds that are drawn at once, before the first verification."""
SEEDS_ENTRY = "seeds/verification"
"""Ledger key of the draw of verification seeds."""


def dev_and_sealed(test: Split, dev_share: float, key: Key) -> tuple[Split, Split]:
    """Split `test` into dev and sealed, each in the order of `test`."""
    questions = [_question(example) for example in test.examples]
    in_dev = dev_rows(questions, test.labels, dev_share, key.stream("dev and sealed"))
    rows = list(zip(test.examples, test.labels.tolist(), strict=True))
    dev, sealed = ([row for row, chosen in zip(rows, in_dev, strict=True) if chosen is side] for side in (True, False))
    return split_of(dev), split_of(sealed)


def dev_rows(questions: list[str], labels: np.ndarray, dev_share: float, stream: Stream) -> list[bool]:
    """Choose the rows that belong to dev.

    Args:
        questions: the question of each row. Rows with the same question stay together; "": the row is on its own.
        labels: (n,) of 0 and 1.
    """
    groups = _groups(questions)
    positives = [int(labels[rows].sum()) for rows in groups]
    chosen = np.zeros(len(questions), bool)
    seen = taken = 0
    # The stream's order breaks ties: `sorted` is stable, so groups that are alike stay in random order.
    for at in sorted(stream.order(len(groups)), key=lambda at: (len(groups[at]), positives[at])):
        seen += len(groups[at])
        if taken + len(groups[at]) / 2 <= dev_share * seen:
            taken += len(groups[at])
            chosen[groups[at]] = True
    return [bool(value) for value in chosen]


def _groups(questions: list[str]) -> list[list[int]]:
    instructions = {text for text, count in Counter(questions).items() if count > INSTRUCTION_SHARE * len(questions)}
    groups: dict[str | int, list[int]] = {}
    for row, question in enumerate(questions):
        alone = not question or question in instructions
        groups.setdefault(row if alone else question, []).append(row)
    return list(groups.values())


def _question(example: Example) -> str:
    return example.question if isinstance(example, Judgement) else example.prompt


def fingerprint(split: Split) -> str:
    """Return a digest of a split's texts and labels, for the ledger."""
    digest = hashlib.sha256(split.labels.tobytes())
    for example in split.examples:
        digest.update(repr(example).encode())
    return digest.hexdigest()


def research_seeds(config: CampaignConfig, key: Key) -> tuple[int, ...]:
    """Draw the baselines' seeds by the campaign's key. Experiments run on the first of them.

    All experiments run on the same seeds. So two experiments do not differ by their seeds, and submitting a method
    again does not give it another draw.
    """
    stream = key.stream("research seeds")
    drawn: dict[int, None] = {}
    while len(drawn) < config.scoring.baseline_seeds:
        drawn[int(stream.random() * SEED_RANGE)] = None
    return tuple(drawn)


def verification_seeds(config: CampaignConfig, store: ScoreStore, count: int) -> tuple[int, ...]:
    """Return `count` seeds that no research experiment ran on, drawn once per campaign from the system's generator."""
    entry = store.ledger_entry(SEEDS_ENTRY)
    if entry is None:
        used = set(research_seeds(config, store.key()))
        drawn = secrets.SystemRandom().sample(range(SEED_RANGE), DRAWN_SEEDS + len(used))
        fresh = [seed for seed in drawn if seed not in used][:DRAWN_SEEDS]
        entry = store.append_to_ledger("seeds", PLATFORM, SEEDS_ENTRY, {"seeds": fresh})
    return tuple(entry.body["seeds"][:count])
