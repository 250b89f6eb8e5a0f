"""The rows behind a batch of messages: of each no more is read than is judged by, and spoken of. Judges nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, ClinicalHold, Course, Location, Organization, Patient
from scheduler.models.among import among
from scheduler.services.ready import Ready

Row = TypeVar("Row", Appointment, Course, Location, Patient)

#: What is judged by, and spoken of. To read all columns would cost a clinic, where most messages are of different
#: patients, more than to judge.
_COLUMNS: dict[type[Any], str] = {
    Organization: "sender_name phone default_locale messaging code",
    Appointment: "id patient_id location_id visit_type course_id series_id status outcome time_zone starts_at ends_at"
    " sequence confirmed_at fulfilled_at",
    Course: "id status",
    Location: "id name address",
    Patient: "id time_zone locale contacts consents preferences revision",
}
_organization = cast("Table", Organization.__table__).c
_ORGANIZATION = Ready(
    select(*(_organization[name] for name in _COLUMNS[Organization].split())).where(
        _organization.id == bindparam("owner")
    )
)
_patient, _hold = cast("Table", Patient.__table__).c, cast("Table", ClinicalHold.__table__).c
#: Whether the patient may not be dosed for the time being.
_IS_HELD = (
    select(_hold.id)
    .where(
        _hold.organization_id == _patient.organization_id,
        _hold.patient_id == _patient.id,
        _hold.released_at.is_(None),
    )
    .exists()
    .label("is_held")
)
# Made once: to make these costs more than to send them. Of tables and not of mapped classes, which cost more than all
# that is done with what they hold.
_ROWS: dict[type[Any], Ready] = {
    model: Ready(
        select(*(table.c[name] for name in names.split()), *([_IS_HELD] if model is Patient else ())).where(
            table.c.organization_id == bindparam("owner"), among(table.c.id, "ids")
        )
    )
    for model, names in _COLUMNS.items()
    if model is not Organization
    for table in (cast("Table", model.__table__),)
}


def organization_of(session: Session, call: Call) -> Organization:
    """The organization: its name, its manners, and where it is called."""
    (found,) = _ORGANIZATION.rows(session, {"owner": call.organization_id})
    return cast("Organization", found)


def rows_of(session: Session, call: Call, table: type[Row], ids: Collection[UUID]) -> dict[UUID, Row]:
    """These of a table by their ids: each to be read like the mapped class, and for nothing else."""
    if not ids:
        return {}
    return {row.id: row for row in _ROWS[table].rows(session, {"owner": call.organization_id, "ids": ids})}


def held_of(patients: Iterable[Any]) -> frozenset[UUID]:
    """Which of the patients may not be dosed for the time being."""
    return frozenset([patient.id for patient in patients if patient.is_held])
