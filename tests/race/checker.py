"""What must be true of the tables after any storm: what the doctor says of every clinic, and what only an arena knows.

An arena knows what each kind of visit takes up and owes. Each check returns what is wrong, one line each; `faults` is
all of them. They read the tables only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.database import snapshot
from scheduler.models import Appointment, AuditEvent, Course, CourseSession, Message, Occupancy, Resource
from scheduler.services.doctor import examine

LIVE = {"pending", "booked"}
SLOT = timedelta(minutes=5)
#: What each kind of visit takes up, as minutes from its start: {role: (from, to, "all" | "one" | "present")}.
TAKES: dict[str, dict[str, tuple[int, int, str] | list[tuple[int, int, str]]]] = {
    "talk": {"role:therapist": (0, 60, "all"), "room:consult": (0, 60, "all"), "patient": (0, 60, "all")},
    "evaluation": {"role:prescriber": (0, 30, "all"), "room:consult": (0, 30, "all"), "patient": (0, 30, "all")},
    "watch": {"role:nurse": (0, 60, "one"), "room:bay": (60, 75, "all"), "patient": (0, 60, "all")},
    "sitting": {"role:nurse": (0, 60, "one"), "role:prescriber": (0, 60, "present"), "patient": (0, 60, "all")},
    "infusion": {
        "role:nurse": [(0, 20, "all"), (20, 80, "one")],
        "role:prescriber": [(0, 20, "all"), (20, 80, "present")],
        "room:bay": (-10, 95, "all"),
        "patient": (0, 80, "all"),
    },
}
#: What a visit far ahead owes, by rule. `day_of` would come in quiet hours when the visit is in the morning.
REMINDERS = {"remind_72h", "remind_24h", "arrival_no_show"}
#: What tells of one visit's change by itself.
NEWS = {"rescheduled", "cancelled"}
AFTER_DOSE = {"d_instructions", "evening_check", "next_day_scale", "integration_prompt"}


@dataclass
class Tables:
    """The clinic's rows, read once."""

    engine: Engine
    organization_id: UUID

    def rows(self, model: Any) -> list[Any]:
        """All rows of the organization in one table."""
        with Session(self.engine, expire_on_commit=False) as session:
            return list(session.scalars(select(model).where(model.organization_id == self.organization_id)))

    @cached_property
    def appointments(self) -> dict[UUID, Appointment]:
        return {row.id: row for row in self.rows(Appointment)}

    @cached_property
    def occupancies(self) -> dict[UUID, list[Occupancy]]:
        found = defaultdict(list)
        for row in self.rows(Occupancy):
            found[row.appointment_id].append(row)
        return found

    @cached_property
    def units(self) -> dict[UUID, int]:
        return {row.id: row.units for row in self.rows(Resource)}

    @cached_property
    def prescribers(self) -> list[Resource]:
        return [row for row in self.rows(Resource) if {"code": "prescriber"}.items() <= (row.roles or [{}])[0].items()]

    @cached_property
    def messages(self) -> list[Message]:
        return self.rows(Message)

    @cached_property
    def events(self) -> list[AuditEvent]:
        return self.rows(AuditEvent)


def faults(engine: Engine, organization_id: UUID, *, guarded: bool = True) -> list[str]:
    """Everything that is wrong; without the database's own guard if it is not `guarded`."""
    tables = Tables(engine, organization_id)
    checks: list[Callable[[Tables], Iterator[str]]] = [
        wrong_occupancies, wrong_courses, wrong_audit, wrong_messages, wrong_overviews,
    ]  # fmt: skip
    with Session(engine) as session, snapshot(session):
        seen = list(examine(session, Call(datetime.now(UTC), organization_id, "test")))
    found = [f"{each.key}: {each.count}, {each.shown}" for each in seen if each.count]
    if not guarded:
        found = [each for each in found if not each.startswith("guards")]
    return found + [fault for check in checks for fault in check(tables)]


def wrong_occupancies(tables: Tables) -> Iterator[str]:
    """A visit that takes place takes up exactly what its kind needs; one that does not, nothing."""
    for key, row in tables.appointments.items():
        taken = tables.occupancies.get(key, [])
        if row.status not in LIVE:
            if taken:
                yield f"{row.status} {key} still takes up {len(taken)}"
            continue
        if {each.kind for each in taken} - {"visit", "present"}:
            yield f"{key} has occupancies that are none of a visit's"
        want, have = _wanted(row), _taken(taken, tables.units)
        wrong = {at for at in want.keys() | have.keys() if want.get(at) not in have.get(at, set())}
        if wrong:
            shown = [(*at, have.get(at), want.get(at)) for at in sorted(wrong)]
            yield f"{row.visit_type} {key}: (role, time, is, should be) {shown}"
    for key in tables.occupancies.keys() - tables.appointments.keys() - {None}:
        yield f"occupancies of {key}, which is none"


def _wanted(row: Appointment) -> dict[tuple[str, datetime], str]:
    found = {}
    for role, said in TAKES[row.visit_type].items():
        for since, until, how in said if isinstance(said, list) else [said]:
            for minute in range(since, until, 5):
                found[role, row.starts_at + timedelta(minutes=minute)] = how
    return found


def _taken(rows: list[Occupancy], units: dict[UUID, int]) -> dict[tuple[str, datetime], set[str]]:
    """The same from rows, slot by slot. With one unit, one is all of them, so either reading is right."""
    served: dict[tuple[str, datetime], list[Occupancy]] = defaultdict(list)
    for row in rows:
        at = row.starts_at
        while at < row.ends_at:
            served[row.role, at].append(row)
            at += SLOT
    return {key: _how(each, units) for key, each in served.items()}


def _how(rows: list[Occupancy], units: dict[UUID, int]) -> set[str]:
    resources = {row.resource_id for row in rows}
    if len(resources) != 1:
        return {f"{len(resources)} resources"}
    if not any(row.blocking for row in rows):
        return {"present" if len(rows) == 1 else f"present {len(rows)} times"}
    total = units[rows[0].resource_id]
    numbers = sorted(row.unit for row in rows)
    found = {"all"} if numbers == list(range(total)) else {f"units {numbers}"}
    return found | ({"one"} if len(numbers) == 1 else set())


def wrong_courses(tables: Tables) -> Iterator[str]:
    """A course was booked whole, by one event, or not at all; every visit of it lives or was cancelled since."""
    sessions = Counter(row.course_id for row in tables.rows(CourseSession))
    visits: dict[UUID | None, set[str]] = defaultdict(set)
    for row in tables.appointments.values():
        visits[row.course_id].add(str(row.id))
    booked = [event for event in tables.events if event.action == "course.book"]
    for course in tables.rows(Course):
        events = [event for event in booked if event.subject_id == course.id]
        if len(events) > 1:
            yield f"course {course.id} was booked {len(events)} times"
        named = {key for event in events for key in (event.after or {})["appointments"]}
        if named != visits.get(course.id, set()) or len(named) not in {0, sessions[course.id]}:
            yield f"course {course.id} of {sessions[course.id]}: {len(named)} booked, {len(visits[course.id])} there"
        if (course.status == "active") != bool(events):
            yield f"course {course.id} is {course.status} after {len(events)} bookings"
    kept = [row.course_session_id for row in tables.appointments.values() if row.status in LIVE]
    yield from (f"session {key} twice" for key, times in Counter(kept).items() if key is not None and times > 1)


def wrong_audit(tables: Tables) -> Iterator[str]:
    """One event for each booking, move and cancellation, and none for what did not happen."""
    done: dict[UUID, Counter[str]] = defaultdict(Counter)
    for event in tables.events:
        done[event.subject_id][event.action] += 1
        if event.action == "appointment.reschedule" and event.before["start"] == event.after["start"]:
            done[event.subject_id]["stayed"] += 1  # other people or rooms at the same time
    for key, row in tables.appointments.items():
        did = done[key]
        if did["appointment.book"] != 1:
            yield f"{key} was booked {did['appointment.book']} times"
        if did["appointment.cancel"] != (row.status == "cancelled"):
            yield f"{row.status} {key} was cancelled {did['appointment.cancel']} times"
        if row.sequence != did["appointment.reschedule"] - did["stayed"] + did["appointment.cancel"]:
            yield f"{key} is at sequence {row.sequence} after {dict(did)}"
    for key, did in done.items():
        if key not in tables.appointments and any(action.startswith("appointment.") for action in did):
            yield f"the audit trail knows {key}, which is not there: {dict(did)}"


def wrong_messages(tables: Tables) -> Iterator[str]:
    """What is owed for a visit belongs to its latest time, is all there, and nothing else is left standing."""
    owed: dict[UUID | None, list[Message]] = defaultdict(list)
    together: dict[UUID, list[str]] = defaultdict(list)
    for message in tables.messages:
        if "visits" not in message.context:
            owed[message.appointment_id].append(message)
        elif message.status == "pending":
            for entry in message.context["visits"]:
                together[UUID(entry["id"])].append(message.rule)
    for key, row in tables.appointments.items():
        yield from _wrong_of(row, owed.get(key, []), together.get(key, []))


def _wrong_of(row: Appointment, owed: list[Message], together: list[str]) -> Iterator[str]:
    """By what was ever owed for a visit, and the rules of what tells `together` with others that it has changed."""
    standing = [each for each in owed if each.status == "pending"]
    first = min(owed, key=lambda each: (each.sequence, each.id), default=None)
    back = first is not None and first.context["about"] == row.starts_at.isoformat()
    want, have = Counter(_owed(row, back=back)), Counter(each.rule for each in standing)
    if together:
        want -= Counter(NEWS)
    if want != have:
        yield f"{row.status} {row.id} at {row.sequence} owes {_difference(have, want)}"
    if len(set(together)) != len(together):
        yield f"{row.id} is told of twice by {together}"
    if any(each.sequence != row.sequence for each in standing):
        yield f"{row.id} at {row.sequence} owes what belongs to {sorted({each.sequence for each in standing})}"
    # A move that nobody has been told of yet is none to a patient: what is cancelled is the time before.
    dated = [each for each in standing if each.rule != "cancelled" or row.sequence == 1]
    if {datetime.fromisoformat(each.context["about"]) for each in dated} - {row.starts_at}:
        yield f"{row.id} owes messages about another time than {row.starts_at}"
    for each in owed:
        called_off = each.status == "suppressed" and (each.called_off_at is not None or each.rule == "day_of")
        if each.status != "pending" and not called_off:
            yield f"{row.id}: message {each.rule} is {each.status} ({each.reason})"
    if not together and len({each.sequence for each in owed}) != row.sequence + 1:
        yield f"{row.id} at {row.sequence} was not told of every time"


def _owed(row: Appointment, *, back: bool) -> set[str]:
    """The rules by which a visit owes something; `back` says that it has the time at which it was booked."""
    if row.status == "cancelled":
        return {"cancelled"}
    dose = AFTER_DOSE if row.visit_type == "infusion" else set()
    late = {"day_of"} if row.local_start[11:] >= "12:00" else set()
    if row.sequence and not back:
        return REMINDERS | dose | late | {"rescheduled"}
    # What was booked with others is no news by itself: the course's own message tells of it.
    return REMINDERS | dose | late | (set() if row.course_id else {"booked"})


def _difference(have: Counter[Any], want: Counter[Any]) -> str:
    return f"too much {sorted(have - want)}, too little {sorted(want - have)}"


def wrong_overviews(tables: Tables) -> Iterator[str]:
    """A booked course owes its news and its overview once; another neither. No patient has two waiting of changes."""
    told: dict[UUID | None, list[str]] = defaultdict(list)
    changes = Counter[tuple[UUID | None, str]]()
    for message in tables.messages:
        if "visits" in message.context:
            changes[message.patient_id, message.rule] += message.status == "pending"
        elif message.appointment_id is None:
            told[message.course_id].append(message.rule)
    yield from (f"{rule} waits {times} times for {key}" for (key, rule), times in changes.items() if times > 1)
    for course in tables.rows(Course):
        rules = sorted(told.pop(course.id, []))
        if rules != (["course_booked", "series_overview"] if course.status == "active" else []):
            yield f"course {course.id} is {course.status} and owes {rules}"
    yield from (f"an overview of {key}, which is none" for key in told)
