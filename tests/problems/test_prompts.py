"""Examples as text, and the limits of templates from untrusted code."""

import pytest

from aar.errors import ProblemError
from aar.problems.dataset import Judgement, Preference
from aar.problems.prompts import LABEL_TOKENS, MAX_TEMPLATE, candidates, fill, label_prompt

CHAT = Preference("Hi", "Hello", "Go away")
MATH = Judgement("1 + 1?", "2")


def test_the_candidates_of_a_preference_are_the_prompt_with_each_response() -> None:
    assert candidates(CHAT) == ("Hi\n\nHello", "Hi\n\nGo away")


def test_without_a_prompt_the_candidates_are_the_responses_alone() -> None:
    assert candidates(Preference("", "She runs.", "She run.")) == ("She runs.", "She run.")


def test_the_candidate_of_a_judgement_is_the_question_with_its_answer() -> None:
    assert candidates(MATH) == ("1 + 1?\n\n2",)


def test_a_label_prompt_ends_where_the_label_token_comes() -> None:
    for example in (CHAT, MATH):
        assert label_prompt(example).endswith("Label:")
    assert all(token.startswith(" ") for pair in LABEL_TOKENS.values() for token in pair)


def test_a_label_prompt_has_the_published_wording() -> None:
    assert label_prompt(Preference("Hi", "a", "b")) == "Question: Hi\nAnswer A: a\nAnswer B: b\nLabel:"
    assert label_prompt(MATH) == "Question: 1 + 1?\nAnswer: 2\nLabel:"


def test_a_template_of_ones_own_replaces_the_default() -> None:
    assert label_prompt(MATH, "Q {question} A {choice} ok?") == "Q 1 + 1? A 2 ok?"


def test_a_filled_preference_has_both_orders_of_its_responses() -> None:
    assert fill(CHAT, "{prompt}: {first}/{second}") == ("Hi: Hello/Go away", "Hi: Go away/Hello")


def test_a_filled_judgement_is_one_text() -> None:
    assert fill(MATH, "{choice}?") == ("2?",)


def test_texts_that_look_like_placeholders_are_not_filled_again() -> None:
    assert label_prompt(Preference("{second}", "{first}", "{0.__class__}"), "{prompt} {first} {second}") == (
        "{second} {first} {0.__class__}"
    )


@pytest.mark.parametrize("name", ["label", "first.__class__", "first[0]", "first!r", "0", "", "question", " first"])
def test_an_unknown_placeholder_is_refused_with_the_allowed_names(name: str) -> None:
    with pytest.raises(ProblemError, match=r"these are allowed: \{prompt\}, \{first\}, \{second\}"):
        fill(CHAT, "{first} {second} {" + name + "}")


@pytest.mark.parametrize(
    ("template", "missing"), [("{prompt} {first}", "second"), ("{second}", "first"), ("", "first")]
)
def test_a_template_that_hides_a_response_is_refused(template: str, missing: str) -> None:
    with pytest.raises(ProblemError, match=rf"lacks \{{{missing}\}}"):
        fill(CHAT, template)


def test_a_template_that_hides_the_answer_is_refused() -> None:
    with pytest.raises(ProblemError, match=r"lacks \{choice\}; .* \{question\}, \{choice\}"):
        fill(MATH, "{question}")


def test_a_template_of_any_length_is_not_accepted() -> None:
    with pytest.raises(ProblemError, match="at most 4000"):
        fill(MATH, "{choice}" + "x" * MAX_TEMPLATE)
