"""The mark that proves that a message to a researcher is from people."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aar.commons.quoting import new_mark, without_marks
from aar.errors import StorageError
from aar.researchers.commands import mark_of
from tests.researchers.full_disk import full_disk


def test_a_mark_is_drawn_once_and_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        marks = set(pool.map(lambda _: mark_of(tmp_path, "ada"), range(64)))
    assert len(marks) == 1 and without_marks(marks.pop()) == f"people-{'x' * 12}"
    [file] = (tmp_path / "researchers" / "ada").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_mark_that_could_not_be_written_is_never_an_empty_one(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(StorageError):
        mark_of(tmp_path, "ada")
    assert without_marks(mark_of(tmp_path, "ada")) == f"people-{'x' * 12}"
    assert [file.name for file in (tmp_path / "researchers" / "ada").iterdir()] == ["mark"]


def test_hidden_marks_keep_every_position_in_the_text() -> None:
    text = f"a[{new_mark()}]b people-of-the-town {new_mark()}"
    assert len(without_marks(text)) == len(text)
    assert without_marks(text) == f"a[people-{'x' * 12}]b people-of-the-town people-{'x' * 12}"
