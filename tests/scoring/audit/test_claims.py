"""A badge for every number in a post."""

import pytest

from aar.commons.forum import Kind, Post
from aar.scoring.audit.claims import NO_SCORES, KnownScores, badges, unbacked
from tests.reporting.states import BASELINES, experiment, verification

KNOWN = KnownScores.of([experiment(2, "ada", 0.62)], [BASELINES], [verification("e2", 0.1)])


def post(text: str, kind: Kind = "result", **data: object) -> Post:
    known = {"id": 7, "time": 0.0, "votes": 0, "author": "eve", "title": "a title", "experiment": "e2"}
    return Post.model_validate({**known, "kind": kind, "body": text, "data": data})


@pytest.mark.parametrize(
    ("text", "badge"),
    [
        ("PGR 0.62", "measured"),
        ("the PGR is 0.6", "measured"),
        ("PGR: .620", "measured"),
        ("accuracy 86.7%", "measured"),
        ("accuracy of 0.867 on dev", "measured"),
        ("the teacher has an accuracy of 0.70", "measured"),
        ("verified PGR of 0.75", "verified"),
        ("PGR 0.97", "claimed"),
        ("We reach PGR = 0.9700!", "claimed"),
        ("ACC 99%", "claimed"),
        ("PGR −0.2", "claimed"),
        ("performance gap recovered: 1.0", "claimed"),
    ],
)
def test_a_number_is_verified_measured_or_claimed(text: str, badge: str) -> None:
    [found] = badges(text, KNOWN)
    assert found.badge == badge


def test_numbers_that_are_not_scores_are_ignored() -> None:
    assert badges("most confident 70% of the rows, 3 epochs, lr 0.002, noise ±0.12, from post 14", KNOWN) == []


def test_a_result_that_nobody_measured_is_found_with_its_post() -> None:
    [finding] = unbacked([post("Breakthrough: PGR 0.97, accuracy 0.96.")], KNOWN)
    assert (finding.kind, finding.researcher, finding.experiments) == ("unbacked claim", "eve", ("e2",))
    assert finding.grade == "suspicion"
    assert "post 7" in finding.words and finding.evidence == "PGR 0.97; accuracy 0.96"


def test_a_claim_for_programs_is_looked_up_too() -> None:
    assert unbacked([post("see data", value=0.97)], KNOWN)[0].evidence == "value 0.97"
    assert unbacked([post("see data", value=0.62)], KNOWN) == []
    assert unbacked([post("no improvement", value=None)], KNOWN) == []


def test_a_hypothesis_may_hope() -> None:
    assert unbacked([post("This should reach PGR 0.97.", kind="hypothesis")], KNOWN) == []


@pytest.mark.parametrize(
    ("value", "decimals", "badge"),
    [(0.6, 1, "measured"), (0.65, 2, "claimed"), (0.62, 2, "measured"), (0.6249, 4, "claimed"), (0.62, 4, "measured")],
)
def test_a_number_agrees_to_as_many_digits_as_it_is_written_with(value: float, decimals: int, badge: str) -> None:
    assert KNOWN.badge("pgr", value, decimals) == badge


def test_verified_counts_before_measured_and_a_metric_is_not_looked_up_in_another() -> None:
    both = KnownScores({"pgr": (0.5,), "accuracy": ()}, {"pgr": (0.5,), "accuracy": (0.9,)})
    assert (both.badge("pgr", 0.5, 2), both.badge("accuracy", 0.5, 2)) == ("verified", "claimed")


def test_before_anything_is_released_every_number_is_only_claimed() -> None:
    assert [number.badge for number in badges("PGR 0.62, accuracy 0.7", NO_SCORES)] == ["claimed", "claimed"]


def test_a_number_that_the_text_does_not_tie_to_the_score_is_a_note_and_not_a_suspicion() -> None:
    [finding] = unbacked([post("without the prior the PGR should drop below 0.11")], KNOWN)
    assert (finding.grade, finding.evidence) == ("note", "PGR 0.11")
