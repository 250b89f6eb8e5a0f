"""A running course planned anew around what happened: least movement, rules kept, one transaction, one message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import IllegalTransition, Invalid, NoFeasiblePlan, PlanStale, Refused
from scheduler.core.standing import Broken
from scheduler.models import Appointment, Message, Occupancy
from scheduler.services import absences, booking, course_life, course_rules, courses, rebooking, replanning, visit_day
from scheduler.services.appointments import AppointmentView
from scheduler.services.course_changes import Action, Change
from scheduler.services.courses import CourseView
from scheduler.services.doctor import examine
from scheduler.services.finding import Wanted
from scheduler.services.replanning import Replan
from tests.clinic import Clinic, week
from tests.coursework import DOSE, EVALUATION, TALK, accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import book
from tests.plumbing.lock_order import watching


class Running:
    """A course that is booked."""

    def __init__(
        self,
        clinic: Clinic,
        gap: tuple[int, int, int] = (2, 2, 5),
        phase: Mapping[str, Any] | None = None,
        *,
        hard: bool = False,
        doses: int = 4,
        **wishes: Any,
    ) -> None:
        self.clinic = clinic
        document = protocol(doses, gap=gap)
        document["phases"][1]["steps"][0]["gap"]["hard_max"] = hard
        document["phases"][1] |= phase or {}
        approve(clinic, document)
        self.id = course(clinic, **wishes).id
        [best] = offer(clinic, self.id)
        accept(clinic, self.id, best.token)

    def view(self, **changes: Any) -> CourseView:
        return self.clinic.do(lambda s, c: courses.get(s, c, self.id), **changes)

    def visit(self, step: str, number: int) -> Appointment:
        """The living visit of that step's session."""
        view = self.view()
        sessions = [each for each in view.sessions if each.step == step]
        return view.booked[sessions[number - 1].id]

    def session_id(self, step: str, number: int) -> UUID:
        return [each for each in self.view().sessions if each.step == step][number - 1].id

    def propose(self, *changes: Change, pinned: Sequence[UUID] = (), **call: Any) -> Replan:
        def work(session: Session, of: Call) -> Replan:
            return replanning.propose(session, of, self.id, changes, pinned=pinned, minutes=30)

        return self.clinic.do(work, **call)

    def accept(self, plan: Replan, **call: Any) -> list[AppointmentView]:
        return self.clinic.do(lambda s, c: rebooking.accept(s, c, self.id, plan.token), **call)

    def starts(self) -> dict[str, datetime]:
        """Each standing session by name, in the clinic's wall time."""
        view, counted, found = self.view(), Counter[str](), {}
        for each in view.sessions:
            counted[each.step] += 1
            if each.id in view.booked:
                found[f"{each.step} {counted[each.step]}"] = to_local(
                    view.booked[each.id].starts_at, self.clinic.time_zone
                )
        return found

    def check(self) -> None:
        """From first principles: 2 to 5 days between doses, a talk 24 to 72 hours after each and before the next."""
        starts = self.starts()
        doses = [starts[f"dose {n}"] for n in range(1, 1 + sum(name.startswith("dose") for name in starts))]
        for number, dose in enumerate(doses, 1):
            if number > 1:
                assert 2 <= (dose.date() - doses[number - 2].date()).days <= 5
                assert starts[f"talk {number - 1}"].date() < dose.date()
            assert timedelta(hours=24) <= starts[f"talk {number}"] - dose - timedelta(hours=2) <= timedelta(hours=72)


def beyond(broken: Sequence[Broken]) -> list[tuple[int, str]]:
    """What is outside the protocol, whether or not somebody has closed the visits before."""
    return [(each.index, each.code) for each in broken if each.code != "not_closed"]


@pytest.fixture
def running(engine: Engine) -> Running:
    return Running(open_course_clinic(engine))


def test_one_cancelled_dose_moves_as_little_as_can_be(running: Running) -> None:
    before, visit = running.starts(), running.visit("dose", 3)
    plan = running.propose(Change(visit.id, "cancel"))
    assert running.starts() == before, "a plan changes nothing"
    whys = {each.session_id: each.why for each in plan.moved}
    assert whys[running.session_id("dose", 3)] == "its visit is cancelled"
    assert plan.broken == ()
    assert len(plan.kept) + len(plan.moved) == 9
    booked = running.accept(plan)
    assert {view.row.starts_at for view in booked} == {each.start for each in plan.moved}
    running.check()
    after = running.starts()
    assert after["dose 3"].date() != before["dose 3"].date(), "the patient does not come on that day"
    changed = {name for name in before if before[name] != after[name]}
    assert len(changed) == len(plan.moved)
    with Session(running.clinic.engine) as session:
        old = session.get_one(Appointment, (running.clinic.call.organization_id, visit.id))
        assert (old.status, old.cancelled_by) == ("cancelled", "staff")
        assert session.scalars(select(Occupancy).where(Occupancy.appointment_id == visit.id)).all() == []


def test_without_a_change_nothing_moves(running: Running) -> None:
    plan = running.propose()
    assert (plan.moved, plan.broken, len(plan.kept)) == ((), (), 9)
    assert running.accept(plan) == []


def test_a_missed_dose_is_planned_again_from_the_last_one_given(running: Running) -> None:
    given, missed = running.visit("dose", 1), running.visit("dose", 2)
    now = missed.starts_at + timedelta(minutes=30)
    plan = running.propose(Change(missed.id, "noshow"), now=now)
    assert plan.suggestions == (), "the protocol says nothing of missed doses"
    running.accept(plan, now=now)
    running.check()
    again = running.visit("dose", 2)
    assert again.id != missed.id
    assert again.starts_at > now
    gap = (
        to_local(again.starts_at, running.clinic.time_zone).date()
        - to_local(given.starts_at, running.clinic.time_zone).date()
    )
    assert 2 <= gap.days <= 5


def test_a_visit_without_a_dose_does_not_count(running: Running) -> None:
    visit = running.visit("dose", 2)
    now = visit.starts_at + timedelta(minutes=10)
    running.clinic.do(lambda s, c: visit_day.check_in(s, c, visit.id), now=now)
    plan = running.propose(Change(visit.id, "not_dosed"), now=now)
    running.accept(plan, now=now)
    running.check()
    with Session(running.clinic.engine) as session:
        old = session.get_one(Appointment, (running.clinic.call.organization_id, visit.id))
        assert (old.status, old.outcome) == ("fulfilled", "not_dosed")


def test_what_was_written_down_before_is_planned_around_too(running: Running) -> None:
    visit = running.visit("dose", 3)
    running.clinic.do(lambda s, c: booking.cancel(s, c, visit.id, reason="x", by="patient"))
    codes = {each.code for each in running.view().broken}
    assert codes == {"not_booked", "without_its_session"}, "the desk sees that the course wants planning"
    plan = running.propose(Change(visit.id, "cancel"))
    running.accept(plan)
    running.check()
    assert running.view().broken == ()


def test_a_move_leads_where_it_was_asked_to_and_the_talk_follows(running: Running) -> None:
    visit = running.visit("dose", 4)
    wanted = visit.starts_at + timedelta(days=1, hours=1)
    while to_local(wanted, running.clinic.time_zone).weekday() > 4:
        wanted += timedelta(days=1)
    plan = running.propose(Change(visit.id, "move", wanted))
    moved = {each.session_id: each for each in plan.moved}
    assert moved[running.session_id("dose", 4)].start == wanted
    running.accept(plan)
    assert running.visit("dose", 4).id == visit.id, "a move keeps the appointment"
    assert running.visit("dose", 4).sequence == visit.sequence + 1
    running.check()


def test_what_is_pinned_stays(engine: Engine) -> None:
    every_day = week(days=("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    running = Running(open_course_clinic(engine, hours=every_day), gap=(2, 3, 5))
    before = running.starts()
    pinned = [running.session_id("dose", 3), running.session_id("talk", 3)]
    plan = running.propose(Change(running.visit("dose", 2).id, "cancel"), pinned=pinned)
    running.accept(plan)
    after = running.starts()
    assert (after["dose 3"], after["talk 3"]) == (before["dose 3"], before["talk 3"])
    running.check()


def test_a_plan_that_keeps_no_limit_shows_what_it_breaks(running: Running) -> None:
    """The dose was missed and a week has gone by: five days after the last one given is over."""
    missed = running.visit("dose", 2)
    now = missed.starts_at + timedelta(days=5, hours=8)
    wanted = (missed, running.visit("talk", 2), running.visit("dose", 3), running.visit("talk", 3))
    changes = [Change(row.id, "noshow") for row in wanted if row.starts_at <= now]
    plan = running.propose(*changes, now=now)
    assert beyond(plan.broken) == [(3, "gap_too_long")]
    assert "the protocol allows at most 5" in next(each.detail for each in plan.broken if each.index == 3)
    running.accept(plan, now=now)
    assert beyond(running.view(now=now).broken) == [(3, "gap_too_long")]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_limit_that_can_be_kept_is_kept_though_another_cannot(engine: Engine) -> None:
    """The second dose was missed for days; the last but one asks for another day, which moves what follows it."""
    running = Running(open_course_clinic(engine), (2, 5, 5), doses=5)
    missed, later = (running.visit("dose", number) for number in (2, 4))
    now = missed.starts_at + timedelta(hours=29, minutes=5)
    changes = Change(missed.id, "noshow"), Change(later.id, "cancel")
    plan = running.propose(*changes, now=now)
    assert beyond(plan.broken) == [(3, "gap_too_long")]
    running.accept(plan, now=now)
    assert beyond(running.view(now=now).broken) == [(3, "gap_too_long")]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("hard", [False, True])
def test_only_the_length_of_a_phase_that_is_not_hard_is_exceeded(engine: Engine, *, hard: bool) -> None:
    running = Running(open_course_clinic(engine), (2, 2, 9), {"max_days": 8, "hard_max": hard})
    missed = running.visit("dose", 4)
    change, late = Change(missed.id, "noshow"), missed.starts_at + timedelta(days=3)
    if hard:
        with pytest.raises(NoFeasiblePlan, match="which its protocol makes hard"):
            running.propose(change, now=late)
    else:
        assert beyond(running.propose(change, now=late).broken) == [(7, "phase_too_long")]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_phase_may_take_longer_though_its_gaps_are_hard(engine: Engine) -> None:
    running = Running(open_course_clinic(engine), (2, 2, 9), {"max_days": 8}, hard=True)
    missed = running.visit("dose", 4)
    late = missed.starts_at + timedelta(days=3)
    assert beyond(running.propose(Change(missed.id, "noshow"), now=late).broken) == [(7, "phase_too_long")]


def test_a_replan_that_cannot_be_is_explained(running: Running) -> None:
    with Session(running.clinic.engine) as session:
        nurse = session.scalars(select(Occupancy.resource_id).where(Occupancy.role == "role:nurse")).first()
    assert nurse is not None
    span = {"start": running.clinic.later(days=1), "end": running.clinic.later(days=900)}
    running.clinic.do(lambda s, c: absences.create(s, c, resource_id=nurse, **span))
    with pytest.raises(NoFeasiblePlan) as caught:
        running.propose(Change(running.visit("dose", 3).id, "cancel"))
    assert "resource_absent" in {each["code"] for each in caught.value.blocking}


def test_one_message_tells_of_the_whole_change(running: Running) -> None:
    plan = running.propose(Change(running.visit("dose", 2).id, "cancel"))
    with Session(running.clinic.engine) as session:
        known = set(session.scalars(select(Message.id)))
    running.accept(plan)
    with Session(running.clinic.engine) as session:
        new = [row for row in session.scalars(select(Message)) if row.id not in known and row.status == "pending"]
        told = [row for row in new if row.kind not in {"remind_72h", "remind_24h"} and row.context.get("side") == "now"]
    assert len({row.kind for row in told}) == 1, told


def test_a_changed_calendar_makes_it_stale_and_nothing_is_kept(running: Running) -> None:
    visit = running.visit("dose", 3)
    plan = running.propose(Change(visit.id, "cancel"))
    place = next(each for each in plan.moved if each.session_id == running.session_id("dose", 3))
    wanted = Wanted(running.clinic.patient(), "dose", running.clinic.location_id, place.start)
    running.clinic.do(lambda s, c: booking.book(s, c, wanted))
    before = running.starts()
    with pytest.raises(PlanStale):
        running.accept(plan)
    assert running.starts() == before


def test_a_visit_that_changed_meanwhile_makes_it_stale(running: Running) -> None:
    plan = running.propose(Change(running.visit("dose", 3).id, "cancel"))
    talk = running.visit("talk", 4)
    running.clinic.do(lambda s, c: booking.cancel(s, c, talk.id, reason="x", by="patient"))
    with pytest.raises(PlanStale):
        running.accept(plan)


def test_changes_that_cannot_be_are_refused(running: Running) -> None:
    visit = running.visit("dose", 3)
    for action in ("noshow", "not_dosed"):
        with pytest.raises(IllegalTransition, match="can only be cancelled"):
            running.propose(Change(visit.id, action))
    with pytest.raises(Invalid) as caught:
        running.propose(
            Change(visit.id, "cancel", visit.starts_at), Change(visit.id, "move"), pinned=[running.clinic.location_id]
        )
    assert {fault.code for fault in caught.value.faults} == {"not_a_move", "twice", "unknown_session"}
    with pytest.raises(Invalid) as caught:
        running.propose(Change(running.clinic.location_id, "cancel"), pinned=[running.clinic.location_id])
    assert {fault.code for fault in caught.value.faults} == {"unknown_appointment", "unknown_session"}


@pytest.mark.parametrize("action", ["cancel", "move"])
def test_a_talk_that_is_pinned_binds_its_dose_whatever_becomes_of_it(running: Running, action: str) -> None:
    dose, talk = running.visit("dose", 1), running.visit("talk", 1)
    with pytest.raises(NoFeasiblePlan) as caught:
        running.propose(
            Change(dose.id, action, talk.starts_at if action == "move" else None),
            pinned=[running.session_id("talk", 1)],
        )
    assert caught.value.blocking


def test_a_talk_that_took_place_without_its_dose_binds_nothing(running: Running) -> None:
    dose, talk = running.visit("dose", 1), running.visit("talk", 1)
    running.clinic.do(lambda s, c: visit_day.no_show(s, c, dose.id), now=dose.starts_at + timedelta(hours=1))
    running.clinic.do(lambda s, c: visit_day.check_in(s, c, talk.id), now=talk.starts_at)
    now = talk.starts_at + timedelta(hours=2)
    running.clinic.do(lambda s, c: visit_day.fulfill(s, c, talk.id), now=now)
    asked = (running.session_id("dose", 1), dose.patient_id, dose.visit_type)
    link = running.clinic.do(lambda s, c: course_rules.link(s, c, *asked), now=now)
    assert link is not None
    assert (link.rules.not_after or now) >= now, "by hand neither"
    plan = running.propose(Change(dose.id, "noshow"), now=now)
    running.accept(plan, now=now)
    assert running.visit("dose", 1).starts_at >= now
    [found] = [each for each in running.clinic.do(lambda s, c: list(examine(s, c)), now=now) if each.key == "gaps"]
    assert found.count == 0, found.shown


class TestLife:
    def test_a_hold_freezes_doses_and_a_resumption_lets_them_go_on(self, running: Running) -> None:
        clinic = running.clinic
        held = clinic.do(lambda s, c: course_life.hold(s, c, running.id, reason="unwell"))
        assert held.row.status == "on-hold"
        dose, talk = running.visit("dose", 1), running.visit("talk", 1)
        assert _pending(clinic, dose.id) == 0
        assert _pending(clinic, talk.id) > 0
        with pytest.raises(Refused, match="on hold"):
            running.propose(Change(dose.id, "cancel"))
        with pytest.raises(Refused, match="on hold"):
            clinic.do(lambda s, c: visit_day.check_in(s, c, dose.id), now=dose.starts_at)
        with pytest.raises(Refused) as caught:
            clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, dose.starts_at + timedelta(hours=1)))
        assert "on_hold" in [each.code for each in caught.value.reasons]
        clinic.do(lambda s, c: visit_day.check_in(s, c, talk.id), now=talk.starts_at)
        with pytest.raises(IllegalTransition):
            clinic.do(lambda s, c: course_life.hold(s, c, running.id))
        clinic.do(lambda s, c: course_life.resume(s, c, running.id))
        assert running.view().row.status == "active"
        assert _pending(clinic, dose.id) > 0

    def test_giving_up_cancels_what_lies_ahead_and_tells_once(self, running: Running) -> None:
        clinic = running.clinic
        now = running.visit("talk", 1).starts_at + timedelta(hours=2)
        ended = clinic.do(lambda s, c: course_life.discontinue(s, c, running.id, reason="asked for"), now=now)
        assert (ended.row.status, len(ended.booked), ended.broken) == ("revoked", 3, ())
        with Session(clinic.engine) as session:
            rows = session.scalars(select(Appointment).where(Appointment.status == "cancelled")).all()
            assert {row.cancel_reason for row in rows} == {"asked for"}
            owed = session.scalars(select(Message).where(Message.status == "pending")).all()
            assert len({row.appointment_id for row in owed if row.kind == "cancelled"}) <= 1
            assert len([row for row in owed if row.appointment_id in {each.id for each in rows}]) <= 2
        with pytest.raises(IllegalTransition):
            running.propose()
        with pytest.raises(IllegalTransition):
            clinic.do(lambda s, c: course_life.resume(s, c, running.id))


def _pending(clinic: Clinic, appointment_id: UUID) -> int:
    with Session(clinic.engine) as session:
        rows = session.scalars(select(Message).where(Message.appointment_id == appointment_id)).all()
        return sum(row.status == "pending" for row in rows)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", ["cancel", "move"])
def test_a_group_is_handed_on_in_the_order_of_locks(engine: Engine, change: Action) -> None:
    """The course's visit carries the group's room and staff; they go to who stays before new places are looked for."""
    clinic = Clinic(engine)
    for document in (EVALUATION, DOSE, {**TALK, "group": {"minimum": 1, "maximum": 3, "decide_hours": 1}}):
        clinic.visit(document)
    for role in ("nurse", "prescriber", "therapist", "therapist"):
        clinic.staff(role)
    for room in ("bay", "consult", "consult"):
        clinic.room(room)
    running = Running(clinic)
    visit = running.visit("talk", 2)
    other = book(clinic, clinic.patient(), "talk", to_local(visit.starts_at, clinic.time_zone).isoformat(" "))
    assert other.row.group_id == visit.group_id is not None
    plan = running.propose(Change(visit.id, change))
    with watching(engine) as watch:
        running.accept(plan)
    assert watch.faults == []
    assert running.visit("talk", 2).group_id != other.row.group_id
    with Session(engine) as session:
        carried = select(Occupancy.role).where(Occupancy.appointment_id == other.id)
        assert set(session.scalars(carried)) == {"patient", "role:therapist", "room:consult"}
