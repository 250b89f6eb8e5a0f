"""A clinic whose message rules are in force, and the words for looking at its outbox. No test lives here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Message, Organization
from scheduler.services import booking, outbox
from scheduler.services.outbox import Letter, Outcome
from scheduler.services.patient_links import Links
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import open_clinic

LEASE = timedelta(seconds=60)

FASTED = visit_type(
    "fasted",
    segment("stay", 120, need("role:nurse", "shared")),
    kind="dosing",
    modality="iv",
    instructions={"solids_minutes": 360, "clear_liquids_minutes": 120, "arrive_early_minutes": 15, "escort": True},
)
SESSION = visit_type("session", segment("talk", 50, need("role:therapist")), kind="integration")


def open_postroom(engine: Engine, **manners: Any) -> Clinic:
    """A clinic with staff for any visit, the shipped rules, and `manners` as its messaging document."""
    clinic = open_clinic(engine)
    clinic.call = replace(clinic.call, now=clinic.at("2030-03-01 10:00"))  # nobody's quiet hours
    clinic.visit(FASTED)
    clinic.visit(SESSION)
    clinic.staff("nurse", "prescriber", units=50)
    clinic.staff("therapist")
    clinic.room("consult")
    clinic.room("bay")

    def furnish(session: Session, call: Any) -> None:
        row = session.get_one(Organization, call.organization_id)
        row.phone, row.messaging = "+12125550142", manners

    clinic.do(furnish)
    return clinic


def messages(clinic: Clinic, *conditions: Any) -> list[Message]:
    """The organization's messages by due time."""
    with Session(clinic.engine, expire_on_commit=False) as session:
        mine = Message.organization_id == clinic.call.organization_id
        return list(session.scalars(select(Message).where(mine, *conditions).order_by(Message.due_at, Message.rule)))


def by_rule(clinic: Clinic, *, sequence: int = 0) -> dict[str, Message]:
    return {message.rule: message for message in messages(clinic, Message.sequence == sequence)}


def only(clinic: Clinic, rule: str, *, sequence: int = 0) -> Message:
    return by_rule(clinic, sequence=sequence)[rule]


def claim(
    clinic: Clinic, now: datetime, *, limit: int = 500, token: UUID | None = None, links: Links | None = None
) -> Sequence[Letter]:
    """Claim as a worker does."""
    token = token or uuid4()
    claimed = clinic.do(lambda s, c: outbox.claim(s, c, limit=limit, lease=LEASE, token=token, links=links), now=now)
    assert claimed.broken == ()
    return claimed.letters


def begin(clinic: Clinic, letter: Letter, now: datetime) -> bool:
    return clinic.do(lambda s, c: bool(outbox.turn(s, c, (), (), [letter], LEASE)), now=now)


def settle(clinic: Clinic, letter: Letter, now: datetime, error: str = "", **how: bool) -> bool:
    outcome = Outcome(letter, error, **how, provider_id="p-1", subject="s", body="b", locale="en")
    return clinic.do(lambda s, c: outbox.settle(s, c, [outcome]) == 1, now=now)


def send_all(clinic: Clinic, now: datetime) -> None:
    """Send whatever is due."""
    for letter in claim(clinic, now):
        assert begin(clinic, letter, now)
        assert settle(clinic, letter, now)


def cancel(clinic: Clinic, appointment_id: UUID, **changes: Any) -> None:
    clinic.do(lambda s, c: booking.cancel(s, c, appointment_id, reason="ill", by="patient"), **changes)


def move(clinic: Clinic, appointment_id: UUID, start: str, **changes: Any) -> None:
    clinic.do(lambda s, c: booking.reschedule(s, c, appointment_id, clinic.at(start)), **changes)


def set_state(clinic: Clinic, appointment_id: UUID, **values: Any) -> None:
    """Give an appointment a state without asking anybody."""
    with Session(clinic.engine) as session, session.begin():
        session.execute(update(Appointment).where(Appointment.id == appointment_id).values(**values))


def hurry(clinic: Clinic, at: datetime, good_for: timedelta = timedelta(days=1)) -> None:
    """Let everything that is pending fall due at that moment, and be good for so long."""
    with Session(clinic.engine) as session, session.begin():
        session.execute(
            update(Message)
            .where(Message.organization_id == clinic.call.organization_id, Message.status == "pending")
            .values(due_at=at, expires_at=at + good_for)
        )
