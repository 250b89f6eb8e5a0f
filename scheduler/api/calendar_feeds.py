"""/v1/calendar-feeds, for who may look, and /calendars/<token>.ics, for the calendar that looks."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from flask import Blueprint as PlainBlueprint
from flask import Response, current_app, request, url_for

from scheduler.api import address, limits
from scheduler.api.fields import Choice, Id, Instant, Text
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Mark
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.database import db, look, transact
from scheduler.services import feeds
from scheduler.services.records import Revision

blp = Blueprint("calendar_feeds", __name__, url_prefix="/v1", description="Addresses for calendars to subscribe to")
#: Outside /v1: calendars send no key, the address is the key.
public = PlainBlueprint("calendars", __name__)
public.after_request(limits.tell)

_TITLES = {
    "description": "`neutral`: what patients read. `visit_type`: the clinic's own name of the visit, for a device that "
    "only staff see. No event names a patient"
}


class FeedQuery(PageQuery):
    """Which feeds are wanted."""

    resource_id = Id(allow_none=True, load_default=None)


class FeedSchema(Schema):
    """A calendar feed, without its address."""

    id = Id(dump_only=True)
    resource_id = Id(required=True)
    titles = Choice("neutral", "visit_type", load_default="neutral", metadata=_TITLES)
    created_at = Instant(dump_only=True)
    revoked_at = Instant(dump_only=True, allow_none=True)
    read_at = Instant(dump_only=True, allow_none=True, metadata={"description": "When it was last read, to the day"})
    revision = Mark()


class NewFeedSchema(FeedSchema):
    """A feed that was just made."""

    url = Text(
        400, dump_only=True, allow_none=True, metadata={"description": "Its address, shown once; null in a replay"}
    )


@blp.post("/calendar-feeds")
@endpoint(
    scope="scheduling:write", takes=FeedSchema, gives=NewFeedSchema, status=201, refuses=(NotFound,), secrets=("url",)
)
def create_calendar_feed(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Make a feed of a practitioner, room, device or patient."""
    row, token = feeds.create(session, call, **body)
    kept = {name: getattr(row, name) for name in FeedSchema().fields}
    url = address.base() + url_for("calendars.show_calendar", token=token)
    return kept | {"revision": row.revision, "url": url}


@blp.get("/calendar-feeds")
@endpoint(scope="scheduling:read", query=FeedQuery, gives=FeedSchema, many=True)
def list_calendar_feeds(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the feeds, ended ones too."""
    return feeds.listed(session, call, **query)


@blp.get("/calendar-feeds/<uuid:feed_id>")
@endpoint(scope="scheduling:read", gives=FeedSchema, refuses=(NotFound,))
def get_calendar_feed(session: Session, call: Call, *, feed_id: UUID) -> Any:
    """Show one feed."""
    return feeds.get(session, call, feed_id)


@blp.post("/calendar-feeds/<uuid:feed_id>/revoke")
@endpoint(scope="scheduling:write", gives=FeedSchema, if_match="optional", refuses=(NotFound,))
def revoke_calendar_feed(session: Session, call: Call, *, feed_id: UUID, revision: Revision | None) -> Any:
    """End a feed at once: its address opens nothing any more."""
    return feeds.revoke(session, call, feed_id, revision=revision)


@public.get("/calendars/<token>.ics")
def show_calendar(token: str) -> Response:
    """The calendar itself, with an ETag; 304 when nothing has changed, 429 for who asks too often."""
    from scheduler import ics  # the library behind it takes long to load, and few processes ever need it

    now = current_app.extensions["clock"]()
    limits.spend_link(token, now)
    session = db.session()
    look(session)
    row = feeds.opened(session, token, now)
    call = Call(now=now, organization_id=row.organization_id, actor="calendar feed")
    feed_id, noted = row.id, feeds.to_be_noted(row, now)
    shown = feeds.show(session, call, row)
    session.rollback()
    if noted:
        transact(session, call, lambda s, c: feeds.note_look(s, c, feed_id))
    response = Response(ics.feed(shown.entries, shown.name), mimetype="text/calendar")
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["X-Robots-Tag"] = "noindex"
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest())
    response.make_conditional(request)
    return response
