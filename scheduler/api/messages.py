"""What is owed to patients, what left and what did not, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Choice, Id, Instant, Nested, QueryFlag, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Mark
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.core.reminders import KINDS, TASK_KINDS, WAYS
from scheduler.services import message_acts, messages
from scheduler.services.messages import Filter, MessageView
from scheduler.services.records import Revision

blp = Blueprint("messages", __name__, url_prefix="/v1", description="Messages owed to patients")

_STATUSES = ("pending", "sending", "sent", "delivered", "failed", "suppressed", "expired_unsent")
_MOVED = (NotFound, IllegalTransition)


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


class AttemptSchema(Schema):
    """One delivery. Without an `outcome` it is on its way, or nobody knows whether it arrived.

    Its worker died, or the provider's answer was lost, which `ended_at` and `error` say.
    """

    number = Whole(required=True)
    channel = Text(20, required=True)
    began_at = Instant(required=True)
    ended_at = Instant(required=True, allow_none=True)
    outcome = Choice(
        "accepted",
        "refused",
        "failed",
        required=True,
        allow_none=True,
        metadata={
            "description": "`accepted` by the provider, `refused` for good, `failed` for now; null while nobody knows"
        },
    )
    provider_id = Text(200, required=True, allow_none=True)
    error = Text(300, required=True, allow_none=True)


class WholeMessageSchema(MessageSchema):
    """A message with its text, null until a worker has rendered it, and every recorded attempt at delivering it."""

    text = Nested(RenderedSchema, required=True, allow_none=True)
    tried = Nested(AttemptSchema, many=True, required=True)
    revision = Mark()


class CallOffSchema(Schema):
    """Why the message is not to leave; kept in the audit trail."""

    reason = Text(300, required=True)


class MessagesQuery(PageQuery):
    """Filters of the list; `from` and `to` bound the due time, half-open."""

    patient_id = Id(load_default=None)
    appointment_id = Id(load_default=None)
    course_id = Id(load_default=None)
    status = Choice(*_STATUSES, load_default=None)
    kind = Choice(*KINDS, *TASK_KINDS, load_default=None)
    channel = Choice(*WAYS, load_default=None)
    dead = QueryFlag(
        load_default=False,
        metadata={"description": "Only what will not be sent unless somebody acts: `failed` or `expired_unsent`"},
    )
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
    return _whole(messages.get(session, call, message_id))


@blp.post("/messages/<uuid:message_id>/retry")
@endpoint(scope="messages:write", gives=WholeMessageSchema, if_match="optional", refuses=_MOVED)
def retry_message(session: Session, call: Call, *, message_id: UUID, revision: Revision | None) -> Any:
    """Try a message that failed for good once more."""
    return _whole(message_acts.retry(session, call, message_id, revision=revision))


@blp.post("/messages/<uuid:message_id>/cancel")
@endpoint(scope="messages:write", takes=CallOffSchema, gives=WholeMessageSchema, if_match="optional", refuses=_MOVED)
def cancel_message(
    session: Session, call: Call, body: dict[str, Any], *, message_id: UUID, revision: Revision | None
) -> Any:
    """Let a message that waits never leave."""
    return _whole(message_acts.cancel(session, call, message_id, revision=revision, **body))


@blp.post("/messages/<uuid:message_id>/send-now")
@endpoint(scope="messages:write", gives=WholeMessageSchema, if_match="optional", refuses=_MOVED)
def send_message_now(session: Session, call: Call, *, message_id: UUID, revision: Revision | None) -> Any:
    """Let a message that waits be due at once; quiet hours and caps have their say as ever."""
    return _whole(message_acts.send_now(session, call, message_id, revision=revision))


def _whole(view: MessageView) -> dict[str, Any]:
    return _document(view) | {"text": view.row.body, "tried": view.attempts, "revision": view.revision}


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
