"""Directions: built-in ones and files of one's own."""

from pathlib import Path

import pytest

from aar.errors import ConfigError
from aar.researchers.directions import builtin_directions, read_direction


def test_there_are_at_least_nine_directions_each_short_and_different() -> None:
    texts = {read_direction(name)[1] for name in builtin_directions()}
    assert len(texts) == len(builtin_directions()) >= 9
    assert all(20 < len(text) < 300 for text in texts)


def test_a_direction_may_be_a_text_file_named_after_itself(tmp_path: Path) -> None:
    (tmp_path / "my-idea.md").write_text("Look at long sentences.\n")
    assert read_direction(str(tmp_path / "my-idea.md")) == ("my-idea", "Look at long sentences.")


def test_a_direction_that_is_neither_is_refused_with_the_known_ones_named() -> None:
    with pytest.raises(ConfigError, match="neither a readable text file nor one of: agreement, "):
        read_direction("strong-priors")
