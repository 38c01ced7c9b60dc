"""Foreign text is accepted unchanged, refused with what to change, or fitted so that it is accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from aar.text import checked_line, checked_text, explain, fitted_line, fitted_text, is_unseen

ESCAPE, NUL, RETURN, SURROGATE = "\x1b[2J", "\0", "\r", "\ud800"
RIGHT_TO_LEFT, ZERO_WIDTH, LINE_SEPARATOR, BRAILLE_BLANK, TAG = "\u202e", "\u200b", "\u2028", "\u2800", "\U000e0041"


@pytest.mark.parametrize("text", ["", "two\nlines\tand a tab", "Grüße, 你好, 👍\ufe0f", "<script>", "a" * 100])
def test_a_text_of_ordinary_characters_is_accepted_as_it_is(text: str) -> None:
    assert checked_text(text, 100) == text


@pytest.mark.parametrize("unwanted", [ESCAPE, NUL, RETURN, SURROGATE, "\x7f", "\x85"])
def test_a_text_with_a_control_character_is_refused_with_its_place(unwanted: str) -> None:
    with pytest.raises(ValueError, match=r"at position 3; of the control characters, only newline and tab"):
        checked_text(f"abc{unwanted}", 100)


def test_the_size_of_a_text_is_counted_in_bytes() -> None:
    assert checked_text("ü" * 50, 100)
    with pytest.raises(ValueError, match="has 102 bytes; at most 100 are allowed"):
        checked_text("ü" * 51, 100)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "is empty"),
        (" \t ", "is empty"),
        ("two\nlines", "has a line break; write one line"),
        ("x" * 21, "has 21 characters; at most 20 are allowed"),
        (f"gold{RIGHT_TO_LEFT}txt", r"has '\\u202e' at position 4, which is invisible; remove it"),
        (f"a{ZERO_WIDTH}b", r"has '\\u200b' at position 1"),
        (f"a{LINE_SEPARATOR}b", r"has '\\u2028' at position 1"),
        (BRAILLE_BLANK, r"has '\\u2800' at position 0"),
        (f"a{TAG}", r"has '\\U000e0041' at position 1"),
        ("a\tb", r"has '\\t' at position 1"),
    ],
)
def test_a_line_that_is_not_one_visible_line_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        checked_line(line, 20)


@pytest.mark.parametrize("line", ["soft labels", "Ünïcödé 你好", "👍\ufe0f", "x" * 20])
def test_an_ordinary_line_is_accepted_as_it_is(line: str) -> None:
    assert checked_line(line, 20) == line


@pytest.mark.parametrize("text", ["", "plain", ESCAPE + "red", SURROGATE * 40, "ü" * 200, "\n" * 300, RIGHT_TO_LEFT])
def test_any_text_can_be_fitted_into_what_is_accepted(text: str) -> None:
    assert checked_text(fitted_text(text, 100), 100) == fitted_text(text, 100)
    assert checked_line(fitted_line(text, 100), 100) == fitted_line(text, 100)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)
LIMITS = st.integers(min_value=20, max_value=120)


@given(ANY_TEXT, LIMITS)
def test_whatever_is_fitted_is_accepted_unchanged(text: str, limit: int) -> None:
    fitted, line = fitted_text(text, limit), fitted_line(text, limit)
    assert checked_text(fitted, limit) == fitted
    assert checked_line(line, limit) == line


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_an_acceptable_text_is_not_changed_by_fitting(text: str) -> None:
    if not any(map(is_unseen, text)):
        assert (fitted_text(text, 100), fitted_line(text, 100)) == (text, text)


def test_what_was_unwanted_is_shown_by_its_number_and_what_was_cut_off_by_a_mark() -> None:
    assert fitted_text(f"a{ESCAPE}b", 100) == "a<U+001B>[2Jb"
    assert fitted_text("x" * 200, 20) == "x" * 14 + " [...]"
    assert fitted_line(f"a{RIGHT_TO_LEFT}b\n c", 100) == "a<U+202E>b c"
    assert fitted_line("x" * 200, 20) == "x" * 14 + " [...]"
    assert fitted_line(" \n ", 20) == "(nothing)"


def test_a_text_that_is_cut_within_a_character_stays_valid() -> None:
    assert fitted_text("ü" * 60, 101) == "ü" * 47 + " [...]"


def test_a_long_line_is_fitted_without_looking_at_all_of_it() -> None:
    assert fitted_line("word " * 10_000_000, 50).endswith(" [...]")


@pytest.mark.parametrize("character", ["\n", "\t", RIGHT_TO_LEFT, "\u00ad", "\u3164", "\ufe00"])
def test_characters_that_leave_no_mark_are_unseen(character: str) -> None:
    assert is_unseen(character)


@pytest.mark.parametrize("character", [" ", "a", "ü", "好", "👍", "\ufe0f", "\ufe0e"])
def test_characters_of_ordinary_writing_are_seen(character: str) -> None:
    assert not is_unseen(character)


class Post(BaseModel):
    votes: int = Field(le=3)
    title: str


def test_a_validation_error_is_explained_on_one_line_by_its_fields() -> None:
    with pytest.raises(ValidationError) as caught:
        Post.model_validate({"votes": 9, "title": 3})
    assert (
        explain(caught.value) == "votes Input should be less than or equal to 3; title Input should be a valid string"
    )
