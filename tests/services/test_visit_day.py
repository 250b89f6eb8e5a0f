"""A visit's day, move by move, on both databases: what each demands, what it writes, whom it frees."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import IllegalTransition, Invalid, NotFound, ScopeMissing, StaleRevision
from scheduler.models import Appointment, Message, Occupancy, Resource, new_id
from scheduler.services import booking, clearances, organizations, visit_day
from scheduler.services.visit_day import Done, Waiver
from tests.clinic import NOW, Clinic
from tests.desk import book
from tests.ward import (
    FIT,
    READY,
    STEADY,
    enrolled,
    events,
    move,
    open_ward,
    refusal,
    row,
    spray,
    taken,
    talk,
    watched,
)


@pytest.fixture
def ward(engine: Engine) -> Clinic:
    return open_ward(engine)


def flags(view: visit_day.DayView) -> list[str]:
    return [flag.code for flag in view.flags]


def test_a_whole_day_from_arrival_to_the_form(ward: Clinic) -> None:
    visit = spray(ward)
    arrived = move(ward, "arrive", visit, "2030-03-04 08:45")
    assert (arrived.row.status, arrived.row.arrived_at) == ("arrived", ward.at("2030-03-04 08:45"))
    received = move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)
    assert (received.row.status, received.row.checked_in_at) == ("checked-in", ward.at("2030-03-04 08:50"))
    begun = move(ward, "start", visit, "2030-03-04 09:22", checklist=FIT)
    assert (begun.row.status, begun.row.dosed_at) == ("checked-in", ward.at("2030-03-04 09:22"))
    assert flags(begun) == ["last_device_unknown"]
    given = move(ward, "start", visit, "2030-03-04 09:40", last_device_at=ward.at("2030-03-04 09:31"))
    assert (given.row.dosed_at, given.row.last_device_at) == (begun.row.dosed_at, ward.at("2030-03-04 09:31"))
    assert next((task.key, task.due_at) for task in given.tasks) == ("pressure", ward.at("2030-03-04 10:11"))
    assert flags(given) == []
    left = move(ward, "fulfill", visit, "2030-03-04 11:50", at=ward.at("2030-03-04 11:45"), checklist=STEADY)
    assert (left.row.status, left.row.outcome) == ("fulfilled", "dosed")
    assert left.row.fulfilled_at == ward.at("2030-03-04 11:45")
    assert left.tasks[1].due_at == ward.at("2030-03-11 11:45"), "seven calendar days, the clocks notwithstanding"
    assert flags(left) == ["task_late"], "nobody took the pressure"
    assert [event.action for event in events(ward, visit)][1:] == [
        "appointment.arrive",
        "appointment.check-in",
        "appointment.start",
        "appointment.start",
        "appointment.fulfill",
    ]
    last = events(ward, visit)[-1]
    assert (last.before or {})["status"] == "checked-in"
    assert (last.after or {})["fulfilled_at"] == ward.at("2030-03-04 11:45").isoformat()


class TestConfirming:
    def pencilled(self, ward: Clinic, patient: UUID) -> UUID:
        visit = spray(ward, patient=patient)
        with Session(ward.engine) as session, session.begin():
            found = session.get_one(Appointment, (ward.call.organization_id, visit))
            found.status, found.pencilled_until = "pending", ward.at("2030-03-03 00:00")
        return visit

    def test_needs_nothing_but_what_keeps_the_patient_away(self, ward: Clinic) -> None:
        visit = self.pencilled(ward, enrolled(ward))
        held = taken(ward, visit)
        confirmed = move(ward, "confirm", visit)
        assert (confirmed.row.status, confirmed.row.pencilled_until) == ("booked", None)
        assert taken(ward, visit) == held

    def test_of_a_booked_visit_says_that_the_patient_will_come_until_it_moves(self, ward: Clinic) -> None:
        visit = talk(ward)
        assert move(ward, "confirm", visit, "2030-03-03 10:00").row.confirmed_at == ward.at("2030-03-03 10:00")
        assert move(ward, "confirm", visit, "2030-03-03 11:00").row.confirmed_at == ward.at("2030-03-03 10:00")
        ward.do(lambda s, c: booking.reschedule(s, c, visit, ward.at("2030-03-04 13:00")))
        assert row(ward, visit).confirmed_at is None

    def test_is_refused_while_a_clearance_is_missing(self, ward: Clinic) -> None:
        patient = enrolled(ward)
        visit = self.pencilled(ward, patient)
        revoked = {"kind": "enrolled", "outcome": "revoked", "valid_from": date(2030, 3, 2), "by": "Dr. Lee"}
        ward.do(lambda s, c: clearances.create(s, c, patient, **revoked))
        assert [reason.code for reason in refusal(ward, "confirm", visit).reasons] == ["gate_not_passed"]
        assert row(ward, visit).status == "pending"

    def test_a_booked_visit_with_a_clearance_revoked_is_not_checked_in(self, ward: Clinic) -> None:
        patient = enrolled(ward)
        visit = spray(ward, patient=patient)
        revoked = {"kind": "enrolled", "outcome": "revoked", "valid_from": date(2030, 3, 2), "by": "Dr. Lee"}
        ward.do(lambda s, c: clearances.create(s, c, patient, **revoked))
        waiver = Waiver(("ride",), "Dr. Lee", "in a hurry")
        found = refusal(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY, waiver=waiver)
        assert found.code == "gate_not_passed"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
class TestBeforeTheDay:
    def test_nobody_arrives_or_is_received_a_week_ahead(self, ward: Clinic) -> None:
        visit = spray(ward)
        with pytest.raises(IllegalTransition, match="2030-03-04"):
            move(ward, "arrive", visit, "2030-03-03 09:00")
        found = refusal(ward, "check_in", visit, "2030-03-03 09:00")
        assert [reason.item for reason in found.reasons] == ["visit_day", "ride", "fast"], "all that is open, at once"
        assert row(ward, visit).status == "booked"

    def test_the_organization_may_set_a_window_of_its_own(self, ward: Clinic) -> None:
        policies = {"policies": {"check_in_minutes": 30}}
        ward.do(lambda s, c: organizations.change(s, c, 1, policies))
        visit = spray(ward)
        found = refusal(ward, "check_in", visit, "2030-03-04 08:29", checklist=READY)
        assert [reason.item for reason in found.reasons] == ["visit_day"]
        assert move(ward, "check_in", visit, "2030-03-04 08:30", checklist=READY).row.status == "checked-in"


class TestChecklist:
    def test_every_item_that_blocks_is_named_and_nothing_is_kept(self, ward: Clinic) -> None:
        visit = spray(ward)
        found = refusal(ward, "check_in", visit, "2030-03-04 08:50", checklist={"ride": {"ok": False}})
        assert [(reason.code, reason.item) for reason in found.reasons] == [
            ("checklist_incomplete", "ride"),
            ("checklist_incomplete", "fast"),
        ]
        assert found.reasons[0].detail == "Ride home: answered with no."
        assert (row(ward, visit).status, row(ward, visit).checklist) == ("booked", {})

    def test_what_only_warns_is_shown(self, ward: Clinic) -> None:
        visit = spray(ward)
        view = move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY | {"mood": {"ok": False}})
        assert [(flag.code, flag.item) for flag in view.flags] == [("checklist_warning", "mood")]

    def test_answers_may_come_before_they_are_asked_for(self, ward: Clinic) -> None:
        visit = spray(ward)
        early = {"ride": READY["ride"] | {"by": "Bob"}, "fast": {"ok": True}}
        answered = move(ward, "answer", visit, "2030-03-03 15:00", answers=early)
        assert (answered.row.status, answered.row.checklist["ride"]["by"]) == ("booked", "Bob")
        found = refusal(ward, "check_in", visit, "2030-03-04 08:50")
        assert [reason.item for reason in found.reasons] == ["fast"], "fasting is a question of the day itself"
        move(ward, "check_in", visit, "2030-03-04 08:50", checklist={"fast": {"ok": True}})
        said = (events(ward, visit)[1].after or {})["checklist"]
        assert said["ride"] == {"ok": True, "by": "Bob"}, "who answered, and not what"

    def test_somebody_with_the_scope_may_answer_for_an_item(self, ward: Clinic) -> None:
        visit = spray(ward)
        waiver = Waiver(("ride", "fast"), "Dr. Lee", "stays overnight next door")
        with pytest.raises(ScopeMissing):
            move(ward, "check_in", visit, "2030-03-04 08:50", waiver=waiver, scopes=frozenset({"scheduling:write"}))
        partly = Waiver(("ride",), "Dr. Lee", "stays overnight next door")
        found = refusal(ward, "check_in", visit, "2030-03-04 08:50", waiver=partly)
        assert [reason.item for reason in found.reasons] == ["fast"]
        view = move(ward, "check_in", visit, "2030-03-04 08:50", waiver=waiver)
        assert set(flags(view)) == {"checklist_warning", "checklist_waived"}
        event = events(ward, visit)[-1]
        assert event.reason == "stays overnight next door"
        assert (event.after or {})["checklist"]["fast"]["waived"]["by"] == "Dr. Lee"

    def test_nobody_answers_for_what_is_not_asked(self, ward: Clinic) -> None:
        visit = spray(ward)
        with pytest.raises(Invalid) as caught:
            move(ward, "check_in", visit, "2030-03-04 08:50", waiver=Waiver(("ride", "pulse"), "Dr. Lee", "why"))
        assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/override/items/1", "unknown_item")]

    def test_a_reading_out_of_range_keeps_the_dose_back(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)
        high = {"pulse": {"ok": True, "value": 130}}
        found = refusal(ward, "start", visit, "2030-03-04 09:20", checklist=high)
        assert found.reasons[0].detail == "Pulse: not at least 50 and at most 110."
        assert row(ward, visit).dosed_at is None

    def test_a_visit_without_a_checklist_is_asked_nothing(self, ward: Clinic) -> None:
        assert move(ward, "check_in", talk(ward), "2030-03-04 09:00").row.status == "checked-in"


class TestWatch:
    def test_nobody_leaves_before_it_is_over(self, ward: Clinic) -> None:
        visit = spray(ward)
        view = watched(ward, visit)
        assert view.watch is not None
        assert view.watch.over_at == ward.at("2030-03-04 11:30")
        found = refusal(ward, "fulfill", visit, "2030-03-04 11:29", checklist=STEADY)
        assert [(each.code, each.segment, each.start, each.end) for each in found.reasons] == [
            ("observation_not_over", "monitor", ward.at("2030-03-04 09:30"), ward.at("2030-03-04 11:30"))
        ]
        assert (found.reasons[0].end or NOW).isoformat() == "2030-03-04T11:30:00-05:00", "by the clinic's clock"
        assert found.detail.endswith("they are over at 2030-03-04 11:30.")
        assert move(ward, "fulfill", visit, "2030-03-04 11:30", checklist=STEADY).row.status == "fulfilled"

    def test_no_waiver_and_no_stated_time_shortens_it(self, ward: Clinic) -> None:
        visit = spray(ward)
        watched(ward, visit)
        early = {"at": ward.at("2030-03-04 11:00"), "checklist": STEADY}
        assert refusal(ward, "fulfill", visit, "2030-03-04 12:00", **early).code == "observation_not_over"
        with pytest.raises(Invalid) as caught:
            move(ward, "fulfill", visit, "2030-03-04 10:00", at=ward.at("2030-03-04 11:40"), checklist=STEADY)
        assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/at", "in_future")]

    def test_a_dose_that_nobody_recorded_was_not_watched(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)
        assert refusal(ward, "fulfill", visit, "2030-03-04 17:00", checklist=STEADY).code == "observation_not_over"

    def test_times_that_contradict_each_other_are_faults(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)
        when = {"at": ward.at("2030-03-04 09:30"), "last_device_at": ward.at("2030-03-04 09:20"), "checklist": FIT}
        with pytest.raises(Invalid) as caught:
            move(ward, "start", visit, "2030-03-04 09:40", **when)
        assert caught.value.faults[0].code == "before_the_dose"
        for name in ("at", "last_device_at"):
            with pytest.raises(Invalid) as caught:
                move(ward, "start", visit, "2030-03-04 09:40", checklist=FIT, **{name: ward.at("2029-03-04 09:30")})
            assert [(each.pointer, each.code) for each in caught.value.faults] == [(f"/{name}", "before_the_visit")]
        watched_from = {"at": ward.at("2030-03-04 09:20"), "checklist": FIT}
        move(ward, "start", visit, "2030-03-04 09:40", **watched_from)
        with pytest.raises(Invalid):
            move(ward, "fulfill", visit, "2030-03-04 12:00", at=ward.at("2030-03-04 09:00"), checklist=STEADY)


class TestRealTimes:
    def test_an_overrun_is_written_down_and_flagged_with_whom_it_hits(self, engine: Engine) -> None:
        ward = open_ward(engine, units=1)
        visit = spray(ward)
        following = spray(ward, "2030-03-04 12:00")
        move(ward, "check_in", visit, "2030-03-04 09:40", checklist=READY)
        assert flags(move(ward, "start", visit, "2030-03-04 09:55", checklist=FIT)) == [
            "behind", "overrun", "overrun", "last_device_unknown",
        ]  # fmt: skip
        late = move(ward, "start", visit, "2030-03-04 10:10", last_device_at=ward.at("2030-03-04 10:05"))
        assert [(flag.code, flag.minutes) for flag in late.flags] == [("behind", 30), ("overrun", 30), ("overrun", 30)]
        assert {flag.appointment_id for flag in late.flags[1:]} == {following}
        with Session(engine) as session:
            kinds = {key: session.get_one(Resource, (ward.call.organization_id, key)).kind for key in (
                flag.resource_id for flag in late.flags[1:]
            )}  # fmt: skip
        assert set(kinds.values()) == {"practitioner", "room"}
        assert taken(ward, following), "and nothing of it was moved"

    def test_without_neighbors_it_is_merely_late(self, ward: Clinic) -> None:
        visit = spray(ward)
        assert flags(move(ward, "get", visit, "2030-03-04 09:04")) == []
        assert [(flag.code, flag.minutes) for flag in move(ward, "get", visit, "2030-03-04 09:12").flags] == [
            ("late", 12)
        ]


class TestRooms:
    def test_whoever_sits_in_a_room_keeps_it(self, engine: Engine) -> None:
        ward = open_ward(engine, chairs=2)
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)

        def fixed() -> dict[str, bool]:
            with Session(engine) as session:
                rows = session.scalars(select(Occupancy).where(Occupancy.appointment_id == visit))
                return {each.role: each.fixed for each in rows}

        assert fixed() == {"room:chair": True, "role:nurse": False, "role:prescriber": False, "patient": False}
        move(ward, "undo", visit, "2030-03-04 08:55")
        assert fixed()["room:chair"] is False


class TestNotDosed:
    def test_it_frees_what_is_left_and_does_not_count(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)
        view = move(ward, "not_dosed", visit, "2030-03-04 09:08", reason="fever")
        assert (view.row.status, view.row.outcome, view.row.outcome_reason) == ("fulfilled", "not_dosed", "fever")
        assert taken(ward, visit) == {
            ("role:nurse", "09:00", "09:10"),
            ("room:chair", "09:00", "09:25"),  # it is still turned over
            ("patient", "09:00", "09:10"),
        }
        assert [task.key for task in view.tasks] == []
        assert book(ward, enrolled(ward), "spray", "2030-03-04 09:25").row.status == "booked"

    def test_before_the_visit_it_frees_everything(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "not_dosed", visit, "2030-03-04 08:30", reason="fever")
        assert taken(ward, visit) == set()

    def test_on_a_day_before_nobody_came(self, ward: Clinic) -> None:
        visit = spray(ward)
        with pytest.raises(IllegalTransition, match="can only be cancelled"):
            move(ward, "not_dosed", visit, "2030-03-03 23:59", reason="fever")
        move(
            ward,
            "check_in",
            visit,
            "2030-03-03 23:59",
            checklist=READY,
            waiver=Waiver(("visit_day", "fast"), "Dr", "why"),
        )
        assert move(ward, "not_dosed", visit, "2030-03-03 23:59", reason="fever").row.outcome == "not_dosed"

    def test_a_dose_that_was_given_is_not_taken_back_so(self, ward: Clinic) -> None:
        visit = spray(ward)
        watched(ward, visit)
        with pytest.raises(IllegalTransition):
            move(ward, "not_dosed", visit, "2030-03-04 09:40", reason="fever")


class TestNoShow:
    def test_only_once_the_visit_has_begun(self, ward: Clinic) -> None:
        visit = spray(ward)
        with pytest.raises(IllegalTransition):
            move(ward, "no_show", visit, "2030-03-04 08:59")
        gone = move(ward, "no_show", visit, "2030-03-04 09:15")
        assert (gone.row.status, gone.view.participants, taken(ward, visit)) == ("noshow", (), set())
        book(ward, enrolled(ward), "spray", "2030-03-04 09:15")

    def test_nothing_more_is_sent(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "no_show", visit, "2030-03-04 09:15")
        with Session(ward.engine) as session:
            left = session.scalars(
                select(Message.status).where(Message.appointment_id == visit, Message.status == "pending")
            ).all()
        assert left == []

    def test_whoever_came_did_not_fail_to_come(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "arrive", visit, "2030-03-04 08:50")
        with pytest.raises(IllegalTransition):
            move(ward, "no_show", visit, "2030-03-04 09:15")


class TestTasks:
    def test_one_is_ticked_with_when_and_by_whom(self, ward: Clinic) -> None:
        visit = spray(ward)
        watched(ward, visit)
        done = Done(at=ward.at("2030-03-04 10:12"), by="Nurse Fern", note="128/82")
        view = move(ward, "do_task", visit, "2030-03-04 10:15", key="pressure", done=done)
        pressure = view.tasks[0]
        assert (pressure.key, pressure.done_at, pressure.done_by) == ("pressure", done.at, "Nurse Fern")
        assert pressure.note == "128/82"
        event = events(ward, visit)[-1]
        assert event.after == {"task": "pressure", "at": done.at.isoformat() if done.at else None, "by": "Nurse Fern"}

    def test_only_what_there_is_can_be_done(self, ward: Clinic) -> None:
        visit = spray(ward)
        with pytest.raises(NotFound):
            move(ward, "do_task", visit, key="dance", done=Done())
        move(ward, "no_show", visit, "2030-03-04 09:15")
        with pytest.raises(IllegalTransition):
            move(ward, "do_task", visit, "2030-03-04 09:20", key="form", done=Done())
        with pytest.raises(IllegalTransition):
            move(ward, "answer", visit, "2030-03-04 09:20", answers=READY)


@pytest.mark.parametrize("action", ["confirm", "arrive", "check_in", "start", "fulfill", "no_show", "undo"])
def test_a_stale_revision_stops_every_move(ward: Clinic, action: str) -> None:
    visit = talk(ward)
    with pytest.raises(StaleRevision):
        move(ward, action, visit, "2030-03-04 09:15", revision=7)
    with pytest.raises(NotFound):
        move(ward, action, new_id(), "2030-03-04 09:15")


def test_a_refused_move_says_why_and_changes_nothing(ward: Clinic) -> None:
    visit = talk(ward)
    for action in ("start", "fulfill"):
        with pytest.raises(IllegalTransition):
            move(ward, action, visit, "2030-03-04 09:15")
    assert row(ward, visit).revision == 1
    assert len(events(ward, visit)) == 1


class TestOneMoveOneRevision:
    """A desk that reads the ETag of one move may base the next on it."""

    def test_each_move_counts_once(self, ward: Clinic) -> None:
        visit = spray(ward)
        revision = move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY, revision=1).revision
        assert revision == 2
        assert move(ward, "start", visit, "2030-03-04 09:20", checklist=FIT, revision=2).revision == 3
        assert move(ward, "undo", visit, "2030-03-04 09:21", revision=3).revision == 4
        assert move(ward, "not_dosed", visit, "2030-03-04 09:22", reason="x", revision=4).revision == 5
        assert move(ward, "undo", visit, "2030-03-04 09:23", revision=5).revision == 6
