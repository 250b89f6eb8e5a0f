"""A course that somebody asks for: everything that it names or chooses, refused whole. Making it is `courses`'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.course import SessionSpec, expand
from scheduler.core.document import escape
from scheduler.core.errors import Fault, Invalid, ProtocolNotApproved, refuse, together
from scheduler.core.preferences import CoursePreferences
from scheduler.core.protocol import Protocol
from scheduler.core.visit import VisitType
from scheduler.models import Location, Patient, ProtocolRow, Resource
from scheduler.services import records
from scheduler.services.catalog import protocol_of, visit_kinds


@dataclass(frozen=True)
class WantedCourse:
    """What somebody asks for. `protocol` is a code: its active version is taken. `start_after` is the first day."""

    patient_id: UUID
    protocol: str
    location_id: UUID
    start_after: date
    preferences: Mapping[str, Any]
    cadence: str | None = None
    note: str = ""


def laid_out(
    session: Session, call: Call, wanted: WantedCourse
) -> tuple[ProtocolRow, Protocol, tuple[SessionSpec, ...]]:
    """The active version of its protocol, the protocol as it was chosen, and its sessions.

    Raises Invalid or NotFound with everything that is not there or outside the protocol, ProtocolNotApproved.
    """
    found: list[tuple[ProtocolRow, Protocol, tuple[SessionSpec, ...]]] = []
    together(
        lambda: records.require(session, call, Patient, wanted.patient_id, "patient"),
        lambda: records.require(session, call, Location, wanted.location_id, "location"),
        lambda: check_practitioners(session, call, wanted.preferences),
        lambda: found.append(chosen(session, call, wanted.protocol, wanted.cadence, wanted.preferences)),
    )
    return found[0]


def check_cadence(session: Session, call: Call, code: str, cadence: str | None) -> None:
    """Raises Invalid for a cadence that the protocol does not have, ProtocolNotApproved."""
    _, whole = protocol_of(session, call, _active_protocol(session, call, code).id)
    expand(whole, cadence)


def chosen(
    session: Session, call: Call, code: str, cadence: str | None, preferences: Mapping[str, Any]
) -> tuple[ProtocolRow, Protocol, tuple[SessionSpec, ...]]:
    """What these choose of a protocol. Raises Invalid for what is not there or out of bounds, ProtocolNotApproved."""
    row = _active_protocol(session, call, code)
    _, whole = protocol_of(session, call, row.id)
    wish = CoursePreferences.from_document(preferences)
    known = [each for each in wish.optional_steps if each in {step.key for _, step in whole.steps()}]
    protocol = whole.with_only(known)
    kinds = visit_kinds(session, call)
    together(
        lambda: _check_choices(whole, wish),
        lambda: expand(whole, cadence),
        lambda: _check_visits(protocol, [kinds[step.visit_type].visit for _, step in protocol.steps()], wish),
    )
    protocol = protocol.with_counts(wish.sessions)
    return row, protocol, expand(protocol, cadence, optional=wish.optional_steps)


def _check_choices(protocol: Protocol, wish: CoursePreferences) -> None:
    """Refuse optional steps that there are not, and numbers of sessions outside the protocol's bounds."""
    known = {step.key for _, step in protocol.steps() if step.optional}
    faults = [
        Fault(f"/preferences/optional_steps/{index}", "unknown_step", f"The protocol has no optional step '{each}'.")
        for index, each in enumerate(wish.optional_steps)
        if each not in known
    ]
    bounds = {step.key: step.sessions for _, step in protocol.with_only(wish.optional_steps).steps() if step.sessions}
    for key, number in wish.sessions.items():
        where = f"/preferences/sessions/{escape(key)}"
        if key not in bounds:
            detail = f"The course has no step '{key}' of which it may choose the number of sessions."
            faults.append(Fault(where, "unknown_step", detail))
        elif not bounds[key][0] <= number <= bounds[key][1]:
            detail = f"{number} is not between {bounds[key][0]} and {bounds[key][1]}, the protocol's bounds."
            faults.append(Fault(where, "out_of_range", detail))
    refuse(faults)


def _check_visits(protocol: Protocol, visits: Sequence[VisitType], wish: CoursePreferences) -> None:
    """Refuse what is off until a clinician turns it on, and ask where the patient will be for visits by video."""
    off = [f"the visit type '{visit.code}'" for visit in visits if not visit.enabled]
    if not protocol.enabled or off:
        what = off[0] if protocol.enabled else f"'{protocol.code}'"
        raise ProtocolNotApproved(f"No course can be made of it: {what} is off until a clinician turns it on.")
    by_video = any(visit.video for visit in visits)
    if by_video and wish.patient_region is None:
        detail = "Visits of it are by video: say where the patient will be, such as US-NY."
        raise Invalid([Fault("/preferences/patient_region", "region_required", detail)])


def check_practitioners(session: Session, call: Call, preferences: Mapping[str, Any]) -> None:
    """Raises Invalid for everybody named who is no practitioner here."""
    wanted = [UUID(each) for each in preferences.get("practitioner_ids") or ()]
    known = set(
        session.scalars(
            select(Resource.id).where(
                Resource.organization_id == call.organization_id,
                Resource.kind == "practitioner",
                Resource.deleted_at.is_(None),
                Resource.id.in_(wanted),
            )
        )
    )
    faults = [
        Fault(f"/preferences/practitioner_ids/{index}", "unknown_practitioner", "There is no such practitioner.")
        for index, each in enumerate(wanted)
        if each not in known
    ]
    refuse(faults)


def _active_protocol(session: Session, call: Call, code: str) -> ProtocolRow:
    """The active version of a protocol. Raises Invalid for an unknown code, ProtocolNotApproved for one with drafts."""
    rows = session.scalars(
        select(ProtocolRow).where(ProtocolRow.organization_id == call.organization_id, ProtocolRow.code == code)
    ).all()
    if not rows:
        raise Invalid([Fault("/protocol", "unknown_protocol", f"There is no protocol '{code}'.")])
    active = next((row for row in rows if row.status == "active"), None)
    if active is None:
        detail = f"No version of '{code}' has been approved by a clinician."
        raise ProtocolNotApproved(detail)
    return active
