"""A repair is accepted while the same people are booked by others: never twice, never in part, no deadlock."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import LostRace, PlanStale, Refused
from scheduler.core.intervals import Span
from scheduler.models import Absence, Appointment, Occupancy
from scheduler.services import booking, disruptions
from scheduler.services.finding import Wanted
from tests.coursework import TALK, open_course_clinic
from tests.desk import count

VISITS, RIVALS = 4, 4


@pytest.mark.slow
def test_acceptance_against_bookings_of_the_same_times(engine: Engine) -> None:
    clinic = open_course_clinic(engine)
    clinic.staff("therapist")
    clinic.room("consult")
    starts = [clinic.at("2030-03-05 09:00") + timedelta(hours=2 * place) for place in range(VISITS)]
    mine = [Wanted(clinic.patient(), str(TALK["code"]), clinic.location_id, start) for start in starts]
    ids = [clinic.do(lambda s, c, wanted=wanted: booking.book(s, c, wanted)).id for wanted in mine]
    with Session(engine) as session:
        room = session.scalars(
            select(Occupancy.resource_id).where(Occupancy.appointment_id == ids[0], Occupancy.role == "room:consult")
        ).one()
    day = Span(clinic.at("2030-03-05 00:00"), clinic.at("2030-03-06 00:00"))
    found = clinic.do(lambda s, c: disruptions.offer(s, c, room, day.start, day.end, "leak"))
    rivals = [Wanted(clinic.patient(), str(TALK["code"]), clinic.location_id, start) for start in starts[:RIVALS]]
    together, told = Barrier(RIVALS + 1), Counter[str]()

    def rival(wanted: Wanted) -> None:
        together.wait()
        try:
            clinic.do(lambda s, c: booking.book(s, c, wanted))
            told["booked"] += 1
        except (Refused, LostRace):
            told["refused"] += 1

    def accept() -> None:
        together.wait()
        try:
            clinic.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True))
            told["accepted"] += 1
        except PlanStale:
            told["stale"] += 1

    with ThreadPoolExecutor(RIVALS + 1) as pool:
        for each in [pool.submit(accept), *(pool.submit(rival, wanted) for wanted in rivals)]:
            each.result()
    assert told["accepted"] + told["stale"] == 1
    assert told["booked"] + told["refused"] == RIVALS
    with Session(engine) as session:
        rows = session.scalars(select(Appointment).where(Appointment.id.in_(ids))).all()
        taken = session.execute(
            select(Occupancy.resource_id, Occupancy.starts_at, Occupancy.ends_at).where(Occupancy.blocking)
        ).all()
    assert len({(key, start) for key, start, _ in taken}) == len(taken)
    if told["accepted"]:
        assert count(clinic, Absence) == 1
        assert not [key for key, start, end in taken if key == room and start < day.end and day.start < end]
    else:
        assert {row.revision for row in rows} == {1}
        assert count(clinic, Absence) == 0
