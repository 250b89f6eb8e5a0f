"""Late binding of rooms against trying every room for every visit."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise, product
from uuid import UUID

import pytest

from scheduler.core.availability import Calendar, Clinic, exact_starts
from scheduler.core.bitmap import SLOTS_PER_DAY, Timeline, bits
from scheduler.core.columns import Stay, Stays
from scheduler.core.demand import demand_of
from scheduler.core.rooms import RoomPool, rebound
from scheduler.core.visit import parse_visit_type
from tests.clinic import need, segment, visit_type

TIMELINE, BAY = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 1), "room:bay"
ROOMS = tuple(UUID(int=number) for number in range(1, 4))


def by_room(stay: Stay) -> tuple[int, int]:
    return (stay.room.int if stay.room else 0, stay.start)


def legal(pool: RoomPool, stays: list[Stay], rooms: dict[object, UUID]) -> bool:
    """Whether this is a seating: nobody where it is closed unless left there, nobody twice, the fixed as they are."""
    for i, stay in enumerate(stays):
        room = stay.room if stay.fixed else rooms[stay.key]
        assert room is not None
        if any(pool.away.get(room, 0) >> slot & 1 for slot in range(stay.start, stay.end)) and (
            room != stay.room or stay.key is None
        ):
            return False
        for other in stays[:i]:
            theirs = other.room if other.fixed else rooms[other.key]
            if room == theirs and stay.meets(other):
                return False
    return True


def seating_exists(pool: RoomPool, newcomer: Stay) -> bool:
    stays = [*pool.stays, newcomer]
    free = [stay for stay in stays if not stay.fixed]
    return any(
        legal(pool, stays, dict(zip((stay.key for stay in free), choice, strict=True)))
        for choice in product(pool.rooms, repeat=len(free))
    )


def random_pool(rng: random.Random, *, stranded: bool = False) -> RoomPool:
    """A legal day: visits seated one by one wherever there is room; `stranded`: also where it was closed since."""
    rooms = ROOMS[: rng.randint(2, 3)]
    away = {rng.choice(rooms): 0b111 << rng.randint(0, 15)} if rng.random() < 0.4 else {}
    stays: list[Stay] = []
    for key in range(rng.randint(0, 6)):
        start = rng.randint(0, 15)
        stay = Stay(key, rng.choice(rooms), start, start + rng.randint(1, 5), fixed=rng.random() < 0.3)
        slots = sum(1 << slot for slot in range(stay.start, stay.end))
        clash = any(other.room == stay.room and other.meets(stay) for other in stays)
        if stay.room is not None and not clash and (stranded or not away.get(stay.room, 0) & slots):
            stays.append(stay)
    return RoomPool(rooms, lambda: Stays.of(stays), away)


@pytest.mark.parametrize("seed", range(400))
def test_a_room_is_found_exactly_when_some_seating_exists(seed: int) -> None:
    rng = random.Random(seed)
    pool = random_pool(rng, stranded=seed % 2 == 1)
    start = rng.randint(0, 15)
    wanted = rng.choice((None, *pool.rooms))  # half of them want one room by name, and no other
    newcomer = Stay(None, wanted, start, start + rng.randint(1, 6), fixed=wanted is not None)
    chosen = rebound(pool, newcomer)
    assert (chosen is not None) == seating_exists(pool, newcomer)
    assert wanted is None or chosen is None or chosen[None] == wanted
    if chosen is not None:
        rooms = {stay.key: stay.room for stay in pool.stays if stay.room is not None} | chosen
        assert legal(pool, [*pool.stays, newcomer], rooms)
        assert all(stay.key not in chosen for stay in pool.stays if stay.fixed)


def test_visits_keep_their_rooms_when_nothing_forces_them() -> None:
    pool = RoomPool(ROOMS, lambda: Stays.of([Stay("a", ROOMS[2], 0, 4), Stay("b", ROOMS[1], 2, 6)]), {})
    assert rebound(pool, Stay(None, None, 1, 5)) == {None: ROOMS[0]}


def test_many_visits_in_few_rooms_are_told_apart_when_counting_allows_it() -> None:
    """Sixty visits, scattered at random over four rooms: wherever three meet at most, a fourth has a place."""
    rng = random.Random(5)
    rooms = tuple(UUID(int=number) for number in range(1, 5))
    stays: list[Stay] = []
    while len(stays) < 60:
        start = rng.randint(0, 280)
        stay = Stay(len(stays), rng.choice(rooms), start, start + rng.randint(4, 12))
        if not any(other.room == stay.room and other.meets(stay) for other in stays):
            stays.append(stay)
    pool = RoomPool(rooms, lambda: Stays.of(stays), {})
    tried = 0
    for start in range(280):
        newcomer = Stay(None, None, start, start + 8)
        fits = all(sum(s.start <= slot < s.end for s in stays) < len(rooms) for slot in range(start, start + 8))
        assert (rebound(pool, newcomer) is not None) == fits
        tried += fits
    assert tried > 20


def test_in_rooms_that_are_never_all_empty_counting_decides_as_well() -> None:
    """Sixty days in which every visit meets another: so many that each is not asked in turn, and none need go far."""
    rng = random.Random(1)
    rooms, days = tuple(UUID(int=number) for number in range(1, 11)), 60 * SLOTS_PER_DAY
    stays: list[Stay] = []
    for room in rooms:
        at = rng.randint(0, 100)
        while at < days:
            stays.append(Stay(len(stays), room, at, at + rng.choice((36, 60, 96, 132))))
            at = stays[-1].end + rng.choice((0, 0, 6, 12, 40, 60))
    pool = RoomPool(rooms, lambda: Stays.of(stays), {}, slots=days)
    tried = 0
    for start in range(days // 2, days // 2 + 600, 7):
        newcomer = Stay(None, None, start, start + 36)
        near = [stay for stay in stays if stay.meets(newcomer)]
        if len({stay.room for stay in near}) < len(rooms):
            continue
        if all(sum(stay.start <= at < stay.end for stay in near) < len(rooms) for at in range(start, start + 36)):
            chosen = rebound(pool, newcomer)
            assert chosen is not None
            moved = [replace(stay, room=chosen.get(stay.key, stay.room)) for stay in stays]
            seated = [*moved, replace(newcomer, room=chosen[None])]
            assert not any(a.room == b.room and a.meets(b) for a, b in pairwise(sorted(seated, key=by_room)))
            tried += 1
    assert tried > 20


@pytest.mark.parametrize("known", [True, False])
def test_who_stays_on_where_nobody_looked_keeps_the_room(*, known: bool) -> None:
    """Until that is looked at: one who was promised the room is there, or nobody is."""
    long = Stay("long", ROOMS[0], 280, 300)
    there = [long, *([] if known else [Stay("named", ROOMS[1], 295, 310, fixed=True)])]
    wide = RoomPool(
        ROOMS[:2], lambda: Stays.of([each.moved(SLOTS_PER_DAY) for each in there]), {}, slots=3 * SLOTS_PER_DAY
    )
    near = RoomPool(ROOMS[:2], lambda: Stays.of([long]), {}, slots=SLOTS_PER_DAY)
    newcomer = Stay(None, ROOMS[0], 270, 285, fixed=True)
    assert rebound(near, newcomer) is None
    far = replace(near, farther=lambda _: (wide, SLOTS_PER_DAY))
    assert rebound(far, newcomer) == ({None: ROOMS[0], "long": ROOMS[1]} if known else None)


def test_what_has_begun_or_lies_in_pieces_is_settled() -> None:
    whole, begun = Stay("a", ROOMS[0], 5, 9), Stay("b", ROOMS[1], 3, 6)
    pieces = [Stay("c", ROOMS[2], 7, 8), Stay("c", ROOMS[0], 9, 10)]
    found = Stays.of([whole, begun, *pieces]).settled(3)
    assert {stay.key: stay.fixed for stay in found} == {"a": False, "b": True, "c": True}
    assert [(stay.room, stay.start) for stay in found] == [(s.room, s.start) for s in (whole, begun, *pieces)]


@pytest.mark.parametrize("closed", [False, True])
def test_who_came_before_the_calendar_begins_can_change_rooms_too(*, closed: bool) -> None:
    """One who stays for long sits where the newcomer must be, and could be where somebody else comes later."""
    long, later = Stay(1, ROOMS[0], -300, 6), Stay(2, ROOMS[1], 8, 20, fixed=True)
    pool = RoomPool(ROOMS[:2], lambda: Stays.of([long, later]), {ROOMS[1]: 0b11} if closed else {})
    assert rebound(pool, Stay(None, None, 5, 12)) == (None if closed else {None: ROOMS[0], 1: ROOMS[1]})


def closings(rng: random.Random, rooms: tuple[UUID, ...]) -> dict[UUID, int]:
    """Some rooms are closed for a while, whoever was to stay there."""
    return {room: ((1 << rng.randint(1, 12)) - 1) << rng.randint(0, 15) for room in rooms if rng.random() < 0.5}


@pytest.mark.parametrize("seed", range(800))
def test_counting_is_exact_where_nobody_who_is_met_is_fixed_and_no_room_goes_or_comes(seed: int) -> None:
    rng = random.Random(seed)
    pool = random_pool(rng)
    pool = replace(pool, away=closings(rng, pool.rooms))
    start = rng.randint(0, 15)
    newcomer = Stay(None, None, start, start + rng.randint(1, 6))
    slots = range(newcomer.start, newcomer.end)
    if any(pool.spoiled >> slot & 1 for slot in slots):
        return
    full = {room: taken(pool, room) | pool.away.get(room, 0) for room in pool.rooms}
    counted = all(any(not full[room] >> slot & 1 for room in pool.rooms) for slot in slots)
    assert (rebound(pool, newcomer) is not None) == counted


@pytest.mark.parametrize("seed", range(300))
def test_among_people_who_sit_all_and_only_the_seatable_starts_are_offered(seed: int) -> None:
    """Where somebody sits, or a room is closed for a while, counting would offer a stay that changes rooms half-way."""
    rng = random.Random(seed)
    pool = random_pool(rng)
    if seed % 2:
        pool = replace(pool, away=closings(rng, pool.rooms))
    minutes = 5 * rng.randint(1, 6)
    demand = demand_of(parse_visit_type(visit_type("stay", segment("stay", minutes, need("room:bay"))), {}))
    calendars = {
        room: Calendar(room, "room", 1, TIMELINE.everything, pool.away.get(room, 0), (taken(pool, room),), {BAY: -1})
        for room in pool.rooms
    }
    offered = exact_starts(demand, Clinic(TIMELINE, calendars, (), pools={BAY: pool}))
    seatable = [slot for slot in range(20) if seating_exists(pool, Stay(None, None, slot, slot + minutes // 5))]
    assert [slot for slot in bits(offered) if slot < 20] == seatable


def taken(pool: RoomPool, room: UUID) -> int:
    """The slots at which somebody is in that room."""
    return sum(1 << slot for stay in pool.stays if stay.room == room for slot in range(stay.start, stay.end))


def test_what_a_fixed_stay_spoils_ends_where_nobody_meets_it() -> None:
    stays = [
        Stay(1, ROOMS[0], 0, 3, fixed=True),
        Stay(2, ROOMS[1], 2, 5),
        Stay(3, ROOMS[0], 5, 8),
        Stay(4, ROOMS[0], 9, 10),
    ]
    assert RoomPool(ROOMS, lambda: Stays.of(stays), {}).spoiled == 0b11111


@pytest.mark.parametrize("seed", range(400))
def test_counting_is_exact_beside_what_is_tried_out_where_two_are(seed: int) -> None:
    """Between two tries a stay may lie in a room that another was given meanwhile: there nothing is counted."""
    rng = random.Random(seed)
    bare = replace(random_pool(rng), away={})
    ghost = Stay("ghost", rng.choice(bare.rooms), 5, 5 + rng.randint(2, 6))
    stays = [*bare.stays, ghost]
    full, twice = dict.fromkeys(bare.rooms, 0), 0
    for stay in stays:
        assert stay.room is not None
        slots = ((1 << (stay.end - stay.start)) - 1) << stay.start
        twice |= full[stay.room] & slots
        full[stay.room] |= slots
    pool = replace(bare, look=lambda: Stays.of(stays), tried=twice)
    start = rng.randint(0, 15)
    newcomer = Stay(None, None, start, start + rng.randint(1, 6))
    wanted = range(newcomer.start, newcomer.end)
    if any(pool.spoiled >> slot & 1 for slot in wanted):
        return
    counted = all(any(not full[room] >> slot & 1 for room in pool.rooms) for slot in wanted)
    assert (rebound(pool, newcomer) is not None) == counted


def test_more_stay_than_there_are_rooms_where_one_is_closed() -> None:
    stays = [Stay(1, ROOMS[0], 0, 4), Stay(2, ROOMS[1], 2, 6), Stay(3, ROOMS[2], 3, 9)]
    closed = RoomPool(ROOMS, lambda: Stays.of(stays), {ROOMS[2]: 0b11111000}, tried=0)
    assert Stays.of(stays).more_than(2) == 0b1000
    assert closed._overfull == 0b1000
    assert replace(closed, away={})._overfull == 0
