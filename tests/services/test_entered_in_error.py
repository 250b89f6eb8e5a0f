"""A visit that was booked by mistake: its time is free, and it counts for nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import IllegalTransition
from tests.clinic import Clinic
from tests.desk import book
from tests.ward import FIT, READY, enrolled, events, move, open_ward, spray, taken


@pytest.fixture
def ward(engine: Engine) -> Clinic:
    return open_ward(engine)


class TestEnteredInError:
    def test_its_time_is_free_and_it_counts_for_nothing(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:55", checklist=READY)
        gone = move(ward, "enter_in_error", visit, "2030-03-04 09:00", reason="the wrong patient")
        assert (gone.row.status, gone.row.cancel_reason, taken(ward, visit)) == (
            "entered-in-error", "the wrong patient", set(),
        )  # fmt: skip
        assert (events(ward, visit)[-1].action, events(ward, visit)[-1].reason) == (
            "appointment.entered-in-error", "the wrong patient",
        )  # fmt: skip
        book(ward, enrolled(ward), "spray", "2030-03-04 09:00")
        with pytest.raises(IllegalTransition):
            move(ward, "enter_in_error", visit, "2030-03-04 09:05", reason="again")

    def test_what_was_given_is_no_mistake_of_the_desk(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:55", checklist=READY)
        move(ward, "start", visit, "2030-03-04 09:05", checklist=FIT)
        with pytest.raises(IllegalTransition, match="dose was given"):
            move(ward, "enter_in_error", visit, "2030-03-04 09:10", reason="the wrong patient")

    def test_a_no_show_of_one_that_never_was_to_come_is_put_right(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "no_show", visit, "2030-03-04 09:15")
        assert move(ward, "enter_in_error", visit, "2030-03-04 12:00", reason="x").row.status == "entered-in-error"
        assert move(ward, "undo", visit, "2030-03-04 12:05").row.status == "noshow"
