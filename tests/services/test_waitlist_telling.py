"""An offer of the waitlist is told, on both databases: a task for the desk and events for webhooks, to its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Task, WebhookDelivery
from scheduler.services import booking, waitlist, webhooks
from scheduler.services.waitlist import EntryView
from tests.clinic import Clinic
from tests.desk import book, open_clinic

TEN = "2030-03-04 10:00"
OFFER = timedelta(minutes=60)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.staff("therapist", hours=[{"weekday": "mon", "start": "10:00", "end": "11:00"}])
    made.room("consult")
    made.do(lambda s, c: webhooks.create(s, c, {"url": "https://example.org/hook"}, private=False))
    return made


@pytest.fixture
def offered(clinic: Clinic) -> EntryView:
    """An entry that was offered the only hour of the day a moment ago."""
    visit = book(clinic, clinic.patient(), "talk", TEN)
    values = {"patient_id": clinic.patient(), "visit_type": "talk", "location_id": clinic.location_id}
    entry = clinic.do(lambda s, c: waitlist.create(s, c, values))
    clinic.do(lambda s, c: booking.cancel(s, c, visit.id, reason="ill", by="patient"))
    assert tasks(clinic) == []
    clinic.do(waitlist.sweep)
    return clinic.do(lambda s, c: waitlist.get(s, c, entry.id))


def tasks(clinic: Clinic) -> list[Task]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Task).where(Task.kind == "waitlist_offer").order_by(Task.id)))


def told(clinic: Clinic, entry: EntryView) -> list[WebhookDelivery]:
    mine = select(WebhookDelivery).where(WebhookDelivery.subject_id == entry.id).order_by(WebhookDelivery.number)
    with Session(clinic.engine) as session:
        return list(session.scalars(mine))


def test_the_desk_is_to_call_at_once_and_knows_whom_about_what_and_until_when(
    clinic: Clinic, offered: EntryView
) -> None:
    (task,) = tasks(clinic)
    assert (task.status, task.item, task.patient_id, task.location_id) == (
        "open",
        str(offered.id),
        offered.patient_id,
        clinic.location_id,
    )
    wall = offered.offers[0].expires_at.astimezone(offered.offers[0].start.tzinfo)
    until = f"{wall:%A} {wall.day} {wall:%B, %H:%M}"
    assert task.title == f"Call the patient: Monday 4 March, 10:00 is free, and kept until {until}"
    assert str(offered.id) in task.detail
    assert str(offered.offers[0].id) in task.detail
    assert clinic.call.now < task.due_at < clinic.call.now + timedelta(minutes=5), "not when it is too late"


def test_a_webhook_is_told_of_the_offer(clinic: Clinic, offered: EntryView) -> None:
    (delivery,) = told(clinic, offered)
    (offer,) = offered.offers
    assert delivery.payload == {
        "type": "waitlist.offered",
        "timestamp": clinic.call.now.isoformat(),
        "data": {
            "waitlist_entry_id": str(offered.id),
            "offer_id": str(offer.id),
            "patient_id": str(offered.patient_id),
            "location_id": str(clinic.location_id),
            "start": offer.start.isoformat(),
            "end": offer.end.isoformat(),
            "time_zone": offer.time_zone,
            "local_start": "2030-03-04T10:00:00",
            "expires_at": offer.expires_at.isoformat(),
            "version": offered.revision,
            "number": 1,
        },
    }


def _accept(session: Session, call: Call, entry: EntryView) -> UUID:
    return waitlist.accept(session, call, entry.id, entry.offers[0].id).id


def _decline(session: Session, call: Call, entry: EntryView) -> None:
    waitlist.decline(session, call, entry.id, entry.offers[0].id)


def _expire(session: Session, call: Call, entry: EntryView) -> None:
    assert waitlist.sweep(session, call)


def _remove(session: Session, call: Call, entry: EntryView) -> None:
    waitlist.remove(session, call, entry.id, entry.revision)


@pytest.mark.parametrize(
    ("end", "after", "event", "status"),
    [
        (_accept, timedelta(0), "waitlist.accepted", "done"),
        (_decline, timedelta(0), "waitlist.declined", "done"),
        (_expire, OFFER, "waitlist.expired", "dismissed"),
        (_remove, timedelta(0), "waitlist.withdrawn", "dismissed"),
    ],
)
def test_both_end_with_the_offer(
    clinic: Clinic,
    offered: EntryView,
    end: Callable[[Session, Call, EntryView], UUID | None],
    after: timedelta,
    event: str,
    status: str,
) -> None:
    visit = clinic.do(lambda s, c: end(s, c, offered), now=clinic.call.now + after)
    (task,) = tasks(clinic)
    assert task.status == status
    first, last = told(clinic, offered)
    assert (first.event, last.event, last.number) == ("waitlist.offered", event, 2)
    assert last.payload["data"]["offer_id"] == str(offered.offers[0].id)
    assert last.payload["data"].get("appointment_id") == (str(visit) if visit else None)
    assert last.payload["data"]["version"] > first.payload["data"]["version"], "as the change left the entry"
