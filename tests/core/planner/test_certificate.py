"""The benchmark's second opinion on how many courses fit: beside all plans that there are, and beside the search's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from random import Random

import pytest

from bench.batch import ClinicFloor
from bench.certificate import Certificate, Course, Session, Visit
from bench.certified import bound, certificate
from bench.planner_clinic import Clinic
from scheduler.core.planner.batch import Batch

DAYS, HOUR, PER_DAY = 7, 12, 288
DAY = [slot // PER_DAY for slot in range(DAYS * PER_DAY)]
WORTH = 1000
USES = (("room", 0, HOUR), ("nurse", 3, 6))
FREE = {"room": [(1 << len(DAY)) - 1], "nurse": [(1 << len(DAY)) - 1] * 2}


def visit(rng: Random, count: int) -> Visit:
    hours = [PER_DAY * day + HOUR * hour for day in range(DAYS) for hour in (9, 10)]
    return Visit(tuple(sorted(rng.sample(hours, count))), USES)


def course(rng: Random) -> Course:
    """Two or three sessions, of which some have a talk after them."""
    sessions = []
    for place in range(rng.randint(2, 3)):
        talk = visit(rng, 4) if rng.random() < 0.5 else None
        least = rng.randint(PER_DAY // 2, PER_DAY)
        gap = (rng.randint(1, 2), rng.randint(2, 4)) if place else (0, 0)
        sessions.append(Session(visit(rng, 3), gap, talk, (least, least + rng.randint(0, 2 * PER_DAY))))
    spans = ((0, len(sessions) - 1, 2, rng.randint(2, 6)),) if rng.random() < 0.5 else ()
    return Course(tuple(sessions), spans)


def plans(course: Course) -> Iterator[tuple[int, ...]]:
    """Every plan, rule by rule."""
    visits = list(course.visits())
    for starts in product(*(each.starts for each in visits)):
        found = dict(zip(map(id, visits), starts, strict=True))
        mains = [found[id(session.visit)] for session in course.sessions]
        lawful = all(
            session.gap[0] <= DAY[at] - DAY[before] <= session.gap[1]
            for session, before, at in zip(course.sessions[1:], mains, mains[1:], strict=False)
        ) and all(least <= DAY[mains[last]] - DAY[mains[first]] <= most for first, last, least, most in course.spans)
        for session, at, following in zip(course.sessions, mains, [*mains[1:], len(DAY)], strict=True):
            if session.talk is not None:
                talk = found[id(session.talk)]
                until = DAY[following] if following < len(DAY) else DAYS
                lawful &= session.after[0] <= talk - at <= session.after[1] and DAY[at] < DAY[talk] < until
        if lawful:
            yield starts


def worth_of(starts: Sequence[int], prices: dict[str, list[int]]) -> int:
    return sum(sum(prices[pool][at + first : at + first + length]) for at in starts for pool, first, length in USES)


def most(courses: Sequence[Course], taken: frozenset[int] = frozenset()) -> int:
    """How many have a place together in one room: all there is, tried."""
    if not courses:
        return 0
    ways = [set(each) for each in plans(courses[0]) if len(set(each)) == len(each) and not taken & set(each)]
    placed = [1 + most(courses[1:], taken | each) for each in ways]
    return max([most(courses[1:], taken), *placed])


@pytest.mark.parametrize("seed", range(4))
def test_each_course_is_worth_what_its_cheapest_plan_leaves(seed: int) -> None:
    rng, some = Random(seed), 0
    for _ in range(40):
        one = course(rng)
        prices = {pool: [rng.choice((0, 0, 1, 5)) for _ in DAY] for pool in FREE}
        proof = Certificate(DAY, [one], FREE)
        room = {pool: [0] * len(DAY) for pool in FREE}
        for each in one.visits():
            for start, (pool, first, length) in product(each.starts, USES):
                room[pool][start + first : start + first + length] = [len(FREE[pool])] * length
        spent = min((worth_of(starts, prices) for starts in plans(one)), default=WORTH)
        offered = sum(p * n for pool in FREE for p, n in zip(prices[pool], room[pool], strict=True))
        assert proof.bound(prices, WORTH) == Fraction(offered + WORTH - spent, WORTH)
        some += spent < WORTH
    assert 5 < some < 40


@pytest.mark.parametrize("seed", range(4))
def test_no_prices_prove_less_than_what_can_be_placed(seed: int) -> None:
    rng = Random(seed)
    courses = [course(rng) for _ in range(6)]
    proof, placed = Certificate(DAY, courses, FREE), most(courses)
    for dearest in (0, 10, 50, 200):
        assert proof.bound({pool: [rng.randint(0, dearest) for _ in DAY] for pool in FREE}, WORTH) >= placed


def test_prices_below_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Certificate(DAY, [course(Random(0))], FREE).bound({"room": [-1] * len(DAY), "nurse": [0] * len(DAY)}, WORTH)


def test_it_comes_to_what_the_search_says_of_its_own_prices() -> None:
    """One of five courses that have a plan by themselves has no place, and its prices prove that."""
    floor = ClinicFloor(Clinic("small", 8, 0.7, 2), 12)
    proof = certificate(floor.whole, [floor.problem(number) for number in range(12)])
    batch = Batch(floor, 12, rounds=1)
    assert list(batch.steps())
    assert batch.bound is not None
    assert bound(proof, {}) == len(batch.possible) == 5
    assert int(bound(proof, batch.prices)) == 12 - batch.bound.unplaced == 12 - batch.total.unplaced == 4
