"""The present state behind a batch of messages, read in a constant number of statements. Judged in `judging`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.policies import Basis, Caps, Messaging
from scheduler.core.reminders import Recipient
from scheduler.core.reminders.budget import COUNTED, Route, Sendable, route
from scheduler.core.visit import VisitType
from scheduler.models import Appointment, ClinicalHold, Course, Location, Message, Organization, Patient
from scheduler.services import message_texts, opt_outs
from scheduler.services.catalog import visit_kind
from scheduler.services.outbox.people import addresses_of, basis_of, recipient_of
from scheduler.services.patient_links import Links

Row = TypeVar("Row", Appointment, Course, Location, Patient)

# Made once: to make these costs more than to send them.
_ROWS: dict[type[Any], Any] = {
    table: select(table)
    .where(table.organization_id == bindparam("owner"), table.id.in_(bindparam("ids", expanding=True)))
    # What lies in the session may be older than this transaction.
    .execution_options(populate_existing=True)
    for table in (Appointment, Course, Location, Patient)
}
_SOON = and_(
    Message.id.not_in(bindparam("here", expanding=True)),  # which are locked
    Message.patient_id.in_(bindparam("hosts", expanding=True)),
    Message.status == "pending",
    Message.due_at > bindparam("since"),
    Message.due_at <= bindparam("until"),
    Message.called_off_at.is_(None),
)
_BESIDE = (
    select(Message)
    .where(
        Message.organization_id == bindparam("owner"),
        or_(Message.merged_into.in_(bindparam("here", expanding=True)), _SOON),
    )
    .with_for_update(skip_locked=True, key_share=True)
    .execution_options(populate_existing=True)
)
_HELD = select(ClinicalHold.patient_id).where(
    ClinicalHold.organization_id == bindparam("owner"),
    ClinicalHold.patient_id.in_(bindparam("patients", expanding=True)),
    ClinicalHold.released_at.is_(None),
)
_TEXTS = select(Message.patient_id, Message.sent_at).where(
    Message.organization_id == bindparam("owner"),
    Message.patient_id.in_(bindparam("patients", expanding=True)),
    Message.channel.in_(sorted(COUNTED)),
    Message.due_at > bindparam("since"),
    or_(
        Message.status.in_(("sent", "delivered")),
        and_(Message.status == "sending", Message.lease_until > bindparam("now")),
    ),
)

#: Messages that can say another's as well, and how close the two must be.
HOSTS = frozenset({"booked", "rescheduled", "remind_72h", "remind_24h", "night_before", "day_of"})
MERGED_WITHIN = timedelta(hours=12)
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
    #: By number or address, the classes that it gets no messages of.
    shut: Mapping[str, frozenset[str]]
    held: Collection[UUID]
    own: Mapping[str, Mapping[str, Mapping[str, str]]]
    merged: Mapping[UUID, Sequence[Message]]
    waiting: Mapping[UUID, Sequence[Message]]
    #: How links are written; None where messages carry none.
    links: Links | None = None
    #: What has its own letter in this batch, and so is nobody else's line.
    handled: set[UUID] = field(default_factory=set)
    _kinds: dict[str, VisitType] = field(default_factory=dict)
    # Of each patient the same is asked for message after message.
    _recipients: dict[tuple[UUID, str], Recipient] = field(default_factory=dict)
    _addresses: dict[tuple[UUID, str], Mapping[str, str]] = field(default_factory=dict)
    _manners: dict[UUID, tuple[Basis, Caps]] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session, call: Call, messages: Sequence[Message], links: Links | None = None) -> Scene:
        """Read what these messages are about."""
        patients = _rows(session, call, Patient, {message.patient_id for message in messages})
        merged, waiting = _beside(session, call, messages)
        beside = [other for others in (*merged.values(), *waiting.values()) for other in others]
        stops = _stops(session, call, [message for message in messages if message.appointment_id is None])
        about = {message.appointment_id for message in (*messages, *beside) if message.appointment_id}
        about |= {UUID(entry["id"]) for message in messages for entry in message.context.get("visits", ())}
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
            shut=opt_outs.closed(session, call.organization_id, _reached_at(patients.values())),
            held=_held(session, call, set(patients)),
            own=message_texts.own(session, call, {message.kind for message in messages}),
            merged=merged,
            waiting=waiting,
            links=links,
        )

    def visit_of(self, message: Message) -> Appointment | None:
        """The visit that a message is about; of several, the first that still stands, or else any that did."""
        if "visits" in message.context:
            told = [self.appointments[UUID(entry["id"])] for entry in message.context["visits"]]
            return min(told, key=lambda visit: (visit.status != "booked", visit.starts_at), default=None)
        if message.appointment_id is not None:
            return self.appointments.get(message.appointment_id)
        stops = self.stops_of(message)
        return stops[0] if stops else None

    def stops_of(self, message: Message) -> Sequence[Appointment]:
        """The booked visits of the course or series that a message is about."""
        owner = message.course_id or message.series_id
        return self.stops.get(owner, ()) if owner else ()

    def has_changes(self, message: Message) -> bool:
        """Whether any of the visits that a message tells of is not as its patient believes it to be."""
        return any(was_of(entry) != self.stands_at(entry) for entry in message.context["visits"])

    def stands_at(self, entry: Mapping[str, Any]) -> datetime | None:
        """When a visit takes place by now; None when it does not."""
        visit = self.appointments[UUID(entry["id"])]
        return visit.starts_at if visit.status in {"booked", "arrived", "checked-in", "fulfilled"} else None

    def kind_of(self, visit: Appointment) -> VisitType:
        """The visit's type. Raises Invalid when it is gone."""
        known = self._kinds.get(visit.visit_type)
        if known is None:
            known = self._kinds[visit.visit_type] = visit_kind(self.session, self.call, visit.visit_type).visit
        return known

    def name_of(self, visit: Appointment) -> str:
        """What its patient is told that the visit is, in their language."""
        return self.kind_of(visit).called(self.locales_of(visit.patient_id))

    def is_held(self, visit: Appointment) -> bool:
        """Whether a clinical hold freezes the visit: its patient may not be dosed, and it is a dose."""
        course = self.courses.get(visit.course_id) if visit.course_id else None
        held = visit.patient_id in self.held or (course is not None and course.status == "on-hold")
        return held and self.kind_of(visit).kind == "dosing"

    def recipient(self, visit: Appointment) -> Recipient:
        """The patient as the rules see them."""
        key = visit.patient_id, visit.time_zone
        if key not in self._recipients:
            patient = self.patients[visit.patient_id]
            self._recipients[key] = recipient_of(self.organization, patient, visit.time_zone, self.call.now)
        return self._recipients[key]

    def locales_of(self, patient_id: UUID) -> tuple[str, ...]:
        """The patient's locale and the organization's."""
        return tuple(filter(None, (self.patients[patient_id].locale, self.organization.default_locale)))

    def addresses(self, patient_id: UUID, message_class: str) -> Mapping[str, str]:
        """The channels that are open for messages of the class, and the address of each."""
        key = patient_id, message_class
        if key not in self._addresses:
            self._addresses[key] = {
                channel: address
                for channel, address in addresses_of(self.patients[patient_id], self.call.now).items()
                if not opt_outs.is_closed(self.shut.get(address, ()), message_class)
            }
        return self._addresses[key]

    def route(self, message: Message, visit: Appointment, order: Sequence[str]) -> Route:
        """By which channel the message goes now, by the caps of the patient's own days."""
        patient_id, context = message.patient_id, message.context
        basis, caps = self._manners_of(patient_id)
        zone = self.recipient(visit).time_zone
        days = (to_local(sent_at, zone).date() for sent_at in self.texts.get(patient_id, ()))
        one = Sendable(order, context["class"], bool(context.get("urgent")), bool(context.get("exempt")))
        today = to_local(self.call.now, zone).date()
        return route(one, self.addresses(patient_id, one.cls), basis, caps, days, today)

    def is_exempt(self, message: Message) -> bool:
        """Whether the patient is texted under the exemption, in one SMS at a time."""
        return self._manners_of(message.patient_id)[0] == "exemption"

    def _manners_of(self, patient_id: UUID) -> tuple[Basis, Caps]:
        if patient_id not in self._manners:
            recorded = basis_of(self.patients[patient_id], self.call.now)
            self._manners[patient_id] = self.manners.of_patient(recorded)
        return self._manners[patient_id]

    def note_text(self, patient_id: UUID) -> None:
        """Count a text that is about to be sent, or a call."""
        self.texts.setdefault(patient_id, []).append(self.call.now)  # type: ignore[attr-defined]


def _reached_at(patients: Iterable[Patient]) -> set[str]:
    return {one["value"] for patient in patients for one in patient.contacts}


def was_of(entry: Mapping[str, Any]) -> datetime | None:
    """When a visit took place before it changed; None for a new one."""
    return datetime.fromisoformat(entry["was"]) if entry["was"] else None


def _rows(session: Session, call: Call, table: type[Row], ids: Collection[UUID]) -> dict[UUID, Row]:
    if not ids:
        return {}
    asked = {"owner": call.organization_id, "ids": list(ids)}
    return {row.id: row for row in session.scalars(_ROWS[table], asked)}


def _stops(session: Session, call: Call, messages: Collection[Message]) -> dict[UUID, list[Appointment]]:
    found: dict[UUID, list[Appointment]] = defaultdict(list)
    courses = {message.course_id for message in messages if message.course_id}
    series = {message.series_id for message in messages if message.series_id}
    if courses or series:
        chosen = select(Appointment).where(
            Appointment.organization_id == call.organization_id,
            or_(Appointment.course_id.in_(courses), Appointment.series_id.in_(series)),
            Appointment.status == "booked",
        )
        for visit in session.scalars(chosen.order_by(Appointment.starts_at, Appointment.id)):
            owner = visit.course_id if visit.course_id in courses else visit.series_id
            if owner is not None:
                found[owner].append(visit)
    return found


def _beside(
    session: Session, call: Call, messages: Sequence[Message]
) -> tuple[dict[UUID, list[Message]], dict[UUID, list[Message]]]:
    """By message: those that it says as well. By patient: those due soon that another might say, locked."""
    mine, hosts = {message.id for message in messages}, {one.patient_id for one in messages if one.kind in HOSTS}
    merged: dict[UUID, list[Message]] = defaultdict(list)
    waiting: dict[UUID, list[Message]] = defaultdict(list)
    asked = {
        "owner": call.organization_id,
        "here": list(mine),
        "hosts": list(hosts),
        "since": call.now - MERGED_WITHIN,
        "until": call.now + MERGED_WITHIN,
    }
    beside = session.scalars(_BESIDE, asked)
    open_ones = [one for one in messages if one.patient_id in hosts and _may_be_said_by_another(one, call.now)]
    for row in sorted((*open_ones, *beside), key=lambda row: (row.due_at, row.id)):
        if row.merged_into is not None:
            merged[row.merged_into].append(row)
        elif row.context.get("merges"):
            waiting[row.patient_id].append(row)
    return merged, waiting


def _may_be_said_by_another(message: Message, now: datetime) -> bool:
    is_open = message.status == "pending" and message.called_off_at is None
    return is_open and message.due_at > now - MERGED_WITHIN


def _held(session: Session, call: Call, patient_ids: Collection[UUID]) -> frozenset[UUID]:
    """Which of the patients may not be dosed for the time being."""
    return frozenset(session.scalars(_HELD, {"owner": call.organization_id, "patients": list(patient_ids)}))


def _texts(session: Session, call: Call, patient_ids: Collection[UUID]) -> dict[UUID, list[datetime]]:
    """When texts were sent to these patients of late, or calls made; one that is on its way counts as now."""
    asked = {
        "owner": call.organization_id,
        "patients": list(patient_ids),
        "since": call.now - _WEEK,
        "now": call.now,
    }
    found: dict[UUID, list[datetime]] = defaultdict(list)
    for row in session.execute(_TEXTS, asked):
        found[row.patient_id].append(row.sent_at or call.now)
    return found
