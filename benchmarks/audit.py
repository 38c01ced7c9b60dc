"""The accuracy of the audit: precision and recall of its checks on a labelled set, by grade.

    python -m benchmarks.audit [METHOD.py ...]

The set of planted cheats and honest work is that of tests/scoring/audit. Files on the command line count as honest
methods too. A case counts as accused when any finding is graded above a note.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from aar.scoring.audit import GRADES, Grade
from tests.scoring.audit.labelled import CHEATS, HONEST, Case, code


def main(methods: Sequence[str]) -> None:
    """Measure and print."""
    honest = (*HONEST, *(code(Path(name).name, Path(name).read_text()) for name in methods))
    print(f"{'check':10} {'cheats':>7} {'accused':>8} {'honest':>7} {'accused':>8} {'precision':>10} {'recall':>7}")
    for check in dict.fromkeys(case.check for case in (*CHEATS, *honest)):
        _row(check, [case for case in CHEATS if case.check == check], [case for case in honest if case.check == check])
    _row("all", CHEATS, honest)
    for case in (*CHEATS, *honest):
        if (accused := _grade(case) in ("finding", "suspicion")) != (case in CHEATS):
            print(f"{'accused' if accused else 'missed'}: {case.name}")


def _row(check: str, cheats: Sequence[Case], honest: Sequence[Case]) -> None:
    right, wrong = (sum(_grade(case) in ("finding", "suspicion") for case in cases) for cases in (cheats, honest))
    precision = f"{right / (right + wrong):.2f}" if right + wrong else "-"
    recall = f"{right / len(cheats):.2f}" if cheats else "-"
    print(f"{check:10} {len(cheats):7} {right:8} {len(honest):7} {wrong:8} {precision:>10} {recall:>7}")


def _grade(case: Case) -> Grade | None:
    grades = {finding.grade for finding in case.look()}
    return next((grade for grade in GRADES if grade in grades), None)


if __name__ == "__main__":
    main(sys.argv[1:])
