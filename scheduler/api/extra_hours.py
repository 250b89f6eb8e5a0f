"""/v1/extra-hours: one-off shifts of a practitioner, room or device at a location."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Id, Instant, List, Nested, Text, Whole
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import AffectedSchema
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.services import extra_hours

blp = Blueprint("extra_hours", __name__, url_prefix="/v1", description="One-off shifts")


class ExtraHoursSchema(Schema):
    """A shift besides the weekly hours. The location's own hours and closures bind it all the same."""

    id = Id(dump_only=True)
    resource_id = Id(required=True)
    location_id = Id(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, dump_only=True)
    reason = Text(500, min=0)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class EndedShiftSchema(Schema):
    """What a shift that was taken back leaves to be looked at."""

    affected_appointments = List(Nested(AffectedSchema), max=100_000, required=True)


class ExtraHoursQuery(PageQuery):
    """Filters of the list: shifts that meet [from, to)."""

    resource_id = Id()
    location_id = Id()
    from_ = Instant(data_key="from", attribute="since")
    to = Instant(attribute="until")


@blp.post("/extra-hours")
@endpoint(
    scope="setup:write",
    takes=ExtraHoursSchema,
    gives=ExtraHoursSchema,
    status=201,
    refuses=(NotFound,),
    agree=(Agree(extra_hours.check_span, ("start", "end")),),
)
def create_extra_hours(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Let somebody or something be at a location once, besides the weekly hours."""
    return extra_hours.create(session, call, **body)


@blp.get("/extra-hours")
@endpoint(scope="setup:read", query=ExtraHoursQuery, gives=ExtraHoursSchema, many=True)
def list_extra_hours(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the one-off shifts."""
    return extra_hours.listing(session, call, **query)


@blp.get("/extra-hours/<uuid:extra_hours_id>")
@endpoint(scope="setup:read", gives=ExtraHoursSchema, refuses=(NotFound,))
def get_extra_hours(session: Session, call: Call, *, extra_hours_id: UUID) -> Any:
    """Show one shift."""
    return extra_hours.get(session, call, extra_hours_id)


@blp.delete("/extra-hours/<uuid:extra_hours_id>")
@endpoint(scope="setup:write", gives=EndedShiftSchema, refuses=(NotFound,), if_match=True)
def delete_extra_hours(session: Session, call: Call, *, extra_hours_id: UUID, revision: int) -> Any:
    """Take a shift back. Visits stay booked; the answer names those that it was for."""
    return {"affected_appointments": extra_hours.remove(session, call, extra_hours_id, revision)}
