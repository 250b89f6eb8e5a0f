"""What hours are worth: the bound that follows is never below what can be placed, and soon near to it."""

from __future__ import annotations

from random import Random

import pytest

from scheduler.core.planner import Problem
from scheduler.core.planner.market import WORTH, Market, Use, spread
from scheduler.core.planner.trail import Trail
from tests.core.planner.handmade import WHERE, at, course, each, main
from tests.core.planner.instances import slot


def rooms(problems: list[Problem], count: int = 1) -> Market:
    """Every visit needs one of these rooms for an hour."""
    wanted = 0
    for problem in problems:
        for visit in problem.visits():
            wanted |= spread(visit.starts, 0, 12)
    use = [Use("room", 0, 12, dict.fromkeys(range(count), (wanted, 1)))]
    uses = {number: {visit.session_id: use for visit in problem.visits()} for number, problem in enumerate(problems)}
    return Market({number: Trail(each, wishes=False) for number, each in enumerate(problems)}, uses)


def after(market: Market, turns: int, placed: int = 0) -> Market:
    for _ in range(turns):
        market.turn(placed)
    return market


def most(left: list[list[int]], taken: tuple[int, ...] = ()) -> int:
    """How many visits of an hour fit into one room, each at one of its starts: all there is, tried."""
    if not left:
        return 0
    first, *rest = left
    ways = [1 + most(rest, (*taken, s)) for s in first if all(abs(s - other) >= 12 for other in taken)]
    return max([most(rest, taken), *ways])


@pytest.mark.parametrize("seed", range(6))
def test_no_more_can_be_placed_than_the_bound_says(seed: int) -> None:
    rng = Random(seed)
    starts = [
        [slot(WHERE, day, hour) for day in (0, 1) for hour in rng.sample([9, 9.5, 10, 10.5], rng.randint(1, 2))]
        for _ in range(6)
    ]
    market = rooms([course(main("visit", sum(1 << s for s in mine))) for mine in starts])
    fits = most(starts)
    for _ in range(25):
        market.turn(placed=1)
        assert market.bound >= fits - 1e-9
    assert market.most <= fits + 1


def test_it_comes_down_to_what_can_be_placed() -> None:
    """Five courses of two visits want six hours of one room: three have a place; with a second room all have."""
    both = course(main("one", each([0], 9, 10, 11)), main("two", each([2], 9, 10, 11), (2, 2, 2)))
    assert after(rooms([both] * 5), 40).most == 3
    assert after(rooms([both] * 5, count=2), 40).most == 5


def test_only_what_is_scarce_has_a_price() -> None:
    wanted, spare = at((0, 9)), at((1, 9), (2, 9), (3, 9))
    market = after(rooms([course(main("visit", wanted))] * 3 + [course(main("visit", spare))]), 40)
    dear, cheap = market.charges(0)["visit"], market.charges(3)["visit"]
    assert dear[slot(WHERE, 0, 9)] > WORTH // 2
    assert not cheap[slot(WHERE, 1, 9)]
    assert market.most == 2


def test_nobody_moves_prices_where_there_is_room_for_all() -> None:
    market = rooms([course(main("visit", at((day, 9)))) for day in range(3)])
    assert market.open
    market.turn(placed=0)
    assert not market.open
    assert market.most == 3


def test_slots_of_a_visit_are_those_from_its_start_to_its_end() -> None:
    assert spread(0b1, 0, 3) == 0b111
    assert spread(0b10001, 1, 3) == 0b1100110
    assert spread(0b1000, -2, 1) == 0b1110
