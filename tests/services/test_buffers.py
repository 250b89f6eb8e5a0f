"""Setting up and turning over: they take time of rooms and people, count between services, and widen no visit."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, Refused
from scheduler.core.localgrid import Wish
from scheduler.core.overriding import override_of
from scheduler.models import Appointment, Occupancy
from scheduler.services import availability, booking, resources
from scheduler.services.availability import Question
from scheduler.services.catalog import visit_kind
from scheduler.services.locks import bump_calendars
from scheduler.services.visit_day.releasing import cut_short
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import book, open_clinic, overlaps, refused


def test_turnover_of_one_service_keeps_another_away_and_widens_no_visit(engine: Engine) -> None:
    """The bay is tidied for a quarter of an hour after an infusion, whatever comes next; the patient has gone home."""
    clinic = open_clinic(engine)
    clinic.visit(visit_type("rest", segment("rest", 30, need("room:bay"))))
    clinic.staff("nurse")
    clinic.staff("prescriber")
    clinic.room("bay")
    first = book(clinic, clinic.patient(), "infusion", "2030-03-04 10:00")
    assert first.row.ends_at == clinic.at("2030-03-04 11:20")
    refusal = refused(clinic, clinic.patient(), "rest", "2030-03-04 11:20")
    assert {reason.code for reason in refusal.reasons} == {"resource_busy"}
    assert refusal.reasons[0].end == clinic.at("2030-03-04 11:35")
    assert book(clinic, clinic.patient(), "rest", "2030-03-04 11:35").row.starts_at == clinic.at("2030-03-04 11:35")
    # And setting up: ten minutes before the next infusion nobody else may still be in it.
    book(clinic, clinic.patient(), "infusion", "2030-03-04 13:00")
    assert refused(clinic, clinic.patient(), "rest", "2030-03-04 12:25").code == "resource_busy"


def plain(engine: Engine) -> Clinic:
    """Two kinds of visit by different people that share a room, and neither wants anything before or after."""
    clinic = Clinic(engine)
    clinic.visit(visit_type("rest", segment("rest", 30, need("room:bay"))))
    clinic.visit(visit_type("talk", segment("talk", 60, need("role:therapist"), need("room:bay"))))
    clinic.staff("therapist")
    return clinic


def taken(clinic: Clinic, resource_id: UUID) -> list[tuple[datetime, datetime]]:
    with Session(clinic.engine) as session:
        of = select(Occupancy.starts_at, Occupancy.ends_at).where(Occupancy.resource_id == resource_id)
        return [(row.starts_at, row.ends_at) for row in session.execute(of.order_by(Occupancy.starts_at))]


def offered(clinic: Clinic, code: str, since: str, until: str) -> list[datetime]:
    question = Question(code, clinic.location_id, clinic.at(since), clinic.at(until), wish=Wish())
    found, _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=100))
    return [each.start for each in found]


def test_a_rooms_own_minutes_are_taken_between_services_and_widen_no_visit(engine: Engine) -> None:
    clinic = plain(engine)
    bay = clinic.room("bay", buffer_before_minutes=10, buffer_after_minutes=15)
    made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    assert (made.row.starts_at, made.row.ends_at) == (clinic.at("2030-03-04 10:00"), clinic.at("2030-03-04 11:00"))
    assert {(each.start, each.end) for each in made.participants} == {(made.row.starts_at, made.row.ends_at)}
    assert taken(clinic, bay) == [(clinic.at("2030-03-04 09:50"), clinic.at("2030-03-04 11:15"))]
    # Its turnover, and then the next one's setting up; the other way round before it.
    refusal = refused(clinic, clinic.patient(), "rest", "2030-03-04 11:20")
    assert [(r.code, r.resource_id, r.end) for r in refusal.reasons] == [
        ("resource_busy", bay, clinic.at("2030-03-04 11:15"))
    ]
    starts = offered(clinic, "rest", "2030-03-04 08:00", "2030-03-04 13:00")
    barred = {clinic.at("2030-03-04 09:10") + timedelta(minutes=5 * step) for step in range(27)}
    assert clinic.at("2030-03-04 09:05") in starts
    assert clinic.at("2030-03-04 11:25") in starts
    assert not barred & set(starts)
    assert min(starts) == clinic.at("2030-03-04 08:10"), "it is made ready within the hours"
    moved = clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 09:55")))
    assert moved.row.starts_at == clinic.at("2030-03-04 09:55"), "its own time is no obstacle"
    clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 10:00")))
    book(clinic, clinic.patient(), "rest", "2030-03-04 11:25")
    book(clinic, clinic.patient(), "rest", "2030-03-04 09:05")


def test_rooms_that_need_a_pause_still_change_places(engine: Engine) -> None:
    """Two rooms, four visits that leave no room free throughout; somebody is moved, pauses and all."""
    clinic = plain(engine)
    rooms = [clinic.room("bay", buffer_after_minutes=15) for _ in range(2)]
    for clock in ("09:00", "09:45", "10:30"):
        book(clinic, clinic.patient(), "rest", f"2030-03-04 {clock}")
    with Session(clinic.engine) as session:  # the middle one sits in the other room
        rows = session.scalars(select(Occupancy).where(Occupancy.role == "room:bay").order_by(Occupancy.starts_at))
        for row, room in zip(rows, [rooms[0], rooms[1], rooms[0]], strict=True):
            row.resource_id = room
        bump_calendars(session, clinic.call, rooms)
        session.commit()
    book(clinic, clinic.patient(), "talk", "2030-03-04 09:30")
    assert overlaps(clinic.engine) == 0
    assert refused(clinic, clinic.patient(), "rest", "2030-03-04 10:30").code == "resource_busy"


def test_new_minutes_hold_for_what_is_booked_from_then_on(engine: Engine) -> None:
    clinic = plain(engine)
    bay = clinic.room("bay")
    first = book(clinic, clinic.patient(), "rest", "2030-03-04 10:00")
    book(clinic, clinic.patient(), "rest", "2030-03-04 10:30")
    changed = clinic.do(lambda s, c: resources.change(s, c, resources.ROOM, bay, 1, {"buffer_after_minutes": 20}))
    assert (changed.buffer_before_minutes, changed.buffer_after_minutes) == (0, 20)
    assert changed.affected_appointments == ()
    book(clinic, clinic.patient(), "rest", "2030-03-04 11:00")
    assert refused(clinic, clinic.patient(), "rest", "2030-03-04 11:35").code == "resource_busy"
    book(clinic, clinic.patient(), "rest", "2030-03-04 11:50")
    with pytest.raises(Refused):
        clinic.do(lambda s, c: booking.reschedule(s, c, first.id, clinic.at("2030-03-04 09:55")))
    with pytest.raises(Invalid) as caught:
        clinic.do(lambda s, c: resources.change(s, c, resources.ROOM, bay, 2, {"buffer_after_minutes": 7}))
    assert [(f.pointer, f.code) for f in caught.value.faults] == [("/buffer_after_minutes", "not_on_grid")]


def test_a_person_needs_a_pause_after_a_visit_and_none_within_it(engine: Engine) -> None:
    clinic = Clinic(engine)
    clinic.visit(visit_type("care", segment("dose", 20, need("role:nurse")), segment("watch", 40, need("role:nurse"))))
    nurse = clinic.staff("nurse", buffer_after_minutes=10)
    book(clinic, clinic.patient(), "care", "2030-03-04 10:00")
    assert taken(clinic, nurse)[-1][1] == clinic.at("2030-03-04 11:10")
    assert refused(clinic, clinic.patient(), "care", "2030-03-04 11:05").code == "resource_busy"
    book(clinic, clinic.patient(), "care", "2030-03-04 11:10")


def test_who_turns_over_while_the_visit_goes_on_takes_no_part_in_that(engine: Engine) -> None:
    clinic = Clinic(engine)
    clinic.visit(visit_type("care", segment("dose", 20, need("role:nurse")), segment("rest", 40, need("room:bay"))))
    nurse, bay = clinic.staff("nurse", buffer_after_minutes=10), clinic.room("bay")
    start, question = clinic.at("2030-03-04 10:00"), "2030-03-04 10:05"
    [offer], _ = clinic.do(
        lambda s, c: availability.search(
            s, c, Question("care", clinic.location_id, start, clinic.at(question)), limit=9
        )
    )
    made = book(clinic, clinic.patient(), "care", "2030-03-04 10:00")
    assert taken(clinic, nurse) == [(start, clinic.at("2030-03-04 10:30"))]
    parts = [(nurse, "dose", start, clinic.at("2030-03-04 10:20"))]
    parts += [(bay, "rest", clinic.at("2030-03-04 10:20"), clinic.at("2030-03-04 11:00"))]
    for shown in (offer, made):
        assert [(each.resource_id, each.segment, each.start, each.end) for each in shown.participants] == parts


def test_an_early_end_leaves_the_room_its_minutes(engine: Engine) -> None:
    clinic = plain(engine)
    bay = clinic.room("bay", buffer_after_minutes=15)
    made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    with Session(clinic.engine) as session:
        row = session.get_one(Appointment, (clinic.call.organization_id, made.id))
        kind = visit_kind(session, clinic.call, "talk")
        cut_short(session, clinic.call, row, kind.visit, clinic.at("2030-03-04 10:28"))
        session.commit()
    assert taken(clinic, bay) == [(clinic.at("2030-03-04 10:00"), clinic.at("2030-03-04 10:45"))]


def test_an_override_does_without_buffers_but_takes_nobody_elses(engine: Engine) -> None:
    clinic = plain(engine)
    bay = clinic.room("bay", buffer_before_minutes=10, buffer_after_minutes=15)
    book(clinic, clinic.patient(), "rest", "2030-03-04 10:00")
    lift = override_of(["buffer"], "no other way")
    assert book(clinic, clinic.patient(), "rest", "2030-03-04 13:00", override=lift).row.override is None
    made = book(clinic, clinic.patient(), "rest", "2030-03-04 10:45", override=lift)
    assert made.row.override is not None
    assert made.row.override["rules"] == ["buffer"]
    assert taken(clinic, bay)[1] == (clinic.at("2030-03-04 10:45"), clinic.at("2030-03-04 11:15"))
    assert refused(clinic, clinic.patient(), "rest", "2030-03-04 10:40", override=lift).code == "resource_busy"
    both = override_of(["buffer", "resource_busy"], "no other way")
    crowded = book(clinic, clinic.patient(), "rest", "2030-03-04 10:40", override=both)
    assert crowded.row.override is not None
    assert crowded.row.override["rules"] == ["buffer", "resource_busy"]
    assert overlaps(clinic.engine) == 0
