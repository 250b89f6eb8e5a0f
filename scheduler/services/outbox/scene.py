"""The present state behind a batch of messages, read in a constant number of statements. Judged in `judging`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, and_, bindparam, not_, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.policies import Messaging
from scheduler.core.reminders.budget import COUNTED, Route, Sendable, route
from scheduler.core.reminders.values import Class
from scheduler.core.visit import VisitType
from scheduler.models import Appointment, Course, Location, Message, Organization, Patient
from scheduler.models.among import among
from scheduler.services import message_texts, opt_outs
from scheduler.services.catalog import visit_kind
from scheduler.services.outbox.behind import held_of, organization_of, rows_of
from scheduler.services.outbox.due import COLUMNS, Due, read
from scheduler.services.outbox.people import basis_of
from scheduler.services.outbox.person import Clocks, Now, Person
from scheduler.services.patient_links import Links
from scheduler.services.ready import Ready

_message = cast("Table", Message.__table__).c
_MINE = _message.organization_id == bindparam("owner")
_SOON = and_(
    not_(among(_message.id, "here")),  # which are locked
    among(_message.patient_id, "hosts"),
    _message.status == "pending",
    _message.due_at > bindparam("since"),
    _message.due_at <= bindparam("until"),
    _message.called_off_at.is_(None),
)
# Two statements: of one with both conditions SQLite makes a walk through all that an organization was ever owed.
_SAID_BY, _WAITING = (
    Ready(select(*COLUMNS).where(_MINE, *conditions).with_for_update(skip_locked=True, key_share=True), into=Due)
    for conditions in ((among(_message.merged_into, "here"), _message.merged_into.is_not(None)), (_SOON,))
)
_TEXTS = Ready(
    select(_message.patient_id, _message.sent_at).where(
        _MINE,
        among(_message.patient_id, "patients"),
        or_(*(_message.channel == channel for channel in sorted(COUNTED))),
        _message.due_at > bindparam("since"),
        or_(
            _message.status == "sent",
            _message.status == "delivered",
            and_(_message.status == "sending", _message.lease_until > bindparam("now")),
        ),
    )
)

#: What is to be texted in the days to come, for whom a week has only so many texts.
_AHEAD = Ready(
    select(*COLUMNS).where(
        _MINE,
        among(_message.patient_id, "patients"),
        or_(*(_message.channel == channel for channel in sorted(COUNTED))),
        _message.status == "pending",
        _message.due_at > bindparam("since"),
        _message.due_at <= bindparam("until"),
        _message.called_off_at.is_(None),
    ),
    into=Due,
)

#: What is asked after a visit. Of two visits it is one question where it would be asked in the same words.
QUESTIONS = frozenset({"evening_check", "next_day_scale", "integration_prompt", "gap_nudge"})
#: Messages that can say another's as well, and how close the two must be.
HOSTS = frozenset({"booked", "rescheduled", "remind_72h", "remind_24h", "night_before", "day_of"}) | QUESTIONS
MERGED_WITHIN = timedelta(hours=12)
#: The word on eating, which the news of a visit's time says too; what asks whether it was read follows all the same.
FASTING = frozenset({"remind_24h", "night_before"})
NEWS = frozenset({"booked", "rescheduled"})
SAID_BY_NEWS = timedelta(hours=1)
WEEK = timedelta(days=8)  # seven local days, wherever the day begins
#: By so much a text may have left late: texts count by when they left, and are found by when they were due.
_LATE = timedelta(days=30)


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
    #: By patient, the instructions that are to be texted soon, for which texts are kept.
    instructions: Mapping[UUID, Sequence[Message]]
    #: By number or address, the classes that it gets no messages of.
    shut: Mapping[str, frozenset[str]]
    held: Collection[UUID]
    own: Mapping[str, Mapping[str, Mapping[str, str]]]
    merged: Mapping[UUID, Sequence[Message]]
    waiting: Mapping[UUID, Sequence[Message]]
    #: Whether visits ahead are taken to have been as planned, once their time is over.
    foresees: bool = False
    #: How links are written; None where messages carry none.
    links: Links | None = None
    #: What has its own letter in this batch, and so is nobody else's line.
    handled: set[UUID] = field(default_factory=set)
    #: What a letter of this batch says as well.
    taken_along: list[Message] = field(default_factory=list)
    _kinds: dict[str, VisitType] = field(default_factory=dict)
    _names: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    # As they are at this moment: no other scene's.
    _people: dict[UUID, Person] = field(default_factory=dict, init=False)
    _last: tuple[UUID, Person] | None = field(default=None, init=False)
    _clocks: Clocks = field(init=False)

    def __post_init__(self) -> None:
        self._clocks = Clocks(self.manners, self.call.now)

    @classmethod
    def of(cls, session: Session, call: Call, messages: Sequence[Message], links: Links | None = None) -> Scene:
        """Read what these messages are about."""
        patients = rows_of(session, call, Patient, {message.patient_id for message in messages})
        organization = organization_of(session, call)
        manners = Messaging.from_document(organization.messaging)
        # Whoever may be under a cap: their texts are counted, and some are kept for instructions.
        capped = set(patients) if _has_caps(manners, patients.values()) else set[UUID]()
        merged, waiting, instructions = _beside(session, call, messages, capped)
        rationed = [
            key for key in capped if manners.of_patient(basis_of(patients[key], call.now))[1].per_week is not None
        ]
        for each in _ahead(session, call, rationed):
            instructions[each.patient_id].append(each)
        beside = [other for others in (*merged.values(), *waiting.values()) for other in others]
        stops = _stops(session, call, [message for message in messages if message.appointment_id is None])
        about = {message.appointment_id for message in (*messages, *beside) if message.appointment_id}
        about |= {UUID(entry["id"]) for message in messages for entry in message.context.get("visits", ())}
        appointments = rows_of(session, call, Appointment, about)
        visits = [*appointments.values(), *(visit for visits in stops.values() for visit in visits)]
        return cls(
            call=call,
            session=session,
            organization=organization,
            manners=manners,
            patients=patients,
            appointments=appointments,
            courses=rows_of(session, call, Course, {visit.course_id for visit in visits if visit.course_id}),
            locations=rows_of(session, call, Location, {visit.location_id for visit in visits}),
            stops=stops,
            texts=_texts(session, call, capped),
            instructions=instructions,
            shut=opt_outs.closed(session, call.organization_id, _reached_at(patients.values())),
            held=held_of(patients.values()),
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
        key = visit.visit_type, self.person(visit.patient_id).locales
        known = self._names.get(key)
        if known is None:
            known = self._names[key] = self.kind_of(visit).called(key[1])
        return known

    def is_held(self, visit: Appointment) -> bool:
        """Whether a clinical hold freezes the visit: its patient may not be dosed, and it is a dose."""
        course = self.courses.get(visit.course_id) if visit.course_id else None
        held = bool(self.held) and visit.patient_id in self.held
        held = held or (course is not None and course.status == "on-hold")
        return held and self.kind_of(visit).kind == "dosing"

    def person(self, patient_id: UUID) -> Person:
        """One of the patients, and what is known of them by now."""
        last = self._last
        if last is not None and last[0] is patient_id:  # of one message it is asked several times
            return last[1]
        known = self._people.get(patient_id)
        if known is None:
            known = self._people[patient_id] = Person(
                self.organization, self.manners, self.patients[patient_id], self.shut, self.call.now, self._clocks
            )
        self._last = patient_id, known
        return known

    def route(self, message: Message, person: Person, here: Now, order: Sequence[str]) -> Route:
        """By which channel the message goes now, by the caps of the patient's own days."""
        context = message.context
        cls: Class = "instruction" if _instructs(message) else context["class"]
        one = Sendable(order, cls, bool(context.get("urgent")), bool(context.get("exempt")))
        days, kept = self._texted(message.patient_id, person, here) if person.caps.are_set else ((), ())
        return route(one, person.addresses(context["class"]), person.basis, person.caps, days, here.today, kept)

    def _texted(self, patient_id: UUID, person: Person, here: Now) -> tuple[Iterable[date], Iterable[date]]:
        """The patient's days of their texts: those that were sent, and of those to come the ones that are kept."""
        zone, soon = here.anybody.time_zone, self.instructions.get(patient_id, ())
        kept = (each for each in soon if person.basis == "consent" or each.context.get("exempt"))
        return (
            (to_local(sent_at, zone).date() for sent_at in self.texts.get(patient_id, ())),
            (to_local(each.due_at, zone).date() for each in kept),
        )

    def note_text(self, patient_id: UUID, person: Person) -> None:
        """Count a text that is about to be sent, or a call, where anybody counts them."""
        if person.caps.are_set:
            self.texts.setdefault(patient_id, []).append(self.call.now)  # type: ignore[attr-defined]


def _reached_at(patients: Iterable[Patient]) -> list[str]:
    return [one["value"] for patient in patients for one in patient.contacts]


def was_of(entry: Mapping[str, Any]) -> datetime | None:
    """When a visit took place before it changed; None for a new one."""
    return datetime.fromisoformat(entry["was"]) if entry["was"] else None


def _has_caps(manners: Messaging, patients: Iterable[Patient]) -> bool:
    """Whether any of them may be: what they consented to themselves goes before what is usual."""
    is_usual = manners.of_patient(None)[1].are_set
    return is_usual or any(patient.consents for patient in patients)


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
    session: Session, call: Call, messages: Sequence[Message], capped: Collection[UUID]
) -> tuple[dict[UUID, list[Message]], dict[UUID, list[Message]], dict[UUID, list[Message]]]:
    """By message: those that it says as well. By patient: those due soon that another might say, and instructions."""
    mine, hosts = [message.id for message in messages], {one.patient_id for one in messages if one.kind in HOSTS}
    texted = {one.patient_id for one in messages if capped and one.channel in COUNTED and one.patient_id in capped}
    merged: dict[UUID, list[Message]] = defaultdict(list)
    waiting: dict[UUID, list[Message]] = defaultdict(list)
    instructions: dict[UUID, list[Message]] = defaultdict(list)
    asked = {
        "owner": call.organization_id,
        "here": mine,
        "hosts": hosts | texted,
        "since": call.now - MERGED_WITHIN,
        "until": call.now + MERGED_WITHIN,
    }
    beside = read(_SAID_BY, session, {name: asked[name] for name in ("owner", "here")})
    if asked["hosts"]:
        beside += read(_WAITING, session, asked)
    new = {one.appointment_id for one in messages if one.kind in NEWS}
    open_ones = [one for one in messages if _may_be_said_by_another(one, call.now, new) and one.patient_id in hosts]
    for row in sorted((*open_ones, *beside), key=lambda row: (row.due_at, row.id)):
        if row.merged_into is not None:
            merged[row.merged_into].append(row)
        elif joins(row, new):
            waiting[row.patient_id].append(row)
        if row.merged_into is None and is_texted_instruction(row, call.now):
            instructions[row.patient_id].append(row)
    return merged, waiting, instructions


def is_texted_instruction(message: Message, now: datetime) -> bool:
    """Whether a message that is still to come is one for which a text is kept."""
    return _instructs(message) and message.channel in COUNTED and message.due_at > now


def _instructs(message: Message) -> bool:
    """Whether it says what is to be done, also where that is a reminder's word on eating by day."""
    return bool(message.context.get("instructs", message.context["class"] == "instruction"))


def _ahead(session: Session, call: Call, patient_ids: Collection[UUID]) -> list[Message]:
    """The instructions to be texted to these patients in the coming week, after those that `_beside` finds."""
    if not patient_ids:
        return []
    until = call.now + WEEK
    asked = {"owner": call.organization_id, "patients": patient_ids, "since": call.now + MERGED_WITHIN, "until": until}
    return [row for row in read(_AHEAD, session, asked) if _instructs(row)]


def joins(message: Message, new: Collection[UUID | None]) -> bool:
    """Whether it can be a line of another; the word on eating can where the news of its visit's time leaves."""
    return bool(message.context.get("merges")) or (
        bool(new) and message.kind in FASTING and message.appointment_id in new
    )


def _may_be_said_by_another(message: Message, now: datetime, new: Collection[UUID | None]) -> bool:
    if message.merged_into is None and not joins(message, new):
        return False
    is_open = message.status == "pending" and message.called_off_at is None
    return is_open and message.due_at > now - MERGED_WITHIN


def _texts(session: Session, call: Call, patient_ids: Collection[UUID]) -> dict[UUID, list[datetime]]:
    """When texts were sent to these patients of late, or calls made; one that is on its way counts as now."""
    found: dict[UUID, list[datetime]] = defaultdict(list)
    if not patient_ids:
        return found
    asked = {
        "owner": call.organization_id,
        "patients": patient_ids,
        "since": call.now - WEEK - _LATE,
        "now": call.now,
    }
    for patient_id, sent_at in _TEXTS.rows(session, asked):
        found[patient_id].append(sent_at or call.now)
    return found
