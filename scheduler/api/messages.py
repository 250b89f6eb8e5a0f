"""What is owed to patients, what left and what did not, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Choice, Id, Instant, Nested, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.services import messages
from scheduler.services.messages import Filter, MessageView

blp = Blueprint("messages", __name__, url_prefix="/v1", description="Messages owed to patients")

_STATUSES = ("pending", "sending", "sent", "delivered", "failed", "suppressed", "expired_unsent")


class MessageSchema(Schema):
    """One message to one recipient over one channel; its address is only hinted at."""

    id = Id(required=True)
    kind = Text(60, required=True)
    channel = Text(20, required=True)
    to_masked = Text(320, required=True, allow_none=True)
    due_at = Instant(required=True)
    expires_at = Instant(required=True)
    status = Choice(*_STATUSES, required=True)
    attempts = Whole(required=True)
    sent_at = Instant(allow_none=True)
    reason = Text(300, allow_none=True)
    patient_id = Id(required=True)
    appointment_id = Id(allow_none=True)
    course_id = Id(allow_none=True)
    sequence = Whole(required=True)


class RenderedSchema(Schema):
    """What was, or is about to be, sent; `subject` is an e-mail's."""

    subject = Text(500, min=0, allow_none=True)
    body = Text(20_000, min=0, lines=True, required=True)


class WholeMessageSchema(MessageSchema):
    """A message with its text; null until a worker has rendered it."""

    text = Nested(RenderedSchema, required=True, allow_none=True)


class MessagesQuery(PageQuery):
    """Filters of the list; `from` and `to` bound the due time, half-open."""

    patient_id = Id(load_default=None)
    appointment_id = Id(load_default=None)
    course_id = Id(load_default=None)
    status = Choice(*_STATUSES, load_default=None)
    from_ = Instant(data_key="from", load_default=None)
    to = Instant(load_default=None)


@blp.get("/messages")
@endpoint(scope="messages:read", query=MessagesQuery, gives=MessageSchema, many=True)
def list_messages(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Messages by the time at which they are due."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    wanted = Filter(since=query.pop("from_"), until=query.pop("to"), **query)
    found = messages.listed(session, call, wanted, limit=limit, cursor=cursor)
    return Page([_document(view) for view in found.items], found.next_cursor)


@blp.get("/messages/<uuid:message_id>")
@endpoint(scope="messages:read", gives=WholeMessageSchema, refuses=(NotFound,), reads="message")
def get_message(session: Session, call: Call, *, message_id: UUID) -> Any:
    """One message with its text."""
    view = messages.get(session, call, message_id)
    return _document(view) | {"text": view.row.body}


def _document(view: MessageView) -> dict[str, Any]:
    row = view.row
    return {
        "id": row.id,
        "kind": row.kind,
        "channel": row.channel,
        "to_masked": view.to_masked,
        "due_at": row.due_at,
        "expires_at": row.expires_at,
        "status": row.status,
        "attempts": row.attempts,
        "sent_at": row.sent_at,
        "reason": row.reason,
        "patient_id": row.patient_id,
        "appointment_id": row.appointment_id,
        "course_id": row.course_id,
        "sequence": row.sequence,
    }
