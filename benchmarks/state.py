"""The time of a refresh of the live view on a large campaign: `python -m benchmarks.state [--experiments N ...]`.

Writes a campaign of 1,000 experiments, 10,000 posts, 100,000 ledger entries and 100,000 entries of spending through the
real databases into a temporary folder. Prints, in milliseconds with median and maximum: the first reading (as in
`aar status`), a refresh without changes, and a refresh after one experiment ended, one started, and one post, event and
request arrived (as in `aar run`, twice a second). The goal for a refresh is 50 ms.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aar.budget import Resources, Tokens, UsageStore
from aar.campaign.events import EventLog
from aar.campaign.state import CAMPAIGN, CampaignState, StateReader
from aar.commons.forum import Forum
from aar.config import load_config
from aar.scoring import ledger
from aar.scoring.records import DatasetScore, Experiment, Score
from aar.scoring.store import VERSION, ExperimentRequest, ScoreStore
from aar.storage import open_database, transaction

CAMPAIGN_FILE = Path(__file__).parents[1] / "jobs" / "quickstart.toml"
RESEARCHERS = 9
FAMILIES = 40
REFRESHES = 30
SCORE = Score(0.8, 0.5, 0.4, 0.6, (DatasetScore("minimal-pairs", 0.8, 0.5),))


class LargeCampaign:
    """A campaign folder that grows."""

    def __init__(self, folder: Path) -> None:
        self.researchers = [f"researcher-{number}" for number in range(1, RESEARCHERS + 1)]
        team = ", ".join(f'{{name = "{name}"}}' for name in self.researchers)
        config = load_config(CAMPAIGN_FILE, [f"folder={folder}", f"researchers=[{team}]"])
        folder.mkdir()
        (folder / "commons").mkdir()
        (folder / "config.json").write_text(config.model_dump_json())
        self.folder = folder
        self.events, self.scores, self.usage = EventLog(folder), ScoreStore(folder), UsageStore(folder)
        self.forum = Forum(folder / "commons" / "forum.sqlite")
        self.events.begin_run()
        self.events.event(CAMPAIGN, "research")
        self.written = 0

    def fill(self, experiments: int, posts: int, entries: int) -> None:
        for _ in range(experiments):
            self.end(self.begin())
        for _ in range(posts):
            self.post()
        database = open_database(self.folder / "scores.sqlite", "", version=VERSION)
        with transaction(database) as db:  # one by one they would take minutes
            for number in range(entries - len(self.scores.ledger())):
                ledger.append(db, "refused", self._researcher(), f"refused/{number}", {"reason": "used up"})
        database.close()
        for _ in range(entries):
            self.spend()
        with sqlite3.connect(self.folder / "spend.sqlite") as spending:  # over a day, the last of them now
            spending.execute("UPDATE entries SET time = time - 86400.0 * (? - rowid) / ?", (entries, entries))

    def begin(self) -> Experiment:
        key, researcher = self._key(), self._researcher()
        return self.scores.admit(
            ExperimentRequest(key, researcher, f"{self.written:040x}", ("minimal-pairs",), "soft", (1, 2))
        )

    def end(self, experiment: Experiment) -> None:
        self.scores.finish(experiment.id, SCORE, {"released": True, "predictions": {"minimal-pairs/1": "0" * 64}})

    def post(self) -> None:
        family = {"family": f"family {self.written % FAMILIES}"}
        self.forum.post(self._researcher(), "result", "PGR 0.5", "Soft labels. " * 40, key=self._key(), data=family)

    def spend(self) -> None:
        self.usage.add(
            self._researcher(), self._key(), tokens=Tokens(input=900, output=300), resources=Resources(dollars=0.01)
        )

    def act(self) -> None:
        self.events.event(self._researcher(), f"thinking, turn {self.written}")

    def _key(self) -> str:
        self.written += 1
        return f"key-{self.written}"

    def _researcher(self) -> str:
        return self.researchers[self.written % len(self.researchers)]


def milliseconds(read: Callable[[], CampaignState]) -> float:
    began = time.perf_counter()
    read()
    return (time.perf_counter() - began) * 1000


def report(name: str, times: list[float]) -> None:
    print(f"{name:42s} {statistics.median(times):8.1f} {max(times):8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=1_000)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=100_000, help="of the ledger, and of spending")
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        campaign = LargeCampaign(Path(base) / "large")
        campaign.fill(sizes.experiments, sizes.posts, sizes.entries)
        print(f"{'milliseconds':42s} {'median':>8s} {'max':>8s}")
        report("first reading", [milliseconds(StateReader(campaign.folder).read) for _ in range(5)])
        reader = StateReader(campaign.folder)
        reader.read()
        report("refresh, nothing changed", [milliseconds(reader.read) for _ in range(REFRESHES)])
        times, running = [], campaign.begin()
        for _ in range(REFRESHES):
            campaign.end(running)
            running = campaign.begin()
            campaign.post()
            campaign.act()
            campaign.spend()
            times.append(milliseconds(reader.read))
        report("refresh, everything has grown", times)


if __name__ == "__main__":
    main()
