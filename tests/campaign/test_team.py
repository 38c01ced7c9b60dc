"""A researcher that fails, in whatever way, ends alone: real actors, the real session's watch, handmade researchers."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray

from aar.campaign import team
from aar.campaign.events import EventLog
from aar.campaign.folder import CampaignFolder
from aar.campaign.run import CampaignRun
from aar.campaign.state import CampaignState
from aar.campaign.team import REASON_CHARACTERS, RETRY_SECONDS, ResearcherSupervisor
from aar.config import CampaignConfig, ResearcherConfig, load_config
from aar.errors import AarError, CampaignError, ComputeError, StorageError
from aar.ray_utils import start_actor
from aar.researchers.actor import ACTOR_OPTIONS, WATCHING
from tests.campaign_fixture import write_toml

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
FEW_RESTARTS = {**ACTOR_OPTIONS, "max_restarts": 1}
BAD, GOOD = "researcher-1", "researcher-2"


class Honest:
    """Works a while and ends. Its runs are counted in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self) -> None:
        with open(self.folder / type(self).__name__, "a") as runs:
            runs.write("run\n")
        self.work()

    def work(self) -> None:
        time.sleep(1)

    @ray.method(concurrency_group=WATCHING)  # type: ignore[untyped-decorator]
    def stop(self) -> None:
        """Does nothing: its work is short."""

    @ray.method(concurrency_group=WATCHING)  # type: ignore[untyped-decorator]
    def status(self) -> str:
        return "works"


class Unpicklable(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one}, {other}")
        self.open_file = open(os.devnull)  # noqa: SIM115 (what cannot be pickled)


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Recursing(Honest):
    def work(self) -> None:
        raise RecursionError("maximum recursion depth exceeded")


class Shouting(Honest):
    def work(self) -> None:
        raise ValueError("\x1b[2J line\n" * 100_000)


class Odd(Honest):
    def work(self) -> None:
        raise Unpicklable(1, 2)


class Wordless(Honest):
    def work(self) -> None:
        raise Unreadable


class Dying(Honest):
    def work(self) -> None:
        os._exit(1)


class Unborn(Honest):
    def __init__(self, folder: Path) -> None:
        raise MemoryError("nothing left")


class Refused(Honest):
    def work(self) -> None:
        raise AarError("a post of \ud800 that was refused")


class Recovering(Honest):
    def work(self) -> None:
        if len((self.folder / type(self).__name__).read_text().split()) < 3:
            raise RuntimeError("not yet")


def raising(error: Exception) -> type[Honest]:
    class Raising(Honest):
        def work(self) -> None:
            raise error

    return Raising


class Silent:
    def show(self, state: CampaignState) -> None:
        """Nobody looks."""

    def say(self, line: str) -> None:
        """Nobody listens."""


@dataclass
class Stage:
    """A session with two researchers, of which the first is of a kind that a test chooses."""

    session: CampaignRun
    config: CampaignConfig

    def research(self, kind: type[Honest]) -> None:
        def start(one: ResearcherConfig) -> Any:
            folder, chosen = self.session.folder, kind if one.name == BAD else Honest
            return start_actor(chosen, f"researcher-{one.name}", str(folder), folder, **FEW_RESTARTS)

        self.session.watch(
            [], ResearcherSupervisor(self.config, self.session.commands, self.session.note_researcher, start)
        )

    def events(self, name: str) -> list[str]:
        return [event.text for event in self.session.record.events() if event.source == name]

    def runs(self, kind: type[Honest]) -> int:
        file = self.session.folder / kind.__name__
        return len(file.read_text().split()) if file.exists() else 0


@pytest.fixture
def stage(ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(team, "RETRY_SECONDS", (0.2, 0.2, 0.2))
    config = load_config(write_toml(tmp_path, tmp_path / "campaign"))
    config = config.model_copy(update={"researchers": config.researchers[:2]})
    with CampaignFolder(config) as folder:
        record = EventLog(folder.path)
        record.begin_run()
        yield Stage(CampaignRun(config, folder, record, Silent()), config)


FAULTS: dict[type[Honest], str] = {
    Recursing: "RecursionError: maximum recursion depth exceeded",
    Shouting: "ValueError: <U+001B>[2J",
    Odd: "Unpicklable",
    Wordless: "RuntimeError: no words",
    Dying: "ActorDiedError",
    Unborn: "MemoryError: nothing left",
    Refused: "AarError: a post of \\ud800 that was refused",
}


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_a_researcher_that_fails_is_tried_again_and_ends_alone(stage: Stage, kind: type[Honest]) -> None:
    stage.research(kind)
    assert stage.runs(Honest) == 1 and stage.events(GOOD)[-1] == "works"
    told = [text for text in stage.events(BAD) if text.startswith("failed")]
    assert len(told) == len(RETRY_SECONDS) + 1 and all("retrying in" in text for text in told[:-1])
    assert told[-1].startswith("failed: ") and FAULTS[kind] in told[-1] and told[-1] == stage.events(BAD)[-1]
    assert all(text.isprintable() and len(text) < REASON_CHARACTERS + 60 for text in told)


def test_it_is_tried_again_after_each_of_its_failures_and_when_the_campaign_goes_on(stage: Stage) -> None:
    stage.research(Recursing)
    assert stage.runs(Recursing) == len(RETRY_SECONDS) + 1
    stage.research(Recursing)
    assert stage.runs(Recursing) == 2 * (len(RETRY_SECONDS) + 1)


def test_one_that_recovers_goes_on(stage: Stage) -> None:
    stage.research(Recovering)
    assert stage.runs(Recovering) == 3
    assert [text for text in stage.events(BAD) if text.startswith("failed: ")] == []


class Mute(Honest):
    @ray.method(concurrency_group=WATCHING)  # type: ignore[untyped-decorator]
    def status(self) -> str:
        time.sleep(3600)
        return "never"


def test_one_that_does_not_say_what_it_does_is_shown_as_restarting_and_holds_up_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "SILENT_SECONDS", 0.5)
    folder = stage.session.folder
    mute = start_actor(Mute, "mute", str(folder), folder, **ACTOR_OPTIONS)
    talking = start_actor(Honest, "talking", str(folder), folder, **ACTOR_OPTIONS)
    ray.get(talking.status.remote())
    watch, seen = team.ActivityWatch(), []
    began = time.monotonic()
    for _ in range(4):
        seen.append(watch.poll({BAD: mute, GOOD: talking}))
    assert all(activities[GOOD] == "works" for activities in seen)
    assert BAD not in seen[0] and seen[-1][BAD] == team.RESTARTING
    assert time.monotonic() - began < 3
    ray.kill(mute)
    assert watch.poll({GOOD: talking}) == {GOOD: "works"}


GONE: tuple[Callable[[str], AarError], ...] = (StorageError, ComputeError, CampaignError)


@pytest.mark.parametrize("error", GONE)
def test_what_everybody_needs_and_is_gone_ends_the_run_with_its_words(
    stage: Stage, error: Callable[[str], AarError]
) -> None:
    gone = error("the disk is full. Free some space")
    with pytest.raises(type(gone), match="the disk is full"):
        stage.research(raising(gone))


def test_an_event_of_foreign_words_is_bounded_and_printable(tmp_path: Path) -> None:
    record = EventLog(tmp_path)
    record.event(BAD, "uses \ud800\x1b[2J" + "x" * 3_000_000)
    (event,) = record.events()
    assert event.text.startswith("uses <U+D800><U+001B>[2Jxxx") and len(event.text) <= 4096
