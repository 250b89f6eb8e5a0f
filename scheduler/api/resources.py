"""/v1/practitioners, /v1/rooms and /v1/devices: who and what a visit can take up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Id, Instant, List, Nested, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint, patch_schema
from scheduler.api.kept import AffectedSchema, Code, HoursSchema, RoleSchema, StaffHoursSchema
from scheduler.core.call import Call
from scheduler.core.errors import InUse, NotFound
from scheduler.services import resources
from scheduler.services.resources import DEVICE, PRACTITIONER, ROOM

blp = Blueprint("resources", __name__, url_prefix="/v1", description="Practitioners, rooms and devices")

_UNITS = {"description": "How many visits at once"}
_MOST_BUFFER = 240


def _buffer(when: str) -> Whole:
    """Minutes that the resource needs for itself, on the five-minute grid."""
    detail = f"Taken {when} each visit, besides the visit type's own; for what is booked or moved from now on"
    return Whole(min=0, max=_MOST_BUFFER, metadata={"description": detail})


class PractitionerSchema(Schema):
    """Somebody who serves visits, in one or more roles, at one or more locations."""

    id = Id(dump_only=True)
    name = Text(200, required=True)
    roles = List(Nested(RoleSchema), max=100)
    units = Whole(min=1, max=100, metadata=_UNITS)
    hours = List(Nested(StaffHoursSchema), max=500)
    buffer_before_minutes = _buffer("before")
    buffer_after_minutes = _buffer("after")
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class RoomSchema(Schema):
    """A room, or one place in a room that can be pointed at. Without `hours` it keeps the location's."""

    id = Id(dump_only=True)
    name = Text(200, required=True)
    location_id = Id(required=True)
    room_type = Code(required=True, attribute="type_code")
    units = Whole(min=1, max=100, metadata=_UNITS)
    hours = List(Nested(HoursSchema), max=200, allow_none=True)
    buffer_before_minutes = _buffer("before")
    buffer_after_minutes = _buffer("after")
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class DeviceSchema(Schema):
    """A device that visits use."""

    id = Id(dump_only=True)
    name = Text(200, required=True)
    location_id = Id(required=True)
    device_type = Code(required=True, attribute="type_code")
    units = Whole(min=1, max=100, metadata=_UNITS)
    buffer_before_minutes = _buffer("before")
    buffer_after_minutes = _buffer("after")
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class ChangedPractitionerSchema(PractitionerSchema):
    """A practitioner after a change, and the visits that nobody serves now."""

    affected_appointments = List(Nested(AffectedSchema), max=100_000, dump_only=True)


class ChangedRoomSchema(RoomSchema):
    """A room after a change, and the visits that lie outside its hours now."""

    affected_appointments = List(Nested(AffectedSchema), max=100_000, dump_only=True)


class PractitionersQuery(PageQuery):
    """Filters of the list."""

    role = Code(metadata={"description": "Who has it, whatever its dates"})


class RoomsQuery(PageQuery):
    """Filters of the list."""

    location_id = Id()
    room_type = Code(attribute="type_code")


class DevicesQuery(PageQuery):
    """Filters of the list."""

    location_id = Id()
    device_type = Code(attribute="type_code")


@blp.post("/practitioners")
@endpoint(scope="setup:write", takes=PractitionerSchema, gives=PractitionerSchema, status=201)
def create_practitioner(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Add a practitioner."""
    return resources.create(session, call, PRACTITIONER, {"hours": []} | body)


@blp.get("/practitioners")
@endpoint(scope="setup:read", query=PractitionersQuery, gives=PractitionerSchema, many=True)
def list_practitioners(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the practitioners."""
    return resources.listing(session, call, PRACTITIONER, **query)


@blp.get("/practitioners/<uuid:practitioner_id>")
@endpoint(scope="setup:read", gives=PractitionerSchema, refuses=(NotFound,))
def get_practitioner(session: Session, call: Call, *, practitioner_id: UUID) -> Any:
    """Show one practitioner."""
    return resources.get(session, call, PRACTITIONER, practitioner_id)


@blp.patch("/practitioners/<uuid:practitioner_id>")
@endpoint(
    scope="setup:write",
    takes=patch_schema(PractitionerSchema, "PractitionerPatch"),
    gives=ChangedPractitionerSchema,
    refuses=(NotFound, InUse),
    if_match=True,
)
def patch_practitioner(
    session: Session, call: Call, body: dict[str, Any], *, practitioner_id: UUID, revision: int
) -> Any:
    """Change a practitioner. Lists are replaced; the answer names the visits that nobody serves now."""
    return resources.change(session, call, PRACTITIONER, practitioner_id, revision, body)


@blp.delete("/practitioners/<uuid:practitioner_id>")
@endpoint(scope="setup:write", status=204, refuses=(NotFound, InUse), if_match=True)
def delete_practitioner(session: Session, call: Call, *, practitioner_id: UUID, revision: int) -> None:
    """Take a practitioner out of use. It is refused while visits ahead depend on them."""
    resources.remove(session, call, PRACTITIONER, practitioner_id, revision)


@blp.post("/rooms")
@endpoint(scope="setup:write", takes=RoomSchema, gives=RoomSchema, status=201)
def create_room(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Add a room."""
    return resources.create(session, call, ROOM, body)


@blp.get("/rooms")
@endpoint(scope="setup:read", query=RoomsQuery, gives=RoomSchema, many=True)
def list_rooms(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the rooms."""
    return resources.listing(session, call, ROOM, **query)


@blp.get("/rooms/<uuid:room_id>")
@endpoint(scope="setup:read", gives=RoomSchema, refuses=(NotFound,))
def get_room(session: Session, call: Call, *, room_id: UUID) -> Any:
    """Show one room."""
    return resources.get(session, call, ROOM, room_id)


@blp.patch("/rooms/<uuid:room_id>")
@endpoint(
    scope="setup:write",
    takes=patch_schema(RoomSchema, "RoomPatch"),
    gives=ChangedRoomSchema,
    refuses=(NotFound, InUse),
    if_match=True,
)
def patch_room(session: Session, call: Call, body: dict[str, Any], *, room_id: UUID, revision: int) -> Any:
    """Change a room. The answer names the visits that lie outside its hours now."""
    return resources.change(session, call, ROOM, room_id, revision, body)


@blp.delete("/rooms/<uuid:room_id>")
@endpoint(scope="setup:write", status=204, refuses=(NotFound, InUse), if_match=True)
def delete_room(session: Session, call: Call, *, room_id: UUID, revision: int) -> None:
    """Take a room out of use. It is refused while visits ahead depend on it."""
    resources.remove(session, call, ROOM, room_id, revision)


@blp.post("/devices")
@endpoint(scope="setup:write", takes=DeviceSchema, gives=DeviceSchema, status=201)
def create_device(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Add a device."""
    return resources.create(session, call, DEVICE, body)


@blp.get("/devices")
@endpoint(scope="setup:read", query=DevicesQuery, gives=DeviceSchema, many=True)
def list_devices(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the devices."""
    return resources.listing(session, call, DEVICE, **query)


@blp.get("/devices/<uuid:device_id>")
@endpoint(scope="setup:read", gives=DeviceSchema, refuses=(NotFound,))
def get_device(session: Session, call: Call, *, device_id: UUID) -> Any:
    """Show one device."""
    return resources.get(session, call, DEVICE, device_id)


@blp.patch("/devices/<uuid:device_id>")
@endpoint(
    scope="setup:write",
    takes=patch_schema(DeviceSchema, "DevicePatch"),
    gives=DeviceSchema,
    refuses=(NotFound, InUse),
    if_match=True,
)
def patch_device(session: Session, call: Call, body: dict[str, Any], *, device_id: UUID, revision: int) -> Any:
    """Change a device."""
    return resources.change(session, call, DEVICE, device_id, revision, body)


@blp.delete("/devices/<uuid:device_id>")
@endpoint(scope="setup:write", status=204, refuses=(NotFound, InUse), if_match=True)
def delete_device(session: Session, call: Call, *, device_id: UUID, revision: int) -> None:
    """Take a device out of use. It is refused while visits ahead depend on it."""
    resources.remove(session, call, DEVICE, device_id, revision)
