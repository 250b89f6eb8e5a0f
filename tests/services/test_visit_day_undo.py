"""Undoing: every move back to what it found, its people and rooms only while nobody else was promised them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import IllegalTransition
from scheduler.models import Appointment, Message, Task
from scheduler.services import absences, booking, disruptions
from scheduler.services.visit_day import DayView, Waiver
from tests.clinic import Clinic
from tests.desk import count, overlaps, wanted
from tests.services.test_plans_join_groups import join, sound, therapists, with_circles
from tests.ward import (
    FIT,
    READY,
    STEADY,
    cancel,
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

STATE = (
    "status", "outcome", "outcome_reason", "local_start", "starts_at", "ends_at", "pencilled_until", "arrived_at",
    "checked_in_at", "dosed_at", "last_device_at", "fulfilled_at", "cancelled_by", "cancel_reason",
)  # fmt: skip


@pytest.fixture
def ward(engine: Engine) -> Clinic:
    return open_ward(engine)


def state(ward: Clinic, visit: UUID) -> dict[str, Any]:
    found = row(ward, visit)
    return {name: getattr(found, name) for name in STATE} | {"taken": taken(ward, visit)}


def pencil(ward: Clinic, visit: UUID) -> None:
    with Session(ward.engine) as session, session.begin():
        session.get_one(Appointment, (ward.call.organization_id, visit)).status = "pending"


def reschedule(ward: Clinic, visit: UUID) -> None:
    start = ward.at("2030-03-05 10:00")
    ward.do(lambda s, c: booking.reschedule(s, c, visit, start))


def received(ward: Clinic, visit: UUID) -> None:
    move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)


def given(ward: Clinic, visit: UUID) -> None:
    watched(ward, visit)


def nothing(ward: Clinic, visit: UUID) -> None:
    del ward, visit


Act = Callable[[Clinic, UUID], Any]

#: Move to what comes before it, and how it is made.
MOVES: dict[str, tuple[Act, Act]] = {
    "confirm": (pencil, lambda ward, visit: move(ward, "confirm", visit)),
    "reschedule": (nothing, reschedule),
    "cancel": (nothing, cancel),
    "arrive": (nothing, lambda ward, visit: move(ward, "arrive", visit, "2030-03-04 08:40")),
    "check-in": (nothing, received),
    "start": (received, lambda ward, visit: move(ward, "start", visit, "2030-03-04 09:20", checklist=FIT)),
    "fulfill": (given, lambda ward, visit: move(ward, "fulfill", visit, "2030-03-04 11:45", checklist=STEADY)),
    "not-dosed": (received, lambda ward, visit: move(ward, "not_dosed", visit, "2030-03-04 09:08", reason="x")),
    "no-show": (nothing, lambda ward, visit: move(ward, "no_show", visit, "2030-03-04 09:15")),
    "entered-in-error": (received, lambda ward, visit: move(ward, "enter_in_error", visit, reason="the wrong patient")),
}


@pytest.mark.parametrize("action", MOVES)
def test_every_move_is_undone_to_what_it_found(ward: Clinic, action: str) -> None:
    prepare, act = MOVES[action]
    visit = spray(ward)
    prepare(ward, visit)
    before = state(ward, visit)
    act(ward, visit)
    assert state(ward, visit) != before, "the move did something"
    move(ward, "undo", visit, "2030-03-04 11:50", reason="a slip of the hand")
    assert state(ward, visit) == before
    assert overlaps(ward.engine) == 0
    event = events(ward, visit)[-1]
    assert (event.action, event.reason) == ("appointment.undo", "a slip of the hand")
    assert (event.after or {})["undone"]["action"] == action
    assert (event.after or {})["undone"]["by"] == "test"


def test_moves_are_undone_one_after_the_other_and_not_twice(ward: Clinic) -> None:
    visit = spray(ward)
    received(ward, visit)
    move(ward, "start", visit, "2030-03-04 09:20", checklist=FIT)
    assert move(ward, "undo", visit, "2030-03-04 09:21").row.dosed_at is None
    assert move(ward, "undo", visit, "2030-03-04 09:22").row.status == "booked"
    with pytest.raises(IllegalTransition, match="no move to undo"):
        move(ward, "undo", visit, "2030-03-04 09:23")
    received(ward, visit)
    assert move(ward, "undo", visit, "2030-03-04 09:24").row.status == "booked", "and a new move is a new one"


def test_a_booking_is_cancelled_and_not_undone(ward: Clinic) -> None:
    with pytest.raises(IllegalTransition):
        move(ward, "undo", talk(ward))


class TestGivenAway:
    """The nurse has one unit here, so that her time is either hers or somebody else's."""

    @pytest.fixture
    def ward(self, engine: Engine) -> Clinic:
        return open_ward(engine, units=1)

    @pytest.mark.parametrize("gone", ["no_show", "cancel"])
    def test_what_was_promised_to_another_is_not_taken_back(self, ward: Clinic, gone: str) -> None:
        visit = spray(ward)
        if gone == "cancel":
            cancel(ward, visit, "2030-03-04 08:00")
            other = spray(ward)
        else:
            move(ward, "no_show", visit, "2030-03-04 09:05")
            other = late(ward)
        held, before = taken(ward, other), state(ward, visit)
        found = refusal(ward, "undo", visit, "2030-03-04 09:06")
        assert {reason.code for reason in found.reasons} == {"resource_busy"}
        assert {reason.role for reason in found.reasons} == {"nurse", "chair"}
        assert (taken(ward, other), state(ward, visit)) == (held, before), "nothing was half restored"

    def test_the_patient_may_have_gone_elsewhere(self, ward: Clinic) -> None:
        patient = enrolled(ward)
        visit = spray(ward, patient=patient)
        cancel(ward, visit, "2030-03-04 08:00")
        talk(ward, "2030-03-04 10:00", patient)
        found = refusal(ward, "undo", visit, "2030-03-04 08:05")
        assert "patient_busy" in {reason.code for reason in found.reasons}

    def test_another_nurse_is_not_the_same(self, ward: Clinic) -> None:
        """The visit comes back with those who served it or not at all; a desk can always book it anew."""
        visit = spray(ward)
        move(ward, "no_show", visit, "2030-03-04 09:05")
        late(ward)
        ward.staff("nurse")
        ward.room("chair")
        found = refusal(ward, "undo", visit, "2030-03-04 09:06")
        assert {reason.role for reason in found.reasons} == {"nurse"}

    def test_another_room_is_as_good(self, ward: Clinic) -> None:
        visit = talk(ward)
        first = _room(move(ward, "get", visit))
        cancel(ward, visit)
        day = ward.at("2030-03-04 00:00"), ward.at("2030-03-05 00:00")
        ward.do(lambda s, c: absences.create(s, c, resource_id=first, start=day[0], end=day[1], reason="leaks"))
        second = ward.room("consult")
        assert _room(move(ward, "undo", visit)) == second

    def test_whoever_sits_in_a_room_gets_that_room_back(self, ward: Clinic) -> None:
        visit = spray(ward)
        received(ward, visit)
        before = _room(move(ward, "get", visit))
        move(ward, "not_dosed", visit, "2030-03-04 09:08", reason="x")
        for _ in range(3):
            ward.room("chair")
        back = move(ward, "undo", visit, "2030-03-04 09:10")
        assert _room(back) == before


def test_who_went_away_while_the_visit_was_over_is_missed_when_it_is_not(ward: Clinic) -> None:
    visit = talk(ward)
    for action, clock in (("check_in", "09:00"), ("start", "09:02"), ("fulfill", "09:10")):
        move(ward, action, visit, f"2030-03-04 {clock}")
    room, today = _room(move(ward, "get", visit)), (ward.at("2030-03-04 09:15"), ward.at("2030-03-04 12:00"))
    away = ward.do(lambda s, c: absences.create(s, c, resource_id=room, start=today[0], end=today[1], reason="leaks"))
    assert away.affected_appointments == ()
    move(ward, "undo", visit, "2030-03-04 09:20")
    with Session(ward.engine) as session:
        keys = session.scalars(select(Task.key).where(Task.kind == "visit_affected", Task.status == "open")).all()
    assert keys == [f"{visit}/{away.id}"]


def _room(view: DayView) -> UUID:
    (found,) = {each.resource_id for each in view.view.participants if each.kind == "room"}
    return found


def late(ward: Clinic) -> UUID:
    """A visit booked at five past nine for that very moment."""
    asked = wanted(ward, enrolled(ward), "spray", "2030-03-04 09:05")
    return ward.do(lambda s, c: booking.book(s, c, asked), now=ward.at("2030-03-04 09:05")).id


def test_a_waiver_goes_with_the_move_that_it_allowed(ward: Clinic) -> None:
    visit = spray(ward)
    waiver = Waiver(("ride",), "Dr. Lee", "stays next door")
    move(ward, "check_in", visit, "2030-03-04 08:50", checklist={"fast": {"ok": True}}, waiver=waiver)
    move(ward, "undo", visit, "2030-03-04 08:55")
    found = refusal(ward, "check_in", visit, "2030-03-04 09:00")
    assert [reason.item for reason in found.reasons] == ["ride"], "the other answers are kept"


def test_the_course_of_events_goes_by_the_visit_not_by_the_clock(ward: Clinic) -> None:
    """The second server's clock is behind: the last move is still the last."""
    visit = spray(ward)
    move(ward, "arrive", visit, "2030-03-04 08:45")
    move(ward, "check_in", visit, "2030-03-04 08:40", checklist=READY)
    assert move(ward, "undo", visit, "2030-03-04 08:50").row.status == "arrived"


class TestMessages:
    def left(self, ward: Clinic, visit: UUID) -> dict[str, str]:
        """Rule to status of the newest message of each."""
        with Session(ward.engine) as session:
            rows = session.scalars(
                select(Message).where(Message.appointment_id == visit).order_by(Message.sequence, Message.id)
            )
            return {each.kind: each.status for each in rows}

    def test_a_cancelled_visit_that_is_on_again_is_reminded_of_again(self, ward: Clinic) -> None:
        visit = spray(ward)
        cancel(ward, visit)
        assert self.left(ward, visit)["remind_24h"] == "suppressed"
        back = move(ward, "undo", visit)
        assert back.row.sequence == 2
        found = self.left(ward, visit)
        assert (found["remind_24h"], found["cancelled"]) == ("pending", "suppressed")
        assert "rescheduled" not in found, "nobody had been told"

    def test_who_was_told_of_the_end_is_told_of_the_beginning(self, ward: Clinic) -> None:
        visit = spray(ward)
        with Session(ward.engine) as session, session.begin():
            for message in session.scalars(select(Message).where(Message.kind == "booked")):
                message.status = "sent"
        cancel(ward, visit)
        with Session(ward.engine) as session, session.begin():
            for message in session.scalars(select(Message).where(Message.kind == "cancelled")):
                message.status = "sent"
        move(ward, "undo", visit)
        assert self.left(ward, visit)["rescheduled"] == "pending"


def test_to_undo_who_leads_a_group_is_no_news_to_its_patients(engine: Engine) -> None:
    """They stayed at their time in any case: their calendars and their messages are left alone."""
    clinic = with_circles(engine, 2)
    group = [join(clinic) for _ in range(2)]
    [who] = therapists(clinic, group[0])
    day = clinic.at("2030-03-06 00:00")
    found = clinic.do(lambda s, c: disruptions.offer(s, c, who, day, day + timedelta(days=1), "ill"))
    done = clinic.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True))
    clinic.do(lambda s, c: absences.remove(s, c, done.absence_id, 1))
    messages = count(clinic, Message)
    for each in group:
        back = move(clinic, "undo", each.id)
        assert (back.row.starts_at, back.row.sequence) == (each.row.starts_at, 0)
    assert count(clinic, Message) == messages
    sound(clinic)
