"""A course as clients see it, with its sessions and gates, and what is its own. Its routes live elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from scheduler.api.fields import Choice, Day, Dict, Id, Instant, List, Nested, Text, Whole
from scheduler.api.http import Schema
from scheduler.api.kept import InstantText, Mark
from scheduler.core.standing import Broken
from scheduler.services.courses import CourseView


class DatesSchema(Schema):
    """Local dates between which a session may fall; `latest` is null when nothing limits it."""

    earliest = Day(required=True)
    target = Day(required=True)
    latest = Day(required=True, allow_none=True)


class CourseSessionSchema(Schema):
    """One planned step of a course."""

    id = Id(required=True)
    phase = Text(60, required=True)
    step = Text(60, required=True)
    sequence = Whole(required=True)
    visit_type = Text(60, required=True)
    status = Choice("planned", "pencilled", "booked", "done", required=True)
    window = Nested(DatesSchema, required=True)
    supply_received_on = Day(required=True, allow_none=True)
    use_by = Day(
        required=True,
        allow_none=True,
        metadata={"description": "The last local day on which what was received for this session may be given"},
    )
    appointment_id = Id(required=True, allow_none=True)


class GateSchema(Schema):
    """A condition between sessions."""

    key = Text(60, required=True)
    kind = Choice("hard", "soft", required=True)
    after_session_id = Id(required=True)
    outcome = Choice("pending", "passed", "failed", "waived", required=True)
    by = Text(200, allow_none=True)
    note = Text(2000, min=0)


class BrokenSchema(Schema):
    """A session that stands outside its protocol, or has lost its visit."""

    session_id = Id(required=True)
    code = Text(60, required=True)
    detail = Text(300, required=True)


class OwnGapSchema(Schema):
    """One gap in the unit in which the protocol has it: days, clinic days or hours."""

    min = Whole(min=0, max=10_000, required=True)
    target = Whole(min=0, max=10_000, required=True)
    max = Whole(min=0, max=10_000, required=True)


class OwnGapsSchema(Schema):
    """The gaps of one step: `entry` leads to its first session, `gap` from one of them to the next."""

    entry = Nested(OwnGapSchema)
    gap = Nested(OwnGapSchema)


class OwnCadenceSchema(Schema):
    """The gaps that a clinician has set for this patient, within the protocol's bounds."""

    steps = Dict(keys=Text(60), values=Nested(OwnGapsSchema), required=True)
    by = Text(200, required=True)
    note = Text(2000, min=0, lines=True, required=True)
    at = InstantText(required=True)


class GrantedSchema(Schema):
    """A change that was granted to this course alone."""

    id = Id(required=True)
    change = Text(2000, required=True)
    who = Choice("patient", "front_desk", "manager", "prescriber", required=True)
    by = Text(200, required=True)
    reason = Text(500, required=True)
    at = InstantText(required=True)


class CourseSchema(Schema):
    """A patient's course. `status` is FHIR's CarePlan status."""

    id = Id(required=True)
    status = Choice("draft", "active", "on-hold", "revoked", "completed", required=True)
    patient_id = Id(required=True)
    location_id = Id(required=True)
    protocol = Text(60, required=True)
    protocol_version = Whole(required=True)
    cadence = Text(60, allow_none=True)
    own_cadence = Nested(OwnCadenceSchema, required=True, allow_none=True)
    start_after = Day(required=True)
    preferences = Dict(keys=Text(60), required=True)
    note = Text(2000, min=0, lines=True, required=True)
    relaxations = List(Nested(GrantedSchema), max=100, required=True)
    sessions = List(Nested(CourseSessionSchema), max=1000, required=True)
    gates = List(Nested(GateSchema), max=100, required=True)
    broken = List(
        Nested(BrokenSchema),
        max=1000,
        required=True,
        metadata={"description": "Sessions that stand outside the protocol: the course wants planning anew"},
    )
    unfit = List(
        Nested(BrokenSchema),
        max=1000,
        required=True,
        metadata={"description": "Visits ahead that do not suit the patient since the wishes changed: plan them anew"},
    )
    created_at = Instant(required=True)
    revision = Mark()


def course_document(view: CourseView) -> dict[str, Any]:
    """A course as clients see it, with what becomes its ETag."""
    row = view.row
    return {
        "id": row.id,
        "status": row.status,
        "patient_id": row.patient_id,
        "location_id": row.location_id,
        "protocol": view.protocol.code,
        "protocol_version": view.protocol.version,
        "cadence": row.cadence,
        "own_cadence": row.own_cadence,
        "start_after": row.start_after,
        "preferences": row.preferences,
        "note": row.note,
        "relaxations": row.relaxations or [],
        "sessions": [
            {
                "id": each.id,
                "phase": each.phase,
                "step": each.step,
                "sequence": each.sequence,
                "visit_type": each.visit_type,
                "status": _status(view, each.id),
                "window": {"earliest": each.earliest, "target": each.target, "latest": each.latest},
                "supply_received_on": each.supply_received_on,
                "use_by": each.use_by,
                "appointment_id": view.booked[each.id].id if each.id in view.booked else None,
            }
            for each in view.sessions
        ],
        "gates": [
            {
                "key": each.key,
                "kind": each.kind,
                "after_session_id": view.sessions[each.after_position].id,
                "outcome": each.outcome,
                "by": each.by,
                "note": each.note,
            }
            for each in view.gates
        ],
        "broken": _out_of_place(view, view.broken),
        "unfit": _out_of_place(view, view.unfit),
        "created_at": row.created_at,
        "revision": view.revision,
    }


def _out_of_place(view: CourseView, some: Iterable[Broken]) -> list[dict[str, Any]]:
    return [{"session_id": view.sessions[each.index].id, "code": each.code, "detail": each.detail} for each in some]


def _status(view: CourseView, session_id: UUID) -> str:
    if session_id not in view.booked:
        return "planned"
    return {"pending": "pencilled", "fulfilled": "done"}.get(view.booked[session_id].status, "booked")
