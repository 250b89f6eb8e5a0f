"""From an Authorization header to a Call. What a key is and may do is services/access's."""

from __future__ import annotations

from dataclasses import replace

from flask import current_app, request

from scheduler.api.strict import Malformed
from scheduler.api.trace import request_id
from scheduler.core.call import Call
from scheduler.core.errors import Unauthorized
from scheduler.services import Session, access

_LONGEST_ACTOR = 200


class MalformedHeader(Malformed):
    """A header that cannot be read."""

    problem_code = "malformed_header"


def identify(session: Session) -> Call:
    """Who asks. Raises `Unauthorized`, or `MalformedHeader` for an X-Actor that no audit could show."""
    said = request.environ
    kind, _, token = said.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer":
        raise Unauthorized("This needs a valid API key: `Authorization: Bearer <key>`.")
    now = current_app.extensions["clock"]()
    bearer = access.authenticate(session, token.strip(), now)
    call = Call(
        now=now,
        organization_id=bearer.organization_id,
        actor=bearer.name,
        key_id=bearer.key_id,
        request_id=request_id(),
        scopes=bearer.scopes,
    )
    actor = _actor(said.get("HTTP_X_ACTOR", ""))
    return replace(call, actor=actor) if actor else call


def _actor(raw: str) -> str:
    """The human behind a shared key, as named in X-Actor; UTF-8 is welcome."""
    try:
        actor = raw.encode("latin-1").decode("utf-8").strip()  # WSGI hands headers over as Latin-1
    except UnicodeError as error:
        raise MalformedHeader("X-Actor is not UTF-8.") from error
    if len(actor) > _LONGEST_ACTOR or not actor.isprintable():
        raise MalformedHeader("X-Actor must be a printable name of at most 200 characters.")
    return actor
