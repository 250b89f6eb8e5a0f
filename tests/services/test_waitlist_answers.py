"""Answers to an offer of the waitlist while a worker is at the other times, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import WaitlistOffer, WaitlistOpening, new_id
from scheduler.services import booking, waitlist
from tests.desk import book, open_clinic


@pytest.mark.parametrize("act", ["remove", "decline"])
def test_an_answer_takes_with_it_what_was_closed_while_it_took_its_locks(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """However often: a worker goes on closing other times that pass the entry by."""
    clinic = open_clinic(engine)
    clinic.staff("therapist", hours=[{"weekday": "mon", "start": "10:00", "end": "11:00"}])
    clinic.room("consult")
    full = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    values = {"patient_id": clinic.patient(), "visit_type": "talk", "location_id": clinic.location_id}
    entry = clinic.do(lambda s, c: waitlist.create(s, c, values))
    clinic.do(lambda s, c: booking.cancel(s, c, full.id, reason="ill", by="patient"))
    clinic.do(waitlist.sweep)
    entry = clinic.do(lambda s, c: waitlist.get(s, c, entry.id))
    real = waitlist.lock_openings

    def lock(session: Session, call: Call, offer: WaitlistOffer) -> Any:
        openings = real(session, call, offer)
        lasts = {"starts_at": clinic.at("2030-03-11 10:00"), "ends_at": clinic.at("2030-03-11 11:00")}
        mine = {"organization_id": call.organization_id, "location_id": clinic.location_id, "created_at": call.now}
        session.add(WaitlistOpening(id=new_id(), status="closed", **mine, **lasts))
        session.flush()
        return openings

    monkeypatch.setattr(waitlist, "lock_openings", lock)
    if act == "remove":
        clinic.do(lambda s, c: waitlist.remove(s, c, entry.id, entry.revision))
    else:
        clinic.do(lambda s, c: waitlist.decline(s, c, entry.id, entry.offers[0].id))
    with Session(clinic.engine) as session:
        assert session.scalars(select(WaitlistOpening.status)).all() == ["open", "open"]
