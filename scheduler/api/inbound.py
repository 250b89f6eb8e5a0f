"""What providers post: texts of patients, and what became of messages. The provider signs each; there is no key."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, current_app, request

from scheduler.api.http import unkeyed
from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid
from scheduler.database import db, transact
from scheduler.services import contacts, incoming, receipts, two_way
from scheduler.services.incoming import Told
from scheduler.services.two_way import Incoming

public = Blueprint("inbound", __name__, url_prefix="/v1")

_LONGEST_TEXT = 1600


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
    organization_id, message_id = _id("organization"), _id("message")
    if organization_id is None or message_id is None:
        raise Invalid([Fault("/message", "required", "The address names the organization and the message.")])
    if told.outcome:
        transact(
            db.session(),
            _call(organization_id),
            lambda s, c: receipts.settle(s, c, message_id, told.provider_id, told.outcome, told.detail),
        )
    return Response(status=204)


def _opened(provider: str) -> Told:
    settings = current_app.extensions["settings"]
    secret = {"http": settings.sms_http_secret, "twilio": settings.twilio_token}.get(provider, "")
    base = settings.public_url.rstrip("/") or request.host_url.rstrip("/")
    query = request.query_string.decode("ascii", "replace")
    url = f"{base}{request.path}" + (f"?{query}" if query else "")
    return incoming.opened(provider, secret, url=url, headers=dict(request.headers), body=request.get_data(cache=False))


def _id(name: str) -> UUID | None:
    try:
        return UUID(request.args[name]) if name in request.args else None
    except ValueError:
        raise Invalid([Fault(f"/{name}", "invalid_format", "This is no id.")]) from None


def _call(organization_id: UUID) -> Call:
    return Call(now=current_app.extensions["clock"](), organization_id=organization_id, actor="provider")
