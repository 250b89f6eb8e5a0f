"""A course from protocol to calendar: laid out, planned against real people and rooms, booked whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import AlreadyExists, Invalid, NoFeasiblePlan, PlanStale, ProtocolNotApproved, Refused
from scheduler.models import Appointment, Course, Gate, Message, Occupancy, StoredPlan
from scheduler.services import absences, booking, courses, planning, plans, protocols
from scheduler.services.appointments import AppointmentView
from scheduler.services.courses import CourseView, WantedCourse
from scheduler.services.finding import Wanted
from scheduler.services.plans import OfferedPlan
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import count

EVALUATION = visit_type(
    "evaluation", segment("talk", 30, need("role:prescriber"), need("room:consult")), kind="evaluation"
)
DOSE = visit_type(
    "dose",
    segment("prep", 20, need("role:nurse"), need("role:prescriber"), need("room:bay")),
    segment("watch", 100, need("role:nurse", "shared"), need("role:prescriber", "present"), need("room:bay")),
    segment("turnover", 15, need("room:bay"), patient=False),
    kind="dosing",
    modality="iv",
)
TALK = visit_type("talk", segment("talk", 55, need("role:therapist"), need("room:consult")), kind="integration")


def protocol(count: int = 3, *, gap: tuple[int, int, int] = (2, 2, 5), gate: int | None = None) -> dict[str, Any]:
    """An evaluation, some doses, and a talk after each."""
    dose = {
        "key": "dose",
        "visit_type": "dose",
        "count": count,
        "dosing": True,
        "entry": {"anchor": "evaluation", "unit": "days", "min": 1, "target": 1, "max": 14},
        "gap": dict(zip(("unit", "min", "target", "max"), ("days", *gap), strict=True)),
    }
    talk = {
        "key": "talk",
        "visit_type": "talk",
        "each": "dose",
        "window": {"edge": "end", "unit": "hours", "min": 24, "target": 48, "max": 72},
        "before_next": True,
    }
    gates = [{"key": "review", "after": {"step": "dose", "count": gate}, "kind": "hard", "deadline_days": 14}]
    return {
        "code": "trial",
        "name": "Trial",
        "modality": "iv",
        "continuity": ["prescriber", "therapist"],
        "phases": [
            {"key": "evaluation", "steps": [{"key": "evaluation", "visit_type": "evaluation", "count": 1}]},
            {"key": "induction", "steps": [dose, talk]},
        ],
        "gates": gates if gate else [],
    }


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = Clinic(engine)
    for document in (EVALUATION, DOSE, TALK):
        made.visit(document)
    for role in ("nurse", "prescriber", "therapist"):
        made.staff(role)
    made.room("bay")
    made.room("consult")
    return made


def approve(clinic: Clinic, document: Mapping[str, Any]) -> None:
    def work(session: Session, call: Call) -> None:
        row = protocols.create(session, call, document)
        protocols.publish(session, call, row.id, None, approved_by="A Clinician", note="for the test")

    clinic.do(work)


def course(clinic: Clinic, patient_id: UUID | None = None, **preferences: Any) -> CourseView:
    wanted = WantedCourse(patient_id or clinic.patient(), "trial", clinic.location_id, date(2030, 3, 4), preferences)
    return clinic.do(lambda s, c: courses.create(s, c, wanted))


def offer(clinic: Clinic, course_id: UUID, number: int = 1, through: str = "next_gate") -> list[OfferedPlan]:
    def work(session: Session, call: Call) -> list[OfferedPlan]:
        desk, found = planning.make_plans(session, call, course_id, count=number, through=through)
        return plans.keep(session, call, desk, found, 30)

    return clinic.do(work)


def accept(clinic: Clinic, course_id: UUID, token: str, **changes: Any) -> list[AppointmentView]:
    return clinic.do(lambda s, c: plans.book(s, c, course_id, token), **changes)


def test_a_course_needs_an_approved_protocol(clinic: Clinic) -> None:
    with pytest.raises(Invalid) as unknown:
        course(clinic)
    assert unknown.value.faults[0].code == "unknown_protocol"
    clinic.do(lambda s, c: protocols.create(s, c, protocol()))
    with pytest.raises(ProtocolNotApproved):
        course(clinic)
    assert count(clinic, Course) == 0


def test_a_course_is_laid_out_with_its_windows_and_gates(clinic: Clinic) -> None:
    approve(clinic, protocol(gate=2))
    made = course(clinic)
    steps = [(each.step, each.sequence) for each in made.sessions]
    assert steps == [("evaluation", 1), ("dose", 2), ("talk", 3), ("dose", 4), ("talk", 5), ("dose", 6), ("talk", 7)]
    assert made.sessions[1].earliest == date(2030, 3, 5)
    assert made.sessions[3].earliest == date(2030, 3, 7)
    assert [(gate.key, gate.after_position, gate.outcome) for gate in made.gates] == [("review", 3, "pending")]
    assert made.row.status == "draft"


def test_a_new_version_never_alters_a_running_course(clinic: Clinic) -> None:
    approve(clinic, protocol(3))
    made = course(clinic)
    approve(clinic, protocol(4))
    again = clinic.do(lambda s, c: courses.get(s, c, made.id))
    assert (again.protocol.version, len(again.sessions)) == (1, 7)
    assert len(offer(clinic, made.id)[0].plan.sessions) == 7


def test_a_plan_keeps_every_rule_and_books_as_it_says(clinic: Clinic) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    starts = [(each.spec.step, to_local(each.start, clinic.time_zone)) for each in best.plan.sessions]
    doses = [start for step, start in starts if step == "dose"]
    gaps = [(b.date() - a.date()).days for a, b in pairwise(doses)]
    assert all(2 <= gap <= 5 for gap in gaps)
    for dose, talk in zip(
        [each for each in best.plan.sessions if each.spec.step == "dose"],
        [each for each in best.plan.sessions if each.spec.step == "talk"],
        strict=True,
    ):
        assert timedelta(hours=24) <= talk.start - dose.end <= timedelta(hours=72)
    assert sum(best.plan.plan.parts.values()) == best.plan.plan.cost
    assert count(clinic, Occupancy) == 0, "a plan occupies nothing"
    booked = accept(clinic, made.id, best.token)
    assert [view.row.starts_at for view in booked] == [each.start for each in best.plan.sessions]
    assert {view.row.status for view in booked} == {"booked"}
    after = clinic.do(lambda s, c: courses.get(s, c, made.id))
    assert after.row.status == "active"
    assert len(after.booked) == len(after.sessions)


def test_a_course_is_told_of_in_one_message_and_each_visit_reminded_of_by_itself(clinic: Clinic) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    booked = accept(clinic, made.id, best.token)
    with Session(clinic.engine) as session:
        owed = session.scalars(select(Message)).all()
    now = {message.rule for message in owed if message.due_at == clinic.call.now or message.course_id}
    assert now == {"course_booked", "series_overview"}
    assert "booked" not in {message.rule for message in owed}
    reminded = {message.appointment_id for message in owed if message.kind in {"remind_72h", "remind_24h"}}
    assert reminded == {view.id for view in booked}


def test_a_plan_is_booked_once(clinic: Clinic) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    accept(clinic, made.id, best.token)
    with pytest.raises(PlanStale):
        accept(clinic, made.id, best.token)
    with pytest.raises(Invalid, match="fault"):
        offer(clinic, made.id)


def test_unrelated_bookings_do_not_make_a_plan_stale_but_a_taken_time_does(clinic: Clinic) -> None:
    clinic.staff("therapist")
    clinic.room("consult")
    approve(clinic, protocol())
    first, second = course(clinic), course(clinic)
    [ours], [theirs] = offer(clinic, first.id), offer(clinic, second.id)
    talk = next(each for each in ours.plan.sessions if each.spec.step == "talk")
    other = Wanted(clinic.patient(), "talk", clinic.location_id, talk.start)
    clinic.do(lambda s, c: booking.book(s, c, other))
    assert len(accept(clinic, first.id, ours.token)) == 7, "the second therapist takes it"
    with pytest.raises(PlanStale):
        accept(clinic, second.id, theirs.token)


def test_a_stale_plan_books_nothing_at_all(clinic: Clinic) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    last = best.plan.sessions[-1]
    other = Wanted(clinic.patient(), "talk", clinic.location_id, last.start)
    clinic.do(lambda s, c: booking.book(s, c, other))
    with pytest.raises(PlanStale):
        accept(clinic, made.id, best.token)
    assert count(clinic, Appointment) == 1
    [fresh] = offer(clinic, made.id)
    assert len(accept(clinic, made.id, fresh.token)) == 7


def test_a_plan_expires(clinic: Clinic) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    with pytest.raises(PlanStale):
        accept(clinic, made.id, best.token, now=clinic.later(minutes=31))


@pytest.mark.parametrize("token", ["", "x", "AAAA", "?" * 60])
def test_a_token_that_is_none_is_a_fault(clinic: Clinic, token: str) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    with pytest.raises((Invalid, PlanStale)):
        accept(clinic, made.id, token)


def test_a_tampered_token_is_a_fault(clinic: Clinic) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    with pytest.raises(Invalid):
        accept(clinic, made.id, best.token[:-4] + ("AAAA" if best.token[-4:] != "AAAA" else "BBBB"))


def test_what_lies_behind_a_gate_is_planned_when_asked_and_only_pencilled(clinic: Clinic) -> None:
    approve(clinic, protocol(gate=2))
    made = course(clinic)
    [tranche] = offer(clinic, made.id)
    assert [each.spec.sequence for each in tranche.plan.sessions if each.spec.step == "dose"] == [2, 4]
    [whole] = offer(clinic, made.id, through="all")
    booked = accept(clinic, made.id, whole.token)
    assert [view.row.status for view in booked] == ["booked"] * 5 + ["pending"] * 2


def test_the_rest_is_planned_around_what_is_booked(clinic: Clinic) -> None:
    approve(clinic, protocol(gate=2))
    made = course(clinic)
    [tranche] = offer(clinic, made.id)
    booked = accept(clinic, made.id, tranche.token)

    def passed(session: Session, call: Call) -> None:
        session.get_one(Gate, (call.organization_id, made.id, "review")).outcome = "passed"

    clinic.do(passed)
    [rest] = offer(clinic, made.id)
    assert [each.spec.step for each in rest.plan.sessions] == ["dose", "talk"]
    before = max(view.row.starts_at for view in booked if view.row.visit_type == "dose")
    gap = to_local(rest.plan.sessions[0].start, clinic.time_zone).date() - to_local(before, clinic.time_zone).date()
    assert 2 <= gap.days <= 5
    assert {view.row.status for view in accept(clinic, made.id, rest.token)} == {"booked"}


class TestWishes:
    def test_days_hours_and_blackouts_bind(self, clinic: Clinic) -> None:
        approve(clinic, protocol())
        away = [{"from": "2030-03-06", "to": "2030-03-08"}]
        made = course(clinic, weekdays=["mon", "tue", "wed", "thu"], earliest="10:00", latest="14:00", blackouts=away)
        [best] = offer(clinic, made.id)
        for each in best.plan.sessions:
            local = to_local(each.start, clinic.time_zone)
            assert local.weekday() <= 3
            assert "10:00" <= f"{local:%H:%M}" <= "14:00"
            assert not date(2030, 3, 6) <= local.date() <= date(2030, 3, 8)

    def test_the_same_person_throughout_when_required(self, clinic: Clinic) -> None:
        second = clinic.staff("therapist")
        approve(clinic, protocol())
        made = course(clinic, practitioner_ids=[str(second)], continuity="required")
        [best] = offer(clinic, made.id)
        booked = accept(clinic, made.id, best.token)
        therapists = {p.resource_id for view in booked for p in view.participants if p.role == "therapist"}
        assert therapists == {second}

    def test_what_cannot_be_is_refused_with_what_blocks_it(self, clinic: Clinic) -> None:
        approve(clinic, protocol())
        made = course(clinic, weekdays=["sat"])
        with pytest.raises(NoFeasiblePlan) as caught:
            offer(clinic, made.id)
        [block] = caught.value.blocking
        assert (block["session"], block["code"]) == (1, "no_start")
        assert count(clinic, StoredPlan) == 0


def test_the_only_plan_there_is_is_found_where_taking_the_first_free_time_fails(clinic: Clinic) -> None:
    """The nurse's free days leave one chain: a greedy desk takes Tuesday for the first dose and is stuck."""
    approve(clinic, protocol(2, gap=(3, 3, 3)))
    nurse = _the(clinic, "nurse")
    away = [("03-04", "03-05"), ("03-07", "03-09"), ("03-10", "03-12"), ("03-13", "12-31")]  # there on 5, 6, 9 and 12
    for first, past in away:
        span = clinic.at(f"2030-{first} 00:00"), clinic.at(f"2030-{past} 00:00")
        clinic.do(lambda s, c, span=span: absences.create(s, c, resource_id=nurse, start=span[0], end=span[1]))
    made = course(clinic)
    with pytest.raises(NoFeasiblePlan):
        offer(clinic, made.id)  # 9 March is a Saturday: the clinic is closed, so no two free days are three apart
    saturday = [
        {"weekday": day, "start": "08:00", "end": "18:00"} for day in ("mon", "tue", "wed", "thu", "fri", "sat")
    ]
    _open(clinic, saturday)
    [best] = offer(clinic, made.id)
    days = [to_local(each.start, clinic.time_zone).day for each in best.plan.sessions if each.spec.step == "dose"]
    assert days == [6, 9], "from the 5th, three days lead to the 8th, on which nobody is there"


def _the(clinic: Clinic, role: str) -> UUID:
    from scheduler.models import Resource

    with Session(clinic.engine) as session:
        rows = session.scalars(select(Resource).where(Resource.kind == "practitioner")).all()
        return next(row.id for row in rows if row.roles[0]["code"] == role)


def _open(clinic: Clinic, hours: list[dict[str, str]]) -> None:
    """Give the location and everyone in it these hours."""
    from scheduler.models import Location, Resource

    with Session(clinic.engine) as session:
        session.get_one(Location, (clinic.call.organization_id, clinic.location_id)).hours = hours
        for row in session.scalars(select(Resource).where(Resource.kind == "practitioner")):
            row.hours = [{**entry, "location_id": str(clinic.location_id)} for entry in hours]
        session.commit()


class TestOneSessionByItself:
    @pytest.fixture
    def booked(self, clinic: Clinic) -> tuple[CourseView, list[AppointmentView]]:
        approve(clinic, protocol())
        made = course(clinic)
        [best] = offer(clinic, made.id)
        return made, accept(clinic, made.id, best.token)

    def test_a_dose_moves_no_closer_to_its_neighbors_than_allowed(
        self, clinic: Clinic, booked: tuple[CourseView, list[AppointmentView]]
    ) -> None:
        doses = [view for view in booked[1] if view.row.visit_type == "dose"]
        near = to_local(doses[0].row.starts_at, clinic.time_zone) + timedelta(days=1, hours=3)
        with pytest.raises(Refused) as caught:
            clinic.do(lambda s, c: booking.reschedule(s, c, doses[1].id, clinic.at(f"{near:%Y-%m-%d %H:%M}")))
        assert "gap_too_short" in {reason.code for reason in caught.value.reasons}

    def test_a_cancelled_session_is_booked_again_for_its_course(
        self, clinic: Clinic, booked: tuple[CourseView, list[AppointmentView]]
    ) -> None:
        made, views = booked
        last = views[-1]
        clinic.do(lambda s, c: booking.cancel(s, c, last.id, reason="x", by="patient"))
        session_id = last.row.course_session_id
        wanted = Wanted(
            made.row.patient_id, "talk", clinic.location_id, last.row.starts_at, course_session_id=session_id
        )
        again = clinic.do(lambda s, c: booking.book(s, c, wanted))
        assert (again.row.course_id, again.row.course_session_id) == (made.id, session_id)
        later = last.row.starts_at + timedelta(hours=2)
        twice = Wanted(made.row.patient_id, "talk", clinic.location_id, later, course_session_id=session_id)
        with pytest.raises(AlreadyExists):
            clinic.do(lambda s, c: booking.book(s, c, twice))


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/New_York", "2030-02-18"),
        ("Europe/London", "2030-03-11"),
        ("America/New_York", "2030-10-14"),
        ("Europe/London", "2030-10-07"),
    ],
)
def test_a_weekly_course_keeps_nine_o_clock_across_the_change(engine: Engine, zone: str, start: str) -> None:
    clinic = Clinic(engine, time_zone=zone)
    for document in (EVALUATION, DOSE, TALK):
        clinic.visit(document)
    for role in ("nurse", "prescriber", "therapist"):
        clinic.staff(role)
    clinic.room("bay")
    clinic.room("consult")
    approve(clinic, protocol(4, gap=(7, 7, 7)))
    day = date.fromisoformat(start)
    wishes = {"weekdays": ["mon", "tue", "wed"], "earliest": "09:00", "latest": "09:00"}
    wanted = WantedCourse(clinic.patient(), "trial", clinic.location_id, day, wishes)
    now = datetime.fromisoformat(f"{start}T00:00+00:00") - timedelta(days=1)
    made = clinic.do(lambda s, c: courses.create(s, c, wanted), now=now)

    def work(session: Session, call: Call) -> list[OfferedPlan]:
        desk, found = planning.make_plans(session, call, made.id)
        return plans.keep(session, call, desk, found, 30)

    [best] = clinic.do(work, now=now)
    booked = accept(clinic, made.id, best.token, now=now)
    doses = [view.row for view in booked if view.row.visit_type == "dose"]
    assert {row.local_start[-5:] for row in doses} == {"09:00"}
    assert len({row.starts_at.time() for row in doses}) == 2, "the instants move by the hour, the clock does not"
    assert {row.ends_at - row.starts_at for row in doses} == {timedelta(minutes=120)}
