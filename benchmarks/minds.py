"""The cost of the platform itself while nine scripted researchers work: memory, and CPU time per tool call.

    python -m benchmarks.minds [RESEARCHERS] [ROUNDS]

Each researcher is a Ray actor with the anthropic package, a sandbox, a transcript and a budget. A server on loopback
plays its model by script: eight tool calls a round. Commons and scorer are the real actors. No model is trained and no
experiment is run, because that is not a cost of tool calls. Memory is the proportional set size of every process of the
campaign, including Ray's own and the sandboxes. CPU time is that of researchers, commons and scorer while they work,
including git, without their start and without commands in sandboxes.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import psutil
import ray
from ray.actor import ActorHandle

from aar.commons.actor import start_commons
from aar.compute.actor import start_compute
from aar.config import CampaignConfig, load_config
from aar.experiments.actor import start_experiments
from aar.mock_api.script import Scenario, say, use
from aar.mock_api.server import Endpoint, MockApi
from aar.researchers.actor import start_researcher
from aar.researchers.context import ResearcherPaths
from aar.researchers.tools.shared_folder import SharedFolder
from aar.researchers.transcript import read, transcript_folder
from aar.scoring.actor import start_scorer

QUICKSTART = Path(__file__).parents[1] / "jobs" / "quickstart.toml"
NAMESPACE = "benchmark"
COUNTED = ("Researcher", "Commons", "Scorer")
METHOD = "def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"


def part(rounds: int) -> Scenario:
    """Play a round: eight calls, from the cheapest to one that git answers."""
    for number in range(rounds):
        yield say("", use("bash", command="ls /shared/forum | wc -l"), use("budget"), thinking="What is there?")
        yield say("", use("files", command="create", path="method.py", file_text=f"{METHOD}# {number}\n"))
        yield say("", use("store_publish", message=f"draft {number}"))
        yield say("", use("forum_post", kind="insight", title=f"insight {number}", body="words " * 200))
        yield say("", use("forum_read", limit=20), use("vote", post=1, value=1), use("leaderboard"))


def main(researchers: int, rounds: int) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="aar-benchmark-"))
    names = [f"researcher-{number}" for number in range(researchers)]
    config = configured(folder, names)
    with MockApi(Endpoint({name: lambda: part(rounds) for name in names})) as rehearsal:
        os.environ |= {"ANTHROPIC_BASE_URL": rehearsal.url, "ANTHROPIC_API_KEY": "rehearsal"}
        ray.init(address="local", namespace=NAMESPACE, num_cpus=2, log_to_driver=False)
        actors, _platform = started(config, folder)
        before, began = cpu_seconds(), time.monotonic()
        waiting, memory = [actor.run.remote() for actor in actors], 0
        while waiting:
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=1)
            memory = max(memory, resident_bytes())
        used, wall = cpu_seconds() - before, time.monotonic() - began
    calls = sum(entry.kind == "result" for name in names for entry in read(transcript_folder(folder, name)))
    ray.shutdown()
    print(f"{researchers} researchers, {calls} tool calls in {wall:.0f} s")
    print(f"memory, at most: {memory / 2**30:.2f} GiB")
    print(f"the platform's CPU time: {1000 * used / calls:.1f} ms per tool call")


def configured(folder: Path, names: list[str]) -> CampaignConfig:
    """Configure researchers with a model, and store the data that they would get from a scorer."""
    people = [{"name": name, "brain": "claude"} for name in names]
    for name in names:
        shared = SharedFolder(ResearcherPaths.of(folder, name).shared)
        shared.write("data/weak_labels.npy", b"")
    config = load_config(QUICKSTART, [f"folder={folder}"])
    return CampaignConfig.model_validate({**config.model_dump(), "researchers": people})


def started(config: CampaignConfig, folder: Path) -> tuple[list[ActorHandle], list[ActorHandle]]:
    """Start the actors; return the researchers once they answer, and the actors whose handles must be kept."""
    platform = [
        start_commons(folder / "commons", NAMESPACE, accounts=folder),
        start_compute(config, folder, NAMESPACE),
        start_scorer(config, folder, NAMESPACE),
    ]
    ray.get(platform[-1].ping.remote())
    platform.append(start_experiments(config, NAMESPACE, resume=False))
    actors = [start_researcher(researcher, config, folder, NAMESPACE) for researcher in config.researchers]
    ray.get([actor.status.remote() for actor in actors])
    return actors, platform


def cpu_seconds() -> float:
    """Return the CPU time so far of the actors that answer tool calls, and of the git processes of the commons."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        title = " ".join(process.cmdline())
        if title.startswith("ray::") and any(name in title for name in COUNTED):
            times = process.cpu_times()
            total += times.user + times.system
            total += times.children_user + times.children_system if "Commons" in title else 0.0
    return total


def resident_bytes() -> int:
    """Return the proportional memory of this process and all its descendants."""
    root = psutil.Process()
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:3]]
    main(*(given + [9, 10][len(given) :]))
