"""Every built-in method on a tiny real model: by the real lab, to a score."""

from pathlib import Path

import pytest

from aar.compute.engine import Group
from aar.methods import builtin_names, builtin_source
from tests.compute.conftest import alone, process_group
from tests.scoring.tiny_platform import TinyPlatform

__all__ = ["alone", "process_group"]

pytestmark = pytest.mark.slow


def test_every_built_in_method_gets_a_score(tmp_path: Path, alone: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = TinyPlatform(tmp_path, alone, monkeypatch)
    platform.reference(builtin_source("vanilla"))
    for name in builtin_names():
        tried = platform.experiment(builtin_source(name), researcher=name.replace("_", "-"), note=name)
        assert tried.status == "scored", tried.failure
        [dataset] = tried.datasets
        outputs = platform.store.outputs(tried.id, dataset)
        assert all(run.student and run.fits for run in outputs.values())
