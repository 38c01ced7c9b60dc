"""When two methods count as nearly the same."""

from aar.methods import builtin_names, builtin_source
from aar.researchers.tools.duplicates import NEAR, shingles, similarity


def alike(a: str, b: str) -> float:
    return similarity(shingles(a.encode()), shingles(b.encode()))


def test_layout_comments_and_docstrings_do_not_matter() -> None:
    a = '"""One."""\ndef supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n'
    b = 'def supervise(lab):\n    """Two."""\n\n    # why\n    return lab.fine_tune(\n        lab.weak_labels\n    )\n'
    assert alike(a, b) == 1.0


def test_the_built_in_methods_are_different_from_one_another() -> None:
    sources = [builtin_source(name) for name in builtin_names()]
    assert all(alike(a, b) < NEAR for a in sources for b in sources if a is not b)


def test_what_is_no_python_can_be_compared_too() -> None:
    assert alike("def (", "def (") == 1.0
    assert alike("", "") == 1.0
    assert alike("def supervise(lab): pass", "\0") < NEAR
