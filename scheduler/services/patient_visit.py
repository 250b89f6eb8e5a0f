"""A visit as its patient sees it and acts on it, within the clinic's policy. Says nothing that only staff may read.

Each act is a use case of its own that calls the one the front desk uses; only who asks is another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.calendar_entry import OFF, Entry
from scheduler.core.call import Call
from scheduler.core.changing import Change, why_not_change
from scheduler.core.civil import day_bounds, to_local
from scheduler.core.errors import Fault, IllegalTransition, Invalid, LinkOver, NotFound, Reason, Refused, refuse
from scheduler.core.localgrid import Wish
from scheduler.core.oneline import one_line
from scheduler.core.policies import Policies
from scheduler.core.visit import CheckItem, Instructions
from scheduler.core.visit_day import PATIENT
from scheduler.messaging.render import neutral
from scheduler.models import Appointment, AuditEvent, Location, Organization, Patient
from scheduler.services import audit, availability, booking, outbox, patient_links, visit_day
from scheduler.services.availability import Question
from scheduler.services.catalog import visit_kind
from scheduler.services.patient_links import Opened, Scope

#: A new time is looked for so far after today, and so many are shown at once.
_LOOKS_AHEAD = timedelta(days=28)
_MOST_TIMES = 60
_LONGEST_NAME = 200

#: What a link has done, noted by the link: so long after it a second tap on the same time is told that it was done.
_MOVED = "patient_page.reschedule"
_TAPS = timedelta(minutes=2)


@dataclass(frozen=True)
class Clinic:
    """Whom the patient may call, in which languages they are written to, and how the visit ended: see `_end`.

    `moved_to` is the new time of the visit for who has just asked for it by this link, and asks again.
    """

    sender_name: str
    phone: str
    locales: tuple[str, ...]
    time_zone: str
    patient_zone: str
    end: str | None
    moved_to: datetime | None


@dataclass(frozen=True)
class Ask:
    """One item of the checklist that the patient may answer. `open`: it can be answered now."""

    key: str
    asks: Mapping[str, str]
    names_something: bool
    ok: bool
    value: str
    open: bool


@dataclass(frozen=True)
class Times:
    """Starts that are free, soonest first; from where others go on, and where those of a week later begin.

    `later` is None when there are no more, `week` when `later` comes to that day by itself.
    """

    starts: tuple[datetime, ...]
    later: datetime | None
    week: datetime | None


@dataclass(frozen=True)
class PatientVisit:
    """What the page may say. `entry` is the visit as calendars show it, `patient_zone` the patient's own zone.

    `until` are instants by what ends then: solids, clear_liquids, nasal_products, alcohol; `passed` names those that
    have passed for who is still to arrive, and `arrival`. `state` is one of `coming`, `unsure`, `off`, `missed`,
    `over`; `told` says that the link was made for this time. `may` are the changes that policy lets the patient make
    now.
    """

    entry: Entry
    sender_name: str
    phone: str
    patient_zone: str
    locales: tuple[str, ...]
    channel: str | None
    channels: tuple[str, ...]
    state: str
    told: bool
    confirmed: bool
    arrive_at: datetime
    until: Mapping[str, datetime]
    passed: frozenset[str]
    escort: bool
    no_driving: str | None
    asks: tuple[Ask, ...]
    may: frozenset[str]


def look(session: Session, call: Call, opened: Opened) -> PatientVisit:
    """The visit for its page; the look is written to the audit trail. A constant number of statements.

    Raises LinkOver when the visit has another time by now: that is told by a newer message.
    """
    row = opened.visit
    if opened.moved and row.status not in OFF:
        raise LinkOver("The visit has another time.")
    organization = session.get_one(Organization, call.organization_id)
    patient = session.get_one(Patient, (call.organization_id, row.patient_id))
    location = session.get_one(Location, (call.organization_id, row.location_id))
    kind = visit_kind(session, call, row.visit_type).visit
    state = _state(row, call.now)
    audit.note(session, call, "patient_page.read", "appointment", row.id)
    told = kind.instructions
    locales = tuple(filter(None, (patient.locale, organization.default_locale)))
    confirmed = row.confirmed_at is not None and not outbox.is_asked(session, call, row)
    title = neutral(kind.called(locales), locales)
    until = _until(told, row.starts_at)
    arrive_at = row.starts_at - timedelta(minutes=told.arrive_early_minutes)
    moments = {**until, "arrival": arrive_at} if row.status == "booked" else {}
    return PatientVisit(
        entry=Entry.of(row, title=title, place=location.address, stamp=opened.link.created_at),
        sender_name=organization.sender_name,
        phone=organization.phone,
        patient_zone=patient.time_zone or row.time_zone,
        locales=locales,
        channel=patient.preferences.get("channel"),
        channels=tuple(dict.fromkeys(each["channel"] for each in patient.contacts)),
        state=state,
        told=opened.link.starts_at == row.starts_at,
        confirmed=confirmed,
        arrive_at=arrive_at,
        until=until,
        passed=frozenset(what for what, moment in moments.items() if moment <= call.now),
        escort=told.escort,
        no_driving=told.no_driving,
        asks=tuple(_ask(row, item, call.now) for item in kind.checklist if item.asks),
        may=_may(opened, state, Policies.from_document(organization.policies), call.now, confirmed=confirmed),
    )


def clinic(session: Session, call: Call, opened: Opened, start: datetime | None = None) -> Clinic:
    """Whose visit it is, also when the link is over: of the visit itself only whether it is off, or was missed.

    And that it was moved to `start` to who has just done that by this link: a finger taps twice.
    """
    organization, row = session.get_one(Organization, call.organization_id), opened.visit
    patient = session.get_one(Patient, (call.organization_id, row.patient_id))
    is_there = start is not None and row.starts_at == start and _end(row) is None
    return Clinic(
        sender_name=organization.sender_name,
        phone=organization.phone,
        locales=tuple(filter(None, (patient.locale, organization.default_locale))),
        time_zone=row.time_zone,
        patient_zone=patient.time_zone or row.time_zone,
        end=_end(row),
        moved_to=start if is_there and _has_moved_it(session, call, opened, row.starts_at) else None,
    )


def _has_moved_it(session: Session, call: Call, opened: Opened, start: datetime) -> bool:
    """Whether the visit was moved to that time by this very link, moments ago."""
    mine = AuditEvent.organization_id == call.organization_id, AuditEvent.subject_id == opened.link.id
    moves = select(AuditEvent.after).where(*mine, AuditEvent.action == _MOVED, AuditEvent.at > call.now - _TAPS)
    return any(after == {"start": start.isoformat()} for after in session.scalars(moves))


def confirm(session: Session, call: Call, opened: Opened) -> None:
    """The patient will come. Raises LinkOver, IllegalTransition."""
    _expect(opened, "confirm")
    visit_day.confirm(session, call, opened.visit.id)


def answer(session: Session, call: Call, opened: Opened, given: Mapping[str, str], asked: Collection[str] = ()) -> None:
    """Take down what the patient says: a text for an item that names something, anything else is a yes.

    Of what was `asked` a yes that does not come back is taken back. Raises LinkOver; Refused (`nothing_said`); Invalid
    for an item that is not the patient's to answer, or not yet.
    """
    _expect(opened, "answer")
    kind = visit_kind(session, call, opened.visit.visit_type).visit
    items = {item.key: item for item in kind.checklist if item.asks}
    faults, answers = [], {}
    for key, text in given.items():
        item = items.get(key)
        if item is None or not _is_open(opened.visit, item, call.now):
            faults.append(Fault(f"/{key}", "not_asked_now", "This cannot be answered now."))
        elif said := one_line(text, _LONGEST_NAME):
            named = said if item.value == "text" else None
            answers[key] = {"ok": True, "value": named, "by": PATIENT}
    refuse(faults)
    has_yes = bool(answers)
    for key in asked:
        item, kept = items.get(key), opened.visit.checklist.get(key) or {}
        if item and key not in answers and kept.get("ok") and _is_open(opened.visit, item, call.now):
            answers[key] = {"ok": False, "value": None, "by": PATIENT}
    if not answers:
        raise Refused([Reason("nothing_said", "Nothing was filled in.")])
    visit_day.answer(session, call, opened.visit.id, answers)
    if has_yes:
        outbox.answered(session, call, opened.visit)


def times(session: Session, call: Call, opened: Opened, since: datetime | None = None) -> Times:
    """The starts to which the patient may move the visit, from `since` on: real availability. Raises LinkOver."""
    _expect(opened, "reschedule")
    row, until = opened.visit, call.now + _LOOKS_AHEAD
    first = max(since or call.now, call.now)
    if first >= until:
        return Times((), None, None)
    question = Question(
        row.visit_type,
        row.location_id,
        first,
        until,
        patient_id=row.patient_id,
        wish=Wish(step=30),
        exclude_appointment=row.id,
        by="patient",
        patient_region=row.patient_region,
        course_session_id=row.course_session_id,
    )
    found, later = availability.search(session, call, question, limit=_MOST_TIMES)
    starts = tuple(offer.start for offer in found if offer.start != row.starts_at)
    if later is None:
        return Times(starts, None, None)
    day = to_local(found[0].start, row.time_zone).date() + timedelta(weeks=1)
    week, _ = day_bounds(day, row.time_zone)
    return Times(starts, later, week if later < week < until else None)


def reschedule(session: Session, call: Call, opened: Opened, start: datetime) -> str:
    """Move the visit; the token of a new link, since the old one ends with the old time. Raises as booking does."""
    _expect(opened, "reschedule")
    booking.reschedule(session, call, opened.visit.id, start, by="patient")
    audit.note(session, call, _MOVED, "patient_link", opened.link.id, after={"start": opened.visit.starts_at})
    return patient_links.issue(session, call, opened.visit)


def cancel(session: Session, call: Call, opened: Opened) -> None:
    """Give the visit up. Raises LinkOver, Refused (`cutoff`), IllegalTransition for who is here already."""
    _expect(opened, "cancel")
    gone = booking.cancel(session, call, opened.visit.id, reason="Cancelled by the patient's own link.", by="patient")
    if gone.row.arrived_at is not None:  # as it is under the lock; the desk may still do it
        raise IllegalTransition("Whoever has arrived tells the desk.")


def prefer(session: Session, call: Call, opened: Opened, *, locale: str, channel: str | None) -> None:
    """Remember in which language, and first by which of the channels on file, the patient wants to be written to.

    An empty channel leaves it to the clinic, None as it is. Raises LinkOver, Invalid for a channel that is not on file.
    """
    _expect(opened, "preferences")
    patient = session.get(Patient, (call.organization_id, opened.visit.patient_id), with_for_update={"key_share": True})
    if patient is None:
        raise NotFound("There is no such patient.")
    if patient.locale and patient.locale.partition("-")[0] == locale:
        locale = patient.locale  # as it is written where they live
    before = {"locale": patient.locale, "channel": patient.preferences.get("channel")}
    if channel and channel not in {each["channel"] for each in patient.contacts}:
        raise Invalid([Fault("/channel", "unknown_channel", "No such way to reach the patient is on file.")])
    patient.locale = locale
    if channel is not None:
        others = {key: value for key, value in patient.preferences.items() if key != "channel"}
        patient.preferences = others | ({"channel": channel} if channel else {})
    after = {"locale": patient.locale, "channel": patient.preferences.get("channel")}
    audit.note(session, call, "patient.prefer", "patient", patient.id, before=before, after=after)


def _expect(opened: Opened, scope: Scope) -> None:
    if opened.moved or scope not in opened.link.scopes:
        raise LinkOver("This link is for another time of the visit, or for something else.")


def _state(row: Appointment, now: datetime) -> str:
    end = _end(row)
    if end is not None:
        return end
    if row.ends_at <= now or row.status == "fulfilled":
        return "over"
    return "coming" if row.status in {"booked", "arrived", "checked-in"} else "unsure"


def _end(row: Appointment) -> str | None:
    """`off` for a visit that was called off, `missed` for one that nobody called off and nobody came to."""
    if row.status == "noshow":
        return "missed"
    return "off" if row.status in OFF else None


def _may(opened: Opened, state: str, policies: Policies, now: datetime, *, confirmed: bool) -> frozenset[str]:
    row = opened.visit
    if opened.moved or state != "coming" or row.status != "booked":
        return frozenset()
    changes: tuple[Change, ...] = ("cancel", "reschedule")
    allowed = {
        change
        for change in changes
        if not why_not_change(policies, change, "patient", starts_at=row.starts_at, now=now, moves=row.moves)
    }
    confirms = set() if confirmed else {"confirm"}
    return frozenset((allowed | confirms | {"answer", "preferences"}) & set(opened.link.scopes))


def _until(told: Instructions, starts_at: datetime) -> dict[str, datetime]:
    minutes = {
        "solids": told.solids_minutes,
        "clear_liquids": told.clear_liquids_minutes,
        "nasal_products": told.nasal_products_minutes,
        "alcohol": told.alcohol_minutes,
    }
    return {what: starts_at - timedelta(minutes=many) for what, many in minutes.items() if many is not None}


def _is_open(row: Appointment, item: CheckItem, now: datetime) -> bool:
    """What counts only on the day is asked only on the day."""
    if row.status != "booked":
        return False
    return not item.same_day or to_local(now, row.time_zone).date() == to_local(row.starts_at, row.time_zone).date()


def _ask(row: Appointment, item: CheckItem, now: datetime) -> Ask:
    kept: Mapping[str, Any] = row.checklist.get(item.key) or {}
    names = item.value == "text"
    value = str(kept.get("value") or "") if names else ""
    return Ask(item.key, dict(item.asks), names, bool(kept.get("ok")), value, _is_open(row, item, now))
