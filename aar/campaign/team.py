"""The researchers of a running campaign: those it was configured with, and those that people add while it runs."""

from collections.abc import Callable
from typing import Any

import ray

from aar.campaign.record import Record
from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import AarError
from aar.researchers.claude.access import check_minds
from aar.researchers.steering import Steering, roster


class Team:
    """Starts researchers.

    Attributes:
        actors: by name, in the order in which they joined.
        is_over: whether they were told that the time is up.
    """

    def __init__(
        self, config: CampaignConfig, steering: Steering, record: Record,
        start: Callable[[ResearcherConfig], Any],
    ) -> None:  # fmt: skip
        """`start` starts a researcher's actor."""
        self._config, self._steering, self._record, self._start = config, steering, record, start
        self._refused: set[str] = set()
        self.actors: dict[str, Any] = {}
        self.is_over = False

    def join(self) -> list[Any]:
        """Start whoever is to work and does not yet; their calls, which return when they have ended."""
        return [actor.run.remote() for actor in self._start_new()]

    def stop(self) -> list[Any]:
        """The time is up: nobody begins anything further. To be said again, to those whose process was lost meanwhile.

        Where nobody had begun, an earlier driver may have left experiments that run: returns the calls of those who
        attend to that alone.
        """
        new = [] if self.actors else self._start_new()
        ray.get([actor.stop.remote() for actor in new])
        self.is_over = True
        for actor in self.actors.values():
            actor.stop.remote()
        return [actor.run.remote() for actor in new]

    def _start_new(self) -> list[Any]:
        known = {*self.actors, *self._refused}
        everybody = roster(self._config, self._steering.wishes())
        joining = [one for one in everybody if one.name not in known and self._can_start(one)]
        started = {one.name: self._start(one) for one in joining}
        self.actors |= started
        return list(started.values())

    def _can_start(self, researcher: ResearcherConfig) -> bool:
        try:
            check_minds(self._config.model_copy(update={"researchers": [researcher]}))
        except AarError as error:
            self._record.event(researcher.name, f"cannot start: {error}")
            self._refused.add(researcher.name)
            return False
        return True
