"""Scratch paper: whatever is put, taken away and put again, as much is free as there is."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.availability import Taking, assign
from scheduler.core.call import Call
from scheduler.services import absences
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import visit_kinds
from scheduler.services.scratch import Scratch
from tests.clinic import Clinic, need, segment, visit_type

DAY = "2030-03-04"
BAY = "room:bay"

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


class Bays:
    """Some bays, and visits that sit in one for an hour or two."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.clinic = Clinic(engine)
        self.rooms = [self.clinic.room("bay") for _ in range(number)]
        self.clinic.visit(visit_type("sit", segment("sit", 60, need(BAY))))

    def away(self, place: int, since: str, until: str) -> None:
        """That bay is closed meanwhile."""
        start, end = (self.clinic.at(f"{DAY} {hour}") for hour in (since, until))
        self.clinic.do(
            lambda s, c: absences.create(s, c, resource_id=self.rooms[place], start=start, end=end, reason="").id
        )

    def loaded(self, session: Session, call: Call) -> Loaded:
        start, end = self.clinic.at(f"{DAY} 00:00"), self.clinic.at(f"{DAY} 23:00")
        return load(session, call, location_id=self.clinic.location_id, start=start, end=end)

    def stay(self, loaded: Loaded, place: int, since: str, until: str, *, late: bool = False) -> list[Taking]:
        """That bay taken meanwhile; `late`: whichever it will be."""
        first, past = (loaded.site.timeline.slot(self.clinic.at(f"{DAY} {hour}")) for hour in (since, until))
        pool: tuple[UUID, ...] = tuple(self.rooms) if late else ()
        return [Taking(self.rooms[place], BAY, first, past, None, pool)]

    def seat(self, session: Session, call: Call, scratch: Scratch, loaded: Loaded, hour: str) -> list[Taking] | None:
        """Where a visit of an hour would sit."""
        kind = visit_kinds(session, call)["sit"]
        clinic = scratch.site(self.clinic.location_id, loaded).clinic(kind.visit, kind.demand)
        takings = assign(kind.demand, clinic, loaded.site.timeline.slot(self.clinic.at(f"{DAY} {hour}")))
        return None if takings is None else list(takings)


def test_who_is_put_back_into_a_room_leaves_the_late_visit_another(engine: Engine) -> None:
    """Meanwhile the late one seemed to have that room: three visits at once fill three bays, however they came."""
    bays = Bays(engine, 3)

    def try_out(session: Session, call: Call) -> list[Taking] | None:
        loaded, scratch = bays.loaded(session, call), Scratch()
        scratch.add(bays.clinic.location_id, loaded)
        hour = "10:00", "11:00"
        for name, place in (("first", 0), ("third", 2)):
            scratch.put(name, bays.stay(loaded, place, *hour))
        scratch.put("late", bays.stay(loaded, 1, *hour, late=True))
        assert bays.seat(session, call, scratch, loaded, "10:00") is None
        was = scratch.lift("first")
        assert bays.seat(session, call, scratch, loaded, "10:00") is not None
        scratch.put("first", was)
        return bays.seat(session, call, scratch, loaded, "10:00")

    assert bays.clinic.do(try_out) is None


@pytest.mark.parametrize(("closed", "finds"), [(True, False), (False, True)])
def test_what_was_put_changes_over_only_where_its_other_room_is_there(
    engine: Engine, *, closed: bool, finds: bool
) -> None:
    """One sits in the first bay until the visit is half over, another in the second from then on: one must move."""
    bays = Bays(engine, 2)
    if closed:
        bays.away(1, "09:00", "09:30")
        bays.away(0, "12:00", "13:00")

    def try_out(session: Session, call: Call) -> bool:
        loaded, scratch = bays.loaded(session, call), Scratch()
        scratch.add(bays.clinic.location_id, loaded)
        scratch.put("before", bays.stay(loaded, 0, "09:00", "10:30"))
        scratch.put("after", bays.stay(loaded, 1, "10:30", "12:30"))
        return bays.seat(session, call, scratch, loaded, "10:00") is not None

    assert bays.clinic.do(try_out) is finds


@pytest.mark.parametrize("fixed", [False, True])
def test_a_room_that_is_not_changed_for_another_is_left_by_nobody(engine: Engine, *, fixed: bool) -> None:
    """The same with the first of them in a room that it keeps: then only the other could move, and its own is taken."""
    bays = Bays(engine, 2)
    bays.away(0, "12:00", "13:00")

    def try_out(session: Session, call: Call) -> bool:
        loaded, scratch = bays.loaded(session, call), Scratch(fixed={"before"} if fixed else ())
        scratch.add(bays.clinic.location_id, loaded)
        scratch.put("before", bays.stay(loaded, 0, "09:00", "10:30"))
        scratch.put("after", bays.stay(loaded, 1, "10:30", "12:30"))
        return bays.seat(session, call, scratch, loaded, "10:00") is not None

    assert bays.clinic.do(try_out) is not fixed
