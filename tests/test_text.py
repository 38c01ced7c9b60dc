"""Foreign text is refused with what to change, or made acceptable: never does a control character get through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError, field_validator

from aar.text import checked_line, checked_text, explain, fitted_line, fitted_text, is_unseen

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)
LIMITS = st.integers(min_value=20, max_value=120)


@pytest.mark.parametrize("text", ["", "two\nlines\tand a tab", "naïve 日本 \N{SNOWMAN}", "a\u200djoined\ufe0f emoji"])
def test_ordinary_text_is_accepted_as_it_is(text: str) -> None:
    assert checked_text(text, 100) == text


@pytest.mark.parametrize("character", ["\0", "\x1b", "\r", "\x7f", "\x9b", "\ud800"])
def test_a_control_character_is_refused_with_its_position(character: str) -> None:
    with pytest.raises(ValueError, match="at position 2; of the control characters, only newline and tab are allowed"):
        checked_text(f"ab{character}", 100)


def test_a_text_is_limited_in_bytes_and_not_in_characters() -> None:
    assert checked_text("é" * 5, 10)
    with pytest.raises(ValueError, match="has 12 bytes; at most 10 are allowed"):
        checked_text("é" * 6, 10)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "is empty"),
        (" \t ", "is empty"),
        ("a\nb", "has a line break; write one line"),
        ("x" * 11, "has 11 characters; at most 10 are allowed"),
        ("a\tb", r"has '\\t' at position 1, which is invisible; remove it"),
        ("a\u202eb", r"has '\\u202e' at position 1, which is invisible"),
        ("\u2800", r"has '\\u2800' at position 0"),
        ("a\x1b", r"has '\\x1b' at position 1"),
    ],
)
def test_a_line_that_is_not_one_visible_line_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        checked_line(line, 10)


@pytest.mark.parametrize("character", ["\n", "\t", "\u200d", "\u2028", "\u3164", "\ufe00", "\U000e0041"])
def test_characters_without_a_mark_of_their_own_are_unseen(character: str) -> None:
    assert is_unseen(character)


@pytest.mark.parametrize("character", ["a", " ", "é", "日", "\N{SNOWMAN}", "\ufe0f"])
def test_letters_blanks_and_the_style_of_an_emoji_are_seen(character: str) -> None:
    assert not is_unseen(character)


@given(ANY_TEXT, LIMITS)
def test_any_text_can_be_fitted_and_is_then_accepted(text: str, limit: int) -> None:
    fitted = fitted_text(text, limit)
    assert checked_text(fitted, limit) == fitted


@given(ANY_TEXT, LIMITS)
def test_any_text_can_be_fitted_on_a_line_and_is_then_accepted(text: str, limit: int) -> None:
    line = fitted_line(text, limit)
    assert checked_line(line, limit) == line


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_what_is_acceptable_is_not_changed_by_fitting(text: str) -> None:
    if not any(map(is_unseen, text)):
        assert (fitted_text(text, 100), fitted_line(text, 100)) == (text, text)


def test_fitting_shows_what_was_removed_and_that_something_was_cut() -> None:
    assert fitted_text("a\x1b[2J\nb", 100) == "a<U+001B>[2J\nb"
    assert fitted_line("a\nb\u202ec", 100) == "a b<U+202E>c"
    assert fitted_line("x" * 50, 20) == "x" * 14 + " [...]"
    assert fitted_text("é" * 50, 20) == "é" * 7 + " [...]"
    assert fitted_line(" \n", 20) == "(nothing)"


class Draft(BaseModel):
    """Two fields that can be wrong."""

    title: str
    votes: int = Field(ge=0)

    @field_validator("title")
    @classmethod
    def _check(cls, title: str) -> str:
        return checked_line(title, 10)


def test_a_validation_error_is_explained_on_one_line_with_each_field() -> None:
    with pytest.raises(ValidationError) as error:
        Draft.model_validate({"title": "a\nb", "votes": -1})
    text = explain(error.value)
    assert text == "title has a line break; write one line; votes Input should be greater than or equal to 0"
