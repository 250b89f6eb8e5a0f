"""/v1/message-rules: which messages are owed, when, by which channel; and what they would come to for a visit."""

from __future__ import annotations

from typing import Any

from flask import current_app

from scheduler.api.documents import Part
from scheduler.api.fields import Choice, Flag, Id, Instant, List, Nested, Text, Whole, ZoneName
from scheduler.api.http import Agree, Blueprint, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.core.reminders import CHANNELS, KINDS, TASK_KINDS
from scheduler.services import message_preview, message_rules, organizations
from scheduler.services.message_rules import RuleSet

blp = Blueprint("message_rules", __name__, url_prefix="/v1", description="Which messages are owed, and when")

_MOMENT = {
    "type": "object",
    "description": "Elapsed `minutes`, or calendar `days`, or `from` to `to` of a day",
    "properties": {
        "anchor": {"type": "string", "enum": ["start", "end", "booked", "fast_start", "next_dose"]},
        "minutes": {"type": "integer"},
        "days": {"type": "integer"},
        "from": {"type": "string"},
        "to": {"type": "string"},
        "gap_minutes": {"type": "integer"},
    },
    "required": ["anchor"],
}
_RULE = {
    "type": "object",
    "properties": {
        "key": {"type": "string"},
        "kind": {"type": "string", "enum": [*KINDS, *TASK_KINDS]},
        "class": {"type": "string", "enum": ["reminder", "instruction", "change", "check_in", "staff_task"]},
        "event": {"type": "string"},
        "channels": {"type": "array", "items": {"type": "string", "enum": list(CHANNELS)}},
        "side": {"type": "string", "enum": ["before", "after", "now"]},
        "at": _MOMENT,
        "expires": _MOMENT,
        "must_arrive_by": _MOMENT,
        "quiet": {"type": "string", "enum": ["move", "skip", "urgent"]},
        "only": {"type": "object", "description": "For which visits, and what must still be missing when it is due"},
        "escalate": {
            "type": "object",
            "description": "Unless somebody has confirmed so long after: over the next channel; at last, a staff task",
            "properties": {"minutes": {"type": "integer", "minimum": 30, "maximum": 10_080}},
            "required": ["minutes"],
        },
        "enabled": {"type": "boolean"},
    },
    "required": ["key", "kind", "class", "side", "at", "expires"],
}


class MessageRulesPut(Schema):
    """All rules, as a whole."""

    rules = Part("objects", "In any order; each names its kind, its class and its moment", items=_RULE)


class RuleNewsSchema(Schema):
    """A rule of which the product ships another draft by now, a new one, or none any more."""

    key = Text(60, required=True)
    change = Choice("new", "changed", "gone", required=True)
    edited = Flag(required=True, metadata={"description": "The clinic has changed its own; it is adopted only by name"})
    shipped = Part("object", "The draft", **_RULE)


class MessageRulesSchema(MessageRulesPut):
    """The rules in force; `revision` counts their versions."""

    news = List(Nested(RuleNewsSchema), max=1_000, dump_only=True)
    quiet_below_the_law = Flag(
        dump_only=True, metadata={"description": "The organization's quiet hours are from before they had a floor"}
    )
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True, allow_none=True)
    created_by = Text(200, min=0, dump_only=True)


class MessageRulesAdopt(Schema):
    """Of which rules to take the shipped drafts."""

    keys = List(
        Text(60),
        max=1_000,
        allow_none=True,
        metadata={"description": "Without them, all that the clinic has not edited"},
    )


class MessagePreviewQuestion(Schema):
    """Of what to show the messages, and by which rules if not by those in force."""

    appointment_id = Id(allow_none=True)
    course_id = Id(allow_none=True)
    rules = Part("objects", "Rules that need not be stored", items=_RULE)


class ForeseenSchema(Schema):
    """One message as it would go out, or why it would not."""

    rule = Text(60, required=True)
    kind = Text(60, required=True)
    class_ = Text(20, required=True, data_key="class", attribute="cls")
    channel = Text(20, required=True)
    due_at = Instant(required=True)
    expires_at = Instant(required=True)
    recipient_zone = ZoneName(required=True)
    status = Choice("pending", "suppressed", "expired_unsent", required=True)
    reason = Text(300, allow_none=True)
    note = Text(300, min=0, metadata={"description": "Why it was moved, merged or sent another way"})
    appointment_id = Id(allow_none=True)
    course_id = Id(allow_none=True)
    subject = Text(500, allow_none=True)
    body = Text(20_000, lines=True, allow_none=True)
    septets = Whole(allow_none=True, metadata={"description": "The length of an SMS, of which one holds 160"})
    segments = Whole(allow_none=True, metadata={"description": "How many SMS the text takes"})


class MessagePreviewSchema(Schema):
    """Every message, by the time at which it is due."""

    items = List(Nested(ForeseenSchema), max=10_000, required=True)


@blp.get("/message-rules")
@endpoint(scope="messages:read", gives=MessageRulesSchema)
def get_message_rules(session: Session, call: Call) -> Any:
    """Show the rules in force."""
    return _document(session, call, message_rules.current(session, call))


@blp.put("/message-rules")
@endpoint(
    scope="messages:write", takes=MessageRulesPut, gives=MessageRulesSchema, refuses=(NotFound,), if_match="optional"
)
def put_message_rules(session: Session, call: Call, body: dict[str, Any], *, revision: int | None) -> Any:
    """Put a new version of all rules in force. Every fault in them is named. Booked visits follow within the hour."""
    return _document(session, call, message_rules.change(session, call, body.get("rules"), revision))


@blp.post("/message-rules/adopt")
@endpoint(
    scope="messages:write", takes=MessageRulesAdopt, gives=MessageRulesSchema, refuses=(NotFound,), if_match="optional"
)
def adopt_message_rules(session: Session, call: Call, body: dict[str, Any], *, revision: int | None) -> Any:
    """Put drafts that the product ships by now in force, as a new version. What the clinic has edited stays its own."""
    return _document(session, call, message_rules.adopt(session, call, body.get("keys"), revision))


@blp.post("/message-rules/preview")
@endpoint(
    scope="messages:read",
    takes=MessagePreviewQuestion,
    gives=MessagePreviewSchema,
    refuses=(NotFound,),
    agree=(Agree(message_preview.check_one, ("appointment_id", "course_id")),),
)
def preview_messages(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Show every message of a visit or a course with its moment and text, as if it were booked now. Stores nothing."""
    public_url = current_app.extensions["settings"].public_url
    return {"items": message_preview.preview(session, call, **body, public_url=public_url)}


def _document(session: Session, call: Call, view: RuleSet) -> dict[str, Any]:
    return {
        "news": message_rules.news(session, call, view),
        "quiet_below_the_law": organizations.is_too_loud(session, call),
        "rules": view.items,
        "revision": view.revision,
        "created_at": view.created_at,
        "created_by": view.created_by,
    }
