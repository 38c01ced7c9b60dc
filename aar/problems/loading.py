"""Loads datasets by their settings. All other packages get their data through here."""

import difflib
from pathlib import Path

from aar.config import DatasetConfig
from aar.errors import ProblemError
from aar.problems import sarcasm
from aar.problems.dataset import SPLITS, Dataset, Kind, Row, SplitName, split_of
from aar.problems.formats import read_folder
from aar.problems.grammar import dialect, pairs
from aar.problems.key import Key, Sizes, sample

BUILTIN = ("minimal-pairs", "dialect", "sarcasm")


def load_dataset(config: DatasetConfig, key: Key) -> Dataset:
    """Load a dataset. The same settings and campaign key give the same dataset in every process.

    Raises:
        ProblemError: the source is unknown, its files are not valid, or it has fewer rows than requested.
        AssetError: the source has to be fetched and cannot be.
    """
    dataset_key = key.derived("dataset", config.name)
    sizes: Sizes = {split: getattr(config, split) for split in SPLITS}
    kind, rows = _rows(config, sizes, dataset_key)
    return Dataset(config.name, kind, **{split: split_of(rows[split]) for split in SPLITS})


def _rows(config: DatasetConfig, sizes: Sizes, key: Key) -> tuple[Kind, dict[SplitName, list[Row]]]:
    match config.source:
        case "minimal-pairs":
            return "preference", pairs.draw(sizes, key)
        case "dialect":
            return "preference", dialect.draw(sizes, key, config.concept)
        case "sarcasm":
            return "binary", sarcasm.draw(sizes, key)
    kind, rows = read_folder(_folder(config))
    return kind, {split: _sampled(config, split, rows[split], key) for split in SPLITS}


def _sampled(config: DatasetConfig, split: SplitName, rows: list[Row], key: Key) -> list[Row]:
    """Return rows in random order, even where all are taken: files may be sorted by label."""
    size: int | None = getattr(config, split)
    if size is not None and size > len(rows):
        raise ProblemError(
            f'dataset "{config.name}": {split} = {size}, but {config.source}/{split}.jsonl has {len(rows)} rows. '
            "Ask for fewer, or leave the size out to take them all."
        )
    return sample(rows, size, key.stream("folder", split))


def _folder(config: DatasetConfig) -> Path:
    folder = Path(config.source).expanduser()
    if folder.is_dir():
        return folder
    near = difflib.get_close_matches(config.source, BUILTIN, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else "Give the path of a folder with the three JSONL files."
    raise ProblemError(
        f'dataset "{config.name}": its source "{config.source}" is not one of {", ".join(BUILTIN)}, and not a folder. '
        f"{hint}"
    )
