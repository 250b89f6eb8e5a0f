"""What a patient has been told of a visit, and the message for several changes that may still wait to tell more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import TASK
from scheduler.models import Appointment, Course, Message, Series
from scheduler.services.outbox import attempts

LEFT = ("sending", "sent", "delivered")
DIGEST: Literal["course_changed"] = "course_changed"
CORRECTION: Literal["correction"] = "correction"


@dataclass(frozen=True)
class Told:
    """The time of a visit that its patient knows, or was to be told; `left` says that some message surely told it.

    `gone` says that the patient was told of its end, `alone` that its booking was to be told by itself.
    """

    about: datetime
    left: bool
    gone: bool = False
    alone: bool = False


def told_before(session: Session, call: Call, appointment: Appointment) -> Told | None:
    """What was last told of the visit before its present place; None when nothing was ever owed for it."""
    if not appointment.sequence:
        return None  # its first time is its present one
    rows = session.execute(
        select(Message.status, Message.kind, Message.context, Message.created_at, Message.called_off_at)
        .where(
            Message.organization_id == call.organization_id,
            Message.appointment_id == appointment.id,
            Message.sequence < appointment.sequence,
            Message.kind.not_in((CORRECTION, DIGEST)),
            Message.channel != TASK,
        )
        .order_by(Message.sequence, Message.id)
    ).all()
    if not rows:
        return None
    left = [row for row in rows if row.status in LEFT]
    last = left[-1] if left else None
    # What was called off in a worker's hands may have left or not, which its worker will say.
    sure = [row for row in left if row.status != "sending" or row.called_off_at is None]
    for digest in digests(session, call, appointment, LEFT):
        entry = next((each for each in digest.context["visits"] if each["id"] == str(appointment.id)), None)
        if entry is not None and (last is None or digest.created_at > last.created_at):
            return Told(datetime.fromisoformat(entry["start"]), left=True, gone=bool(entry.get("gone")))
    alone = any(row.kind == "booked" for row in rows)
    if last is not None:
        is_sure = bool(sure) and _said(sure[-1]) == _said(last)
        about, gone = _said(last)
        return Told(datetime.fromisoformat(about), left=is_sure, gone=gone, alone=alone)
    return Told(datetime.fromisoformat(rows[0].context["about"]), left=False, alone=alone)


def _said(row: Any) -> tuple[str, bool]:
    """The time that a message told of, and whether it told that the visit is cancelled."""
    return row.context["about"], row.kind == "cancelled"


def about_owner(owner: Course | Series) -> ColumnElement[bool]:
    """The messages about a course or a series as a whole."""
    return Message.course_id == owner.id if isinstance(owner, Course) else Message.series_id == owner.id


def digests(
    session: Session, call: Call, appointment: Appointment, statuses: Sequence[str], *, lock: bool = False
) -> Sequence[Message]:
    """The messages about several changes of the patient's visits, newest first, without their copies by e-mail."""
    chosen = (
        select(Message)
        .where(
            Message.organization_id == call.organization_id,
            Message.patient_id == appointment.patient_id,
            Message.kind == DIGEST,
            Message.status.in_(statuses),
            Message.called_off_at.is_(None),
            Message.rule.not_like("%+%"),
        )
        .order_by(Message.created_at.desc(), Message.sequence.desc())
        .execution_options(populate_existing=True)
    )
    return session.scalars(chosen.with_for_update(key_share=True) if lock else chosen).all()


def join_digest(session: Session, call: Call, appointment: Appointment) -> UUID | None:
    """The message that has not begun to leave and will tell of the visit as it is by then: it is noted there.

    One in a worker's hands is among them: it tells of a visit that changes, so it is given back before it begins.
    """
    found = digests(session, call, appointment, ("pending", "sending"), lock=True)
    begun = attempts.under_way(session, call, [each.id for each in found if each.status == "sending"])
    for digest in found:
        if digest.id in begun:
            continue
        visits: list[dict[str, Any]] = digest.context["visits"]
        if any(entry["id"] == str(appointment.id) for entry in visits):
            new = place_of(appointment)
            noted = [entry | new if entry["id"] == str(appointment.id) else entry for entry in visits]
            digest.context = digest.context | {"visits": noted}
            session.flush()
            return digest.id
    return None


def place_of(appointment: Appointment) -> dict[str, Any]:
    """What a message about several changes notes of a visit as it is."""
    return {
        "id": str(appointment.id),
        "start": appointment.starts_at.isoformat(),
        "gone": appointment.status in {"cancelled", "entered-in-error"},
    }
