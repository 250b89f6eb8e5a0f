"""/v1/locations: sites with their hours, closures and certifications."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Id, Instant, List, Nested, Text, Whole, ZoneName
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint, patch_schema
from scheduler.api.kept import AffectedSchema, CertificationSchema, ClosureSchema, HolidaysSchema, HoursSchema
from scheduler.core.call import Call
from scheduler.core.errors import InUse, NotFound
from scheduler.services import locations

blp = Blueprint("locations", __name__, url_prefix="/v1", description="Sites, each with its own time zone")


class LocationSchema(Schema):
    """A site. Nothing happens there outside `hours`, while one of `closures` lasts, or on its `holidays`."""

    id = Id(dump_only=True)
    name = Text(200, required=True)
    time_zone = ZoneName(required=True, metadata={"description": "An IANA name", "examples": ["America/New_York"]})
    address = Text(500, min=0, lines=True)
    hours = List(Nested(HoursSchema), max=200)
    closures = List(Nested(ClosureSchema), max=500)
    holidays = Nested(HolidaysSchema, allow_none=True)
    certifications = List(Nested(CertificationSchema), max=50)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class ChangedLocationSchema(LocationSchema):
    """A site after a change, and the visits that no longer fit it."""

    affected_appointments = List(Nested(AffectedSchema), max=100_000, dump_only=True)


@blp.post("/locations")
@endpoint(scope="setup:write", takes=LocationSchema, gives=LocationSchema, status=201)
def create_location(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Add a location."""
    return locations.create(session, call, body)


@blp.get("/locations")
@endpoint(scope="setup:read", query=PageQuery, gives=LocationSchema, many=True)
def list_locations(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the locations."""
    return locations.listing(session, call, **query)


@blp.get("/locations/<uuid:location_id>")
@endpoint(scope="setup:read", gives=LocationSchema, refuses=(NotFound,))
def get_location(session: Session, call: Call, *, location_id: UUID) -> Any:
    """Show one location."""
    return locations.get(session, call, location_id)


@blp.patch("/locations/<uuid:location_id>")
@endpoint(
    scope="setup:write",
    takes=patch_schema(LocationSchema, "LocationPatch"),
    gives=ChangedLocationSchema,
    refuses=(NotFound, InUse),
    if_match=True,
)
def patch_location(session: Session, call: Call, body: dict[str, Any], *, location_id: UUID, revision: int) -> Any:
    """Change a location. Lists are replaced; the answer names the visits that no longer fit."""
    return locations.change(session, call, location_id, revision, body)


@blp.delete("/locations/<uuid:location_id>")
@endpoint(scope="setup:write", status=204, refuses=(NotFound, InUse), if_match=True)
def delete_location(session: Session, call: Call, *, location_id: UUID, revision: int) -> None:
    """Take a location out of use. It is refused while anything stands or is booked there."""
    locations.remove(session, call, location_id, revision)
