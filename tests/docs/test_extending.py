"""The examples of docs/EXTENDING.md work as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from aar.config import DatasetConfig, load_config
from aar.methods import builtin_names
from aar.models import losses, recipe
from aar.problems.loading import load_dataset
from aar.researchers import tools
from aar.researchers.runtime import ResearcherRuntime
from aar.sandbox import PYTHON, Limits, Spec
from aar.sandbox.conformance import conforms, rules_for
from tests.campaign_fixture import write_toml
from tests.keys import KEY
from tests.methods.lab_double import LabDouble, run_method
from tests.researchers.client_double import Campaign
from tests.researchers.tools.conftest import Bench, bench, config, new_bench

__all__ = ["bench", "config", "new_bench"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "EXTENDING.md"


def source(section: str) -> str:
    """The code of a section's example."""
    text = DOCUMENT.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return str(code)


def example(section: str) -> dict[str, Any]:
    """What a section's example defines."""
    names: dict[str, Any] = {"__name__": "an_example"}
    exec(compile(source(section), f"{DOCUMENT.name}: {section}", "exec"), names)
    return names


def test_every_section_has_an_example() -> None:
    sections = re.findall(r"^## (.*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert sections == ["A dataset", "A method", "A loss", "A tool", "A brain", "A sandbox provider"]
    assert all(source(section) for section in sections)


def test_a_dataset(tmp_path: Path) -> None:
    example("A dataset")["write_dataset"](tmp_path)
    dataset = load_dataset(DatasetConfig(name="sums", source=str(tmp_path)), KEY)
    assert (dataset.kind, len(dataset.train_label), len(dataset.test)) == ("binary", 40, 80)
    assert dataset.test.labels.mean() == 0.5


def test_a_method() -> None:
    lab = LabDouble(seed=1)
    assert lab.accuracy(run_method(source("A method"), lab)) > 0.6
    [fit] = lab.calls
    assert (fit.weights > 0).mean() == pytest.approx(0.5, abs=0.01)


def test_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(losses.LOSSES, "focal", example("A loss")["focal_loss"])
    monkeypatch.setitem(recipe.LOSS_OPTIONS, "focal", {"focus": recipe.LossOption(2, 0, 10)})
    logits = torch.tensor([-3.0, 0.0, 3.0], requires_grad=True)
    found = losses.per_example_loss(recipe.Loss.named("focal"), logits, torch.ones(3), 0.5)
    usual = losses.per_example_loss(recipe.XENT, logits, torch.ones(3), 0.5)
    assert (found < usual).all() and found[2] / usual[2] < 0.01 < 0.8 < found[0] / usual[0]
    found.sum().backward()
    assert logits.grad is not None and (logits.grad < 0).all()


def test_a_tool(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = example("A tool")["COUNT_POSTS"]
    monkeypatch.setitem(tools.BY_NAME, tool.name, tool)
    bench.does("forum_post", kind="insight", title="one")
    assert bench.does("count_posts") == "1 posts"
    assert bench.does("count_posts", author="nobody") == "0 posts"
    assert "nobody: Extra inputs" in bench.refuses("count_posts", nobody=1)


def test_a_brain_continues_where_it_was_killed(tmp_path: Path) -> None:
    campaign, settings = Campaign(tmp_path, experiments_each=4), load_config(write_toml(tmp_path))
    brain = example("A brain")["CatalogBrain"]
    for _ in range(2):
        runtime = ResearcherRuntime(settings.researchers[0], settings, tmp_path)
        brain(runtime, campaign.client("researcher-1")).run()
    assert len(campaign.started) == 4
    assert sorted(post.title.text for post in campaign.posts("result")) == [
        f"{name}: 0.60" for name in builtin_names()[:4]
    ]


@pytest.mark.slow
def test_a_sandbox_provider() -> None:
    polite = example("A sandbox provider")["Polite"]()
    elsewhere = {"ends_with_aar"}  # it looks the provider up by name, in another process
    checks = [conforms(polite, rule) for rule in rules_for(polite) if rule.__name__ not in elsewhere]
    assert len(checks) > 20
    assert [check for check in checks if not check.passed] == []


def test_a_sandbox_provider_does_what_it_adds(tmp_path: Path) -> None:
    program = b"import os; print(os.nice(0))"
    spec = Spec((*PYTHON, "/work/program.py"), Limits(), files={"program.py": program})
    with example("A sandbox provider")["Polite"]().open(spec) as sandbox:
        assert sandbox.run().stdout == "10\n"
