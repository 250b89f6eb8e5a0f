"""Supplies for one patient alone over HTTP: when they came, and by when they are given."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.course_documents import CourseSchema, course_document
from scheduler.api.fields import Day, Id, List, Text
from scheduler.api.http import Blueprint, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, Invalid, NotFound, Refused
from scheduler.services import supplies
from scheduler.services.records import Revision

blp = Blueprint("supplies", __name__, url_prefix="/v1", description="Courses of treatment")


class SupplySchema(Schema):
    """What came for one patient, and the sessions that it is for."""

    received_on = Day(
        required=True, allow_none=True, metadata={"description": "The local day of receipt; null takes a record back"}
    )
    session_ids = List(Id(), min=1, max=100, required=True)
    note = Text(500, min=0, lines=True, load_default="")


@blp.post("/courses/<uuid:course_id>/supplies")
@endpoint(
    scope="courses:write",
    takes=SupplySchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, Invalid, IllegalTransition, Refused),
)
def receive_supply(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Record the receipt of a supply: its sessions are planned and booked by its last day, or shown as broken."""
    return course_document(supplies.receive(session, call, course_id, revision=revision, **body))
