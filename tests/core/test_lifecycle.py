"""Every move from every status: the whole table, so that no pair is decided by accident."""

from __future__ import annotations

import pytest

from scheduler.core.errors import IllegalTransition
from scheduler.core.lifecycle import GONE, LIVE, MOVES, STATUSES, after

#: Status to the moves that may start there, each with the status it leads to. Everything else is refused.
TABLE: dict[str, dict[str, str]] = {
    "proposed": {
        "confirm": "booked",
        "reschedule": "proposed",
        "cancel": "cancelled",
        "entered-in-error": "entered-in-error",
    },
    "pending": {
        "confirm": "booked",
        "reschedule": "pending",
        "cancel": "cancelled",
        "no-show": "noshow",
        "entered-in-error": "entered-in-error",
    },
    "booked": {
        "confirm": "booked",
        "reschedule": "booked",
        "cancel": "cancelled",
        "arrive": "arrived",
        "check-in": "checked-in",
        "not-dosed": "fulfilled",
        "no-show": "noshow",
        "entered-in-error": "entered-in-error",
    },
    "arrived": {
        "cancel": "cancelled",
        "check-in": "checked-in",
        "not-dosed": "fulfilled",
        "entered-in-error": "entered-in-error",
    },
    "checked-in": {
        "start": "checked-in",
        "fulfill": "fulfilled",
        "not-dosed": "fulfilled",
        "entered-in-error": "entered-in-error",
    },
    "fulfilled": {},
    "cancelled": {},
    "noshow": {"entered-in-error": "entered-in-error"},
    "waitlist": {"cancel": "cancelled"},
    "entered-in-error": {},
}


@pytest.mark.parametrize("action", MOVES)
@pytest.mark.parametrize("status", STATUSES)
def test_every_pair_of_status_and_move(status: str, action: str) -> None:
    wanted = TABLE[status].get(action)
    if wanted is not None:
        assert after(action, status) == wanted
        return
    with pytest.raises(IllegalTransition) as refused:
        after(action, status)
    assert f"'{action}' is not possible from status '{status}'" in refused.value.detail


def test_the_table_knows_every_status_and_every_move() -> None:
    assert set(TABLE) == set(STATUSES)
    assert {action for moves in TABLE.values() for action in moves} == set(MOVES)


def test_every_status_either_takes_up_time_or_does_not() -> None:
    assert set(STATUSES) == LIVE | GONE
    assert LIVE.isdisjoint(GONE)
