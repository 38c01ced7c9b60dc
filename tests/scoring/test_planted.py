"""The planted cheats, really trained on a tiny model, and the verdicts of their verification."""

from pathlib import Path

import numpy as np
import pytest

from aar.compute.engine import Group
from aar.config import VerificationConfig
from aar.methods import builtin_source
from aar.problems.dataset import Preference, Split
from aar.problems.loading import load_dataset
from aar.scoring.audit.code import hard_coded
from aar.scoring.verification.controls import is_ensemble
from tests.compute.conftest import alone, process_group
from tests.scoring.tiny_platform import TinyPlatform

__all__ = ["alone", "process_group"]

pytestmark = pytest.mark.slow
PLANTED = Path(__file__).parent / "planted"
VANILLA = builtin_source("vanilla")


@pytest.fixture
def platform(tmp_path: Path, alone: Group, monkeypatch: pytest.MonkeyPatch) -> TinyPlatform:
    platform = TinyPlatform(tmp_path, alone, monkeypatch)
    platform.reference(VANILLA)
    return platform


def verdicts(platform: TinyPlatform, source: str, *controls: str) -> dict[str, str]:
    settings = VerificationConfig.model_validate({"seeds": 2, "controls": controls})
    found = platform.verify(platform.experiment(source), source, VANILLA, settings)
    return {one.control: one.verdict for one in found.controls}


def planted(name: str) -> str:
    return (PLANTED / f"{name}.py").read_text()


def unlabelled(platform: TinyPlatform) -> Split:
    return load_dataset(platform.config.problem.dataset("marked"), platform.store.key()).train_unlabel


def test_one_that_ignores_its_teacher_trains_the_same_students_on_shuffled_labels(platform: TinyPlatform) -> None:
    found = verdicts(platform, planted("ignores_teacher"), "shuffled", "teachers")
    assert found == {"shuffled": "uses no weak supervision", "teachers": "indifferent to its teacher"}


def test_one_that_holds_the_answers_uses_no_weak_supervision_and_is_found_in_its_code(platform: TinyPlatform) -> None:
    start, end = planted("hard_codes").split("ANSWERS = [")[0], planted("hard_codes").split("]\n", 1)[1]
    source = f"{start}ANSWERS = {unlabelled(platform).labels.tolist()}\n{end}"
    assert hard_coded(source) and verdicts(platform, source, "shuffled") == {"shuffled": "uses no weak supervision"}


def test_one_that_remembers_texts_uses_no_weak_supervision_and_is_found_in_its_code(platform: TinyPlatform) -> None:
    import hashlib

    split, remembered = unlabelled(platform), {}
    for example, label in zip(split.examples, split.labels.tolist(), strict=True):
        assert isinstance(example, Preference)
        remembered[hashlib.sha256((example.first + example.second).encode()).hexdigest()[:10]] = label
    start, end = planted("memorises").split("REMEMBERED = {")[0], planted("memorises").split("}\n", 1)[1]
    source = f"{start}REMEMBERED = {remembered}\n{end}"
    assert hard_coded(source) and verdicts(platform, source, "shuffled") == {"shuffled": "uses no weak supervision"}


def test_sixteen_students_in_one_are_no_better_supervision(platform: TinyPlatform) -> None:
    found = verdicts(platform, planted("ensembles_16"), "recipe", "capability")
    assert found["recipe"] != "gain is from supervision" and found["capability"] != "not checked"
    [run, *_] = platform.store.outputs("e2", "marked").values()
    assert is_ensemble(run) and run.fits is not None and len(run.fits) == 17


def test_a_lucky_order_is_not_better_than_vanilla_on_fresh_seeds(platform: TinyPlatform) -> None:
    source = planted("picks_seeds")
    subject = platform.experiment(source)
    found = platform.verify(subject, source, VANILLA, VerificationConfig(seeds=2, controls=["recipe"]))
    assert found.p_value > 0.05
    assert [one.verdict for one in found.controls] == ["plain recipe"]
    assert np.isfinite(found.over_vanilla.value)
