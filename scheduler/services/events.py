"""Events for webhooks, written in the transaction of the change. Payloads hold ids and times: the rest is fetched.

Called by `audit` alone, which every change goes through; so nothing here may call it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, func, insert, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local, zone
from scheduler.core.webhooks import EVENTS
from scheduler.models import (
    Appointment,
    Course,
    Location,
    WaitlistEntry,
    WaitlistOffer,
    Webhook,
    WebhookDelivery,
    new_id,
)

_INSERT = insert(cast("Table", WebhookDelivery.__table__))


def publish(session: Session, call: Call, action: str, subject_id: UUID) -> None:
    """Owe the event to every address that wants it. The caller holds the subject's row: numbers have no gap."""
    event = EVENTS[action]
    living = Webhook.organization_id == call.organization_id, Webhook.enabled, Webhook.deleted_at.is_(None)
    rows = session.execute(select(Webhook.id, Webhook.events).where(*living).order_by(Webhook.id)).all()
    wanted = [row.id for row in rows if not row.events or event in row.events]
    if not wanted:
        return
    session.flush()  # so that the version is the one that the change leaves behind
    data = _ABOUT[event.partition(".")[0]](session, call, subject_id)
    numbers = _numbers(session, call, subject_id)
    owed = [
        {
            "organization_id": call.organization_id,
            "id": new_id(),
            "webhook_id": webhook_id,
            "event": event,
            "subject_id": subject_id,
            "number": numbers.get(webhook_id, 0) + 1,
            "payload": {
                "type": event,
                "timestamp": call.now.isoformat(),
                "data": data | {"number": numbers.get(webhook_id, 0) + 1},
            },
            "status": "pending",
            "due_at": call.now,
            "attempts": 0,
            "created_at": call.now,
        }
        for webhook_id in wanted
    ]
    session.execute(_INSERT, owed)


def _numbers(session: Session, call: Call, subject_id: UUID) -> dict[UUID, int]:
    mine = WebhookDelivery.organization_id == call.organization_id, WebhookDelivery.subject_id == subject_id
    last = select(WebhookDelivery.webhook_id, func.max(WebhookDelivery.number)).where(*mine)
    rows = session.execute(last.group_by(WebhookDelivery.webhook_id)).all()
    return {webhook_id: number for webhook_id, number in rows}  # noqa: C416 - rows are no pairs to mypy


def _appointment(session: Session, call: Call, subject_id: UUID) -> dict[str, Any]:
    row = session.get_one(Appointment, (call.organization_id, subject_id))
    site = zone(row.time_zone)
    return {
        "appointment_id": str(row.id),
        "patient_id": str(row.patient_id),
        "location_id": str(row.location_id),
        "course_id": str(row.course_id) if row.course_id else None,
        "start": row.starts_at.astimezone(site).isoformat(),
        "end": row.ends_at.astimezone(site).isoformat(),
        "time_zone": row.time_zone,
        "local_start": to_local(row.starts_at, row.time_zone).isoformat(),
        "sequence": row.sequence,
        "version": row.revision,
    }


def _course(session: Session, call: Call, subject_id: UUID) -> dict[str, Any]:
    row = session.get_one(Course, (call.organization_id, subject_id))
    return {
        "course_id": str(row.id),
        "patient_id": str(row.patient_id),
        "location_id": str(row.location_id),
        "version": row.revision,
    }


def _waitlist(session: Session, call: Call, subject_id: UUID) -> dict[str, Any]:
    """The entry and its last offer, which the event is about: one is offered at a time. The visit once there is one."""
    entry = session.get_one(WaitlistEntry, (call.organization_id, subject_id))
    mine = WaitlistOffer.organization_id == call.organization_id, WaitlistOffer.entry_id == subject_id
    row = session.scalars(select(WaitlistOffer).where(*mine).order_by(WaitlistOffer.id.desc()).limit(1)).one()
    name = session.get_one(Location, (call.organization_id, entry.location_id)).time_zone
    return {
        "waitlist_entry_id": str(entry.id),
        "offer_id": str(row.id),
        **({"appointment_id": str(entry.appointment_id)} if entry.appointment_id else {}),
        "patient_id": str(entry.patient_id),
        "location_id": str(entry.location_id),
        "start": row.starts_at.astimezone(zone(name)).isoformat(),
        "end": row.ends_at.astimezone(zone(name)).isoformat(),
        "time_zone": name,
        "local_start": to_local(row.starts_at, name).isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "version": entry.revision,
    }


#: What is told of a subject, by the first word of the event.
_ABOUT: Mapping[str, Callable[[Session, Call, UUID], dict[str, Any]]] = {
    "appointment": _appointment,
    "course": _course,
    "waitlist": _waitlist,
}
