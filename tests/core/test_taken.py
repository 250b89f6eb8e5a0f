"""Few runs are read one by one and many as columns: both say the same, in bytes and in digits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core import taken
from scheduler.core.bitmap import SLOT, Timeline

TIMELINE = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 3)
SECOND = timedelta(seconds=1)
#: Unit, and the seconds from the timeline's beginning to start and end: off the grid too, and beyond both its ends.
RUN = st.tuples(st.integers(0, 3), st.integers(-90_000, 300_000), st.integers(1, 86_400)).map(
    lambda run: (run[0], run[1], run[1] + run[2])
)


def in_bytes(runs: list[tuple[int, int, int]]) -> bytes:
    zero = TIMELINE.origin - datetime(2000, 1, 1, tzinfo=UTC)
    moments = [(unit, *((zero + SECOND * each) // timedelta(microseconds=1) for each in span)) for unit, *span in runs]
    return b"".join(pack(">iqq", *each) for each in moments)


def in_digits(runs: list[tuple[int, int, int]]) -> str:
    zero = TIMELINE.origin - datetime(1970, 1, 1, tzinfo=UTC)
    slots = [(unit, (zero + SECOND * start) // SLOT, -(-(zero + SECOND * end) // SLOT)) for unit, start, end in runs]
    return ",".join(str(number) for run in slots for number in run)


def told(values: list[Any], short: int) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taken, "_SHORT", short)
        return [
            (pile.place, pile.unit, list(pile.runs), pile.lane, pile.which) for pile in taken.piles(values, TIMELINE)
        ]


@given(st.lists(st.lists(RUN, min_size=1, max_size=8), min_size=1, max_size=5))
def test_few_and_many_are_read_alike(values: list[list[tuple[int, int, int]]]) -> None:
    few = told([in_bytes(runs) for runs in values], 10_000)
    assert few == told([in_bytes(runs) for runs in values], 0)
    assert few == told([in_digits(runs) for runs in values], 10_000)
    assert few == told([in_digits(runs) for runs in values], 0)


def test_nothing_told_is_nothing() -> None:
    assert told([], 10_000) == []
