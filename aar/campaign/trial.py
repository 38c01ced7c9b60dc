"""Short campaigns by a person: one method tried by hand, or a problem's baselines alone.

Both run on the same machinery as researchers' campaigns, each in a folder of its own beside the campaign's, so that
what a person tries has no influence on what the researchers are measured by.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from aar.campaign.driver import Driver, View, _terminable
from aar.campaign.folder import CampaignFolder, campaign_folder
from aar.campaign.record import Record
from aar.campaign.state import CAMPAIGN, CampaignState, read_state
from aar.config import CampaignConfig, ProblemConfig, ResearcherConfig
from aar.lab.experiment import METHOD_FILE, start_experiment
from aar.remote import result
from aar.scoring.records import Experiment

PERSON = ResearcherConfig(name="person", direction="by-hand")
TRIALS = 10_000
"""How many experiments a person may run in one folder."""


@dataclass(frozen=True)
class Method:
    """A method file and what it is called."""

    name: str
    source: bytes


def run_trial(
    config: CampaignConfig, method: Method, view: View, dataset: str | None = None
) -> tuple[CampaignState, Experiment]:
    """Run a method as an experiment on a dataset of `config`'s problem, by default the one for research.

    A method that was scored before is not run again; one that failed is.

    Raises:
        KeyboardInterrupt: it was stopped.
        AarError: a part cannot start or failed. A failure of the method itself is told by the experiment.
    """
    ended: list[Experiment] = []

    def make(*parts: Any) -> Driver:
        return _Trial(method, ended.append, *parts)

    state = _run(derived_config(config, "try", dataset), view, make)
    return state, ended[0]


def measure_baselines(config: CampaignConfig, view: View, dataset: str | None = None) -> CampaignState:
    """Compute teacher, ceiling and vanilla on a dataset of `config`'s problem. Raises as `run_trial`."""
    return _run(derived_config(config, "baselines", dataset), view, _Baselines)


def derived_config(config: CampaignConfig, purpose: str, dataset: str | None) -> CampaignConfig:
    """The short campaign's own configuration: its name and folder end in `purpose`, its one researcher is a person.

    Raises ConfigError when the problem has no such dataset.
    """
    ending = f"-{purpose}" if dataset is None else f"-{purpose}-{dataset}"
    folder = campaign_folder(config)
    budget = config.budget.model_copy(update={"experiments_per_researcher": TRIALS})
    changes = {
        "name": config.name + ending,
        "folder": folder.with_name(folder.name + ending),
        "problem": _about(config.problem, dataset),
        "researchers": [PERSON],
        "budget": budget,
    }
    return config.model_copy(update=changes)


def _about(problem: ProblemConfig, dataset: str | None) -> ProblemConfig:
    """The problem with `dataset` as the one for research."""
    wanted = problem.dataset(dataset).name
    datasets = [
        one.model_copy(update={"role": "research" if one.name == wanted else "transfer"}) for one in problem.datasets
    ]
    return problem.model_copy(update={"datasets": datasets})


def _run(config: CampaignConfig, view: View, make: Callable[..., Driver]) -> CampaignState:
    with CampaignFolder(config) as folder:
        record = Record(folder.path)
        record.begin_run()
        outcome = "failed"
        try:
            with _terminable():
                make(config, folder, record, view).run()
            outcome = "finished"
        except KeyboardInterrupt:
            outcome = "stopped"
            raise
        finally:
            record.event(CAMPAIGN, outcome)
            record.end_run(outcome)
            ray.shutdown()
    return read_state(folder.path)


class _Baselines(Driver):
    """A campaign that ends after its baselines."""

    def _research(self) -> None:
        pass

    def _retest(self) -> None:
        """No test set is drawn anew: nothing was chosen here."""


class _Trial(_Baselines):
    """A campaign whose research is one method."""

    def __init__(self, method: Method, ended: Callable[[Experiment], None], *parts: Any) -> None:
        super().__init__(*parts)
        self._method, self._ended = method, ended

    def _research(self) -> None:
        experiment = self._admit()
        if experiment.status == "running":
            self._phase(f"running {self._method.name} on seeds {', '.join(map(str, experiment.seeds))}")
            run = start_experiment(self._config, experiment, self._commons, self._scorer, self._compute)
            (experiment,) = self._watch([run.run.remote()])
            ray.kill(run)
        self._ended(experiment)

    def _admit(self) -> Experiment:
        name, files = self._method.name, {METHOD_FILE: self._method.source}
        key = hashlib.sha256(name.encode() + b"\0" + self._method.source).hexdigest()
        snapshot = result(self._commons.publish.remote(PERSON.name, files, name, None, key=key)).id
        earlier = [one for one in read_state(self._folder.path).experiments if one.snapshot == snapshot]
        failures = sum(one.status == "failed" for one in earlier)
        experiment: Experiment = result(
            self._scorer.admit.remote(PERSON.name, snapshot, name, f"{snapshot}/{failures}")
        )
        return experiment
