"""The slowest re-planner: it tries every way in which a course of doses and talks can go on. It knows nothing of ours.

Starts are instants in UTC, so that hours pass as they do; days are those of the wall. A dose follows the one before by
so many days; a talk lies between hours after its dose, on no day of a dose, and before the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise, product
from zoneinfo import ZoneInfo

DOSE, TALK = timedelta(minutes=60), timedelta(minutes=30)
HOUR = timedelta(hours=1)
#: What a visit that moves costs, whatever else it does.
MOVED = 5_000

#: Session by name ("dose 1", "talk 1") to its start.
Starts = Mapping[str, datetime]


@dataclass(frozen=True)
class Course:
    """What binds it: how many doses, days from dose to dose, where each session can be, and what stays or is gone."""

    doses: int
    #: Days between doses: at least, as wished for, at most.
    gap: tuple[int, int, int]
    zone: ZoneInfo
    #: Where each session may go.
    free: Mapping[str, frozenset[datetime]]
    #: Where those stand that stay for certain, and those that may be moved at a price.
    fixed: Starts
    loose: Starts = field(default_factory=dict)
    #: What it costs that a gap is a day off its target.
    off_target: int = 30

    def wall(self, start: datetime) -> datetime:
        """By the clock on the wall."""
        return start.astimezone(self.zone).replace(tzinfo=None)

    def day(self, start: datetime) -> int:
        """A number for the local day."""
        return self.wall(start).toordinal()

    def options(self, name: str) -> list[datetime]:
        """Where a session may be; one that may be moved may as well stay."""
        return [self.fixed[name]] if name in self.fixed else sorted(self.free[name])


@dataclass(frozen=True, order=True)
class Price:
    """Visits that leave their time, then all that it costs."""

    moved: int
    cost: int


def ways(course: Course) -> Iterator[Starts]:
    """Every lawful choice of doses, with the best talk after each."""
    names = [f"dose {number}" for number in range(1, course.doses + 1)]
    for starts in product(*(course.options(name) for name in names)):
        doses = dict(zip(names, starts, strict=True))
        if lawful_doses(course, doses):
            talks = [[at for at in course.options(talk_of(n)) if lawful_talk(course, doses, n, at)] for n in names]
            for chosen in best_of_each(course, doses, names, talks):
                yield doses | chosen


def best_of_each(
    course: Course, doses: Starts, names: list[str], talks: list[list[datetime]]
) -> Iterator[dict[str, datetime]]:
    """Talks know nothing of each other, so that the best of each is the best of all."""
    if all(talks):
        every = zip(names, talks, strict=True)
        yield {
            talk_of(name): min(some, key=lambda at, name=name: talk_price(course, doses[name], talk_of(name), at))
            for name, some in every
        }


def talk_of(dose: str) -> str:
    return dose.replace("dose", "talk")


def lawful(course: Course, starts: Starts) -> bool:
    """Whether a whole answer keeps all that binds it."""
    names = [f"dose {number}" for number in range(1, course.doses + 1)]
    placed = all(starts[name] in course.options(name) for name in (*names, *map(talk_of, names)))
    doses = {name: starts[name] for name in names}
    talks = all(lawful_talk(course, doses, name, starts[talk_of(name)]) for name in names)
    return placed and lawful_doses(course, doses) and talks


def lawful_doses(course: Course, doses: Starts) -> bool:
    """What stands and has stood is not judged."""
    for (one, here), (other, there) in pairwise(doses.items()):
        apart = course.day(there) - course.day(here)
        judged = not {one, other} <= course.fixed.keys()
        if judged and not (course.gap[0] <= apart <= course.gap[2] and here + DOSE <= there):
            return False
    return True


def lawful_talk(course: Course, doses: Starts, mine: str, at: datetime) -> bool:
    """24 to 72 hours after the end of its dose, on an earlier day than the next one, and on no dose's day."""
    talk, following = talk_of(mine), f"dose {int(mine.split()[1]) + 1}"
    for other, start in doses.items():
        if talk in course.fixed and other in course.fixed:
            continue
        if course.day(start) == course.day(at):
            return False
        if other == mine and not 24 * HOUR <= at - start - DOSE <= 72 * HOUR:
            return False
        if other == following and not course.day(at) < course.day(start):
            return False
    return True


def talk_price(course: Course, dose: datetime, name: str, at: datetime) -> tuple[Price, datetime]:
    """By itself; of equals the earliest."""
    target = course.day(dose + DOSE + 48 * HOUR)
    moved = move_price(course, name, at)
    return Price(moved.moved, moved.cost + 3 * abs(course.day(at) - target)), at


def move_price(course: Course, name: str, at: datetime) -> Price:
    """What it costs that a visit leaves its time."""
    was = course.loose.get(name)
    if was is None or was == at:
        return Price(0, 0)
    here, there = course.wall(at), course.wall(was)
    days = min(abs(course.day(at) - course.day(was)), 60)
    quarters = abs(60 * (here.hour - there.hour) + here.minute - there.minute) // 15
    return Price(1, MOVED + 8 * days + 2 * quarters)


def price(course: Course, starts: Starts) -> Price:
    """What a whole answer costs; days are counted from a day of its own."""
    doses = [(f"dose {number}", starts[f"dose {number}"]) for number in range(1, course.doses + 1)]
    cost = course.day(doses[0][1]) + 10 * course.day(doses[-1][1])
    for (_, here), (_, there) in pairwise(doses):
        cost += course.off_target * abs(course.day(there) - course.day(here) - course.gap[1])
        walls = course.wall(here), course.wall(there)
        minutes = [60 * wall.hour + wall.minute for wall in walls]
        cost += min(4 * (abs(minutes[1] - minutes[0]) // 15), 64)
    moves = [move_price(course, name, start) for name, start in doses]
    talks = [talk_price(course, start, talk_of(name), starts[talk_of(name)])[0] for name, start in doses]
    each = [*moves, *talks]
    return Price(sum(one.moved for one in each), cost + sum(one.cost for one in each))


def best(course: Course) -> Price | None:
    """The least: visits moved, then cost. None where there is no lawful way."""
    return min((price(course, way) for way in ways(course)), default=None)
