"""The law of availability for a visit that moves, through the services: offered is where it can go, and nothing else.

The clinics are those of `test_law`.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from sqlalchemy import Engine

from scheduler.core.errors import Reason, Refused
from scheduler.services import availability, booking
from scheduler.services.appointments import AppointmentView
from scheduler.services.availability import Question
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.plumbing.effort import trying
from tests.services.test_law import FIRST, LAST, Maker, offered, tried


@pytest.mark.slow
@trying(4)
@given(rng=st.randoms(use_true_random=False))
def test_a_visit_moves_where_it_is_offered_and_nowhere_else(engine: Engine, rng: random.Random) -> None:
    """Its own time counts as free, and whoever it was booked with by name serves it still."""
    maker = Maker(engine, rng)
    maker.live()
    clinic, visit = maker.clinic, by_name(maker)
    event("no visit" if visit is None else "with somebody by name" if visit.row.pins else "with anybody")
    if visit is None:
        return
    since, until, row = clinic.at(FIRST), clinic.at(LAST), visit.row
    question = Question(row.visit_type, clinic.location_id, since, until, row.patient_id, exclude_appointment=visit.id)
    offers = offered(clinic, question)
    for number in range((until - since) // timedelta(minutes=15)):
        start = since + timedelta(minutes=15 * number)
        asked = replace(question, since=start)
        explained = clinic.do(lambda s, c, asked=asked: availability.explain(s, c, asked))
        assert explained.bookable == (start in offers)
        try:
            clinic.do(lambda s, c, start=start: booking.reschedule(s, c, visit.id, start), dry_run=True)
            reasons: tuple[Reason, ...] = ()
        except Refused as refusal:
            reasons = refusal.reasons
        assert explained.reasons == reasons, start


def by_name(maker: Maker) -> AppointmentView | None:
    """A visit with somebody by name who serves in it or is only present; None where nobody can have any."""
    clinic, rng = maker.clinic, maker.rng
    for patient, code in rng.sample([(who, code) for who in maker.patients for code in maker.codes], 6):
        question = Question(code, clinic.location_id, clinic.at(FIRST), clinic.at(LAST), patient)
        found, _ = clinic.do(lambda s, c, asked=question: availability.search(s, c, asked, limit=1000))
        for offer in rng.sample(found, min(len(found), 2)):
            staff = [each for each in offer.participants if each.kind == "practitioner"]
            pins = tuple(Pin(f"role:{each.role}", each.resource_id) for each in rng.sample(staff, min(len(staff), 1)))
            booked, _ = tried(clinic, wanted := Wanted(patient, code, clinic.location_id, offer.start, pins=pins))
            if booked is not None:  # where cover is handed over, nobody may be able to serve throughout
                return clinic.do(lambda s, c, wanted=wanted: booking.book(s, c, wanted))
    return None
