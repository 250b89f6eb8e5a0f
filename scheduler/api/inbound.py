"""What providers post: texts of patients, keys pressed in calls, what became of messages. Signed; there is no key."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, current_app, request

from scheduler.api import address
from scheduler.api.http import unkeyed
from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid
from scheduler.database import db, transact
from scheduler.services import calls, contacts, incoming, receipts, two_way
from scheduler.services.calls import Pressed
from scheduler.services.incoming import Told
from scheduler.services.two_way import Incoming

public = Blueprint("inbound", __name__, url_prefix="/v1")

_LONGEST_TEXT = 1600
_WORD = {"type": "string"}


def _described(
    name: str,
    summary: str,
    says: str,
    names: tuple[str, ...],
    answers: dict[str, Any],
    *,
    more: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    """One operation of openapi.yaml: no key, no `dry_run`, and the provider's own id in place of an Idempotency-Key."""
    words = {
        "type": "object",
        "properties": dict.fromkeys(("id", "url", "from", "body", "status", "detail", "to", "key"), _WORD),
    }
    forms = {"type": "object", "additionalProperties": _WORD}
    problem = {"$ref": "#/components/responses/Problem"}
    return {
        "post": {
            "operationId": name,
            "tags": ["inbound"],
            "summary": summary,
            "description": f"{says} Twilio posts a form and signs it in `X-Twilio-Signature`; a gateway of one's own "
            "posts JSON and signs it by Standard Webhooks 1.0.0, with the address that it posts to as `url`, which "
            "that signature leaves out. What is not signed, not for this address, or not lately, is a 401. It tells "
            "what has happened, so there is nothing to try: `dry_run` would be one more word of the signed address.",
            "security": [],
            "parameters": [
                {"name": "provider", "in": "path", "required": True, "schema": {"enum": ["http", "twilio"]}},
                *({"name": each, "in": "query", "schema": {"type": "string", "format": "uuid"}} for each in names),
                *more,
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": words},
                    "application/x-www-form-urlencoded": {"schema": forms},
                },
            },
            "responses": answers | dict.fromkeys(("401", "404", "422", "default"), problem),
        }
    }


_REPLY = {
    "description": "Heard; what is to be texted back, if anything",
    "content": {
        "application/json": {"schema": {"type": "object", "properties": {"reply": {"type": ["string", "null"]}}}},
        "text/xml": {"schema": _WORD},
    },
}
_SPOKEN = {
    "description": "What is said now, and where a further key is told, if any",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"say": _WORD, "locale": _WORD, "keys": {"type": ["string", "null"]}},
            }
        },
        "text/xml": {"schema": _WORD},
    },
}
#: By endpoint, for openapi.yaml: beside what goes through `endpoint`.
DESCRIBED: dict[str, dict[str, Any]] = {
    "inbound.receive_text": _described(
        "receive_text",
        "A patient's text",
        "The same text again, by the provider's id, changes nothing and is answered alike. Without `organization` "
        "everybody hears it who has the sender as a patient.",
        ("organization",),
        {"200": _REPLY},
    ),
    "inbound.receive_outcome": _described(
        "receive_outcome",
        "What became of a message",
        "One that comes while the message is still being handed over is kept until that is over; one that comes after "
        "a final word changes nothing.",
        ("organization", "message"),
        {"204": {"description": "Heard"}},
    ),
    "inbound.receive_key": _described(
        "receive_key",
        "A key pressed in a call",
        "1 says the message as things stand by then, and once more (`after=words`) confirms its visit; 9 ends all "
        "calls and texts to the number. The same key again does nothing more.",
        ("organization", "message"),
        {"200": _SPOKEN},
        more=({"name": "after", "in": "query", "schema": {"enum": ["opening", "words"]}},),
    ),
}


@public.post("/inbound/sms/<provider>")
@unkeyed("The provider signs what it posts")
def receive_text(provider: str) -> Response:
    """A patient's text. What is to be texted back stands in the answer; the same text again is answered alike.

    `?organization=<id>` says whose number was texted; without it every organization that knows the sender hears it.
    """
    told = _opened(provider)
    text = Incoming(provider, told.provider_id, contacts.phone(told.number, "/from"), told.text[:_LONGEST_TEXT])
    session, chosen = db.session(), _id("organization")
    answers = [
        transact(session, _call(organization_id), lambda s, c: two_way.receive(s, c, text))
        for organization_id in ([chosen] if chosen else two_way.who_knows(session, text.number))
    ]
    kind, body = incoming.said(provider, next(filter(None, answers), ""))  # one text back, whoever answers
    return Response(body, content_type=kind)


@public.post("/callbacks/<provider>")
@unkeyed("The provider signs what it posts")
def receive_outcome(provider: str) -> Response:
    """What became of `?message=` of `?organization=`: these stand in the address that the provider was given."""
    told = _opened(provider)
    organization_id, message_id = _about()
    if told.outcome:
        transact(
            db.session(),
            _call(organization_id),
            lambda s, c: receipts.settle(s, c, message_id, told.provider_id, told.outcome, told.detail),
        )
    return Response(status=204)


@public.post("/calls/<provider>")
@unkeyed("The provider signs what it posts")
def receive_key(provider: str) -> Response:
    """A key pressed in the call about `?message=` of `?organization=`; with `?after=words` once it was said."""
    told = _opened(provider)
    organization_id, message_id = _about()
    what = Pressed(provider, told.provider_id, told.called, told.key, heard=request.args.get("after") == "words")
    said = transact(db.session(), _call(organization_id), lambda s, c: calls.pressed(s, c, message_id, what))
    about = {"organization": organization_id, "message": message_id, "after": said.next}
    action = f"{address.base()}{request.path}?{urlencode(about)}" if said.next else ""
    kind, body = incoming.spoken(provider, said.words, said.locale, action)
    return Response(body, content_type=kind)


def _about() -> tuple[UUID, UUID]:
    """The organization and the message that the address names."""
    organization_id, message_id = _id("organization"), _id("message")
    if organization_id is None or message_id is None:
        raise Invalid([Fault("/message", "required", "The address names the organization and the message.")])
    return organization_id, message_id


def _opened(provider: str) -> Told:
    settings = current_app.extensions["settings"]
    secret = {"http": settings.sms_http_secret, "twilio": settings.twilio_token}.get(provider, "")
    query = request.query_string.decode("ascii", "replace")
    url = f"{address.base()}{request.path}" + (f"?{query}" if query else "")
    return incoming.opened(provider, secret, url=url, headers=dict(request.headers), body=request.get_data(cache=False))


def _id(name: str) -> UUID | None:
    try:
        return UUID(request.args[name]) if name in request.args else None
    except ValueError:
        raise Invalid([Fault(f"/{name}", "invalid_format", "This is no id.")]) from None


def _call(organization_id: UUID) -> Call:
    return Call(now=current_app.extensions["clock"](), organization_id=organization_id, actor="provider")
