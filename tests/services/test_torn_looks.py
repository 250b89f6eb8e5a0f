"""Calendars that are remembered and calendars that are read a moment later are no look at one moment.

Nobody is refused by such a look: a visit that went from one of them to another meanwhile is in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.core.errors import NoFeasiblePlan
from scheduler.database import TRIES, engine_options
from scheduler.services import booking, busy, calendars, series
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic, visit_type
from tests.coursework import approve, course, offer, open_course_clinic, protocol
from tests.desk import TALK, book, open_clinic, overlaps, wanted

DAY = "2030-03-04"
ALONE = {"minimum": 1, "maximum": 3, "decide_hours": 1}


@pytest.fixture
def here(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.visit(visit_type("circle", *TALK["segments"], kind="group", group=ALONE))
    for _ in range(2):
        made.room("consult")
    return made


@pytest.fixture
def there(here: Clinic, settings: Settings) -> Iterator[Engine]:
    """Another process."""
    other = create_engine(settings.database_url, **engine_options(settings.database_url))
    yield other
    other.dispose()


def asked(session: Session, call: Call, visit: Wanted) -> Any:
    """A circle is begun by a booking, a talk by a series."""
    if visit.visit_type == "circle":
        return booking.book(session, call, visit)
    return series.create(session, call, visit, "FREQ=WEEKLY;COUNT=2")


# On SQLite a look is of one moment: nobody writes beside a transaction that may.
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("code", ["circle", "talk"])
def test_who_moves_from_one_to_another_meanwhile_is_not_with_both(
    here: Clinic, there: Engine, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    one, other = here.staff("therapist"), here.staff("therapist")
    moving = book(here, here.patient(), "talk", f"{DAY} 10:00", pins=(Pin("role:therapist", one),)).row.id
    mine = wanted(here, here.patient(), code, f"{DAY} 10:00")
    here.do(lambda s, c: asked(s, c, mine), dry_run=True)  # all calendars are known from here on
    elsewhere(there, here, "15:00", here.patient(), other)
    real, moved = busy.lines, []
    longer = 0 if code == "circle" else 7 * 288  # a series looks at its first start and then at all

    def late(session: Session, call: Call, timeline: Any, ids: Any, *more: Any, **named: Any) -> Any:
        if (
            session.get_bind() is here.engine
            and other in ids
            and one not in ids
            and timeline.slots > longer
            and not moved
        ):
            moved.append(moving)
            with Session(there) as beside:
                to = (Pin("role:therapist", other),)
                booking.reschedule(beside, here.call, moving, here.at(f"{DAY} 10:00"), pins=to)
                beside.commit()
        return real(session, call, timeline, ids, *more, **named)

    monkeypatch.setattr(busy, "lines", late)
    assert here.do(lambda s, c: asked(s, c, mine))
    assert moved == [moving]
    assert overlaps(here.engine) == 0


def elsewhere(there: Engine, clinic: Clinic, clock: str, patient: UUID, therapist: UUID) -> None:
    """Another process books a talk with that therapist."""
    with Session(there) as beside:
        start, pins = clinic.at(f"{DAY} {clock}"), (Pin("role:therapist", therapist),)
        booking.book(beside, clinic.call, Wanted(patient, "talk", clinic.location_id, start, pins=pins))
        beside.commit()


def test_no_course_is_refused_by_it_but_in_the_end(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = open_course_clinic(engine)
    approve(clinic, protocol())
    made, real, looks = course(clinic, weekdays=["mon"]), calendars.busy, []

    def torn(*some: Any, **named: Any) -> busy.Taken:
        looks.append(len(looks) < times)
        return real(*some, **named)._replace(torn=looks[-1])

    def seen() -> int:
        looks.clear()
        with pytest.raises(NoFeasiblePlan):
            offer(clinic, made.id)
        return len(looks)

    monkeypatch.setattr(calendars, "busy", torn)
    times = 0
    once = times = seen()
    assert seen() == 2 * once
    times = 1000 * once
    assert seen() == TRIES * once
