"""/v1/webhooks: addresses that are told of changes, what each was told, and having it told again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app

from scheduler.api.fields import Choice, Flag, Id, Instant, List, Nested, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint, patch_schema
from scheduler.api.kept import InstantText, Mark
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.core.webhooks import EVENTS
from scheduler.services import webhooks
from scheduler.services.records import Revision
from scheduler.services.webhooks import WebhookView

blp = Blueprint("webhooks", __name__, url_prefix="/v1", description="Addresses that are told of changes")

_TYPES = tuple(EVENTS.values())
_STATUSES = ("pending", "sending", "delivered", "failed")
_SHOWN_ONCE = {"description": "What its deliveries are signed with, shown once; null in a replay"}
_ID = {"type": "string", "format": "uuid"}
_INSTANT = {"type": "string", "format": "date-time"}
_DATA = {
    "type": "object",
    "description": "Ids and times; the rest is fetched. What is not of the event's subject is missing",
    "properties": {
        "number": {"type": "integer", "description": "Counts what this address is told of the subject, without a gap"},
        **{f"{name}_id": _ID for name in ("appointment", "patient", "location", "waitlist_entry", "offer")},
        "course_id": {"type": ["string", "null"], "format": "uuid"},
        "start": _INSTANT,
        "end": _INSTANT,
        "time_zone": {"type": "string"},
        "local_start": {"type": "string"},
        "expires_at": _INSTANT | {"description": "Until when the time of a waitlist's offer is kept"},
        "sequence": {"type": "integer"},
        "version": {"type": "integer", "description": "The revision that the change left behind: the ETag"},
    },
    "required": ["number", "patient_id", "location_id", "version"],
}
_EVENT = {
    "type": "object",
    "properties": {"type": {"type": "string", "enum": list(_TYPES)}, "timestamp": _INSTANT, "data": _DATA},
    "required": ["type", "timestamp", "data"],
}
_SENT_WITH = [
    {"name": name, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
    for name, said in (
        ("webhook-id", "The same at every try: what came before is no news"),
        ("webhook-timestamp", "When this try was signed, in seconds since 1970; refuse what is older than 5 minutes"),
        ("webhook-signature", "`v1,` and HMAC-SHA256 of `id.timestamp.body`; several, while a secret is changed"),
    )
]
#: The other direction, for openapi.yaml: what an address is posted.
TOLD: dict[str, Any] = {
    "event": {
        "post": {
            "operationId": "told_of_change",
            "summary": "A change, told to each webhook that wants it (Standard Webhooks 1.0.0)",
            "parameters": _SENT_WITH,
            "requestBody": {"required": True, "content": {"application/json": {"schema": _EVENT}}},
            "responses": {
                "2XX": {"description": "Taken. Anything else is tried again for about three days"},
                "410": {"description": "Gone: the webhook is switched off"},
            },
        }
    }
}


class WebhookSchema(Schema):
    """An address that is told of changes, without its secret."""

    id = Id(dump_only=True)
    url = Text(2000, required=True, metadata={"description": "https only, and on the open internet"})
    description = Text(200, min=0)
    events = List(Choice(*_TYPES), max=100, metadata={"description": "What it is told; everything when there is none"})
    enabled = Flag(metadata={"description": "Switched off by itself after 410 Gone, or three days without a success"})
    disabled_reason = Text(300, dump_only=True, allow_none=True)
    failing_since = Instant(dump_only=True, allow_none=True)
    old_secret_until = Instant(
        dump_only=True, allow_none=True, metadata={"description": "Until then the secret before signs as well"}
    )
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class NewWebhookSchema(WebhookSchema):
    """A webhook with its new secret."""

    secret = Text(100, dump_only=True, allow_none=True, metadata=_SHOWN_ONCE)


class DeliverySchema(Schema):
    """One event on its way to one address. `id` is the `webhook-id` of every try."""

    id = Id(required=True)
    event = Choice(*_TYPES, required=True)
    subject_id = Id(required=True, metadata={"description": "The appointment, course or waitlist entry"})
    number = Whole(required=True)
    status = Choice(*_STATUSES, required=True)
    attempts = Whole(required=True)
    due_at = Instant(required=True, metadata={"description": "When it is, or was, tried next"})
    tried_at = Instant(allow_none=True)
    delivered_at = Instant(allow_none=True)
    error = Text(300, allow_none=True, metadata={"description": "Why the last try failed"})
    created_at = Instant(required=True)


class TrySchema(Schema):
    """One try at a delivery. Without an end its worker has not said yet how it went, or died first."""

    began_at = InstantText(required=True)
    ended_at = InstantText(required=True, allow_none=True)
    error = Text(300, required=True, allow_none=True, metadata={"description": "Null when it was taken"})


class WholeDeliverySchema(DeliverySchema):
    """One delivery with its tries, the last thirty of them, oldest first."""

    tried = Nested(TrySchema, many=True, required=True)
    revision = Mark()


class DeliveriesQuery(PageQuery):
    """Which deliveries are wanted."""

    status = Choice(*_STATUSES, load_default=None)


@blp.post("/webhooks")
@endpoint(scope="webhooks:write", takes=WebhookSchema, gives=NewWebhookSchema, status=201, secrets=("secret",))
def create_webhook(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Have an address told of what changes from now on."""
    return _with_secret(*webhooks.create(session, call, body, private=_private()))


@blp.get("/webhooks")
@endpoint(scope="webhooks:read", query=PageQuery, gives=WebhookSchema, many=True)
def list_webhooks(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the webhooks, those that are off too."""
    return webhooks.listed(session, call, **query)


@blp.get("/webhooks/<uuid:webhook_id>")
@endpoint(scope="webhooks:read", gives=WebhookSchema, refuses=(NotFound,))
def get_webhook(session: Session, call: Call, *, webhook_id: UUID) -> Any:
    """Show one webhook."""
    return webhooks.get(session, call, webhook_id)


@blp.patch("/webhooks/<uuid:webhook_id>")
@endpoint(
    scope="webhooks:write",
    takes=patch_schema(WebhookSchema, "WebhookPatch"),
    gives=WebhookSchema,
    refuses=(NotFound,),
    if_match=True,
)
def patch_webhook(session: Session, call: Call, body: dict[str, Any], *, webhook_id: UUID, revision: int) -> Any:
    """Change a webhook. One that is switched on again is told what has waited since it was switched off."""
    return webhooks.change(session, call, webhook_id, revision, body, private=_private())


@blp.delete("/webhooks/<uuid:webhook_id>")
@endpoint(scope="webhooks:write", status=204, refuses=(NotFound,), if_match=True)
def delete_webhook(session: Session, call: Call, *, webhook_id: UUID, revision: int) -> None:
    """Tell it nothing more, from now on."""
    webhooks.remove(session, call, webhook_id, revision)


@blp.post("/webhooks/<uuid:webhook_id>/rotate-secret")
@endpoint(scope="webhooks:write", gives=NewWebhookSchema, if_match="optional", refuses=(NotFound,), secrets=("secret",))
def rotate_webhook_secret(session: Session, call: Call, *, webhook_id: UUID, revision: Revision | None) -> Any:
    """Give it a new secret. For a day both sign, so that the receiver can change over without missing anything."""
    return _with_secret(*webhooks.rotate(session, call, webhook_id, revision=revision))


@blp.get("/webhooks/<uuid:webhook_id>/deliveries")
@endpoint(scope="webhooks:read", query=DeliveriesQuery, gives=DeliverySchema, many=True, refuses=(NotFound,))
def list_deliveries(session: Session, call: Call, query: dict[str, Any], *, webhook_id: UUID) -> Page[Any]:
    """List what it was told, newest first; kept for thirty days."""
    return webhooks.deliveries(session, call, webhook_id, **query)


@blp.get("/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>")
@endpoint(scope="webhooks:read", gives=WholeDeliverySchema, refuses=(NotFound,))
def get_delivery(session: Session, call: Call, *, webhook_id: UUID, delivery_id: UUID) -> Any:
    """Show one delivery and every try at it."""
    return webhooks.delivery(session, call, webhook_id, delivery_id)


@blp.post("/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay")
@endpoint(scope="webhooks:write", gives=DeliverySchema, if_match="optional", refuses=(NotFound, IllegalTransition))
def replay_delivery(
    session: Session, call: Call, *, webhook_id: UUID, delivery_id: UUID, revision: Revision | None
) -> Any:
    """Have it told again, at once and under the same id."""
    return webhooks.replay(session, call, webhook_id, delivery_id, revision=revision)


def _private() -> bool:
    return bool(current_app.extensions["settings"].webhooks_private)


def _with_secret(view: WebhookView, secret: str) -> dict[str, Any]:
    return vars(view) | {"secret": secret}
