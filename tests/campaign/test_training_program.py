"""A method with a training program of its own, tried by hand in a campaign of real processes."""

import json
from pathlib import Path

import pytest

from tests.campaign.tiny_campaign import finish, start
from tests.experiments.test_program_sandbox import GOOD

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.campaign]


def test_a_program_is_run_checked_and_scored_and_not_run_again(tiny: Path, tmp_path: Path) -> None:
    method = f"def supervise(lab):\n    return lab.train({GOOD!r}, arrays={{'targets': lab.weak_labels[:, 1]}})\n"
    artifacts = tmp_path / "campaign-try" / "artifacts"
    for number, name in enumerate(("first", "second")):
        (tmp_path / f"{name}.py").write_text(f"NUMBER = {number}\n{method}")
        before = len([file for file in artifacts.rglob("*") if file.is_file()])
        finish(start("try", tmp_path / f"{name}.py", tiny), seconds=280)
    assert len([file for file in artifacts.rglob("*") if file.is_file()]) == before
    told = json.loads(finish(start("status", tmp_path / "campaign-try", "--json")))
    tried = [one for one in told["experiments"] if one["note"] in ("first", "second")]
    assert [one["status"] for one in tried] == ["scored", "scored"]
