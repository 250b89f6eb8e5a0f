"""Messages as staff see them: what is owed, what left, what did not and why. Owing and sending live in `outbox`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.models import Message, MessageAttempt, Patient
from scheduler.models.base import digest_of
from scheduler.services.outbox import attempts
from scheduler.services.paging import Page, page

#: The ends at which a patient was not told though nobody had called it off.
DEAD = ("failed", "expired_unsent")


@dataclass(frozen=True)
class MessageView:
    """A message and the address it goes or went to, of which only a mask may be shown.

    `attempts` are there when one message was asked for.
    """

    row: Message
    to: str | None
    attempts: Sequence[MessageAttempt] = ()

    @property
    def revision(self) -> str:
        """All that the message says of itself and of every attempt at it."""
        return digest_of(self.row.revision, self.to, [each.revision for each in self.attempts])

    @property
    def to_masked(self) -> str | None:
        """Enough of the address to tell two apart, too little to use it."""
        return None if self.to is None else masked(self.to)


@dataclass(frozen=True)
class Filter:
    """Which messages a list shows; None leaves a field open. `since` and `until` bound the due time, half-open.

    `dead` ones are those that will not be sent unless somebody acts.
    """

    patient_id: UUID | None = None
    appointment_id: UUID | None = None
    course_id: UUID | None = None
    status: str | None = None
    kind: str | None = None
    channel: str | None = None
    dead: bool = False
    since: datetime | None = None
    until: datetime | None = None


def listed(session: Session, call: Call, wanted: Filter, *, limit: int, cursor: str | None = None) -> Page[MessageView]:
    """A page of messages by due time."""
    chosen = select(Message).where(Message.organization_id == call.organization_id)
    for column, value in (
        (Message.patient_id, wanted.patient_id),
        (Message.appointment_id, wanted.appointment_id),
        (Message.course_id, wanted.course_id),
        (Message.status, wanted.status),
        (Message.kind, wanted.kind),
        (Message.channel, wanted.channel),
    ):
        if value is not None:
            chosen = chosen.where(column == value)
    if wanted.dead:
        chosen = chosen.where(Message.status.in_(DEAD))
    if wanted.since is not None:
        chosen = chosen.where(Message.due_at >= wanted.since)
    if wanted.until is not None:
        chosen = chosen.where(Message.due_at < wanted.until)
    found = page(session, call, chosen, [Message.due_at, Message.id], limit=limit, cursor=cursor)
    return Page(_views(session, call, list(found.items)), found.next_cursor)


def get(session: Session, call: Call, message_id: UUID) -> MessageView:
    """One message. Raises NotFound."""
    row = session.get(Message, (call.organization_id, message_id))
    if row is None:
        detail = f"No message {message_id}."
        raise NotFound(detail)
    view = _views(session, call, [row])[0]
    return replace(view, attempts=attempts.of_message(session, call, message_id))


def masked(address: str) -> str:
    """`p…@example.org`, or the last two digits of a number."""
    name, at, domain = address.partition("@")
    if at:
        return f"{name[:1]}…@{domain}"
    return f"…{address[-2:]}"


def _views(session: Session, call: Call, rows: list[Message]) -> list[MessageView]:
    people = {
        row.id: row.contacts
        for row in session.execute(
            select(Patient.id, Patient.contacts).where(
                Patient.organization_id == call.organization_id, Patient.id.in_({row.patient_id for row in rows})
            )
        )
    }
    found = []
    for row in rows:
        known = (c["value"] for c in people.get(row.patient_id, ()) if c.get("channel") == row.channel)
        found.append(MessageView(row, row.sent_to or next(known, None)))
    return found
