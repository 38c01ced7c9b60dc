"""The table of baselines, from a campaign's folder."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from aar.campaign.state import CampaignState, read_state
from aar.reporting.baselines import baselines_data, baselines_tables
from aar.reporting.data import to_json
from tests.campaign_fixture import CEILING, REFERENCE, WEAK, write_campaign, write_toml
from tests.reporting.states import EMPTY


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> CampaignState:
    base: Path = tmp_path_factory.mktemp("baselines")
    write_campaign(write_toml(base), base / "little")
    return read_state(base / "little")


def test_the_table_has_a_row_for_each_model_and_a_column_for_each_seed(state: CampaignState) -> None:
    output = io.StringIO()
    Console(file=output, width=80).print(*baselines_tables(state))
    shown = output.getvalue()
    assert "seed 5  seed 7  seed 11" in shown
    for name, correct in (("teacher", WEAK), ("vanilla", REFERENCE), ("ceiling", CEILING)):
        row = next(line for line in shown.splitlines() if line.startswith(name))
        assert row.split()[-3:] == [f"{accuracy:.3f}" for accuracy in correct.accuracies]
    assert "vanilla: PGR 0.3" in shown


def test_the_data_have_intervals_and_seeds(state: CampaignState) -> None:
    data = json.loads(to_json(baselines_data(state)))
    [part] = data["datasets"]
    assert part["seeds"] == [5, 7, 11]
    assert part["models"]["teacher"]["by_seed"] == list(WEAK.accuracies)
    assert part["models"]["ceiling"]["low"] < part["models"]["ceiling"]["value"]


def test_before_the_baselines_are_known_the_data_have_the_same_keys(state: CampaignState) -> None:
    assert set(baselines_data(EMPTY)) == set(baselines_data(state))
    assert baselines_data(EMPTY)["datasets"] == []
