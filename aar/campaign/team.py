"""The researchers of a running campaign: those it was configured with, and those that people add while it runs."""

from collections.abc import Callable
from functools import partial
from typing import Any

from aar.campaign.member import Member
from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import AarError
from aar.researchers.claude.access import check_minds
from aar.researchers.steering import Steering, roster


class Team:
    """Starts researchers and attends to them.

    Attributes:
        is_over: whether they were told that the time is up.
    """

    def __init__(
        self, config: CampaignConfig, steering: Steering, note: Callable[[str, str], None],
        start: Callable[[ResearcherConfig], Any],
    ) -> None:  # fmt: skip
        """`note` records what becomes of a researcher, by name; `start` starts its actor."""
        self._config, self._steering, self._note, self._start = config, steering, note, start
        self._refused: set[str] = set()
        self._members: dict[str, Member] = {}
        self.is_over = False

    @property
    def actors(self) -> dict[str, Any]:
        """Those of researchers who work or have ended well, by name, in the order in which they joined."""
        return {name: member.actor for name, member in self._members.items() if member.actor is not None}

    @property
    def calls(self) -> list[Any]:
        """The calls under way, which return when a researcher has ended."""
        return [member.call for member in self._members.values() if member.call is not None]

    @property
    def is_done(self) -> bool:
        """Has everybody ended?"""
        return all(member.is_done for member in self._members.values())

    def join(self) -> None:
        """Let whoever is to work and does not yet begin; attend to the others. Raises as `Member.attend`."""
        self._admit()
        self._attend()

    def stop(self) -> None:
        """The time is up: nobody begins anything further. To be said again, to those whose process was lost meanwhile.

        Where nobody had begun, an earlier driver may have left experiments that run: they attend to that alone.
        """
        if not self._members:
            self._admit()
        self.is_over = True
        for actor in self.actors.values():
            actor.stop.remote()
        self._attend()

    def _attend(self) -> None:
        for member in self._members.values():
            member.attend(stopping=self.is_over)

    def _admit(self) -> None:
        for one in roster(self._config, self._steering.wishes()):
            if one.name not in {*self._members, *self._refused} and self._can_start(one):
                self._members[one.name] = Member(partial(self._start, one), partial(self._note, one.name))

    def _can_start(self, researcher: ResearcherConfig) -> bool:
        try:
            check_minds(self._config.model_copy(update={"researchers": [researcher]}))
        except AarError as error:
            self._note(researcher.name, f"cannot start: {error}")
            self._refused.add(researcher.name)
            return False
        return True
