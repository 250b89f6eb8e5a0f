"""Seeded random courses, small enough to be enumerated, odd enough to reach every corner of the rules."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import TypeVar

from scheduler.core.bitmap import SLOT
from scheduler.core.civil import to_instant
from scheduler.core.errors import LocalTimeFault
from scheduler.core.planner import Cap, Gap, Grid, Leaf, Main, Preferences, Problem, Rest, Span, Weights, Window

#: Zones with the local day on which each changes its clocks, at night or, for New York, where courses may reach it.
TURNS = (
    ("America/New_York", date(2030, 3, 10)),
    ("America/New_York", date(2030, 11, 3)),
    ("Europe/London", date(2030, 3, 31)),
    ("Australia/Lord_Howe", date(2030, 4, 7)),
    ("Australia/Lord_Howe", date(2030, 10, 6)),
    ("America/Santiago", date(2030, 9, 8)),
    ("UTC", date(2030, 6, 3)),
)


People = Mapping[str, tuple[Hashable, ...]]


def grid(zone: str = "UTC", first_day: date = date(2030, 6, 3), days: int = 14, row_minutes: int = 60) -> Grid:
    """Bit 0 is a UTC midnight, a day before the local ones begin."""
    origin = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC) - timedelta(days=1)
    return Grid(origin, (days + 3) * 288, zone, first_day, days, row_minutes)


def slot(where: Grid, day: int, hour: float) -> int:
    """The slot of a wall time on a local day, counted from the first; raises LocalTimeFault when it is not unique."""
    wall = datetime.combine(where.first_day, time(0)) + timedelta(days=day, hours=hour)
    return (to_instant(wall, where.zone) - where.origin) // SLOT


def bitmap(slots: Iterable[int]) -> int:
    return sum(1 << place for place in set(slots) if place >= 0)


def set_bits(mask: int) -> list[int]:
    return [place for place, digit in enumerate(reversed(f"{mask:b}")) if digit == "1"]


def starts(where: Grid, days: Iterable[int], hours: Iterable[float]) -> int:
    """Each of these hours on each of these days, as far as the clocks show it once."""
    found = []
    hours = list(hours)
    for day in days:
        for hour in hours:
            try:
                found.append(slot(where, day, hour))
            except LocalTimeFault:
                continue
    return bitmap(found)


def thinned(rng: random.Random, mask: int, most: int) -> int:
    """At most so many bits of a bitmap."""
    bits = set_bits(mask)
    return bitmap(rng.sample(bits, min(most, len(bits))))


@dataclass(frozen=True)
class Shape:
    """How large a random course is."""

    mains: tuple[int, int] = (2, 4)
    days: tuple[int, int] = (4, 9)
    most_starts: int = 10
    #: Leaves that may outlast the next session, share days with main ones, or begin at once.
    odd_leaves: bool = True
    pins: bool = True


def by(rng: random.Random, mask: int, people: People, able: float = 0.85) -> dict[str, dict[Hashable, int]]:
    """Each role is sometimes not concerned; each person can serve some of the starts."""
    return {
        role: {person: bitmap(place for place in set_bits(mask) if rng.random() < able) for person in persons}
        for role, persons in people.items()
        if rng.random() < 0.8
    }


def course(seed: int, shape: Shape | None = None) -> Problem:
    """The course of a seed, always the same."""
    shape = shape or Shape()
    rng = random.Random(seed)
    zone, turn = rng.choice(TURNS)
    days = rng.randint(*shape.days)
    where = grid(zone, turn - timedelta(days=rng.randint(0, days - 1)), days, rng.choice([15, 30, 60]))
    hours = rng.choice([(9, 12, 15), (0, 1, 2, 3), (0.5, 2.5, 22.5), (8, 9, 10, 11, 12), (20, 22, 23), (9, 9.25, 9.5)])
    people = {"prescriber": ("P", "Q", "R")[: rng.randint(1, 3)], "therapist": ("T", "U")[: rng.randint(0, 2)]}
    mains = tuple(
        _main(rng, shape, place, starts(where, range(days), hours), people)
        for place in range(rng.randint(*shape.mains))
    )
    problem = Problem(
        grid=where,
        mains=mains,
        candidates=people,
        continuity=rng.choice(["required", "preferred", "preferred", "none"]),
        preferences=_preferences(rng),
        weights=_weights(rng),
        spans=_spans(rng, len(mains)),
    )
    return _pinned(rng, problem) if shape.pins and rng.random() < 0.3 else problem


def ruled(seed: int) -> Problem:
    """The course of a seed under rules of every other kind: caps, rests, least spans, clinic days, discords, levels."""
    rng = random.Random(f"ruled {seed}")
    problem = replace(course(seed, Shape(mains=(3, 4), days=(7, 12), most_starts=9)), spans=())
    mains = [_under_rest(rng, _levelled(rng, main)) for main in problem.mains]
    last = len(mains) - 1
    caps = tuple(
        Cap(rng.randint(0, 1), rng.randint(last - 1, last), rng.randint(1, 2), rng.choice([None, 2, 3, 4, 5, 6]))
        for _ in range(rng.choice([0, 1, 1, 2]))
    )
    spans = (Span(0, rng.randint(1, last), rng.randint(6, 30), rng.randint(2, 6)),) if rng.random() < 0.4 else ()
    open_days = sum(1 << day for day in range(problem.grid.days) if rng.random() < 0.8)
    ruled_course = replace(problem, mains=tuple(mains), caps=caps, spans=spans, open_days=open_days)
    return replace(ruled_course, discords=tuple(_discords(rng, ruled_course)))


def leaving(seed: int) -> Problem:
    """The course of a seed on starts every 5 or 15 minutes, with a price for what each leaves of rooms and people.

    Several therapists serve most of it, some of whom leave more than others.
    """
    rng = random.Random(f"leaving {seed}")
    problem = rng.choice([course, course, ruled])(seed)
    people = {**problem.candidates, "therapist": ("T", "U", "V")[: rng.randint(1, 3)]}
    mains = [_leaving(rng, main, people["therapist"]) for main in problem.mains]
    mains = [replace(main, leaf=main.leaf and _leaving(rng, main.leaf, people["therapist"])) for main in mains]
    weights = replace(
        problem.weights,
        therapist=rng.choice([0, 5, problem.weights.therapist]),
        room_remainders=rng.choice([0, 8, 40]),
        therapist_remainders=rng.choice([5, 30, 90]),
    )
    return replace(
        problem,
        grid=replace(problem.grid, row_minutes=rng.choice([5, 15])),
        mains=tuple(mains),
        candidates=people,
        continuity=rng.choice(["required", "preferred", "preferred", "none"]),
        weights=weights,
    )


V = TypeVar("V", Main, Leaf)


def _leaving(rng: random.Random, visit: V, therapists: tuple[Hashable, ...]) -> V:
    """The same visit, now and then off the quarters, and what is left by it in rooms, by anybody and by each."""
    mask = bitmap(place + rng.choice([0, 0, 1, -1]) for place in set_bits(visit.starts))
    pieces = [bitmap(place for place in set_bits(mask) if rng.random() < 0.5) for _ in range(4)]
    levels = {**visit.levels, "room_remainders": (pieces[0], pieces[0] & pieces[1])}
    if rng.random() < 0.8:
        levels["therapist_remainders"] = (pieces[2], pieces[2] & pieces[3])
    served = {who: bitmap(place for place in set_bits(mask) if rng.random() < 0.8) for who in therapists}
    own = {
        who: tuple(bitmap(each for each in set_bits(mask) if rng.random() < 0.4) for _ in range(2)) for who in served
    }
    by = {**visit.by, "therapist": served} if rng.random() < 0.9 else visit.by
    return replace(visit, starts=mask, by=by, levels=levels, own_levels=own)


def _levelled(rng: random.Random, main: Main) -> Main:
    def levels(visit: Main | Leaf) -> dict[str, tuple[int, ...]]:
        bits = set_bits(visit.starts)
        return {
            name: tuple(bitmap(rng.sample(bits, rng.randint(0, len(bits)))) for _ in range(rng.randint(0, 2)))
            for name in ("start_profile", "nurse_peak")
            if rng.random() < 0.5
        }

    return replace(main, levels=levels(main), leaf=main.leaf and replace(main.leaf, levels=levels(main.leaf)))


def _under_rest(rng: random.Random, main: Main) -> Main:
    if main.gap is None:
        return main
    least = rng.choice([0, 600, 1440, 1445])
    rest = Rest(least, rng.choice([None, None, least + 1440, least + 5000]), rng.choice(["start", "end"]))
    gap = Gap(main.gap.min, main.gap.target, main.gap.max + 2, rest if rng.random() < 0.5 else None)
    return replace(main, gap=replace(gap, clinic_days=rng.random() < 0.4))


def _discords(rng: random.Random, problem: Problem) -> Iterator[frozenset[tuple[str, int]]]:
    """Starts that exclude each other: many of two visits, and some of three."""
    visits = [(visit.session_id, set_bits(visit.starts)) for visit in problem.visits()]
    for size in (2, 2, 3) if rng.random() < 0.7 else ():
        some = rng.sample(visits, size)
        for slots in product(*(bits[:5] for _, bits in some)):
            if rng.random() < 0.7:
                yield frozenset((session_id, at) for (session_id, _), at in zip(some, slots, strict=True))


def _main(rng: random.Random, shape: Shape, place: int, mask: int, people: People) -> Main:
    gap = None
    if place > 0:
        low = rng.randint(0, 2)
        gap = Gap(low, rng.randint(0, 4), low + rng.randint(1, 4))
    mine = thinned(rng, mask, shape.most_starts)
    leaf = _leaf(rng, shape, place, mask, people) if rng.random() < 0.5 else None
    minutes = rng.choice([5, 45, 60, 150, 240])
    return Main(f"main-{place}", minutes, mine, by(rng, mine, people), gap, leaf, rng.random() < 0.7, "phase")


def _leaf(rng: random.Random, shape: Shape, place: int, mask: int, people: People) -> Leaf:
    odd = shape.odd_leaves and rng.random() < 0.5
    low = rng.choice([0, 60, 600]) if odd else rng.choice([0, 720, 1440])
    window = Window(
        low, low + rng.choice([0, 720, 1440]), low + rng.choice([600, 1440, 2880, 4320]), rng.choice(["start", "end"])
    )
    mine = thinned(rng, mask, shape.most_starts)
    before_next = not odd or rng.random() < 0.5
    return Leaf(
        f"leaf-{place}",
        rng.choice([5, 50, 60, 180]),
        mine,
        by(rng, mine, people),
        window,
        before_next,
        odd and rng.random() < 0.6,
    )


def _preferences(rng: random.Random) -> Preferences:
    weekdays = frozenset(rng.sample(range(7), 4)) if rng.random() < 0.5 else None
    earliest, latest = (600, 900) if rng.random() < 0.5 else (None, None)
    return Preferences(weekdays, earliest, latest if rng.random() < 0.5 else None)


def _weights(rng: random.Random) -> Weights:
    if rng.random() < 0.5:
        return Weights()
    low = [rng.choice([0, 1, 2, 5]) for _ in range(12)]
    return Weights(*low)


def _spans(rng: random.Random, mains: int) -> tuple[Span, ...]:
    found = []
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        first = rng.randrange(mains - 1)
        last = rng.randint(first + 1, mains - 1)
        found.append(Span(first, last, rng.randint(last - first, 3 * (last - first))))
    return tuple(found)


def _pinned(rng: random.Random, problem: Problem) -> Problem:
    """Some sessions stand already: on or off the rows, inside the grid or before it."""
    pinned: dict[str, int] = {}
    visits = list(problem.visits())
    for place, visit in enumerate(visits):
        if rng.random() < 0.4:
            spread = problem.grid.days * 288
            pinned[visit.session_id] = place * spread // len(visits) + rng.randint(-150, 250)
    return replace(problem, pinned=pinned)


def long_course(seed: int) -> Problem:
    """A course of two months as a clinic would have it: too many plans to enumerate, spans that bind, no oddities."""
    rng = random.Random(seed)
    zone, turn = rng.choice(TURNS)
    days = rng.randint(36, 60)
    where = grid(zone, turn - timedelta(days=rng.randint(0, 30)), days, 30)
    hours = sorted(rng.sample(range(8, 18), 4))
    people = {"prescriber": ("P", "Q")[: rng.randint(1, 2)], "therapist": ("T", "U", "V")[: rng.randint(1, 3)]}
    weekdays = [day for day in range(days) if (where.first_day + timedelta(days=day)).weekday() < 6]
    offered, talks = starts(where, weekdays, hours), starts(where, weekdays, [hours[0], hours[2] + 0.5])
    mains, span = [], rng.randint(4, 6)
    for place in range(rng.randint(span, 7)):
        gap = Gap(2, rng.choice([2, 3]), rng.choice([4, 5])) if place else None
        mask, talk = thinned(rng, offered, rng.randint(40, 90)), thinned(rng, talks, rng.randint(40, 80))
        leaf = Leaf(
            f"leaf-{place}", 50, talk, by(rng, talk, people, 0.92), Window(1440, 2880, 4320, "end"), before_next=True
        )
        main = Main(f"main-{place}", 120, mask, by(rng, mask, people, 0.92), gap, leaf, dosing=place > 0, phase="phase")
        mains.append(main if rng.random() < 0.7 else replace(main, leaf=None))
    return Problem(
        grid=where,
        mains=tuple(mains),
        candidates=people,
        continuity=rng.choice(["preferred", "preferred", "required"]),
        preferences=_preferences(rng),
        weights=_weights(rng),
        spans=(Span(0, span - 1, round((span - 1) * rng.uniform(2.1, 3.2))),),
    )


def narrow(seed: int) -> Problem:
    """A course with few starts and many people, each of whom serves half of them: much then hangs on one of them."""
    rng = random.Random(f"narrow {seed}")
    where = grid(days=rng.randint(5, 8), row_minutes=15)
    every, hours = range(where.days), rng.choice([(9,), (9, 11.5), (9, 12, 15), (8, 16)])
    people: dict[str, tuple[Hashable, ...]] = {"prescriber": ("P", "Q", "R")[: rng.randint(2, 3)]}
    if rng.random() < 0.3:
        people["therapist"] = ("T", "U")
    mains = []
    for place in range(rng.randint(2, 3)):
        mask, talks = starts(where, every, hours), starts(where, every, (10, 14))
        gap = Gap(1, rng.randint(1, 3), rng.randint(2, 4)) if place else None
        leaf = _narrow_leaf(rng, place, thinned(rng, talks, 7), people) if rng.random() < 0.5 else None
        mine = thinned(rng, mask, rng.randint(3, 7))
        main = Main(f"main-{place}", 60, mine, by(rng, mine, people, 0.5), gap, leaf, rng.random() < 0.8, "phase")
        mains.append(main)
    last, weights = len(mains) - 1, _weights(rng)
    return Problem(
        grid=where,
        mains=tuple(mains),
        candidates=people,
        preferences=Preferences(),
        weights=weights,
        spans=(Span(0, last, rng.randint(last, 2 * last + 1)),) if rng.random() < 0.7 else (),
        continuity=rng.choice(["required", "preferred", "preferred"]),
    )


def _narrow_leaf(rng: random.Random, place: int, talk: int, people: People) -> Leaf:
    low, able = rng.choice([0, 300]), by(rng, talk, people, 0.5)
    window = Window(low, low + rng.choice([0, 400, 700, 1440]), low + rng.choice([1440, 2880]), "end")
    return Leaf(f"leaf-{place}", 60, talk, able, window, rng.random() < 0.6, rng.random() < 0.5)
