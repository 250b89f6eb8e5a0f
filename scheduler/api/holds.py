"""/v1/holds: time kept for a short while, until it is booked, given back or over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from scheduler.api.appointments import WISH_AGREES, WantedSchema
from scheduler.api.fields import Flag, Id, Instant, List, LocalInstant, Nested, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.visits import ParticipantSchema, SegmentSchema, participants_in, pins_from, segments_in
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import AlreadyExists, Invalid, LocalTimeFault, NotFound, NotTheHolder, Refused, StaleRevision
from scheduler.services import holds
from scheduler.services.finding import Wanted
from scheduler.services.holds import HoldView

blp = Blueprint("holds", __name__, url_prefix="/v1", description="Time kept for a short while")

_USUAL, _LONGEST = (int(span.total_seconds()) for span in (holds.USUAL, holds.LONGEST))
_TOKEN = {"description": "What the hold's making showed; not needed with the key that made it"}


class NewHoldSchema(WantedSchema):
    """A visit whose time is to be kept. The patient may still be unknown."""

    class Meta(WantedSchema.Meta):
        """What is written about a visit is written when it is booked."""

        exclude = ("note",)

    patient_id = Id(load_default=None)
    ttl_seconds = Whole(min=1, max=_LONGEST, load_default=_USUAL)


class ExtensionSchema(Schema):
    """For how long from now a hold is to last."""

    token = Text(200, load_default=None, metadata=_TOKEN)
    ttl_seconds = Whole(min=1, max=_LONGEST, load_default=_USUAL)


class HoldSchema(Schema):
    """Time kept for its holder until `expires_at`, or until `ended_at` when it was used or released before."""

    id = Id(required=True)
    token = Text(
        200, allow_none=True, metadata={"description": "Shown when the hold is made and never again: book with it"}
    )
    expires_at = Instant(required=True)
    ended_at = Instant(allow_none=True)
    extended = Flag(required=True)
    patient_id = Id(allow_none=True)
    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, required=True)
    local_start = LocalInstant()
    local_end = LocalInstant()
    segments = List(Nested(SegmentSchema), max=100, required=True)
    participants = List(Nested(ParticipantSchema), max=1000, required=True)
    revision = Whole(required=True)
    created_at = Instant(required=True)


class HoldsQuery(PageQuery):
    """Filters of the list."""

    location_id = Id(load_default=None)


@blp.post("/holds")
@endpoint(
    scope="scheduling:write",
    takes=NewHoldSchema,
    gives=HoldSchema,
    status=201,
    refuses=(NotFound, Invalid, LocalTimeFault, Refused, AlreadyExists),
    secrets=("token",),
    agree=WISH_AGREES,
)
def create_hold(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Keep the time of a visit for a few minutes; refused as a booking would be.

    The token is shown this once. A key may hold so many times at once and no more (`too_many_holds`).
    """
    lasting = timedelta(seconds=body.pop("ttl_seconds"))
    wanted = Wanted(**body | {"pins": pins_from(body["pins"])})
    return _shown(holds.create(session, call, wanted, lasting=lasting))


@blp.get("/holds")
@endpoint(scope="scheduling:read", query=HoldsQuery, gives=HoldSchema, many=True)
def list_holds(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """The holds that are not over, oldest first."""
    found = holds.listing(session, call, **query)
    return Page([_shown(view) for view in found.items], found.next_cursor)


@blp.get("/holds/<uuid:hold_id>")
@endpoint(scope="scheduling:read", gives=HoldSchema, refuses=(NotFound,))
def get_hold(session: Session, call: Call, *, hold_id: UUID) -> Any:
    """One hold, over or not."""
    return _shown(holds.get(session, call, hold_id))


@blp.post("/holds/<uuid:hold_id>/extend")
@endpoint(
    scope="scheduling:write",
    takes=ExtensionSchema,
    gives=HoldSchema,
    refuses=(NotFound, NotTheHolder, Refused, StaleRevision),
    if_match="optional",
)
def extend_hold(session: Session, call: Call, body: dict[str, Any], *, hold_id: UUID, revision: int | None) -> Any:
    """Let a hold last longer, once (`already_extended`)."""
    lasting = timedelta(seconds=body["ttl_seconds"])
    return _shown(holds.extend(session, call, hold_id, token=body["token"], lasting=lasting, revision=revision))


@blp.delete("/holds/<uuid:hold_id>")
@endpoint(scope="scheduling:write", status=204, refuses=(NotFound, NotTheHolder), if_match=True)
def delete_hold(session: Session, call: Call, *, hold_id: UUID, revision: int) -> None:
    """Give the time back: with the key that made the hold, or one that may override."""
    holds.release(session, call, hold_id, revision)


def _shown(view: HoldView) -> dict[str, Any]:
    row, where = view.row, zone(view.row.time_zone)
    start, end = row.starts_at.astimezone(where), row.ends_at.astimezone(where)
    return {
        "id": row.id,
        "token": view.token,
        "expires_at": row.expires_at,
        "ended_at": row.ended_at,
        "extended": row.extended,
        "patient_id": row.patient_id,
        "visit_type": row.visit_type,
        "location_id": row.location_id,
        "start": start,
        "end": end,
        "time_zone": row.time_zone,
        "local_start": start,
        "local_end": end,
        "segments": segments_in(view.segments, where),
        "participants": participants_in(view.participants, where),
        "revision": row.revision,
        "created_at": row.created_at,
    }
