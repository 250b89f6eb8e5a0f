"""The doctor: well is well, and each invariant that is broken by hand is found, and named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, Table, insert, select, text, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.database import snapshot
from scheduler.models import (
    Absence,
    Appointment,
    AuditEvent,
    Course,
    CourseSession,
    Gate,
    GroupPlace,
    Hold,
    IdempotencyRecord,
    Message,
    Occupancy,
    PatientKey,
    Resource,
    VisitTypeRow,
    WebhookDelivery,
    new_id,
)
from scheduler.services import absences, booking, gates, holds, visit_types, webhooks
from scheduler.services.appointments import AppointmentView
from scheduler.services.doctor import CHECKS, examine
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import book

CIRCLE = visit_type(
    "circle",
    segment("circle", 60, need("role:therapist"), need("room:consult")),
    kind="group",
    group={"minimum": 1, "maximum": 3, "decide_hours": 24, "below_minimum": "task"},
)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """A course of three doses, a group of two, a hold, and an address that is told of all."""
    made = open_course_clinic(engine)
    made.visit(CIRCLE)

    def limit(session: Session, call: Call) -> None:
        dose = next(row for row in visit_types.listing(session, call).items if row.code == "dose")
        visit_types.change(session, call, dose.id, dose.revision, {"limits": limits(20)})
        webhooks.create(session, call, {"url": "https://example.org/hook"}, private=False)

    made.do(limit)
    approve(made, protocol(gate=2))
    booked = course(made)
    accept(made, booked.id, offer(made, booked.id, through="all")[0].token)
    made.do(lambda s, c: gates.decide(s, c, booked.id, "review", outcome="passed", by="A Clinician"))
    accept(made, booked.id, offer(made, booked.id)[0].token)
    for start in ("2030-03-21 10:00", "2030-03-21 10:00", "2030-03-22 10:00"):
        circle(made, start)
    held = wanted(made, "2030-03-25 10:00")
    made.do(lambda s, c: holds.create(s, c, held))
    gone = circle(made, "2030-03-26 10:00")
    made.do(lambda s, c: booking.cancel(s, c, gone.id, reason="ill", by="patient"))
    return made


def limits(hours: int) -> dict[str, Any]:
    return {"min_hours_between_doses": hours, "modalities": ["iv"]}


def wanted(clinic: Clinic, start: str) -> Wanted:
    return Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(start))


def circle(clinic: Clinic, start: str) -> AppointmentView:
    asked = wanted(clinic, start)
    return clinic.do(lambda s, c: booking.book(s, c, asked))


def broken(session: Session, clinic: Clinic) -> set[str]:
    return {found.key for found in examine(session, clinic.call) if found.count}


def table(model: Any) -> Table:
    return cast("Table", model.__table__)


class Hand:
    """Somebody who writes into the tables whatever they like."""

    def __init__(self, connection: Connection, clinic: Clinic) -> None:
        self.connection, self.clinic = connection, clinic

    def unguard(self) -> None:
        if self.connection.dialect.name == "sqlite":
            for when in ("insert", "update"):
                self.connection.execute(text(f"DROP TRIGGER no_double_booking_{when}"))
        else:
            self.connection.execute(text("ALTER TABLE occupancies DROP CONSTRAINT no_double_booking"))

    def unbind(self, model: Any, column: str) -> None:
        """Let a column point anywhere."""
        if self.connection.dialect.name == "sqlite":
            self.connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            return
        [key] = [each for each in table(model).foreign_key_constraints if column in each.column_keys]
        self.connection.execute(text(f"ALTER TABLE {table(model).name} DROP CONSTRAINT {key.name}"))

    def write(self, model: Any, *conditions: Any, **values: Any) -> None:
        done = self.connection.execute(update(table(model)).where(*conditions).values(values))
        assert done.rowcount > 0

    def delete(self, model: Any, *conditions: Any) -> None:
        assert self.connection.execute(table(model).delete().where(*conditions)).rowcount > 0

    def copy(self, model: Any, *conditions: Any, **values: Any) -> None:
        row = self.connection.execute(select(table(model)).where(*conditions).limit(1)).one()
        self.connection.execute(insert(table(model)), [row._asdict() | {"id": new_id()} | values])

    def visit(self, code: str = "talk") -> UUID:
        """A visit that is booked, the last one of its kind."""
        mine = Appointment.visit_type == code, Appointment.status == "booked"
        found = select(Appointment.id).where(*mine).order_by(Appointment.starts_at.desc()).limit(1)
        return cast("UUID", self.connection.execute(found).scalar_one())

    def put(self, code: str, start: str) -> None:
        """Say that the last visit of a kind begins then, and change nothing else."""
        key = self.visit(code)
        row = self.connection.execute(select(table(Appointment)).where(Appointment.id == key)).one()
        starts_at = self.clinic.at(start)
        ends_at = starts_at + (row.ends_at - row.starts_at)
        self.write(Appointment, Appointment.id == key, local_start=start, starts_at=starts_at, ends_at=ends_at)


PAST, HOUR = datetime(2030, 2, 1, tzinfo=UTC), timedelta(hours=1)


def _overlap(hand: Hand) -> None:
    hand.unguard()
    hand.copy(Occupancy, Occupancy.role == "room:bay")


def _tight_doses(hand: Hand) -> None:
    row = hand.connection.execute(select(table(VisitTypeRow)).where(VisitTypeRow.code == "dose")).one()
    hand.write(VisitTypeRow, VisitTypeRow.id == row.id, definition={**row.definition, "limits": limits(400)})


def _unreadable(hand: Hand) -> None:
    hand.write(VisitTypeRow, VisitTypeRow.code == "dose", definition={"code": "dose"})


def _dangling(hand: Hand) -> None:
    hand.unbind(PatientKey, "patient_id")
    row = hand.connection.execute(select(table(PatientKey)).limit(1)).one()
    hand.write(PatientKey, PatientKey.patient_id == row.patient_id, PatientKey.kind == row.kind, patient_id=new_id())


def _nobodys(hand: Hand) -> None:
    hand.unbind(Occupancy, "appointment_id")
    hand.write(Occupancy, Occupancy.role == "room:bay", appointment_id=new_id())


def _half_answered(hand: Hand) -> None:
    of = {"organization_id": hand.clinic.call.organization_id, "key_id": new_id(), "key": "k", "fingerprint": "f"}
    hand.connection.execute(insert(table(IdempotencyRecord)), [of | {"created_at": PAST, "expires_at": PAST}])


def _elsewhere(hand: Hand) -> None:
    """The talk was booked with the bay by name, and is in the consulting room."""
    bay = hand.connection.execute(select(table(Resource).c.id).where(table(Resource).c.type_code == "bay")).scalar_one()
    hand.write(
        Appointment, Appointment.id == hand.visit(), pins=[{"selector": "room:consult", "resource_id": str(bay)}]
    )


def _absence(hand: Hand, role: str) -> dict[str, Any]:
    """An absence of whoever has that role, while the last dose is given."""
    who = hand.connection.execute(select(table(Resource).c.id).where(table(Resource).c.name == role)).scalar_one()
    row = hand.connection.execute(select(table(Appointment)).where(Appointment.id == hand.visit("dose"))).one()
    of = {"organization_id": hand.clinic.call.organization_id, "resource_id": who, "reason": "", "revision": 1}
    return of | {"id": new_id(), "starts_at": row.ends_at - HOUR, "ends_at": row.ends_at, "created_at": PAST}


def _away(hand: Hand, role: str) -> None:
    hand.connection.execute(insert(table(Absence)), [_absence(hand, role)])


#: What is done to a sound clinic, and the invariants that are broken by it: these, and no others.
DAMAGE: dict[str, tuple[set[str], Callable[[Hand], None]]] = {
    "no guard": ({"guards"}, Hand.unguard),
    "a key of nobody": ({"references"}, _dangling),
    "a room taken twice": ({"guards", "overlaps"}, _overlap),
    "a unit that is not there": ({"units"}, lambda hand: hand.write(Resource, Resource.kind == "room", units=2)),
    "a cancelled visit that takes up time": (
        {"owners", "audit"},
        lambda hand: hand.write(Appointment, Appointment.id == hand.visit(), status="cancelled"),
    ),
    "a released hold that takes up time": ({"owners"}, lambda hand: hand.write(Hold, ended_at=hand.clinic.call.now)),
    "a room taken by nobody": ({"owners", "references"}, _nobodys),
    "a patient who is free": (
        {"patients_time"},
        lambda hand: hand.delete(Occupancy, Occupancy.appointment_id == hand.visit(), Occupancy.role == "patient"),
    ),
    "a room that serves as a nurse": (
        {"participants"},
        lambda hand: hand.write(Occupancy, Occupancy.role == "room:bay", role="role:nurse"),
    ),
    "another wall time": (
        {"wall_times"},
        lambda hand: hand.write(Appointment, Appointment.id == hand.visit("circle"), local_start="2030-03-22T09:00"),
    ),
    "a visit of another kind than its session": (
        {"sessions"},
        lambda hand: hand.write(CourseSession, CourseSession.step == "talk", visit_type="circle"),
    ),
    "a place that was taken away": (
        {"groups"},
        lambda hand: hand.write(GroupPlace, GroupPlace.appointment_id.is_not(None), appointment_id=None),
    ),
    "a place of somebody who left": (
        {"groups"},
        lambda hand: hand.write(Appointment, Appointment.id == hand.visit("circle"), group_id=None),
    ),
    "a course that was given up": ({"given_up"}, lambda hand: hand.write(Course, status="revoked")),
    "a visit pencilled for ever": (
        {"pencilled"},
        lambda hand: hand.write(Appointment, Appointment.id == hand.visit(), status="pending", pencilled_until=PAST),
    ),
    "a room other than the one asked for": ({"named"}, _elsewhere),
    "a nurse who is away": ({"away"}, lambda hand: _away(hand, "nurse")),
    "nobody on site who must be": ({"away"}, lambda hand: _away(hand, "prescriber")),
    "a gate that nobody has passed": ({"gates"}, lambda hand: hand.write(Gate, outcome="pending")),
    "a gate that failed in silence": ({"gates"}, lambda hand: hand.write(Gate, outcome="failed")),
    "a dose too soon": ({"gaps", "patients_time"}, lambda hand: hand.put("dose", "2030-03-08T08:00")),
    "doses that may not be so close any more": ({"doses"}, _tight_doses),
    "a document that cannot be read": ({"gaps", "doses", "reminders"}, _unreadable),
    "a lost reminder": (
        {"reminders"},
        lambda hand: hand.delete(Message, Message.appointment_id == hand.visit("circle"), Message.rule == "remind_24h"),
    ),
    "a reminder of another time": (
        {"outdated", "reminders"},
        lambda hand: hand.write(
            Message, Message.appointment_id == hand.visit("circle"), Message.status == "pending", sequence=7
        ),
    ),
    "a worker that never came back": (
        {"leases"},
        lambda hand: hand.write(Message, Message.rule == "remind_24h", status="sending", lease_until=PAST),
    ),
    "a booking that nobody wrote down": (
        {"audit"},
        lambda hand: hand.delete(AuditEvent, AuditEvent.subject_id == hand.visit()),
    ),
    "an event of no visit": (
        {"audit"},
        lambda hand: hand.copy(AuditEvent, AuditEvent.subject_id == hand.visit(), subject_id=new_id()),
    ),
    "a key without an answer": ({"replays"}, _half_answered),
    "two things told under one number": ({"numbers"}, lambda hand: hand.copy(WebhookDelivery)),
}


def test_well_is_well_and_each_damage_is_named(engine: Engine, clinic: Clinic) -> None:
    with Session(engine) as session, snapshot(session):
        assert broken(session, clinic) == set()
    found = {}
    for what, (_, damage) in DAMAGE.items():
        with engine.connect() as connection, Session(connection) as session:
            damage(Hand(connection, clinic))
            found[what] = broken(session, clinic)
            session.close()
            connection.rollback()
    assert found == {what: named for what, (named, _) in DAMAGE.items()}
    assert set().union(*found.values()) == {check.key for check in CHECKS}, "each check must have been seen red"
    with engine.connect() as connection, Session(connection) as session:  # much is counted, and little is shown
        Hand(connection, clinic).delete(AuditEvent, AuditEvent.action == "appointment.book")
        [audit] = [each for each in examine(session, clinic.call) if each.key == "audit"]
        assert (audit.count, len(audit.shown)) == (11, 5)
        session.close()
        connection.rollback()
    lose_ground(clinic)
    with Session(engine) as session:
        assert broken(session, clinic) == set(), "somebody was told of each"


def lose_ground(clinic: Clinic) -> None:
    """A gate fails and the nurse falls ill, after all is booked."""
    with Session(clinic.engine) as session:
        [made] = session.scalars(select(Course.id))
        who = session.scalars(select(Resource.id).where(Resource.name == "nurse")).one()
    clinic.do(lambda s, c: gates.decide(s, c, made, "review", outcome="failed", by="A Clinician"))
    week = {"start": clinic.at("2030-03-04 00:00"), "end": clinic.at("2030-03-29 00:00")}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=who, **week))


#: Hours of those who may be on site, the whole visit or the one after the other.
WHOLE, EARLY, LATE = ("08:00", "18:00"), ("08:00", "10:30"), ("10:30", "18:00")


@pytest.mark.parametrize(
    ("hours", "gone", "bare"),
    [
        ([WHOLE, WHOLE], [0], False),
        ([WHOLE, WHOLE], [0, 1], True),
        ([WHOLE], [0, 0], True),
        ([EARLY, LATE], [0, 1], True),
    ],
    ids=["one of two", "both", "the same twice", "both who take turns"],
)
def test_whom_several_absences_leave_alone_together_is_found(
    engine: Engine, hours: list[tuple[str, str]], gone: list[int], *, bare: bool
) -> None:
    """Without one of them the visit may be bare all the same, by the others."""
    clinic = Clinic(engine)
    clinic.visit(visit_type("watch", segment("watch", 60, need("role:nurse"), need("role:prescriber", "present"))))
    clinic.staff("nurse")
    there = [clinic.staff("prescriber", hours=week(*each)) for each in hours]
    visit = book(clinic, clinic.patient(), "watch", "2030-03-04 10:00").row
    of = {"organization_id": clinic.call.organization_id, "reason": "", "revision": 1, "created_at": PAST}
    of |= {"starts_at": visit.starts_at, "ends_at": visit.ends_at}
    with engine.begin() as connection:
        for place in gone:
            connection.execute(insert(table(Absence)), [of | {"id": new_id(), "resource_id": there[place]}])
    with Session(engine) as session:
        assert broken(session, clinic) == ({"away"} if bare else set())
