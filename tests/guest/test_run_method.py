"""Errors of a method as its author reads them: the error, and the method's own lines that led to it."""

import linecache
from collections.abc import Iterator

import pytest

from aar.guest.errors import LabError
from aar.guest.run_method import FRAMES_SHOWN, METHOD, describe


@pytest.fixture(autouse=True)
def forget_the_method() -> Iterator[None]:
    yield
    linecache.cache.pop(METHOD, None)


def error_of(source: str) -> BaseException:
    """What a method with this source raises when it is loaded."""
    linecache.cache[METHOD] = (len(source), None, source.splitlines(keepends=True), METHOD)
    try:
        eval(compile(source, METHOD, "exec"), {"LabError": LabError})
    except BaseException as error:
        return error
    raise AssertionError("the method raises nothing")


def test_an_error_comes_with_the_lines_of_the_method_and_no_others() -> None:
    error = error_of("import json\ndef read():\n    return json.loads('{')\nread()")
    first, *lines = describe(error).splitlines()
    assert first.startswith("method raised JSONDecodeError: Expecting property name")
    assert lines == ["  method.py line 4, in <module>: read()", "  method.py line 3, in read: return json.loads('{')"]


def test_of_a_deep_recursion_the_last_lines_are_shown() -> None:
    lines = describe(error_of("def f():\n    return f()\nf()")).splitlines()
    assert "RecursionError" in lines[0] and len(lines) == 1 + FRAMES_SHOWN
    assert set(lines[1:]) == {"  method.py line 2, in f: return f()"}


def test_a_syntax_error_names_its_line() -> None:
    assert describe(error_of("x = 1\ndef supervise(lab)\n    pass")).startswith("syntax error in method.py line 2: ")


def test_a_syntax_error_of_code_that_the_method_made_is_an_error_of_its_line() -> None:
    text = describe(error_of("compile('1 +', 'made', 'eval')"))
    assert text.startswith("method raised SyntaxError: ") and "method.py line 1" in text


@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_leaving_the_process_is_an_error_like_any_other(raised: str) -> None:
    assert describe(error_of(f"raise {raised}")).startswith(f"method raised {raised.partition('(')[0]}")


def test_a_refusal_of_the_lab_before_the_method_runs_is_its_own_text() -> None:
    assert describe(LabError("the lab has closed the connection")) == "the lab has closed the connection"
    assert describe(error_of("raise LabError('refused')")).startswith("method raised LabError: refused\n")
