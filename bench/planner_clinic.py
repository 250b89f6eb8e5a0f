"""Synthetic clinics at a chosen load, and courses to be planned in them: bitmaps only, no database. Seeds are fixed.

Load is defined without the planner: every day is filled with random visits until none fits any more, and that share of
them is kept. Numbers of rooms and people, hours and protocols are ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from random import Random

from scheduler.core.bitmap import erode
from scheduler.core.planner import Gap, Grid, Leaf, Main, Preferences, Problem, Span, Weights, Window
from scheduler.core.planner.grid import calendar_of

#: A Monday; half a year from here crosses both changes of clocks.
FIRST_DAY, ZONE = date(2030, 9, 23), "America/New_York"
#: The clinic is open for so many five-minute slots, from 08:00.
OPENS, LENGTH = 8 * 60, 120
_QUARTERS = sum(1 << slot for slot in range(0, LENGTH, 3))
_DAY_MINUTES = 24 * 60
SATURDAY, SUNDAY = 5, 6
DAY_OFF, MORNING_PEOPLE = 0.1, 0.5

#: Most members' days are asked about again and again while a day fills.
_eroded = lru_cache(maxsize=1 << 16)(erode)


@dataclass(frozen=True)
class Need:
    """One of a pool for `length` slots, `offset` slots after the visit starts."""

    pool: str
    offset: int
    length: int


@dataclass(frozen=True)
class Kind:
    """What a visit needs, and for how many slots the patient is there."""

    patient: int
    needs: tuple[Need, ...]

    def starts(self, free: Mapping[str, Mapping[str, int]]) -> int:
        """Where it may start: the product over pools costs no more than their sum."""
        found = -1
        for need in self.needs:
            anyone = 0
            for mask in free[need.pool].values():
                anyone |= _eroded(mask, need.length)
            found &= anyone >> need.offset
        return found


KINDS = {
    "evaluation": Kind(12, (Need("consult", 0, 12), Need("prescriber", 0, 12))),
    "dose": Kind(25, (Need("dosing", 0, 27), Need("prescriber", 0, 6), Need("nurse", 0, 25))),
    "integration": Kind(10, (Need("consult", 0, 12), Need("therapist", 0, 10))),
}

#: Members of each pool; a nurse watches two patients, so she counts twice. The large clinic is one site of three.
SIZES = {
    "small": {"dosing": 2, "consult": 1, "prescriber": 1, "nurse": 4, "therapist": 2},
    "medium": {"dosing": 6, "consult": 4, "prescriber": 3, "nurse": 14, "therapist": 10},
    "large": {"dosing": 8, "consult": 6, "prescriber": 4, "nurse": 26, "therapist": 17},
}


@dataclass(frozen=True)
class Series:
    """A course: gaps between doses, whether a talk follows each, and within how many days the first doses fall."""

    gaps: tuple[Gap, ...]
    talks: bool
    span: Span | None = None


COURSES = {
    "six infusions": Series(tuple(Gap(2, target, 4) for target in (2, 3, 2, 2, 3)), talks=True),
    "twelve twice weekly": Series(
        (*(Gap(2, target, 5) for target in (3, 4, 3, 4, 3, 4, 3)), *(Gap(5, 7, 9) for _ in range(4))),
        talks=False,
        span=Span(1, 8, 29),
    ),
    "four a fortnight apart": Series(tuple(Gap(10, 14, 21) for _ in range(3)), talks=True),
}


@dataclass
class Clinic:
    """The free time of every member of every pool, as bitmaps over the whole timeline."""

    size: str
    weeks: int
    load: float
    seed: int
    grid: Grid = field(init=False)
    free: dict[str, dict[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        days = 7 * self.weeks
        origin = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
        self.grid = Grid(origin, (days + 1) * 288, ZONE, FIRST_DAY, days)
        self.free = {pool: {f"{pool}-{place}": 0 for place in range(n)} for pool, n in SIZES[self.size].items()}
        rng = Random(f"{self.size} {self.weeks} {self.load} {self.seed}")
        for day in range(days):
            for pool, members in self._day(day, rng).items():
                for name, mask in members.items():
                    self.free[pool][name] |= mask << self.opening(day)

    def opening(self, day: int) -> int:
        """The slot at which the clinic opens."""
        calendar = calendar_of(self.grid)
        return int(calendar.slot[OPENS // self.grid.row_minutes, day])

    def _day(self, day: int, rng: Random) -> dict[str, dict[str, int]]:
        """What is free on a day, counted from opening, once its share of visits is booked."""
        hours = {name: _shift(day, pool, rng) for pool, members in self.free.items() for name in members}
        free = {pool: {name: hours[name] for name in members} for pool, members in self.free.items()}
        booked = []
        kinds = ["dose", "dose", "integration", "evaluation"]
        while kinds:
            name = rng.choice(kinds)
            starts = KINDS[name].starts(free) & _QUARTERS
            if starts:
                booked.append(_take(KINDS[name], rng.choice(_bits(starts)), free, rng))
            else:
                kinds = [kind for kind in kinds if kind != name]
        for cancelled in rng.sample(booked, len(booked) - round(self.load * len(booked))):
            for pool, member, mask in cancelled:
                free[pool][member] |= mask
        return free


def _bits(mask: int) -> list[int]:
    return [place for place, digit in enumerate(reversed(f"{mask:b}")) if digit == "1"]


def _shift(day: int, pool: str, rng: Random) -> int:
    """Rooms are free while the clinic is open; people have lunch, half Saturdays and days off."""
    if day % 7 == SUNDAY:
        return 0
    whole = (1 << (LENGTH // 2 if day % 7 == SATURDAY else LENGTH)) - 1
    if pool in {"dosing", "consult"}:
        return whole
    lunch = ((1 << 6) - 1) << rng.randrange(42, 60)
    return 0 if rng.random() < DAY_OFF else whole & ~lunch


def _take(kind: Kind, start: int, free: dict[str, dict[str, int]], rng: Random) -> list[tuple[str, str, int]]:
    """Book a visit with random members that can."""
    taken = []
    for need in kind.needs:
        at = start + need.offset
        able = [name for name, mask in free[need.pool].items() if _eroded(mask, need.length) >> at & 1]
        name, mask = rng.choice(able), ((1 << need.length) - 1) << at
        free[need.pool][name] &= ~mask
        taken.append((need.pool, name, mask))
    return taken


def course(clinic: Clinic, number: int, name: str, *, known: bool, always: bool = False) -> Problem:
    """One patient's course, who can come at certain hours, or `always`.

    `known` says that prescriber and therapist are chosen already.
    """
    rng = Random(f"{clinic.seed} {number} {name}")
    present = _patient(clinic, rng)
    if always:
        present = (1 << clinic.grid.slots) - 1
    starts = {
        kind: each.starts(clinic.free) & erode(present, each.patient) & ((1 << clinic.grid.slots) - 1)
        for kind, each in KINDS.items()
    }
    by = {kind: _served(clinic, each) for kind, each in KINDS.items()}
    series = COURSES[name]
    window = Window(_DAY_MINUTES, 2 * _DAY_MINUTES, 3 * _DAY_MINUTES, "end")
    mains = [Main("evaluation", 60, starts["evaluation"], by["evaluation"], None, None, dosing=False, phase="entry")]
    for place, gap in enumerate((Gap(1, 3, 14), *series.gaps)):
        talk = Leaf(f"talk-{place}", 50, starts["integration"], by["integration"], window, before_next=True)
        leaf = talk if series.talks else None
        mains.append(Main(f"dose-{place}", 125, starts["dose"], by["dose"], gap, leaf, dosing=True, phase="course"))
    candidates: dict[str, tuple[Hashable, ...]] = {}
    for role in ("prescriber", "therapist"):
        people = rng.sample(sorted(clinic.free[role]), len(clinic.free[role]))
        candidates[role] = tuple(people[:1] if known else people)
    morning = rng.random() < MORNING_PEOPLE
    return Problem(
        grid=clinic.grid,
        mains=tuple(mains),
        candidates=candidates,
        continuity="preferred",
        preferences=Preferences(
            frozenset(rng.sample(range(5), 3)), 8 * 60 if morning else 12 * 60, 13 * 60 if morning else 18 * 60
        ),
        weights=Weights(),
        spans=(series.span,) if series.span else (),
    )


def _served(clinic: Clinic, kind: Kind) -> Mapping[str, Mapping[Hashable, int]]:
    return {
        need.pool: {name: erode(mask, need.length) >> need.offset for name, mask in clinic.free[need.pool].items()}
        for need in kind.needs
        if need.pool in {"prescriber", "therapist"}
    }


def _patient(clinic: Clinic, rng: Random) -> int:
    """When the patient can come at all: four or five weekdays, all day or half of it, less an absence of a week."""
    weekdays = rng.sample(range(6), rng.choice([4, 5]))
    first, last = rng.choice([(0, LENGTH), (0, LENGTH), (0, 72), (48, LENGTH)])
    absent = rng.randrange(clinic.grid.days)
    mask = 0
    for day in range(clinic.grid.days):
        if day % 7 in weekdays and not absent <= day < absent + 7:
            mask |= ((1 << (last - first)) - 1) << (clinic.opening(day) + first)
    return mask
