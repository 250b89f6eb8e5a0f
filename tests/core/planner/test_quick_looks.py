"""The quick looks before the search: days never rule out a plan, what is tried out is one, and neither is idle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scheduler.core.planner import Cap, Gap, Plan, Problem, Rest, Span, Window, blocked, plan, verify
from scheduler.core.planner.attempt import attempt
from scheduler.core.planner.explain import bare, feasible
from scheduler.core.planner.glance import Glance, ruled_out
from scheduler.core.planner.planes import Planes
from tests.core.planner import handmade
from tests.core.planner.handmade import each, leaf, main
from tests.core.planner.instances import course, grid, leaving, ruled, slot

SEEDS = range(80)


def looked(problem: Problem) -> tuple[Glance, dict[str, int] | None]:
    glance = Glance(Planes(problem))
    return glance, attempt(problem, glance)


def test_neither_look_contradicts_the_search() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        problem = bare((course, ruled, leaving)[seed % 3](seed))
        glance, slots = looked(problem)
        exists = plan(problem) is not None
        assert feasible(problem) == exists, seed
        assert exists or slots is None, seed
        assert not exists or glance.impossible is None, seed
        seen["ruled out"] += glance.impossible is not None
        seen["come across"] += slots is not None
        if slots is not None:
            starts = tuple(sorted(slots.items(), key=lambda start: (start[1], start[0])))
            faults = verify(problem, Plan(starts, 0, {}, {}))
            assert all("cost" in fault or "points" in fault for fault in faults), (seed, faults)
    assert seen["ruled out"] > 20, "most courses without a plan are told by their days"
    assert seen["come across"] > 5


def plain(problem: Problem) -> Problem:
    """Without what the quick try leaves to the search."""
    mains = [replace(m, gap=m.gap and replace(m.gap, clinic_days=False)) for m in problem.mains]
    mains = [replace(m, leaf=m.leaf and replace(m.leaf, before_next=True)) for m in mains]
    return replace(bare(problem), mains=tuple(mains), continuity="none", pinned={}, discords=())


def test_whatever_is_come_across_keeps_every_rule() -> None:
    seen: Counter[str] = Counter()
    for make, seeds in ((course, range(120)), (ruled, range(240))):
        for seed in seeds:
            problem = plain(make(seed))
            _, slots = looked(problem)
            if slots is not None:
                starts = tuple(sorted(slots.items(), key=lambda start: (start[1], start[0])))
                faults = verify(problem, Plan(starts, 0, {}, {}))
                assert all("cost" in fault or "points" in fault for fault in faults), (seed, faults)
                seen["leaf"] += any(main.leaf for main in problem.mains)
                seen["cap of a week"] += any(cap.days is None for cap in problem.caps)
                seen["cap of days"] += any(cap.days is not None for cap in problem.caps)
                seen["span"] += bool(problem.spans)
    assert min(seen.values()) >= 8, seen
    assert len(seen) == 4


@pytest.mark.parametrize("seed", SEEDS[:30])
def test_a_beginning_that_is_ruled_out_has_no_plan_and_the_days_left_hold_every_plan(seed: int) -> None:
    problem = course(seed)
    glance, found = Glance(Planes(problem)), plan(problem)
    if found is None or problem.pinned:
        return
    days = [glance.calendar.local(dict(found.starts)[main.session_id])[0] for main in problem.mains]
    assert all(left >> day & 1 for left, day in zip(glance.reached, days, strict=True))
    assert glance.soonest <= days[-1]


def test_days_at_the_very_end_of_a_span_or_a_window_are_not_ruled_out() -> None:
    span = handmade.course(main("a", each([0], 9)), main("b", each([5], 9), (1, 5, 9)), spans=(Span(0, 1, 5),))
    late = leaf("talk", each([2], 9), Window(0, 0, 36 * 60, "end"))
    window = handmade.course(main("a", each([0], 20), leaf=late))
    for problem in (span, window):
        assert plan(problem) is not None
        assert Glance(Planes(problem)).impossible is None
        assert feasible(problem)


@pytest.mark.parametrize(
    ("rest", "lawful"),
    [
        (Rest(edge="end", min=23 * 60, max=None), True),
        (Rest(edge="end", min=23 * 60 + 5, max=None), False),
        (Rest(edge="end", min=0, max=23 * 60), True),
        (Rest(edge="end", min=0, max=23 * 60 - 1), False),
        (Rest(edge="start", min=24 * 60, max=24 * 60), True),
        (Rest(edge="start", min=24 * 60 + 5, max=None), False),
    ],
)
def test_what_is_tried_out_rests_for_as_long_as_it_must(rest: Rest, *, lawful: bool) -> None:
    """From nine to ten on one day, and from nine on the next."""
    later = replace(main("b", each([1], 9)), gap=Gap(1, 1, 1, rest=rest))
    problem = handmade.course(main("a", each([0], 9)), later)
    assert (looked(problem)[1] is not None, plan(problem) is not None) == (lawful, lawful)


def leaping() -> Problem:
    """The talk comes after the next session."""
    talk = leaf("talk", each([3], 9), Window(0, 0, 96 * 60, "end"), before_next=False)
    return handmade.course(main("a", each([0], 9), leaf=talk), main("b", each([1], 9), (1, 1, 1)))


def long_after() -> Problem:
    """The talk stands where its window would not have it, and before the next session."""
    talk = leaf("talk", each([6], 9), Window(0, 0, 24 * 60, "end"))
    mains = main("a", each([0], 9), leaf=talk), main("b", each([8], 9), (1, 8, 9))
    return handmade.course(*mains, pinned={"a": slot(handmade.WHERE, 0, 9), "talk": slot(handmade.WHERE, 6, 9)})


def talk_and_next_stand() -> Problem:
    """The next session stands on the day of the talk that ought to come before it."""
    talk = leaf("talk", each([1], 9), Window(0, 0, 48 * 60, "end"))
    mains = main("a", each([0], 9), leaf=talk), main("b", each([1], 12), (1, 1, 9))
    return handmade.course(*mains, pinned={"talk": slot(handmade.WHERE, 1, 9), "b": slot(handmade.WHERE, 1, 12)})


def both_stand_too_far_apart() -> Problem:
    """What stands is not judged: neither the gap nor the span between two sessions that both stand."""
    mains = main("a", each([0], 9)), main("b", each([5], 9), (1, 1, 2)), main("c", each([7], 9), (1, 1, 2))
    pinned = {"a": slot(handmade.WHERE, 0, 9), "b": slot(handmade.WHERE, 5, 9)}
    return handmade.course(*mains, spans=(Span(0, 1, 3),), pinned=pinned)


def on_the_same_day() -> Problem:
    """A talk of the same day, and the next session on that day too."""
    talk = leaf("talk", each([0], 10), Window(0, 0, 60, "end"), same_day=True)
    return handmade.course(main("a", each([0], 9), leaf=talk), main("b", each([0], 11), (0, 0, 0)))


def least_of_a_span() -> Problem:
    return handmade.course(main("a", each([0], 9)), main("b", each([4], 9), (1, 5, 9)), spans=(Span(0, 1, 9, 4),))


def before_the_grid() -> Problem:
    """The first session stood on the day before the first that is looked at."""
    mains = main("a", 0), main("b", each([1], 9), (2, 2, 2)), main("c", each([3], 9), (2, 2, 2))
    return handmade.course(*mains, spans=(Span(0, 2, 4),), pinned={"a": slot(handmade.WHERE, -1, 9)})


def to_the_minute() -> Problem:
    """A window of one start."""
    return handmade.course(main("a", each([0], 9), leaf=leaf("talk", each([1], 9), Window(1440, 1440, 1440, "start"))))


def with_nobody() -> Problem:
    """The same person is wished for, and nobody of them serves it."""
    wish: Any = {"candidates": {"prescriber": ("P", "Q")}, "continuity": "preferred"}
    return handmade.course(main("a", each([0], 9), by=handmade.people("prescriber", {"P": 0, "Q": 0})), **wish)


@pytest.mark.parametrize(
    "make",
    [
        to_the_minute,
        with_nobody,
        leaping,
        long_after,
        talk_and_next_stand,
        both_stand_too_far_apart,
        on_the_same_day,
        least_of_a_span,
        before_the_grid,
    ],
)
def test_days_rule_out_nothing_that_is_lawful(make: Callable[[], Problem]) -> None:
    glance, _ = looked(make())
    assert plan(make()) is not None
    assert glance.impossible is None
    assert not ruled_out(make())
    assert feasible(make())
    assert blocked(make()) is None


@pytest.mark.parametrize(
    ("cap", "day", "lawful"),
    [
        (Cap(0, 1, 1, None), 6, False),  # from a Monday to the Sunday after it
        (Cap(0, 1, 1, None), 7, True),
        (Cap(0, 1, 1, 3), 2, False),
        (Cap(0, 1, 1, 3), 3, True),
        (Cap(1, 1, 1, 3), 2, True),
    ],
)
def test_what_is_tried_out_is_below_every_cap(cap: Cap, day: int, *, lawful: bool) -> None:
    problem = handmade.course(main("a", each([0], 9)), main("b", each([day], 9), (1, 5, 9)), caps=(cap,))
    assert (looked(problem)[1] is not None, plan(problem) is not None) == (lawful, lawful)


@pytest.mark.parametrize("edge", ["start", "end"])
@pytest.mark.parametrize(("hour", "lawful"), [(10 + 11 / 12, False), (11, True), (12, True), (12 + 1 / 12, False)])
def test_what_is_tried_out_has_its_talk_within_the_window(edge: Any, hour: float, *, lawful: bool) -> None:
    """From nine to ten, and then from one to two hours after that, whichever edge is spoken of."""
    where, earlier = grid(row_minutes=5), 0 if edge == "end" else 60
    window = Window(56 + earlier, 60 + earlier, 124 + earlier, edge)
    talk = leaf("talk", each([0], hour, where=where), window, same_day=True)
    problem = handmade.course(main("a", each([0], 9, where=where), leaf=talk), grid=where)
    slots = looked(problem)[1]
    assert (slots is not None, plan(problem) is not None) == (lawful, lawful)
    assert slots is None or slots["talk"] == slot(where, 0, hour)


@pytest.mark.parametrize(
    ("same_day", "day", "hour", "lawful"),
    [(True, 1, 10, True), (True, 1, 9 + 11 / 12, False), (False, 1, 10, False), (False, 2, 9, True)],
)
def test_what_is_tried_out_has_its_talk_before_the_next_session(
    day: int, hour: float, *, same_day: bool, lawful: bool
) -> None:
    """The talk is from nine to ten on the day after."""
    where = grid(row_minutes=5)
    talk = leaf("talk", each([1], 9, where=where), Window(0, 0, 48 * 60, "end"), same_day=same_day)
    mains = main("a", each([0], 9, where=where), leaf=talk), main("b", each([day], hour, where=where), (1, 1, 2))
    problem = handmade.course(*mains, grid=where)
    assert (looked(problem)[1] is not None, plan(problem) is not None) == (lawful, lawful)


def test_gaps_in_days_on_which_the_clinic_is_open_are_left_to_the_search() -> None:
    """Monday and Wednesday: one open day lies between them, where two are asked for."""
    later = replace(main("b", each([2], 9)), gap=Gap(2, 2, 2, clinic_days=True))
    problem = handmade.course(main("a", each([0], 9)), later, open_days=0b101)
    assert (looked(problem)[1], plan(problem)) == (None, None)


def test_what_is_not_come_across_soon_is_left_to_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = handmade.course(main("a", each([0], 9)), main("b", each([1], 9), (1, 1, 1)))
    for patience, found in ((2, True), (1, False)):
        monkeypatch.setattr("scheduler.core.planner.attempt.PATIENCE", patience)
        assert (looked(problem)[1] is not None) == found
    assert plan(problem) is not None


def test_a_window_that_is_over_before_the_visit_is_leaves_no_talk() -> None:
    talk = leaf("talk", each([0], 9, 9.5, 10), Window(0, 0, 30, "start"), same_day=True)
    problem = handmade.course(main("a", each([0], 9, 9.5), leaf=talk))
    assert looked(problem)[1] is None
    assert not feasible(problem)
    assert plan(problem) is None


@pytest.mark.parametrize(("hour", "planned"), [(12, "0 09:00"), (11 + 11 / 12, "0 08:55"), (12 + 1 / 12, None)])
def test_what_is_tried_out_begins_late_enough_for_its_talk(hour: float, planned: str | None) -> None:
    """Two hours after its end at the most; it begins at five to nine or at nine."""
    where = grid(row_minutes=5)
    talk = leaf("talk", each([0], hour, where=where), Window(0, 0, 120, "end"), same_day=True)
    problem = handmade.course(main("a", each([0], 8 + 11 / 12, 9, where=where), leaf=talk), grid=where)
    slots = looked(problem)[1]
    found = None if slots is None else handmade.read(problem, Plan(tuple(slots.items()), 0, {}, {}))
    assert (found or {}).get("a") == planned
