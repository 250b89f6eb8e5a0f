"""A second look at a course before it is committed: every rule of its protocol, date by date and minute by minute.

It shares nothing with the planner: it reads the sessions as the protocol lays them out, and where they stand. Calendars
are not its business: those are looked at again, under the locks, where the visits are booked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise

from scheduler.core.course import SessionSpec
from scheduler.core.opendays import EVERY_DAY, OpenDays
from scheduler.core.spacing import Booked

MINUTE = timedelta(minutes=1)


def broken(
    specs: Sequence[SessionSpec],
    stands: Mapping[int, Booked],
    fresh: Collection[int],
    opened: OpenDays = EVERY_DAY,
) -> list[str]:
    """What the sessions in `fresh`, where they stand now, break; what concerns others only is not judged."""
    return list(_Look(specs, stands, fresh, opened).faults())


class _Look:
    """The sessions that stand, in the order of the course."""

    def __init__(
        self, specs: Sequence[SessionSpec], stands: Mapping[int, Booked], fresh: Collection[int], opened: OpenDays
    ) -> None:
        self._stands, self._fresh, self._opened = stands, fresh, opened
        self._specs = [spec for spec in specs if spec.index in stands]
        self._mains = [spec for spec in self._specs if spec.kind == "main"]

    def faults(self) -> Iterator[str]:
        for before, spec in pairwise(self._mains):
            if self._judged(before, spec):
                yield from self._step(before, spec)
        for spec in self._mains:
            yield from self._distant(spec)
            if spec.use_by is not None and self._judged(spec) and self._stands[spec.index].day > spec.use_by:
                yield f"session {spec.sequence} is after {spec.use_by.isoformat()}, by when what came for it is given"
        for spec in self._specs:
            if spec.kind == "leaf":
                yield from self._leaf(spec)
        for one, other in pairwise(sorted(self._specs, key=lambda each: self._stands[each.index].starts_at)):
            if self._judged(one, other) and self._stands[other.index].starts_at < self._stands[one.index].ends_at:
                yield f"sessions {one.sequence} and {other.sequence} overlap"

    def _step(self, before: SessionSpec, spec: SessionSpec) -> Iterator[str]:
        """From one main session to the next one of the course."""
        one, other = self._stands[before.index], self._stands[spec.index]
        if other.starts_at < one.ends_at:
            yield f"session {spec.sequence} starts before session {before.sequence} is over"
        if spec.anchor != before.index or spec.gap is None:
            return
        days, (least, _, most) = self._opened.between(one.day, other.day, clinic_days=spec.clinic_days), spec.gap
        if days < least or (most is not None and days > most):
            which = "clinic days" if spec.clinic_days else "days"
            yield f"session {spec.sequence} is {days} {which} after session {before.sequence}"
        if spec.rest is not None:
            elapsed = (other.starts_at - (one.ends_at if spec.rest.edge == "end" else one.starts_at)) / MINUTE
            longest = spec.rest.maximum
            if elapsed < spec.rest.minimum or (longest is not None and elapsed > longest):
                yield f"session {spec.sequence} starts {elapsed / 60:.1f} hours after session {before.sequence}"

    def _distant(self, spec: SessionSpec) -> Iterator[str]:
        """Rules between a main session and those further back."""
        day = self._stands[spec.index].day
        for bound in spec.bounds:
            days = (day - self._stands[bound.anchor].day).days if bound.anchor in self._stands else None
            if days is None or not {spec.index, bound.anchor} & set(self._fresh):
                continue
            if days < bound.least or (bound.most is not None and days > bound.most):
                yield f"session {spec.sequence} is {days} days after the session from which its days are counted"
        if spec.span and spec.span[0] in self._stands and {spec.index, spec.span[0]} & set(self._fresh):
            days = (day - self._stands[spec.span[0]].day).days
            if days > spec.span[1]:
                yield f"session {spec.sequence} is {days} days into a phase of at most {spec.span[1]}"
        for limit in spec.limits:
            first = day - timedelta(day.weekday()) if limit.days is None else day
            past = first + timedelta(7 if limit.days is None else limit.days)
            some = [m for m in self._mains if m.phase == spec.phase and first <= self._stands[m.index].day < past]
            if len(some) > limit.most and self._judged(*some):
                yield f"{len(some)} sessions fall within {(past - first).days} days from {first}, not {limit.most}"

    def _leaf(self, leaf: SessionSpec) -> Iterator[str]:
        """A session that hangs on a main one, and the main one that follows."""
        stand, main = self._stands[leaf.index], next((m for m in self._mains if m.index == leaf.anchor), None)
        if main is not None and leaf.window is not None and self._judged(leaf, main):
            its = self._stands[main.index]
            elapsed = (stand.starts_at - (its.ends_at if leaf.window.edge == "end" else its.starts_at)) / MINUTE
            if not leaf.window.minimum <= elapsed <= leaf.window.maximum:
                yield f"session {leaf.sequence} starts {elapsed / 60:.1f} hours after session {main.sequence}"
        following = next((m for m in self._mains if m.anchor == leaf.anchor and m.index != leaf.anchor), None)
        if following is not None and leaf.before_next and self._judged(leaf, following):
            it = self._stands[following.index]
            if stand.ends_at > it.starts_at or (not leaf.same_day and stand.day >= it.day):
                yield f"session {leaf.sequence} is not before session {following.sequence}"

    def _judged(self, *specs: SessionSpec) -> bool:
        return any(spec.index in self._fresh for spec in specs)
