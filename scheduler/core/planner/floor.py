"""What a floor is, on which a batch's courses take up room, and what stands there; its maker knows the calendars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.market import Uses
from scheduler.core.planner.rivals import Needs
from scheduler.core.planner.trail import Prices, Trail


@dataclass(frozen=True)
class Placement:
    """A course's plan: its cost, the days of its visits (any count that the floor keeps), and the floor's own words."""

    cost: int
    days: frozenset[int]
    plan: Any
    #: How much it takes up in all, in whatever unit.
    size: int = 1


class Floor(Protocol):
    """Where courses take up room."""

    def plan(self, course: int) -> Placement | None:
        """The cheapest plan beside everything that stands, or the proof that there is none."""

    def alone(self, course: int) -> Placement | None:
        """The same with the floor to itself: no plan beside others is cheaper."""

    def trail(self, course: int, *, wishes: bool) -> Trail | None:
        """The course as it may go with the floor to itself; None where only `plan` can tell."""

    def open(self, course: int) -> Prices:
        """Where each of its sessions may start beside everything that stands: there for nothing, elsewhere not."""

    def along(self, course: int, way: Itinerary) -> Placement | None:
        """That way as a plan beside everything that stands; None where it is none."""

    def needs(self, course: int) -> Mapping[str, Needs]:
        """For each of its sessions who could serve it, and who of those that stand keeps them from it."""

    def uses(self, course: int) -> Uses:
        """For each of its sessions what it takes up of which pool."""

    def put(self, course: int, placement: Placement) -> None:
        """Let it take up its room: always the same, so that what was lifted can be put back."""

    def lift(self, course: int, placement: Placement) -> None:
        """Give its room back."""
