"""The researchers of a running campaign: those it was configured with, and those that people add while it runs."""

from collections.abc import Callable
from typing import Any

from aar.campaign.record import Record
from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import AarError
from aar.researchers.claude.access import check_minds
from aar.researchers.steering import Steering, roster


class Team:
    """Starts researchers, and notes in the record what is asked of them.

    Attributes:
        actors: by name, in the order in which they joined.
    """

    def __init__(
        self, config: CampaignConfig, steering: Steering, record: Record,
        start: Callable[[ResearcherConfig], Any],
    ) -> None:  # fmt: skip
        """`start` starts a researcher's actor."""
        self._config, self._steering, self._record, self._start = config, steering, record, start
        self._wishes = steering.wishes()
        self._refused: set[str] = set()
        self.actors: dict[str, Any] = {}

    def join(self) -> list[Any]:
        """Start whoever is to work and does not yet; their calls, which return when they have ended."""
        new = self._steering.wishes(self._wishes[-1].number if self._wishes else 0)
        for wish in new:
            self._record.event(wish.researcher, wish.describe())
        self._wishes += new
        known = {*self.actors, *self._refused}
        joining = [one for one in roster(self._config, self._wishes) if one.name not in known and self._can_start(one)]
        self.actors |= {one.name: self._start(one) for one in joining}
        return [self.actors[one.name].run.remote() for one in joining]

    def _can_start(self, researcher: ResearcherConfig) -> bool:
        try:
            check_minds(self._config.model_copy(update={"researchers": [researcher]}))
        except AarError as error:
            self._record.event(researcher.name, f"cannot start: {error}")
            self._refused.add(researcher.name)
            return False
        return True
