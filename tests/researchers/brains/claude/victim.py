"""A claude researcher in a process of its own, to be killed: real forum, code store, scorebook and sandbox.

python -m tests.researchers.brains.claude.victim FOLDER
"""

import sys
from pathlib import Path

from aar.config import load_config
from aar.researchers.brains.claude import messages
from aar.researchers.brains.claude.brain import ClaudeBrain
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.transcript import Transcript, transcript_folder
from aar.scoring.records import Experiment
from aar.scoring.store import ExperimentRequest, ScoreStore
from aar.storage import storage_errors
from tests.campaign_fixture import write_toml
from tests.researchers.client_double import SCORE, Campaign, ClientDouble

NAME = "researcher-1"


class DurableClient(ClientDouble):
    """Experiments that a killed process leaves behind, in the scorer's own database; each is scored at once."""

    def _book(self) -> ScoreStore:
        return ScoreStore(self.campaign.folder)

    def start(self, snapshot: str, note: str, *, key: str) -> Experiment:
        experiment = self._book().admit(ExperimentRequest(key, self.name, snapshot, ("data",), note, (1, 2)))
        return self._book().finish(experiment.id, SCORE, {})

    def experiment(self, experiment: str) -> Experiment:
        return self._book().experiment(experiment)

    def experiments(self) -> list[Experiment]:
        return self._book().experiments()


def main(folder: Path) -> None:
    """Run the researcher to its end."""
    messages.FIRST_WAIT_SECONDS = 0.05
    with storage_errors(folder):
        config = load_config(write_toml(folder), ["budget.experiments_per_researcher=99"])
    client = DurableClient(Campaign(folder), NAME)
    runtime = ResearcherRuntime(config.researchers[0], config, folder)
    context = ToolContext(runtime, client, folder)
    brain = ClaudeBrain(runtime, context, Transcript(transcript_folder(folder, NAME)))
    print("begins", flush=True)
    brain.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
