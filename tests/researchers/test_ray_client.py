"""One researcher's calls of a campaign's actors: few of them, none on verifications, and a remedy if one is gone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import ray

from aar.commons.foreign import Foreign
from aar.errors import CampaignError, ComputeError, ScoringError
from aar.ray_utils import COMMONS, EXPERIMENTS, SCORER, start_actor
from aar.researchers.ray_client import RayCampaignClient
from aar.scoring.records import Experiment

RUNNING = Experiment("e1", "ada", "c0ffee", ("data",), Foreign("mine"), (1, 2), "running", None, None, 0.0, None)
VERIFICATION = replace(RUNNING, id="e2", researcher="platform", verification_of="e1")
BROKEN = replace(RUNNING, id="e3")


class RecordsDouble:
    """Answers for the scorer and the experiments actor from three records, and counts the calls."""

    def __init__(self) -> None:
        self._records = {record.id: record for record in (RUNNING, VERIFICATION, BROKEN)}
        self._calls: list[str] = []

    def calls(self) -> list[str]:
        return self._calls

    def experiment(self, experiment: str) -> Experiment:
        self._calls.append("experiment")
        return self._records[experiment]

    def status(self, experiment: str) -> Experiment:
        self._calls.append("status")
        if experiment == BROKEN.id:
            raise ComputeError("the training workers were lost three times")
        return self._records[experiment]

    def wait(self, experiment: str, seconds: float | None = None) -> Experiment:
        self._calls.append(f"wait {seconds}")
        return replace(self._records[experiment], status="scored")

    def experiments(self) -> list[Experiment]:
        return list(self._records.values())


@dataclass
class Actors:
    client: RayCampaignClient
    handles: dict[str, Any]

    def calls(self, name: str) -> list[str]:
        calls: list[str] = ray.get(self.handles[name].calls.remote())
        return calls


@pytest.fixture
def actors(ray_session: None) -> Iterator[Actors]:
    namespace = ray.get_runtime_context().namespace
    names = (COMMONS, SCORER, EXPERIMENTS)
    handles = {name: start_actor(RecordsDouble, name, namespace, max_restarts=0) for name in names}
    yield Actors(RayCampaignClient("ada"), handles)
    for handle in handles.values():
        ray.kill(handle)


def test_a_wait_is_one_call_of_one_actor(actors: Actors) -> None:
    assert actors.client.wait("e1", 2.0) == replace(RUNNING, status="scored")
    assert actors.calls(EXPERIMENTS) == ["wait 2.0"] and actors.calls(SCORER) == []


def test_researchers_see_no_verification(actors: Actors) -> None:
    for look in (actors.client.experiment, actors.client.wait):
        with pytest.raises(ScoringError, match="e2 is a verification by the platform"):
            look("e2")


def test_a_fault_of_the_platform_during_an_experiment_is_raised(actors: Actors) -> None:
    assert actors.client.experiment("e1") == RUNNING
    with pytest.raises(ComputeError, match="lost three times"):
        actors.client.experiment("e3")


def test_an_actor_that_is_gone_is_named_with_the_remedy(actors: Actors) -> None:
    ray.kill(actors.handles[EXPERIMENTS])
    with pytest.raises(CampaignError, match="a campaign process is gone; run the same command to resume"):
        actors.client.wait("e1", 1.0)


def test_there_is_no_training_data_before_the_baselines_are_measured(actors: Actors) -> None:
    with pytest.raises(ScoringError, match="the baselines are not measured yet"):
        actors.client.training_data()
