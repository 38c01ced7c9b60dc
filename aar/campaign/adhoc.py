"""Short campaigns by a person: one method run by hand, or only a problem's baselines.

Both use the same code as researchers' campaigns, each in its own folder next to the campaign's, so that a person's
trials have no influence on how researchers are measured.
"""

import hashlib
from dataclasses import dataclass

from aar.campaign.folder import campaign_folder
from aar.campaign.run import CampaignRun, View, run_session
from aar.campaign.state import CampaignState
from aar.config import CampaignConfig, ProblemConfig, ResearcherConfig
from aar.errors import CampaignError
from aar.methods import METHOD_FILE
from aar.ray_utils import get
from aar.scoring.records import Experiment

PERSON = ResearcherConfig(name="person", direction="by-hand")
TRIALS = 10_000
"""The most experiments that a person may run in one folder."""


@dataclass(frozen=True)
class Method:
    """A method file and its name."""

    name: str
    source: bytes


def run_trial(
    config: CampaignConfig, method: Method, view: View, dataset: str | None = None
) -> tuple[CampaignState, Experiment]:
    """Run a method as an experiment on a dataset of `config`'s problem, by default those for research.

    A method that was scored before is not run again; one that failed is.

    Raises:
        KeyboardInterrupt: it was stopped.
        AarError: a part cannot start or failed. A failure of the method itself is in the experiment.
    """
    ended: list[Experiment] = []

    def work(session: CampaignRun) -> None:
        session.measure_baselines()
        experiment = _submit(session, method)
        session.phase(f"running {method.name} on seeds {', '.join(map(str, experiment.seeds))}")
        ended.append(session.wait_for(experiment))

    state = run_session(derived_config(config, "try", dataset), view, work)
    return state, ended[0]


def measure_baselines(config: CampaignConfig, view: View, dataset: str | None = None) -> CampaignState:
    """Compute teacher, ceiling and vanilla on a dataset of `config`'s problem. Raises as `run_trial`."""
    return run_session(derived_config(config, "baselines", dataset), view, CampaignRun.measure_baselines)


def derived_config(config: CampaignConfig, purpose: str, dataset: str | None) -> CampaignConfig:
    """Return the short campaign's configuration. Its name and folder end in `purpose`; its one researcher is a person.

    Raises ConfigError if the problem has no such dataset.
    """
    ending = f"-{purpose}" if dataset is None else f"-{purpose}-{dataset}"
    folder = campaign_folder(config)
    own = config.budget.researcher.model_copy(update={"experiments": None})
    budget = config.budget.model_copy(update={"experiments_per_researcher": TRIALS, "researcher": own})
    changes = {
        "name": config.name + ending,
        "folder": folder.with_name(folder.name + ending),
        "problem": _researched(config.problem, dataset),
        "researchers": [PERSON],
        "budget": budget,
    }
    return config.model_copy(update=changes)


def _researched(problem: ProblemConfig, dataset: str | None) -> ProblemConfig:
    """The problem with `dataset` as the only one for research, or unchanged if that is None."""
    if dataset is None:
        return problem
    name = problem.dataset(dataset).name
    datasets = [
        each.model_copy(update={"role": "research" if each.name == name else "transfer"}) for each in problem.datasets
    ]
    return problem.model_copy(update={"datasets": datasets})


def _submit(session: CampaignRun, method: Method) -> Experiment:
    """Return an earlier experiment with the method that did not fail, or start one."""
    key = hashlib.sha256(method.name.encode() + b"\0" + method.source).hexdigest()
    files = {METHOD_FILE: method.source}
    for attempt in range(TRIALS):
        call = session.experiments.submit.remote(PERSON.name, files, method.name, f"{key}/{attempt}")
        submitted: Experiment = get(call)
        if submitted.status != "failed":
            return submitted
    raise CampaignError(f"{method.name} has failed {TRIALS} times in this folder; change it")
