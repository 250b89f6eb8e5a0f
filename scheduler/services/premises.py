"""Where a visit is to take place and what is to happen there, read in one statement. Who is free is `calendars`'."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import BigInteger, Row, Table, Text, and_, bindparam, func, literal_column, select, true
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.core.policies import Policies
from scheduler.core.site import ClearanceFact
from scheduler.models import (
    Appointment,
    Clearance,
    ClinicalHold,
    Hold,
    Location,
    Organization,
    Patient,
    Resource,
    VisitTypeRow,
)
from scheduler.services.audit import LISTENING
from scheduler.services.catalog import Kind, kind_of, unknown_kind
from scheduler.services.course_facts import PARTS, CourseFacts
from scheduler.services.group_places import KEPT
from scheduler.services.jointly import Jointly
from scheduler.services.locks import turn_at
from scheduler.services.message_rules import IN_FORCE
from scheduler.services.ready import Ready

Columns = Row[*tuple[Any, ...]]

_LOCATIONS = cast("Table", Location.__table__)
_ORGANIZATIONS = cast("Table", Organization.__table__)
_VISIT_TYPES = cast("Table", VisitTypeRow.__table__)
_CLEARANCES = cast("Table", Clearance.__table__)
_HOLDS = cast("Table", ClinicalHold.__table__)
_OWN = cast("Table", Hold.__table__)
_RESOURCES = cast("Table", Resource.__table__)
_PATIENTS = cast("Table", Patient.__table__)
_APPOINTMENTS = cast("Table", Appointment.__table__)


#: An id that nothing has, before all others.
NOBODY = UUID(int=0)


class OwnHold(NamedTuple):
    """A hold as whoever looks with it needs it known: whose it is, and whether it is over."""

    patient_id: UUID | None
    expires_at: datetime
    ended_at: datetime | None
    body: Any


class Addressee(NamedTuple):
    """A patient as messages see them, with the organization's manners and the id of its rules in force."""

    id: UUID
    time_zone: str | None
    contacts: Any
    consents: Any
    preferences: Any
    messaging: Any
    rules_id: UUID | None


@dataclass(frozen=True)
class Premises:
    """A location with its organization's policies; the visit type and the patient's clearances when asked for."""

    location: Columns
    policies: Policies
    clearances: tuple[ClearanceFact, ...]
    kind: Kind | None = None
    #: The reason of a clinical hold of the patient, if there is one.
    on_hold: str | None = None
    #: Of the patient's calendar when all that was read: whoever places a clinical hold bumps it.
    patient_revision: int | None = None
    #: How it stands with the appointment that was asked about; None when there is none.
    moving: str | None = None
    #: The pins of that appointment, as its row has them, where it is such a visit at this location.
    pins: Sequence[Mapping[str, Any]] = ()
    #: The hold that was asked about, over or not; None when there is none.
    hold: OwnHold | None = None
    #: Whom and what that hold, or the appointment, takes up for a group that goes on without: they are not free.
    kept: frozenset[UUID] = frozenset()
    #: What its course says of the session that was asked about; None when there is none.
    course: CourseFacts | None = None
    #: To whom a visit would be told, when the location was to be shared.
    addressee: Addressee | None = None
    #: Whether any webhook wants to be told, likewise.
    listening: bool = False

    @property
    def asked_for(self) -> Kind:
        """The visit type, where one was asked for."""
        assert self.kind is not None  # noqa: S101 - an unknown one was refused
        return self.kind


def premises(
    session: Session,
    call: Call,
    location_id: UUID,
    *,
    visit_type: str | None = None,
    patient_id: UUID | None = None,
    moving: UUID | None = None,
    hold_id: UUID | None = None,
    course_session_id: UUID | None = None,
    share: bool = False,
) -> Premises:
    """Read them; how it stands with the appointment that would move, and which hold and session there are, if asked.

    With `share` the location is locked as by `lock_locations`, in the same statement.

    Raises NotFound for a location that the organization does not have, Invalid for such a visit type.
    """
    asked = {
        "organization": call.organization_id,
        "location": location_id,
        "code": visit_type,
        "patient": patient_id,
        "moving": moving,
    }
    own = hold_id is not None or moving is not None
    looked = asked | {"own_hold": hold_id, "now": call.now} if own else asked
    course = None
    if share and session.get_bind().dialect.name == "postgresql":
        rows = _IN_TURN.rows(session, asked | {"turn": turn_at(call, location_id)})
    elif share:
        rows = _TOLD.rows(session, asked)
    elif course_session_id is None:
        rows = _STATEMENTS[own].rows(session, looked)
    else:
        session.flush()
        told = _WITH_COURSE[own].rows(session, looked | {"course_session": course_session_id})
        rows = sorted(told["premises"], key=lambda row: row.clearance_id or NOBODY)
        course = CourseFacts.of(told)
    return _told(rows, location_id, visit_type, course, share=share, own=own and not share)


def _told(
    rows: Sequence[Any],
    location_id: UUID,
    visit_type: str | None,
    course: CourseFacts | None,
    *,
    share: bool,
    own: bool,
) -> Premises:
    if not rows:
        detail = f"No location {location_id}."
        raise NotFound(detail)
    row = rows[0]
    if visit_type is not None and row.kind_id is None:
        raise unknown_kind(visit_type)
    stated = (each for each in rows if each.cleared is not None)
    return Premises(
        location=row,
        policies=_policies(row.policies),
        clearances=tuple(
            ClearanceFact(each.cleared, each.modality, each.outcome, each.valid_from, each.valid_to) for each in stated
        ),
        kind=None if row.kind_id is None else kind_of(row.kind_id, row.definition),
        on_hold=row.on_hold,
        patient_revision=row.patient_revision,
        moving=row.moving,
        pins=(own and row.pins) or (),
        hold=OwnHold(*(getattr(row, each) for each in OwnHold._fields)) if own and row.hold_id is not None else None,
        kept=frozenset(map(UUID, row.kept.split(","))) if own and row.kept else frozenset(),
        course=course,
        addressee=_addressee(row) if share else None,
        listening=bool(share and row.listening),
    )


@lru_cache(maxsize=1024)
def _policies(text: str | None) -> Policies:
    return Policies.from_document(json.loads(text) if text else None)


def _addressee(row: Columns) -> Addressee | None:
    if row.addressee is None:
        return None
    return Addressee(
        row.addressee, row.home_zone, row.contacts, row.consents, row.preferences, row.messaging, row.rules_id
    )


#: Made once: it is asked for every look at a calendar. One row per clearance, and one when there is none.
_PREMISES = (
    select(
        _LOCATIONS.c.id,
        _LOCATIONS.c.name,
        _LOCATIONS.c.time_zone,
        as_type(_LOCATIONS.c.hours, Text).label("hours"),
        as_type(_LOCATIONS.c.closures, Text).label("closures"),
        as_type(_LOCATIONS.c.holidays, Text).label("holidays"),
        _LOCATIONS.c.certifications,
        as_type(_ORGANIZATIONS.c.policies, Text).label("policies"),
        _VISIT_TYPES.c.id.label("kind_id"),
        as_type(_VISIT_TYPES.c.definition, Text).label("definition"),
        _CLEARANCES.c.kind.label("cleared"),
        _CLEARANCES.c.modality,
        _CLEARANCES.c.outcome,
        _CLEARANCES.c.valid_from,
        _CLEARANCES.c.valid_to,
        select(func.min(_HOLDS.c.reason))
        .where(
            _HOLDS.c.organization_id == bindparam("organization"),
            _HOLDS.c.patient_id == bindparam("patient"),
            _HOLDS.c.released_at.is_(None),
        )
        .scalar_subquery()
        .label("on_hold"),
        select(_RESOURCES.c.calendar_revision)
        .where(_RESOURCES.c.organization_id == bindparam("organization"), _RESOURCES.c.id == bindparam("patient"))
        .scalar_subquery()
        .label("patient_revision"),
        select(_APPOINTMENTS.c.status)
        .where(_APPOINTMENTS.c.organization_id == bindparam("organization"), _APPOINTMENTS.c.id == bindparam("moving"))
        .scalar_subquery()
        .label("moving"),
    )
    .join_from(_LOCATIONS, _ORGANIZATIONS, _ORGANIZATIONS.c.id == _LOCATIONS.c.organization_id)
    .outerjoin(
        _VISIT_TYPES,
        and_(_VISIT_TYPES.c.organization_id == bindparam("organization"), _VISIT_TYPES.c.code == bindparam("code")),
    )
    .outerjoin(
        _CLEARANCES,
        and_(
            _CLEARANCES.c.organization_id == bindparam("organization"), _CLEARANCES.c.patient_id == bindparam("patient")
        ),
    )
    .where(
        _LOCATIONS.c.organization_id == bindparam("organization"),
        _LOCATIONS.c.id == bindparam("location"),
        _LOCATIONS.c.deleted_at.is_(None),
    )
    .order_by(_CLEARANCES.c.id)
)
#: The same with whom a booking would be told to.
_WITH_ADDRESSEE = _PREMISES.add_columns(
    _PATIENTS.c.id.label("addressee"),
    _PATIENTS.c.time_zone.label("home_zone"),
    _PATIENTS.c.contacts,
    _PATIENTS.c.preferences,
    _PATIENTS.c.consents,
    _ORGANIZATIONS.c.messaging,
    IN_FORCE.label("rules_id"),
    LISTENING.label("listening"),
).outerjoin(
    _PATIENTS,
    and_(_PATIENTS.c.organization_id == bindparam("organization"), _PATIENTS.c.id == bindparam("patient")),
)
#: One's turn, as by `stand_in_line`. It is in a subquery, which is worked out before the row above it is locked, and
#: says something that a row can hold.
_TURN = select(
    func.pg_advisory_xact_lock_shared(bindparam("turn", type_=BigInteger())).is_(None).label("came")
).subquery("turn")
#: What the location says is as it is under the lock.
_IN_TURN = Ready(_WITH_ADDRESSEE.join(_TURN, true()).with_for_update(read=True, of=_LOCATIONS))
_TOLD = Ready(_WITH_ADDRESSEE)
_COMMA: Any = literal_column("','", Text())
#: With what is to count as free, a visit that moves or a hold, and whom these keep. Most looks ask of neither.
_WITH_OWN = _PREMISES.add_columns(
    select(_APPOINTMENTS.c.pins)
    .where(
        _APPOINTMENTS.c.organization_id == bindparam("organization"),
        _APPOINTMENTS.c.id == bindparam("moving"),
        _APPOINTMENTS.c.visit_type == bindparam("code"),
        _APPOINTMENTS.c.location_id == bindparam("location"),
    )
    .scalar_subquery()
    .label("pins"),
    _OWN.c.id.label("hold_id"),
    *(_OWN.c[name] for name in OwnHold._fields),
    select(func.aggregate_strings(as_type(KEPT.subquery("kept").c.resource_id, Text), _COMMA))
    .scalar_subquery()
    .label("kept"),
).outerjoin(_OWN, and_(_OWN.c.organization_id == bindparam("organization"), _OWN.c.id == bindparam("own_hold")))
_LOOKS = {False: _PREMISES, True: _WITH_OWN}
_STATEMENTS = {own: Ready(look) for own, look in _LOOKS.items()}
#: With the course of a session too: rows come in any order then.
_WITH_COURSE = {
    own: Jointly(premises=look.add_columns(_CLEARANCES.c.id.label("clearance_id")).order_by(None), **PARTS)
    for own, look in _LOOKS.items()
}
