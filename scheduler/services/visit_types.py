"""Visit types as an organization keeps them: documents that the core read without a fault, each by its own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, InUse, Invalid, refuse
from scheduler.core.lifecycle import LIVE
from scheduler.core.protocol import parse_protocol
from scheduler.core.visit import VisitType, parse_visit_type
from scheduler.models import Appointment, ProtocolRow, VisitTypeRow, new_id
from scheduler.services import disclosing, message_reviews, records, shipped
from scheduler.services.paging import Page

#: As many characters as a code's column has.
LONGEST_CODE = 60


@dataclass(frozen=True)
class VisitTypeView:
    """A visit type as clients see it; `definition` is the document of core/visit."""

    id: UUID
    code: str
    definition: dict[str, Any]
    revision: int
    created_at: datetime


def _view(row: VisitTypeRow) -> VisitTypeView:
    return VisitTypeView(row.id, row.code, row.definition, row.revision, row.created_at)


KIND = records.Kind("visit_type", VisitTypeRow, _view, taken="There is already a visit type with this code.")


def create(session: Session, call: Call, definition: Mapping[str, Any]) -> VisitTypeView:
    """A new visit type. Raises Invalid with every fault, the legal floors included, and AlreadyExists."""
    visit = _parsed(definition, definition)
    row = VisitTypeRow(
        organization_id=call.organization_id,
        id=new_id(),
        code=visit.code,
        definition=dict(definition),
        created_at=call.now,
    )
    return records.add(session, call, KIND, row)


def get(session: Session, call: Call, visit_type_id: UUID) -> VisitTypeView:
    """One visit type. Raises NotFound."""
    return records.get(session, call, KIND, visit_type_id)


def listing(session: Session, call: Call, *, limit: int = 50, cursor: str | None = None) -> Page[VisitTypeView]:
    """The organization's visit types, oldest first."""
    return records.listing(session, call, KIND, limit=limit, cursor=cursor)


def change(
    session: Session, call: Call, visit_type_id: UUID, revision: int, values: Mapping[str, Any]
) -> VisitTypeView:
    """Replace some keys of the document; null takes one away. What is booked already keeps the segments it has.

    Raises NotFound, StaleRevision, Invalid (also for another code), InUse when a published protocol would break, and
    for another kind or modality when one rests on it or a visit ahead is of it, who must stay by video or in a group.
    """
    row = records.find(session, call, KIND, visit_type_id)
    records.expect(row, revision)
    document = overlaid(row.definition, values)
    faults: list[Fault] = []
    if document.get("code") != row.code:
        faults.append(Fault("/code", "immutable", "Protocols and bookings know the visit type by its code."))
    try:
        visit = _parsed(document | {"code": row.code}, values)
    except Invalid as error:
        raise Invalid([*faults, *error.faults]) from error
    refuse(faults)
    _refuse_turning_into_another(session, call, row, visit)
    _refuse_breaking_protocols(session, call, visit)
    # The night before begins elsewhere with other hours of fasting.
    message_reviews.anew(session, call)
    return records.change(session, call, KIND, row, {"definition": document})


def overlaid(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its top-level keys replaced; a null takes the key away."""
    return {key: value for key, value in (dict(document) | dict(values)).items() if value is not None}


def by_code(session: Session, call: Call) -> dict[str, VisitType]:
    """The organization's visit types as values. The floors were checked when they were stored."""
    wanted = select(VisitTypeRow.code, VisitTypeRow.definition).where(
        VisitTypeRow.organization_id == call.organization_id
    )
    return {code: parse_visit_type(definition, {}) for code, definition in session.execute(wanted)}


def code_faults(code: object) -> list[Fault]:
    """What the core does not check about a code, since only the column cares."""
    if isinstance(code, str) and len(code) > LONGEST_CODE:
        return [Fault("/code", "too_long", f"The code is longer than {LONGEST_CODE} characters.")]
    return []


def _parsed(definition: Mapping[str, Any], new: Mapping[str, Any]) -> VisitType:
    """The visit type; of what is `new` in it, patients' names for it give nothing away."""
    faults = [*code_faults(definition.get("code")), *disclosing.faults_of(new, ("public_name", "public_names"))]
    try:
        visit = parse_visit_type(definition, shipped.floors())
    except Invalid as error:
        raise Invalid([*faults, *error.faults]) from error
    refuse(faults)
    return visit


def _refuse_turning_into_another(session: Session, call: Call, row: VisitTypeRow, visit: VisitType) -> None:
    """Kind and modality say which floors, holds and distances between doses hold: what is in use would escape them.

    Of visits ahead it is known where the patient will be if they are by video, and with which others if in a group.
    """
    was = parse_visit_type(row.definition, {})
    stays = (was.kind, was.modality) == (visit.kind, visit.modality)
    if stays and (was.video, was.group is None) == (visit.video, visit.group is None):
        return
    for protocol in () if stays else _published(session, call):
        if visit.code in {step["visit_type"] for phase in protocol.definition["phases"] for step in phase["steps"]}:
            detail = f"Version {protocol.version} of the protocol '{protocol.code}' rests on what the visit type is"
            raise InUse(f"{detail}: its kind and modality stay. Make another visit type.")
    ahead = (
        select(Appointment.id)
        .where(Appointment.organization_id == call.organization_id, Appointment.visit_type_id == row.id)
        .where(Appointment.status.in_(sorted(LIVE - {"fulfilled"})))
    )
    if session.scalars(ahead.limit(1)).first() is not None:
        what = "its kind and modality stay, and whether it is by video or for a group"
        raise InUse(f"Visits ahead are of this type: {what}. Make another visit type.")


def _refuse_breaking_protocols(session: Session, call: Call, visit: VisitType) -> None:
    """A published protocol cannot be changed, so nothing that it rests on may turn it into nonsense."""
    known = by_code(session, call)
    for row in _published(session, call):
        if _stands(row.definition, known) and not _stands(row.definition, known | {visit.code: visit}):
            detail = f"Version {row.version} of the protocol '{row.code}' would no longer make sense."
            raise InUse(detail)


def _published(session: Session, call: Call) -> Sequence[ProtocolRow]:
    mine = ProtocolRow.organization_id == call.organization_id
    return session.scalars(select(ProtocolRow).where(mine, ProtocolRow.status == "active")).all()


def _stands(definition: Mapping[str, Any], visit_types: Mapping[str, VisitType]) -> bool:
    try:
        parse_protocol(definition, visit_types)
    except Invalid:
        return False
    return True
