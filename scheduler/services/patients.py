"""Patients: who they are, how they are reached and found. Their calendar row carries nothing about them but an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import Fault, Invalid, refuse, together
from scheduler.core.names import folded, words
from scheduler.models import Patient, PatientKey, Resource, ResourceUnit, new_id
from scheduler.services import contacts, message_reviews, outbox, records
from scheduler.services.paging import Page

_OLDEST = date(1900, 1, 1)


@dataclass(frozen=True)
class PatientView:
    """A patient as the front desk sees them."""

    id: UUID
    name: str
    birth_date: date | None
    time_zone: str | None
    locale: str | None
    external_ids: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
    consents: list[dict[str, Any]]
    preferences: dict[str, Any]
    revision: int
    created_at: datetime


def _view(row: Patient) -> PatientView:
    return PatientView(
        row.id,
        row.name,
        row.birth_date,
        row.time_zone,
        row.locale,
        row.external_ids,
        row.contacts,
        row.consents,
        row.preferences,
        row.revision,
        row.created_at,
    )


KIND = records.Kind("patient", Patient, _view, taken="Another patient has one of these external ids.")


def create(session: Session, call: Call, values: Mapping[str, Any]) -> PatientView:
    """A new patient of {name, birth_date?, time_zone?, locale?, external_ids?, contacts?, consents?, preferences?}.

    Raises Invalid with every fault, AlreadyExists for an external id that another patient has.
    """
    checked = _checked(call, values)
    mine = {"organization_id": call.organization_id, "id": new_id()}
    # The name stays out of the calendar's tables.
    session.add(Resource(**mine, kind="patient", created_at=call.now))
    session.flush()
    session.add(ResourceUnit(organization_id=call.organization_id, resource_id=mine["id"], unit=0))
    empty: dict[str, Any] = {"external_ids": [], "contacts": [], "consents": [], "preferences": {}}
    row = Patient(**mine, created_at=call.now, **empty | checked)
    view = records.add(session, call, KIND, row)
    _index(session, row)
    return view


def get(session: Session, call: Call, patient_id: UUID) -> PatientView:
    """One patient. Raises NotFound."""
    return records.get(session, call, KIND, patient_id)


def change(session: Session, call: Call, patient_id: UUID, revision: int, values: Mapping[str, Any]) -> PatientView:
    """Change some fields; lists and preferences are replaced.

    Raises NotFound, StaleRevision, Invalid with every fault, AlreadyExists for another's external id.
    """
    row = records.find(session, call, KIND, patient_id)
    records.expect(row, revision)
    checked = _checked(call, values)
    if checked.get("time_zone", row.time_zone) != row.time_zone:
        message_reviews.anew(session, call)  # it is night there at other hours
    view = records.change(session, call, KIND, row, checked)
    _index(session, row)
    if values.keys() & {"contacts", "consents"}:
        outbox.regain(session, call, [row])
    return view


def listing(
    session: Session,
    call: Call,
    *,
    query: str | None = None,
    birth_date: date | None = None,
    phone: str | None = None,
    external_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[PatientView]:
    """The patients for whom all that is given is true, in the order in which they were registered.

    Each word of `query` begins some part of the name, whatever its accents and case. `external_id` is `system|value`,
    or a value under any system. Raises Invalid (`invalid_phone`).
    """
    conditions = [_has(call, "name", PatientKey.value.startswith(word, autoescape=True)) for word in words(query or "")]
    if birth_date is not None:
        conditions.append(Patient.birth_date == birth_date)
    if phone is not None:
        conditions.append(_has(call, "phone", PatientKey.value == contacts.phone(phone, "/phone")))
    if external_id is not None:
        kind = "external_id" if "|" in external_id else "external_value"
        conditions.append(_has(call, kind, PatientKey.value == external_id))
    return records.listing(session, call, KIND, *conditions, limit=limit, cursor=cursor)


def _has(call: Call, kind: str, matches: ColumnElement[bool]) -> ColumnElement[bool]:
    mine = and_(PatientKey.organization_id == call.organization_id, PatientKey.patient_id == Patient.id)
    return exists().where(mine, PatientKey.kind == kind, matches)


def _checked(call: Call, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in one spelling. Raises Invalid with every fault."""
    faults: list[Fault] = []
    checked = dict(values)
    if "contacts" in values:
        checked["contacts"] = contacts.normalized(values["contacts"], faults)
    if values.get("time_zone") is not None:
        try:
            zone(values["time_zone"])
        except Invalid as error:
            faults += error.faults
    together(
        lambda: refuse(faults),
        lambda: check_birth_date(call, values.get("birth_date")),
        lambda: check_external_ids(call, values.get("external_ids")),
    )
    return checked


def check_birth_date(call: Call, born: date | None) -> None:
    """Raises Invalid for a day on which nobody was born who is alive."""
    # A day of grace: where the patient is, it may be tomorrow already.
    if born is not None and (born.toordinal() > call.now.date().toordinal() + 1 or born < _OLDEST):
        raise Invalid([Fault("/birth_date", "out_of_range", "No patient can have been born on that day.")])


def check_external_ids(_: Call, external_ids: Sequence[Mapping[str, str]] | None) -> None:
    """Raises Invalid for ids that are given twice, or of a system whose name would end too early."""
    faults: list[Fault] = []
    for place, each in enumerate(external_ids or ()):
        pointer = f"/external_ids/{place}"
        if "|" in each["system"]:
            faults.append(Fault(f"{pointer}/system", "invalid_format", "A system's name has no '|' in it."))
        if external_ids and each in external_ids[:place]:
            faults.append(Fault(pointer, "duplicate", "This id is given twice."))
    refuse(faults)


def check_contacts(_: Call, given: Sequence[Mapping[str, Any]] | None) -> None:
    """Raises Invalid for contacts that reach nobody, or are given twice."""
    faults: list[Fault] = []
    contacts.normalized(given or (), faults)
    refuse(faults)


def _index(session: Session, row: Patient) -> None:
    """Bring the look-up keys in step with the patient."""
    wanted = _keys(row)
    own = PatientKey.organization_id == row.organization_id, PatientKey.patient_id == row.id
    known = {(key.kind, key.value): key for key in session.scalars(select(PatientKey).where(*own))}
    for pair, key in known.items():
        if pair not in wanted:
            session.delete(key)
    session.add_all(
        PatientKey(organization_id=row.organization_id, kind=kind, value=value, patient_id=row.id)
        for kind, value in sorted(wanted - known.keys())
    )
    with records.written(KIND.taken):
        session.flush()


def _keys(row: Patient) -> set[tuple[str, str]]:
    keys = {("name", word) for word in words(row.name)}
    for contact in row.contacts:
        mail = contact["channel"] == "email"
        keys.add(("email", folded(contact["value"])) if mail else ("phone", contact["value"]))
    for each in row.external_ids:
        keys |= {("external_id", f"{each['system']}|{each['value']}"), ("external_value", each["value"])}
    return keys
