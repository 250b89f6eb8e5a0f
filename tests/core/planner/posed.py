"""Courses of the benchmark's clinics by name, for the frozen sets: the same words always pose the same problem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import count, product
from typing import NamedTuple

from bench.planner_clinic import COURSES, Clinic, course
from scheduler.core.planner import Problem


class Ward(NamedTuple):
    """A synthetic clinic."""

    size: str
    weeks: int
    load: float
    seed: int

    def clinic(self) -> Clinic:
        """It, by itself: whoever asks may change what is free."""
        made = _made(self)
        same = object.__new__(Clinic)
        same.__dict__.update(made.__dict__, free={pool: dict(members) for pool, members in made.free.items()})
        return same


_made = lru_cache(maxsize=8)(lambda ward: Clinic(*ward))


class Posed(NamedTuple):
    """A patient's course in a clinic."""

    ward: Ward
    number: int
    name: str

    @classmethod
    def read(cls, line: Iterable[object]) -> Posed:
        """As a frozen line has it."""
        size, weeks, load, seed, number, name = line
        return cls(Ward(str(size), int(str(weeks)), float(str(load)), int(str(seed))), int(str(number)), str(name))

    def written(self) -> list[object]:
        """As a frozen line has it."""
        return [*self.ward, self.number, self.name]

    def problem(self) -> Problem:
        """Its prescriber and therapist are known."""
        return course(_made(self.ward), self.number, self.name, known=True)


def courses_of(cells: Iterable[tuple[str, int, float]], each: int) -> Iterator[Posed]:
    """Courses of clinics of these sizes, weeks and loads in turn, `each` of every kind in a clinic; without an end."""
    cells = list(cells)
    for seed in count():
        for (size, weeks, load), number, name in product(cells, range(each), COURSES):
            yield Posed(Ward(size, weeks, load, seed), number, name)
