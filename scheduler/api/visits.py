"""Schemas that several nouns of the schedule share: participants, segments, reasons. No routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import marshmallow as ma

from scheduler.api.fields import Choice, Id, Instant, List, Text
from scheduler.api.kept import InstantText
from scheduler.api.schema import Coded, Schema
from scheduler.api.writing import Written, encoded, instant_text
from scheduler.core.civil import zone
from scheduler.core.lifecycle import REAL_TIMES
from scheduler.core.overriding import LIFTABLE, Override, override_of, rule_faults
from scheduler.services.appointments import AppointmentView, Participation
from scheduler.services.pins import Pin


class ParticipantSchema(Schema):
    """Someone or something that serves one segment of a visit."""

    resource_id = Id(required=True)
    kind = Choice("practitioner", "room", "device", required=True)
    role = Text(60, required=True, metadata={"description": "The role, room type or device type it serves as"})
    segment = Text(60, required=True)
    start = Instant(required=True)
    end = Instant(required=True)


class SegmentSchema(Schema):
    """A part of a visit; setting up and turning over lie outside the visit's own start and end."""

    name = Text(60, required=True)
    start = Instant(required=True)
    end = Instant(required=True)


class ObstacleSchema(Schema):
    """Something that stands in the way of a visit; what it does not know is left out."""

    code = Text(60, required=True)
    detail = Text(500, required=True)
    role = Text(60)
    resource_id = Id()
    segment = Text(60)
    item = Text(60, metadata={"description": "The gate or the clearance that is missing"})
    from_ = Instant(data_key="from")
    to = Instant()


_SELECTORS = {"role": "role", "room_type": "room", "device_type": "device"}


class PinSchema(Schema):
    """Only that resource may serve the role, room type or device type; name one of the three."""

    role = Text(60)
    room_type = Text(60)
    device_type = Text(60)
    resource_id = Id(required=True)

    @ma.validates_schema(pass_original=True, skip_on_field_errors=False)
    def _names_one(self, _: dict[str, Any], original: Any, **__: Any) -> None:
        if isinstance(original, dict) and sum(name in original for name in _SELECTORS) != 1:
            detail = "A pin names exactly one of role, room_type and device_type."
            raise ma.ValidationError([Coded(detail, "need_names_one")])


_RULES = {"description": f"Of {', '.join(LIFTABLE)}; others stand whatever anybody says"}


class OverrideSchema(Schema):
    """Rules to be lifted for this visit; takes the scope `override`. Only what is in the way is lifted."""

    rules = List(Text(60), min=1, max=20, required=True, metadata=_RULES)
    reason = Text(500, required=True, metadata={"description": "Kept with the visit and in the audit trail"})

    @ma.validates("rules")
    def _can_be_lifted(self, rules: list[str], **_: Any) -> None:
        faults = rule_faults(rules)
        if faults:
            raise ma.ValidationError({place: [Coded(said.detail, said.code)] for place, said in faults.items()})


class LiftedSchema(OverrideSchema):
    """The rules that were lifted for the present place of a visit."""

    by = Text(200, required=True)
    at = InstantText(required=True)


def pins_from(documents: list[dict[str, Any]]) -> tuple[Pin, ...]:
    """The pins of a body."""
    return tuple(
        Pin(f"{kind}:{document[name]}", document["resource_id"])
        for document in documents
        for name, kind in _SELECTORS.items()
        if name in document
    )


def pins_in(stored: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Pins as they were asked for."""
    names = {kind: name for name, kind in _SELECTORS.items()}
    shown = []
    for pin in stored:
        kind, _, code = pin["selector"].partition(":")
        shown.append({names[kind]: code, "resource_id": UUID(pin["resource_id"])})
    return shown


def obstacle(document: dict[str, Any]) -> dict[str, Any]:
    """A reason for ObstacleSchema: `from` is a word of Python's."""
    return {"from_" if name == "from" else name: value for name, value in document.items()}


def override_from(document: dict[str, Any] | None) -> Override | None:
    """The override of a body."""
    return None if document is None else override_of(document["rules"], document["reason"])


def participants_in(found: Iterable[Participation], where: ZoneInfo) -> Written:
    """Participants as clients see them: whoever it is is written once, and so is an instant."""
    shown = [
        f"{who_text(each.resource_id, each.kind, each.role, each.segment)}{_edge(each.start, where)}"
        f',"end":{_edge(each.end, where)}}}'
        for each in found
    ]
    return Written(f"[{','.join(shown)}]")


def segments_in(found: Iterable[Mapping[str, Any]], where: ZoneInfo) -> Written:
    """Segments as clients see them."""
    shown = [
        f'{{"name":{encoded(each["name"])},"start":{_edge(each["start"], where)},"end":{_edge(each["end"], where)}}}'
        for each in found
    ]
    return Written(f"[{','.join(shown)}]")


_WHO = ParticipantSchema(exclude=("start", "end"))


def who_text(resource_id: UUID, kind: str, role: str, segment: str) -> str:
    """A participant's JSON up to where the start is said, which is followed by the end."""
    return _who(resource_id.int, kind, role, segment)


@lru_cache(maxsize=8192)
def _who(number: int, *what: str) -> str:
    known = dict(zip(_WHO.dump_fields, (UUID(int=number), *what), strict=True))
    return _WHO.as_json(known).removesuffix("}") + ',"start":'


@lru_cache(maxsize=16_384)
def _edge(at: datetime, where: ZoneInfo) -> str:
    """Of an instant in UTC: two of a zone's own are equal to Python by their wall time alone, twice a year wrongly."""
    return instant_text(at.astimezone(where))


def _shown(instant: datetime | None, where: ZoneInfo) -> datetime | None:
    return None if instant is None else instant.astimezone(where)


def appointment_document(view: AppointmentView) -> dict[str, Any]:
    """An appointment as clients see it: instants in the location's offset, and the wall times beside them."""
    row, where = view.row, zone(view.row.time_zone)
    start, end = row.starts_at.astimezone(where), row.ends_at.astimezone(where)
    return {
        "id": row.id,
        "status": row.status,
        "outcome": row.outcome,
        "outcome_reason": row.outcome_reason,
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
        "pins": pins_in(row.pins),
        "course_id": row.course_id,
        "course_session_id": row.course_session_id,
        "series_id": row.series_id,
        "group_id": row.group_id,
        "note": row.note,
        "patient_region": row.patient_region,
        **{name: _shown(getattr(row, name), where) for name in REAL_TIMES},
        "cancel_reason": row.cancel_reason,
        "cancelled_by": row.cancelled_by,
        "cancel_category": row.cancel_category,
        "override": row.override,
        "sequence": row.sequence,
        "version": row.revision,
        "revision": row.revision,
        "created_at": row.created_at,
    }
