"""The present state behind a batch of messages, read in a constant number of statements. Judged in `judging`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.lifecycle import LIVE
from scheduler.core.policies import Messaging
from scheduler.core.reminders import Recipient
from scheduler.core.visit import VisitType
from scheduler.models import Appointment, Course, Location, Message, Organization, Patient
from scheduler.services.catalog import visit_kind
from scheduler.services.outbox.people import addresses_of, recipient_of

Row = TypeVar("Row", Appointment, Course, Location, Patient)

#: An integration visit that starts within this time of the dose's end is the one that the prompt would ask for.
INTEGRATION_WITHIN = timedelta(hours=72)
_WEEK = timedelta(days=8)  # seven local days, wherever the day begins


@dataclass
class Scene:
    """Everything that the messages of one batch are judged by and speak of. Rows are for reading only."""

    call: Call
    session: Session
    organization: Organization
    manners: Messaging
    patients: Mapping[UUID, Patient]
    appointments: Mapping[UUID, Appointment]
    courses: Mapping[UUID, Course]
    locations: Mapping[UUID, Location]
    stops: Mapping[UUID, Sequence[Appointment]]
    texts: Mapping[UUID, list[datetime]]

    @classmethod
    def of(cls, session: Session, call: Call, messages: Sequence[Message]) -> Scene:
        """Read what these messages are about."""
        patients = _rows(session, call, Patient, {message.patient_id for message in messages})
        course_ids = {message.course_id for message in messages if message.appointment_id is None}
        stops = _stops(session, call, {key for key in course_ids if key})
        about = {message.appointment_id for message in messages if message.appointment_id}
        appointments = _rows(session, call, Appointment, about)
        visits = [*appointments.values(), *(visit for visits in stops.values() for visit in visits)]
        organization = session.get_one(Organization, call.organization_id, populate_existing=True)
        return cls(
            call=call,
            session=session,
            organization=organization,
            manners=Messaging.from_document(organization.messaging),
            patients=patients,
            appointments=appointments,
            courses=_rows(session, call, Course, {visit.course_id for visit in visits if visit.course_id}),
            locations=_rows(session, call, Location, {visit.location_id for visit in visits}),
            stops=stops,
            texts=_texts(session, call, set(patients)),
        )

    def visit_of(self, message: Message) -> Appointment | None:
        """The visit that a message is about; of a course's, the first that still stands."""
        if message.appointment_id is not None:
            return self.appointments.get(message.appointment_id)
        stops = self.stops.get(message.course_id) if message.course_id else None
        return stops[0] if stops else None

    def kind_of(self, visit: Appointment) -> VisitType:
        """The visit's type. Raises Invalid when it is gone."""
        return visit_kind(self.session, self.call, visit.visit_type).visit

    def is_held(self, visit: Appointment) -> bool:
        """Whether a clinical hold freezes the visit: its course stands still, and it is a dose."""
        course = self.courses.get(visit.course_id) if visit.course_id else None
        return course is not None and course.status == "on-hold" and self.kind_of(visit).kind == "dosing"

    def has_integration(self, visit: Appointment) -> bool:
        """Whether the patient has an integration visit soon after this one."""
        following = self.session.scalars(
            select(Appointment).where(
                Appointment.organization_id == self.call.organization_id,
                Appointment.patient_id == visit.patient_id,
                Appointment.starts_at >= visit.ends_at,
                Appointment.starts_at <= visit.ends_at + INTEGRATION_WITHIN,
                Appointment.status.in_(LIVE),
            )
        )
        return any(self.kind_of(one).kind == "integration" for one in following)

    def recipient(self, visit: Appointment) -> Recipient:
        """The patient as the rules see them."""
        patient = self.patients[visit.patient_id]
        return recipient_of(self.organization, patient, visit.time_zone, self.call.now)

    def addresses(self, patient_id: UUID) -> Mapping[str, str]:
        """The open channels and the address of each."""
        return addresses_of(self.patients[patient_id], self.call.now)

    def may_text(self, recipient: Recipient, patient_id: UUID) -> bool:
        """Whether one more text today keeps the organization's caps, by the recipient's days."""
        today = to_local(self.call.now, recipient.time_zone).date()
        days = [to_local(sent_at, recipient.time_zone).date() for sent_at in self.texts.get(patient_id, ())]
        caps = self.manners.caps
        return _below(caps.per_day, days, today) and _below(caps.per_week, days, today - timedelta(days=6))

    def note_text(self, patient_id: UUID) -> None:
        """Count a text that is about to be sent."""
        self.texts.setdefault(patient_id, []).append(self.call.now)  # type: ignore[attr-defined]


def _below(cap: int | None, days: Sequence[date], since: date) -> bool:
    return cap is None or sum(day >= since for day in days) < cap


def _rows(session: Session, call: Call, table: type[Row], ids: Collection[UUID]) -> dict[UUID, Row]:
    chosen = select(table).where(table.organization_id == call.organization_id, table.id.in_(ids))
    # What lies in the session may be older than this transaction.
    return {row.id: row for row in session.scalars(chosen.execution_options(populate_existing=True))}


def _stops(session: Session, call: Call, course_ids: Collection[UUID]) -> dict[UUID, list[Appointment]]:
    found: dict[UUID, list[Appointment]] = defaultdict(list)
    if course_ids:
        chosen = select(Appointment).where(
            Appointment.organization_id == call.organization_id,
            Appointment.course_id.in_(course_ids),
            Appointment.status == "booked",
        )
        for visit in session.scalars(chosen.order_by(Appointment.starts_at, Appointment.id)):
            if visit.course_id is not None:
                found[visit.course_id].append(visit)
    return found


def _texts(session: Session, call: Call, patient_ids: Collection[UUID]) -> dict[UUID, list[datetime]]:
    """When texts were sent to these patients of late; one that is on its way counts as now."""
    chosen: Any = select(Message.patient_id, Message.sent_at).where(
        Message.organization_id == call.organization_id,
        Message.patient_id.in_(patient_ids),
        Message.channel == "sms",
        Message.due_at > call.now - _WEEK,
        (
            Message.status.in_(("sent", "delivered"))
            | ((Message.status == "sending") & (Message.lease_until > call.now))
        ),
    )
    found: dict[UUID, list[datetime]] = defaultdict(list)
    for row in session.execute(chosen):
        found[row.patient_id].append(row.sent_at or call.now)
    return found
