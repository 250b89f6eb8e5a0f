"""/v1/staff-addresses: where the staff is told that tasks are due. An address is taken, and never shown."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app

from scheduler.api.fields import Id, Instant, Text
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Mark
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.services import staff_notices
from scheduler.services.records import Revision

blp = Blueprint("staff_addresses", __name__, url_prefix="/v1", description="Where the staff is told of due tasks")

_URL = {"description": "As Apprise writes them, e.g. slack://…; by the services that the installation allows"}


class StaffAddressSchema(Schema):
    """An address of the clinic's own. It is told how many tasks of which kind are due: nothing of a patient."""

    id = Id(dump_only=True)
    name = Text(100, required=True)
    service = Text(100, dump_only=True)
    told_until = Instant(dump_only=True, metadata={"description": "What fell due by then has been told"})
    error = Text(300, dump_only=True, allow_none=True, metadata={"description": "Why the last try failed"})
    created_at = Instant(dump_only=True)
    revoked_at = Instant(dump_only=True, allow_none=True)
    revision = Mark()


class NewStaffAddressSchema(StaffAddressSchema):
    """An address to be told from now on. Where it is, no answer shows."""

    url = Text(1000, required=True, metadata=_URL)


@blp.post("/staff-addresses")
@endpoint(scope="organization:write", takes=NewStaffAddressSchema, gives=StaffAddressSchema, status=201)
def create_staff_address(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Have the staff told there of tasks that fall due from now on."""
    schemes = current_app.extensions["settings"].staff_notices
    return _shown(staff_notices.create(session, call, schemes=schemes, **body))


@blp.get("/staff-addresses")
@endpoint(scope="organization:read", query=PageQuery, gives=StaffAddressSchema, many=True)
def list_staff_addresses(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the addresses, ended ones too."""
    found = staff_notices.listed(session, call, **query)
    return Page([_shown(row) for row in found.items], found.next_cursor)


@blp.get("/staff-addresses/<uuid:address_id>")
@endpoint(scope="organization:read", gives=StaffAddressSchema, refuses=(NotFound,))
def get_staff_address(session: Session, call: Call, *, address_id: UUID) -> Any:
    """Show one address."""
    return _shown(staff_notices.get(session, call, address_id))


@blp.post("/staff-addresses/<uuid:address_id>/revoke")
@endpoint(scope="organization:write", gives=StaffAddressSchema, if_match="optional", refuses=(NotFound,))
def revoke_staff_address(session: Session, call: Call, *, address_id: UUID, revision: Revision | None) -> Any:
    """Tell nothing there any more; where it was is forgotten."""
    return _shown(staff_notices.revoke(session, call, address_id, revision=revision))


def _shown(row: Any) -> dict[str, Any]:
    names = ("id", "revision", "name", "told_until", "error", "created_at", "revoked_at")
    return {name: getattr(row, name) for name in names} | {"service": staff_notices.scheme_of(row.url)}
