"""When two methods count as nearly the same."""

from pathlib import Path

from aar.methods import builtin_names, builtin_source
from aar.researchers.tools.duplicates import NEAR, DuplicateDetector, shingles, similarity
from tests.researchers.client_double import SCORE, Campaign, ClientDouble, CodeInMemory


def alike(a: str, b: str) -> float:
    return similarity(shingles(a.encode()), shingles(b.encode()))


def test_layout_comments_and_docstrings_do_not_matter() -> None:
    a = '"""One."""\ndef supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n'
    b = 'def supervise(lab):\n    """Two."""\n\n    # why\n    return lab.fine_tune(\n        lab.weak_labels\n    )\n'
    assert alike(a, b) == 1.0


def test_the_built_in_methods_are_different_from_one_another() -> None:
    sources = [builtin_source(name) for name in builtin_names()]
    assert all(alike(a, b) < NEAR for a in sources for b in sources if a is not b)


def test_text_that_is_not_python_can_be_compared() -> None:
    assert alike("def (", "def (") == 1.0
    assert alike("", "") == 1.0
    assert alike("def supervise(lab): pass", "\0") < NEAR


class CountingClient(ClientDouble):
    """Counts how often a snapshot is read."""

    def checkout(self, snapshot: str) -> dict[str, bytes]:
        self.campaign.checked.append(snapshot.encode())
        return super().checkout(snapshot)


def test_the_most_similar_experiment_of_any_researcher_is_found_and_each_snapshot_read_once(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, code=CodeInMemory())
    vanilla, other = builtin_source("vanilla").encode(), builtin_source("em_posterior").encode()
    for number, source in enumerate((vanilla, other)):
        campaign.client(f"researcher-{number}").submit({"method.py": source}, "note", None, key=str(number))
    detector = DuplicateDetector(CountingClient(campaign, "ada"))
    nearest = detector.nearest(b"# copied\n" + other)
    assert nearest is not None and (nearest.experiment.id, nearest.similarity) == ("e2", 1.0)
    assert detector.nearest(b"def supervise(lab):\n    return lab.fine_tune(1 - lab.weak_labels)\n") is None
    assert len(campaign.checked) == 2


def test_the_platforms_own_experiments_do_not_count(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, code=CodeInMemory(), vanilla=SCORE)
    assert DuplicateDetector(campaign.client("ada")).nearest(builtin_source("vanilla").encode()) is None
