"""Bitmaps and packing against plain sets of slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core import columns
from scheduler.core.bitmap import SLOT, Timeline, bits, counted, dilate, erode, moved, run_around, runs
from scheduler.core.columns import Runs
from scheduler.core.intervals import Span
from scheduler.core.packing import Held, connected, lowest_free, repack

ORIGIN = datetime(2030, 3, 4, tzinfo=UTC)
TIMELINE = Timeline(ORIGIN, 3)
MINUTES = st.integers(min_value=-600, max_value=3 * 1440 + 600)
LENGTHS = st.integers(min_value=1, max_value=2000)


def at(minute: int) -> datetime:
    return ORIGIN + timedelta(minutes=minute)


@given(st.sets(st.integers(0, 200)), st.integers(1, 30))
def test_erode_and_dilate_mean_what_they_say(slots: set[int], length: int) -> None:
    mask = sum(1 << slot for slot in slots)
    assert set(bits(erode(mask, length))) == {s for s in range(260) if all(s + i in slots for i in range(length))}
    assert set(bits(dilate(mask, length))) == {s for s in range(260) if any(s + i in slots for i in range(length))}


@given(st.sets(st.integers(20, 200)), st.integers(-20, 20))
def test_moved_looks_that_far_ahead(slots: set[int], offset: int) -> None:
    mask = sum(1 << slot for slot in slots)
    assert set(bits(moved(mask, offset))) == {slot - offset for slot in slots if slot - offset >= 0}


@given(st.lists(st.tuples(MINUTES, LENGTHS), max_size=6))
def test_open_time_is_rounded_inward_and_taken_time_outward(pairs: list[tuple[int, int]]) -> None:
    spans = [Span(at(start), at(start + length)) for start, length in pairs]
    inside, touched = set(bits(TIMELINE.inside(spans))), set(bits(TIMELINE.touched(spans)))
    for slot in range(TIMELINE.slots):
        start, end = TIMELINE.instant(slot), TIMELINE.instant(slot) + SLOT
        assert (slot in inside) == any(span.start <= start and end <= span.end for span in spans)
        assert (slot in touched) == any(span.start < end and start < span.end for span in spans)


RUNS = st.tuples(st.integers(-300, 1200), st.integers(0, 400)).map(lambda pair: (pair[0], sum(pair)))


@given(st.lists(st.tuples(st.integers(0, 4), RUNS), max_size=40), st.integers(1, 6))
def test_a_lane_holds_its_ranges_and_nothing_beyond_the_timeline(
    told: list[tuple[int, tuple[int, int]]], at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_CELLS", at_once * TIMELINE.slots)
        lanes = np.array([lane for lane, _ in told], dtype=np.int64)
        painted = Runs.of(run for _, run in told).painted(lanes, 5, TIMELINE)
    for lane, found in enumerate(painted):
        wanted = {slot for its, run in told if its == lane for slot in range(*run)}
        assert set(bits(found)) == wanted & set(range(TIMELINE.slots))


@given(st.lists(st.tuples(MINUTES, LENGTHS), max_size=9), st.integers(-1, 299_999_999))
def test_runs_hold_every_slot_that_their_instants_touch(pairs: list[tuple[int, int]], off: int) -> None:
    slot = SLOT // timedelta(microseconds=1)
    starts, ends = (
        [60_000_000 * minute + off for minute in each] for each in ([s for s, _ in pairs], [s + n for s, n in pairs])
    )
    touched = Runs.touched(np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64))
    assert list(touched) == [(start // slot, -(-end // slot)) for start, end in zip(starts, ends, strict=True)]


@given(st.lists(st.sets(st.integers(0, 60)), max_size=5), st.integers(1, 3))
def test_lanes_are_counted(lanes: list[set[int]], units: int) -> None:
    ladder = [set(bits(rung)) for rung in counted((sum(1 << slot for slot in lane) for lane in lanes), units)]
    for slot in range(61):
        count = sum(slot in lane for lane in lanes)
        assert [slot in rung for rung in ladder] == [count > j for j in range(units)]


@given(st.sets(st.integers(0, 200)))
def test_runs_are_whole_and_in_order(slots: set[int]) -> None:
    found = list(runs(sum(1 << slot for slot in slots)))
    assert {slot for first, past in found for slot in range(first, past)} == slots
    assert all(past < first for (_, past), (first, _) in pairwise(found))


def test_run_around_finds_the_edges() -> None:
    assert run_around(0b0111100, 3) == (2, 6)


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12)


def crowd(pairs: list[tuple[int, int]]) -> int:
    return max((sum(1 for s, n in pairs if s <= minute < s + n) for minute in range(80)), default=0)


@given(SPANS, st.integers(1, 4))
def test_repacking_never_refuses_what_counting_allows(pairs: list[tuple[int, int]], units: int) -> None:
    chosen = repack([(i, at(start), at(start + length)) for i, (start, length) in enumerate(pairs)], units)
    assert (chosen is None) == (crowd(pairs) > units)
    if chosen is not None:
        for i, (start, length) in enumerate(pairs):
            for j, (other, span) in enumerate(pairs[:i]):
                overlaps = start < other + span and other < start + length
                assert not overlaps or chosen[i] != chosen[j]
        assert all(0 <= unit < units for unit in chosen.values())


def test_lowest_free_refuses_what_lies_in_pieces_and_repacking_heals_it() -> None:
    held = [Held(0, at(0), at(30)), Held(1, at(30), at(60))]
    assert lowest_free(held, 2, at(0), at(60), 1) is None
    spans = [(key, span.start, span.end) for key, span in enumerate(held)]
    assert repack([*spans, (9, at(0), at(60))], 2) is not None


@given(SPANS, st.integers(0, 60), st.integers(1, 20))
def test_what_is_not_connected_touches_nothing_that_is(pairs: list[tuple[int, int]], start: int, length: int) -> None:
    spans = [(i, at(s), at(s + n)) for i, (s, n) in enumerate(pairs)]
    inside = connected(spans, at(start), at(start + length))
    outside = [span for span in spans if span not in inside]
    for _, first, past in outside:
        assert not (first < at(start + length) and at(start) < past)
        assert all(past <= other or end <= first for _, other, end in inside)
