"""Numbers, times and other people's words."""

from hypothesis import given
from hypothesis import strategies as st

from aar.reporting.text import duration, estimate_text, one_line, plain, printable
from aar.scoring.stats.pgr import Estimate


@given(st.text())
def test_printable_text_has_nothing_that_a_terminal_acts_on(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(character.isprintable() or character in "\n\t" for character in shown)


def test_escape_sequences_and_turned_writing_are_replaced_and_words_are_kept() -> None:
    assert printable("\x1b[2J gone\r\u202eevil") == "\N{REPLACEMENT CHARACTER}[2J gone \N{REPLACEMENT CHARACTER}evil"
    assert printable("Prüfung, 50\u00a0%: 好\n\tja") == "Prüfung, 50 %: 好\n\tja"


def test_what_leaves_no_mark_is_replaced_and_emoji_are_kept() -> None:
    assert printable("a\u3164b\U000e0100c\u2800") == "a?b?c?".replace("?", "\N{REPLACEMENT CHARACTER}")
    assert printable("\u26a0\ufe0f careful") == "\u26a0\ufe0f careful"


def test_markup_is_text() -> None:
    assert plain("[bold]x[/bold]").plain == "[bold]x[/bold]"
    assert plain("[bold]x[/bold]").spans == []


def test_one_line_is_the_first() -> None:
    assert one_line("\n first \nsecond").plain == "first "
    assert one_line("").plain == ""


def test_durations_have_hours_only_when_needed() -> None:
    assert [duration(seconds) for seconds in (0, 59.9, 247, 3847)] == ["0:00", "0:59", "4:07", "1:04:07"]


def test_estimates_show_their_interval() -> None:
    assert estimate_text(Estimate(0.39, 0.29, 0.4649), 2) == "0.39 [0.29, 0.46]"
