"""What a request names that is not there: ids and codes of this organization's, looked up only to refuse it whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault
from scheduler.models import (
    Appointment,
    Course,
    CourseSession,
    Hold,
    Location,
    Patient,
    ProtocolRow,
    Resource,
    VisitTypeRow,
)


@dataclass(frozen=True)
class _Noun:
    """What such a name stands for: the column that holds it, and which rows count."""

    name: str
    column: Any
    where: tuple[ColumnElement[bool], ...] = ()


def _served(name: str, *kinds: str) -> _Noun:
    return _Noun(name, Resource.id, (Resource.deleted_at.is_(None), *([Resource.kind.in_(kinds)] if kinds else [])))


#: By the field that names it. Whether it will do is for whoever uses it to say; this is about what never was.
_NOUNS: Mapping[str, _Noun] = {
    "patient_id": _Noun("patient", Patient.id),
    "location_id": _Noun("location", Location.id, (Location.deleted_at.is_(None),)),
    "resource_id": _served("resource"),
    "practitioner_id": _served("practitioner", "practitioner"),
    "practitioner_ids": _served("practitioner", "practitioner"),
    "room_id": _served("room", "room"),
    "device_id": _served("device", "device"),
    "course_id": _Noun("course", Course.id),
    "course_ids": _Noun("course", Course.id),
    "course_session_id": _Noun("session", CourseSession.id),
    "session_ids": _Noun("session", CourseSession.id),
    "appointment_id": _Noun("appointment", Appointment.id),
    "appointment_ids": _Noun("appointment", Appointment.id),
    "exclude_appointment": _Noun("appointment", Appointment.id),
    "hold_id": _Noun("hold", Hold.id),
    "visit_type": _Noun("visit_type", VisitTypeRow.code),
    "protocol": _Noun("protocol", ProtocolRow.code),
}

#: The fields that name something by its code; any other does by its id.
CODES = frozenset({"visit_type", "protocol"})


@dataclass(frozen=True)
class Named:
    """Something that a request names: where, under which field, and by which id or code."""

    pointer: str
    field: str
    value: UUID | str


def unknown(session: Session, call: Call, named: Sequence[Named]) -> list[Fault]:
    """A fault for each of these that the organization does not have, in their order; one look for each kind."""
    missing: set[tuple[str, UUID | str]] = set()
    for field in {each.field for each in named} & _NOUNS.keys():
        noun, asked = _NOUNS[field], {each.value for each in named if each.field == field}
        mine = noun.column.class_.organization_id == call.organization_id, noun.column.in_(asked)
        known = set(session.scalars(select(noun.column).where(*mine, *noun.where)))
        missing |= {(field, value) for value in asked - known}
    return [
        Fault(each.pointer, f"unknown_{_NOUNS[each.field].name}", _said(_NOUNS[each.field].name, each.value))
        for each in named
        if (each.field, each.value) in missing
    ]


def _said(noun: str, value: UUID | str) -> str:
    return f"There is no {noun.replace('_', ' ')} '{value}'." if isinstance(value, str) else f"There is no such {noun}."
