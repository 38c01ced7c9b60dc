"""What a training program can import: what it needs to train, and nothing that knows labels."""

from importlib.metadata import distribution
from pathlib import Path

import pytest

from aar.sandbox import TRAINING_PYTHON, Limits, Outcome, Spec, provider
from aar.sandbox.linux.packages import packages

NEEDED = (
    "torch", "transformers", "safetensors.torch", "accelerate", "numpy", "aar.guest.training_task",
    "aar.models.student",
)  # fmt: skip
HIDDEN = (
    "aar.problems", "aar.problems.grammar.pairs", "aar.scoring.evaluator", "aar.sandbox", "aar.compute", "aar.campaign",
    "aar.researchers", "aar.commons", "aar.assets", "aar.experiments.actor", "ray", "sklearn", "anthropic", "wandb",
)  # fmt: skip


@pytest.fixture(params=["bubblewrap", "none"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(program: str, folder: Path, where: str = "bubblewrap") -> Outcome:
    limits = Limits(memory_bytes=4 * 2**30, processes=128, open_files=1024)
    with provider(where).open(Spec((*TRAINING_PYTHON, "-c", program), limits, "training", workspace=folder)) as sandbox:
        return sandbox.run()


@pytest.mark.slow
def test_what_a_program_trains_with_can_be_imported(tmp_path: Path, where: str) -> None:
    outcome = run(f"import {', '.join(NEEDED)}; print(torch.ones(2).sum().item())", tmp_path, where)
    assert (outcome.exit_code, outcome.stdout) == (0, "2.0\n"), outcome.stderr


def test_nothing_else_of_aar_or_of_the_machines_packages_can(tmp_path: Path) -> None:
    program = f"""
import importlib
for name in {HIDDEN}:
    try:
        print("found", importlib.import_module(name))
    except ModuleNotFoundError:
        pass
"""
    outcome = run(program, tmp_path)
    assert (outcome.exit_code, outcome.stdout) == (0, ""), outcome.stderr


CUDA = [one for one in distribution("torch").requires or () if one.startswith("cuda-toolkit[")]


@pytest.mark.skipif(not CUDA, reason="this torch was built without CUDA")
def test_what_a_package_asks_for_as_an_extra_is_shown_too() -> None:
    shown = {name.removeprefix("/packages/").split("-")[0] for name in packages()}
    assert {"nvidia_cufft", "nvidia_nvtx", "nvidia_cusolver"} <= shown
