"""/v1/message-templates: the texts that a clinic writes itself, by kind of message and language."""

from __future__ import annotations

from typing import Any

from flask import current_app

from scheduler.api.fields import Flag, Instant, List, Nested, Text, Whole
from scheduler.api.http import Blueprint, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.services import message_texts

blp = Blueprint("message_texts", __name__, url_prefix="/v1", description="The clinic's own texts of messages")


class MessageTemplatePut(Schema):
    """The texts of one kind in one language: plain, with {{placeholders}}. What is null is said as shipped."""

    subject = Text(1_000, min=0, allow_none=True)
    body = Text(50_000, min=0, lines=True, allow_none=True)
    sms = Text(2_000, min=0, lines=True, allow_none=True)


class PlaceholdersSchema(Schema):
    """What each part may name."""

    subject = List(Text(40), max=100)
    body = List(Text(40), max=100)
    sms = List(Text(40), max=100)


class SeenPartSchema(Schema):
    """A part with the longest values that are real, of an SMS also its length and how many it takes.

    They are the clinic's own sites, visits, zones and phone, where these are longer than a common one.
    """

    text = Text(60_000, min=0, lines=True)
    septets = Whole(allow_none=True)
    segments = Whole(allow_none=True)


class SeenSchema(Schema):
    """The parts that the clinic wrote, as they would be read."""

    subject = Nested(SeenPartSchema)
    body = Nested(SeenPartSchema)
    sms = Nested(SeenPartSchema)


class MessageTemplateSchema(MessageTemplatePut):
    """The texts in force; `revision` counts their versions, 0 is as shipped."""

    kind = Text(60, dump_only=True)
    locale = Text(20, dump_only=True)
    revision = Whole(dump_only=True)
    placeholders = Nested(PlaceholdersSchema, dump_only=True)
    shipped = Flag(dump_only=True, metadata={"description": "Whether the product comes with texts in this language"})
    preview = Nested(SeenSchema, dump_only=True)
    created_at = Instant(dump_only=True, allow_none=True)
    created_by = Text(200, min=0, dump_only=True)


@blp.get("/message-templates/<string:kind>/<string:locale>")
@endpoint(scope="messages:read", gives=MessageTemplateSchema, refuses=(NotFound,))
def get_message_template(session: Session, call: Call, *, kind: str, locale: str) -> Any:
    """Show the clinic's own texts, what they may name, and how they look with the longest values."""
    return message_texts.get(session, call, kind, locale, public_url=_public_url())


@blp.put("/message-templates/<string:kind>/<string:locale>")
@endpoint(
    scope="messages:write",
    takes=MessageTemplatePut,
    gives=MessageTemplateSchema,
    refuses=(NotFound,),
    if_match="optional",
)
def put_message_template(
    session: Session, call: Call, body: dict[str, Any], *, kind: str, locale: str, revision: int | None
) -> Any:
    """Put a new version in force. Unknown placeholders, telling words and texts that are too long are refused."""
    return message_texts.change(session, call, kind, locale, body, revision, public_url=_public_url())


def _public_url() -> str:
    found: str = current_app.extensions["settings"].public_url
    return found
