"""A course that booking one visit after the other, each as early as it goes, never finds."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.core.planner import Main, Problem, Window, plan, verify
from tests.core.planner.handmade import DAY, at, course, each, leaf, main, read
from tests.core.planner.instances import set_bits


def earliest_fit(problem: Problem, later: int = 0) -> list[int] | None:
    """Each visit at its first lawful start, without looking ahead; the first one `later` starts later."""
    placed: list[int] = []
    for place, session in enumerate(problem.mains):
        fits = list(_lawful(problem, session, placed))[later if place == 0 else 0 :]
        if not fits:
            return None
        placed.append(fits[0])
        if session.leaf is not None:
            placed_leaf = next(iter(_talks(session, fits[0])), None)
            if placed_leaf is None:
                return None
    return placed


def _lawful(problem: Problem, session: Main, placed: list[int]) -> Iterator[int]:
    for start in set_bits(session.starts):
        days = start // 288 - placed[-1] // 288 if placed else 0
        if session.gap is None or session.gap.min <= days <= session.gap.max:
            yield start


def _talks(session: Main, start: int) -> Iterator[int]:
    assert session.leaf is not None
    window = session.leaf.window
    end = start + session.minutes // 5
    for talk in set_bits(session.leaf.starts):
        if window.min <= 5 * (talk - end) <= window.max:
            yield talk


# The second dose is free on days 2 and 3; the third only on day 5, two days after the second at the most.
NARROW = course(
    main("first", each([0], 9, 10)),
    main("second", each([2, 3], 9, 10), (2, 2, 3)),
    main("third", at((5, 9)), (2, 2, 2)),
)

# The first dose is free on days 0 and 1, but its talk, a day later, on day 2 only.
TALK = course(
    main("first", each([0, 1], 9), leaf=leaf("talk", at((2, 10)), Window(DAY, DAY, DAY + 60, "end"))),
    main("second", each(range(3, 9), 9), (2, 3, 4)),
)


def test_it_is_found_though_the_earliest_second_dose_leads_nowhere() -> None:
    assert [earliest_fit(NARROW, later) for later in range(3)] == [None, None, None]
    found = plan(NARROW)
    assert read(NARROW, found) == {"first": "0 09:00", "second": "3 09:00", "third": "5 09:00"}
    assert found is not None
    assert verify(NARROW, found) == []


def test_it_is_found_though_the_talk_forbids_the_earliest_dose() -> None:
    assert earliest_fit(TALK) is None
    assert read(TALK, plan(TALK)) == {"first": "1 09:00", "talk": "2 10:00", "second": "4 09:00"}
