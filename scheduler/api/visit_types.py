"""/v1/visit-types: what happens in a visit, and what each of its segments needs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.documents import DocumentSchema, Part
from scheduler.api.fields import Id, Instant, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import AlreadyExists, InUse, NotFound
from scheduler.services import visit_types
from scheduler.services.visit_types import VisitTypeView

blp = Blueprint("visit_types", __name__, url_prefix="/v1", description="Visits as segments with needs")

_KINDS = ["evaluation", "preparation", "dosing", "integration", "follow_up", "group"]
_WHOLE = {"type": "integer", "minimum": 1}
_CODE = {"type": "string"}
_NEED = {
    "type": "object",
    "description": "Exactly one of role, room_type and device_type",
    "properties": {
        "role": _CODE,
        "room_type": _CODE,
        "device_type": _CODE,
        "mode": {"type": "string", "enum": ["exclusive", "shared", "present"]},
        "units": _WHOLE,
        "count": _WHOLE,
        "same_as": _CODE | {"description": "An earlier segment: the same person as there"},
    },
    "required": ["mode"],
}
_SEGMENT = {
    "type": "object",
    "properties": {
        "name": _CODE,
        "minutes": _WHOLE | {"multipleOf": 5},
        "patient": {"type": "boolean", "description": "False for setting up before and turning over after"},
        "needs": {"type": "array", "items": _NEED},
    },
    "required": ["name", "minutes"],
}
_CHECK = {
    "type": "object",
    "properties": {
        "key": _CODE,
        "label": _CODE,
        "effect": {"type": "string", "enum": ["blocks", "warns"]},
        "at": {"type": "string", "enum": ["check_in", "start", "discharge"]},
        "value": {"type": "string", "enum": ["text", "number"], "description": "What the answer must state"},
        "min": {"type": "integer"},
        "max": {"type": "integer"},
        "unit": _CODE,
        "same_day": {"type": "boolean", "description": "Only an answer of the visit's own day counts"},
    },
    "required": ["key", "label", "effect", "at"],
}
_GATE = {
    "type": "object",
    "description": "Passed by a `clearance` valid on the day, or by an `item` of the checklist",
    "properties": {
        "key": _CODE,
        "label": _CODE,
        "effect": {"type": "string", "enum": ["blocks_booking", "blocks_checkin", "warns"]},
        "clearance": _CODE,
        "item": _CODE,
        "due_hours": {"type": "integer", "description": "Before the start; from then on somebody is asked"},
        "remind_hours": {"type": "array", "items": {"type": "integer"}},
        "release_hours": {"type": "integer", "description": "Before the start, if `policies.release_ungated`"},
    },
    "required": ["key", "label", "effect", "due_hours"],
}
_TASK = {
    "type": "object",
    "description": "Exactly one of offset_minutes (elapsed) and offset_days (calendar days)",
    "properties": {
        "key": _CODE,
        "label": _CODE,
        "anchor": {"type": "string", "enum": ["start", "dose", "last_device", "discharge"]},
        "offset_minutes": {"type": "integer"},
        "offset_days": {"type": "integer"},
        "remind_days": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["key", "label", "anchor"],
}


class VisitTypePatch(DocumentSchema):
    """Keys of a visit type's document; null takes one away."""

    code = Part("code")
    name = Part("text", maxLength=200)
    public_name = Part("text", "The neutral name that patients see", maxLength=200)
    public_names = Part("object", 'The same in other languages, by their tag: {"es": "Cita en la clínica"}')
    kind = Part("text", enum=_KINDS)
    modality = Part("code")
    segments = Part("objects", "In their order; the patient's presence is one span", items=_SEGMENT)
    requires = Part("object", "`site_certifications` and `clearances`, each a list of codes")
    instructions = Part("object", "Minutes of fasting before the start, early arrival, escort, driving")
    observation = Part("object", "`minutes` of watching, from `anchor` (last_device or first_device)")
    limits = Part(
        "object",
        "Of one patient's doses in all courses: `min_hours_between_doses`, `max_per_days` {count, days}, and of which "
        "`modalities`",
    )
    checklist = Part("objects", "Asked at check-in, before the start and at discharge", items=_CHECK)
    tasks = Part("objects", "To be done in the visit or after it", items=_TASK)
    video = Part("flag", "It takes place by video: who serves must be licensed where the patient is")
    psychotherapy = Part("flag", "No coach may hold it")
    group = Part(
        "object",
        "Several patients in one visit: `minimum`, `maximum`, `decide_hours` before the start, `below_minimum` "
        "(task or cancel)",
    )
    gates = Part("objects", "Safety gates: what must be in order before the visit", items=_GATE)
    equipment = Part("codes")
    forms = Part("codes", "What the patient hands in before: in when there is a clearance of the name; bars nothing")
    enabled = Part("flag")
    information = Part("object", "Further facts with their sources; nothing goes by them")
    sources = Part("object")
    grade = Part("text")
    source = Part("codes")
    note = Part("text")
    status = Part("text")
    approved_by = Part("text")


class VisitTypeSchema(VisitTypePatch):
    """A visit type."""

    id = Id(dump_only=True)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


@blp.post("/visit-types")
@endpoint(scope="setup:write", takes=VisitTypeSchema, gives=VisitTypeSchema, status=201, refuses=(AlreadyExists,))
def create_visit_type(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Add a visit type. Legal floors are checked too, and every fault is named."""
    return _shown(visit_types.create(session, call, body))


@blp.get("/visit-types")
@endpoint(scope="setup:read", query=PageQuery, gives=VisitTypeSchema, many=True)
def list_visit_types(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the visit types."""
    found = visit_types.listing(session, call, **query)
    return Page([_shown(view) for view in found.items], found.next_cursor)


@blp.get("/visit-types/<uuid:visit_type_id>")
@endpoint(scope="setup:read", gives=VisitTypeSchema, refuses=(NotFound,))
def get_visit_type(session: Session, call: Call, *, visit_type_id: UUID) -> Any:
    """Show one visit type."""
    return _shown(visit_types.get(session, call, visit_type_id))


@blp.patch("/visit-types/<uuid:visit_type_id>")
@endpoint(scope="setup:write", takes=VisitTypePatch, gives=VisitTypeSchema, refuses=(NotFound, InUse), if_match=True)
def patch_visit_type(session: Session, call: Call, body: dict[str, Any], *, visit_type_id: UUID, revision: int) -> Any:
    """Change a visit type, but not its code. Visits that are booked keep the segments they have."""
    return _shown(visit_types.change(session, call, visit_type_id, revision, body))


def _shown(view: VisitTypeView) -> dict[str, Any]:
    known = {"id": view.id, "code": view.code, "revision": view.revision, "created_at": view.created_at}
    return view.definition | known
