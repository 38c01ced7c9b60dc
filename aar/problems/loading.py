"""From a dataset's settings to the dataset: the one door through which the rest of aar gets data."""

import difflib
from pathlib import Path

from aar.config import DatasetConfig
from aar.errors import ProblemError
from aar.problems import sarcasm
from aar.problems.dataset import SPLITS, Dataset, Kind, Row, SplitName, split_of
from aar.problems.formats import read_folder
from aar.problems.grammar import pairs
from aar.problems.partition import sample

_DRAWN: dict[str, Kind] = {"minimal-pairs": "preference", "sarcasm": "binary"}
_DRAW = {"minimal-pairs": pairs.draw, "sarcasm": sarcasm.draw}


def load_dataset(config: DatasetConfig) -> Dataset:
    """The dataset, the same for the same settings in every process.

    Raises:
        ProblemError: the source is unknown, its files cannot be used, or it has fewer rows than are asked for.
        AssetError: the source has to be fetched and cannot be.
    """
    if config.source in _DRAW:
        draw, kind = _DRAW[config.source], _DRAWN[config.source]
        rows = {split: draw(split, _size(config, split), config.seed) for split in SPLITS}
    else:
        kind, rows = read_folder(_folder(config))
        rows = {split: _sampled(config, split, rows[split]) for split in SPLITS}
    return Dataset(config.name, kind, **{split: split_of(rows[split]) for split in SPLITS})


def _size(config: DatasetConfig, split: SplitName) -> int | None:
    return {"train_label": config.train_label, "train_unlabel": config.train_unlabel, "test": config.test}[split]


def _sampled(config: DatasetConfig, split: SplitName, rows: list[Row]) -> list[Row]:
    size = _size(config, split)
    if size is None:
        return rows
    if size > len(rows):
        raise ProblemError(
            f'dataset "{config.name}": {split} = {size}, but {config.source}/{split}.jsonl has {len(rows)} rows. '
            "Ask for fewer, or leave the size out to take them all."
        )
    return sample(rows, size, config.seed, f"folder/{split}")


def _folder(config: DatasetConfig) -> Path:
    folder = Path(config.source).expanduser()
    if folder.is_dir():
        return folder
    near = difflib.get_close_matches(config.source, _DRAW, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else "Give the path of a folder with the three JSONL files."
    raise ProblemError(
        f'dataset "{config.name}": its source "{config.source}" is neither {" nor ".join(_DRAW)} nor a folder. {hint}'
    )
