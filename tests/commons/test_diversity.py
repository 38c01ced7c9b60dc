"""Families of methods and the entropy over them."""

from pathlib import Path

import pytest

from aar.commons.diversity import DiversityHistory, entropy, families, family_of, format_diversity
from aar.commons.forum import Forum, NamedFamily


@pytest.fixture
def named(tmp_path: Path) -> list[NamedFamily]:
    forum = Forum(tmp_path / "forum.sqlite")
    for number, family in enumerate(["em", "em", "Curriculum", "data weights", None, "curriculum"]):
        forum.post("ada", "result", "x", key=str(number), data={"family": family} if family else {})
    forum.post("ada", "insight", "x", key="other", data={"family": "em"})
    return forum.named_families()


def test_a_family_has_one_spelling() -> None:
    assert family_of("  Label_Denoising, soft ") == "label-denoising-soft"
    assert family_of("...") is None and family_of(None) is None


def test_only_results_count(named: list[NamedFamily]) -> None:
    assert families(named) == {"em": 2, "curriculum": 2, "data-weights": 1}


def test_entropy_is_recorded_after_each_result(named: list[NamedFamily]) -> None:
    history = DiversityHistory()
    history.add(named)
    assert [step.results for step in history.steps] == [1, 2, 3, 4, 5]
    assert [round(step.entropy, 3) for step in history.steps] == [0.0, 0.0, 0.918, 1.5, 1.522]
    assert history.counts == families(named) and history.steps[-1].entropy == pytest.approx(entropy(history.counts))


def test_a_history_that_grows_by_parts_is_the_same_as_one_that_is_read_at_once(tmp_path: Path) -> None:
    forum, grown = Forum(tmp_path / "forum.sqlite"), DiversityHistory()
    for number in range(40):
        forum.post("ada", "result", "x", key=str(number), data={"family": f"family {number * number % 7}"})
        if number % 3 == 0:
            grown.add(forum.named_families(after=grown.last))
    grown.add(forum.named_families(after=grown.last))
    whole = DiversityHistory()
    whole.add(forum.named_families())
    assert (grown.counts, grown.steps, grown.last) == (whole.counts, whole.steps, whole.last)
    assert grown.steps[-1].entropy == pytest.approx(entropy(grown.counts))


def test_families_and_entropy_are_described_in_one_line(named: list[NamedFamily]) -> None:
    assert format_diversity(named).endswith("entropy 1.52 bits over 5 results.")
    assert format_diversity([]) == "No result names a family of methods yet."


def test_results_count_however_many_there_are(tmp_path: Path) -> None:
    forum = Forum(tmp_path / "forum.sqlite")
    for number in range(1100):
        forum.post("ada", "result", "x", key=str(number), data={"family": "early" if number < 1000 else "late"})
    assert families(forum.named_families()) == {"early": 1000, "late": 100}
