"""What went wrong for researchers that think, told from their transcripts: also when they have gone on since."""

from dataclasses import dataclass
from pathlib import Path

from aar.researchers.transcript import read, transcript_folders


@dataclass(frozen=True)
class Troubles:
    """One researcher's: how many, the words of the last one, and when that was, in seconds since 1970."""

    count: int
    last: str
    time: float


def troubles_in(folder: Path) -> dict[str, Troubles]:
    """By researcher, those who had any in the campaign in `folder`. Raises StorageError: a transcript is damaged."""
    found = {name: list(read(place, only="trouble")) for name, place in transcript_folders(folder).items()}
    return {
        name: Troubles(len(entries), entries[-1].data["words"], entries[-1].time)
        for name, entries in found.items()
        if entries
    }
