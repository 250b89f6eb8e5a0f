"""A course from protocol to calendar: laid out, planned against real people and rooms, booked whole or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.api.course_documents import CourseSchema, course_document
from scheduler.api.schema import instance
from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import AlreadyExists, Invalid, PlanStale, ProtocolNotApproved, Refused
from scheduler.models import Appointment, Course, Gate, Message, Occupancy, StoredPlan
from scheduler.services import booking, courses, protocols, timelines
from scheduler.services.appointments import AppointmentView
from scheduler.services.catalog import protocol_of
from scheduler.services.courses import CourseView
from scheduler.services.finding import Wanted
from scheduler.services.opening_days import days_within
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import count


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_course_clinic(engine)


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


def test_windows_count_clinic_days_where_the_gap_does(clinic: Clinic) -> None:
    document = protocol(3, gap=(2, 2, 4))
    document["phases"][1]["steps"][0]["gap"]["unit"] = "clinic_days"
    approve(clinic, document)
    made = course(clinic)  # from Monday 4 March; the clinic is closed at weekends
    doses = [each for each in made.sessions if each.step == "dose"]
    assert [each.earliest for each in doses] == [date(2030, 3, day) for day in (5, 7, 11)]
    assert [each.target for each in doses] == [date(2030, 3, day) for day in (5, 7, 11)]
    shown = clinic.do(lambda s, c: timelines.of_course(s, c, made.id))
    assert [bar.earliest for bar in shown.bars if bar.label.startswith("dose")] == [each.earliest for each in doses]
    [offered] = offer(clinic, made.id)
    accept(clinic, made.id, offered.token)
    again = clinic.do(lambda s, c: timelines.of_course(s, c, made.id))
    bars = [bar for bar in again.bars if bar.label.startswith("dose")]
    assert all(bar.mark is not None and bar.mark.state == "booked" for bar in bars), "none stands outside its window"
    assert (bars[1].latest, bars[2].latest) == (date(2030, 3, 11), date(2030, 3, 13))


def test_what_is_only_shown_says_what_who_changes_it_reads(clinic: Clinic) -> None:
    """By rows and by entities, in one look and in a list; what a protocol says is read again when it says more."""
    approve(clinic, protocol(gate=2))
    plain, other = course(clinic), course(clinic, weekdays=["mon", "wed", "thu"])
    [offered] = offer(clinic, plain.id)
    first = accept(clinic, plain.id, offered.token)[0]
    clinic.do(lambda s, c: booking.cancel(s, c, first.id, reason="ill", by="patient"))

    def both(session: Session, call: Call) -> None:
        told = [courses.get(session, call, each.id) for each in (plain, other)]
        assert [bool(each.broken) for each in told] == [True, False]
        wanted = [instance(CourseSchema).as_json(course_document(each)) for each in told]
        rows = [courses.shown(session, call, each.id) for each in (plain, other)]
        assert [instance(CourseSchema).as_json(course_document(each)) for each in rows] == wanted
        listed = courses.listed(session, call, protocol="trial", limit=5).items
        assert [instance(CourseSchema).as_json(course_document(each)) for each in listed] == wanted

    clinic.do(both)


def test_a_document_that_is_taken_back_is_not_remembered(clinic: Clinic) -> None:
    """A rehearsal leaves nothing behind, though the next version has the number that it had."""
    made = clinic.do(lambda s, c: protocols.create(s, c, protocol(3)))

    def counts(session: Session, call: Call) -> int:
        return sum(step.count or 0 for _, step in protocol_of(session, call, made.id)[1].steps() if step.key == "dose")

    def with_doses(count: int, *, dry_run: bool) -> int:
        def change(session: Session, call: Call) -> int:
            phases = protocol(count)["phases"]
            protocols.change(session, call, made.id, made.revision, {"phases": phases})
            return counts(session, call)

        return clinic.do(change, dry_run=dry_run)

    assert clinic.do(counts) == 3
    assert with_doses(4, dry_run=True) == 4
    assert clinic.do(counts) == 3
    assert with_doses(5, dry_run=False) == 5
    assert clinic.do(counts) == 5


def test_where_nobody_closes_overnight_each_day_is_one() -> None:
    timeline = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 4)
    from_noon_on = timeline.everything & ~((1 << 144) - 1)
    assert days_within(from_noon_on, timeline, "UTC") == {date(2030, 3, day) for day in (4, 5, 6, 7)}


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


def test_a_plan_that_breaks_a_rule_is_seen_before_it_is_booked(clinic: Clinic) -> None:
    """Whatever it was that made it: here somebody has tampered with what is stored."""
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    with Session(clinic.engine) as session, session.begin():
        row = session.scalars(select(StoredPlan)).one()
        *others, last = row.body["sessions"]
        late = {key: (datetime.fromisoformat(last[key]) + timedelta(days=14)).isoformat() for key in ("start", "end")}
        row.body = {**row.body, "sessions": [*others, last | late]}
    with pytest.raises(PlanStale, match="no longer keeps the rules"):
        accept(clinic, made.id, best.token)
    assert count(clinic, Appointment) == 0


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


def test_a_plan_that_was_tampered_with_in_its_row_is_refused_and_books_nothing(clinic: Clinic) -> None:
    """The last dose and its talk two weeks later: all are free then, and the gap before is too long."""
    approve(clinic, protocol())
    made = course(clinic)
    [best] = offer(clinic, made.id)

    def later(entry: dict[str, Any]) -> dict[str, Any]:
        return entry | {
            key: (datetime.fromisoformat(entry[key]) + timedelta(14)).isoformat() for key in ("start", "end")
        }

    with Session(clinic.engine) as session, session.begin():
        row = session.scalars(select(StoredPlan)).one()
        sessions = row.body["sessions"]
        row.body = row.body | {"sessions": [*sessions[:-2], *map(later, sessions[-2:])]}
    messages = count(clinic, Message)
    with pytest.raises(PlanStale, match=r"no longer keeps the rules of its protocol: session 6 is \d+ days after"):
        accept(clinic, made.id, best.token)
    assert (count(clinic, Appointment), count(clinic, Occupancy), count(clinic, Message)) == (0, 0, messages)


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
