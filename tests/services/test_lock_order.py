"""Every change takes its locks in one order, so that two of them can wait but never for each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services import booking, holds, meetings, series, visit_day, waitlist
from scheduler.services.locks import lock_resources
from tests.clinic import Clinic
from tests.desk import wanted
from tests.plumbing.lock_order import watching
from tests.services.test_groups import CIRCLE, START, join, keep, use

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

LATER = "2030-03-07 10:00"


@pytest.fixture
def clinic(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """Every other patient was there before the staff: their ids come first."""
    made = Clinic(engine)
    made.visit(CIRCLE)
    ids = [made.patient() for _ in range(9)]
    for _ in range(3):
        made.staff("therapist")
        made.room("group")
    ids = [each for pair in zip(ids, [made.patient() for _ in ids], strict=True) for each in pair]
    monkeypatch.setattr(made, "patient", iter(ids).__next__)
    return made


def several(clinic: Clinic, rule: str = "FREQ=DAILY;COUNT=3") -> Any:
    asked = wanted(clinic, clinic.patient(), "circle", START)
    return clinic.do(lambda s, c: series.create(s, c, asked, rule))[0]


def a_cancellation(clinic: Clinic) -> None:
    first, _ = join(clinic), join(clinic)
    clinic.do(lambda s, c: booking.cancel(s, c, first.id, reason="ill", by="patient"))


def moves_between_groups(clinic: Clinic) -> None:
    """Both ways: whoever leaves carries the room and the staff for who stays."""
    first, second = join(clinic), join(clinic, LATER)
    third, fourth = join(clinic), join(clinic, LATER)
    for visit, start in ((first, LATER), (second, START), (third, LATER), (fourth, "2030-03-08 10:00")):
        clinic.do(lambda s, c, v=visit, t=start: booking.reschedule(s, c, v.id, clinic.at(t)))


def a_series(clinic: Clinic) -> None:
    made = several(clinic)
    for visit in made.appointments:
        join(clinic, f"{visit.row.local_start}".replace("T", " "))
    one = made.appointments[0].id
    clinic.do(lambda s, c: series.reschedule(s, c, one, "all", clinic.at("2030-03-06 14:00")))
    other = several(clinic)
    clinic.do(lambda s, c: series.reschedule(s, c, other.appointments[0].id, "all", clinic.at("2030-03-06 14:00")))
    clinic.do(lambda s, c: series.cancel(s, c, one, "all", reason="ill", by="patient"))


def the_end_of_a_group(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(3)]
    group_id = visits[0].row.group_id
    assert group_id is not None
    clinic.do(lambda s, c: meetings.cancel(s, c, group_id, reason="The therapist is ill."))


def a_day(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(3)]
    then = visits[0].row.starts_at + timedelta(minutes=20)
    clinic.do(lambda s, c: visit_day.no_show(s, c, visits[0].id), now=then)
    clinic.do(lambda s, c: visit_day.undo(s, c, visits[0].id), now=then)
    clinic.do(lambda s, c: visit_day.check_in(s, c, visits[1].id), now=then)
    clinic.do(lambda s, c: visit_day.not_dosed(s, c, visits[1].id, reason="unwell"), now=then)
    clinic.do(lambda s, c: visit_day.undo(s, c, visits[1].id), now=then)


def a_held_and_an_offered_place(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(2)]
    asked = wanted(clinic, clinic.patient(), "circle", START)
    held = clinic.do(lambda s, c: holds.create(s, c, asked))
    values = {"patient_id": clinic.patient(), "visit_type": "circle", "location_id": clinic.location_id}
    entry = clinic.do(lambda s, c: waitlist.create(s, c, values))
    clinic.do(lambda s, c: holds.book(s, c, asked, held.id, held.token))
    clinic.do(lambda s, c: booking.cancel(s, c, visits[0].id, reason="ill", by="patient"))
    while clinic.do(waitlist.sweep):
        pass
    [offer] = clinic.do(lambda s, c: waitlist.get(s, c, entry.id)).offers
    clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer.id))


def holds_before_anybody_books(clinic: Clinic) -> None:
    """Each time another carries the room and the staff, and in the end a visit does."""
    first, second, third = keep(clinic, 10), keep(clinic, 5), keep(clinic, 15)
    clinic.do(lambda s, c: holds.extend(s, c, second.id, token=second.token, lasting=timedelta(minutes=20)))
    use(clinic, third, LATER)
    clinic.do(lambda s, c: holds.release(s, c, second.id, 2))
    join(clinic)
    use(clinic, first)


@pytest.mark.parametrize(
    "scene",
    [
        a_cancellation,
        moves_between_groups,
        a_series,
        the_end_of_a_group,
        a_day,
        a_held_and_an_offered_place,
        holds_before_anybody_books,
    ],
)
def test_groups_are_left_and_entered_in_order(clinic: Clinic, scene: Callable[[Clinic], None]) -> None:
    with watching(clinic.engine) as watch:
        scene(clinic)
    assert watch.taken
    assert watch.faults == []


def test_who_departs_from_the_order_is_seen(clinic: Clinic) -> None:
    people = sorted([clinic.staff("therapist"), clinic.staff("therapist")])

    def backwards(session: Session, call: Call) -> None:
        for each in reversed(people):
            lock_resources(session, call, [each])

    visit = join(clinic)

    def upwards(session: Session, call: Call) -> None:
        lock_resources(session, call, people)
        visit_day.hold_still(session, call, visit.id)

    with watching(clinic.engine) as watch:
        clinic.do(backwards)
        clinic.do(upwards)
    assert [fault.partition(":")[0] for fault in watch.faults] == [
        "resources out of the order of its ids",
        "locations after resources",
        "appointments after resources",
    ]
