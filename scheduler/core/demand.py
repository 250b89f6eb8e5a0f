"""What a visit asks of the calendar: its segments turned into threads, each served by one and the same resource.

Who is free to serve them is the business of `availability`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.visit import Need, Segment, VisitType

#: No pause: nothing else of the visit comes before, or after.
FAR = 1 << 30
#: Nothing is taken for longer in one piece.
MOST_SLOTS = 24 * 60 // SLOT_MINUTES
#: Slots that a resource needs for itself: (before, after).
Buffers = tuple[int, int]


@dataclass(frozen=True)
class Stretch:
    """Slots [start, end) from the visit's start during which `units` are taken; None means all there are.

    `since` and `until` are the slots that lie between it and whatever else of the visit the same resource may serve.
    """

    start: int
    end: int
    units: int | None
    segment: str
    since: int = FAR
    until: int = FAR

    @property
    def length(self) -> int:
        """In slots."""
        return self.end - self.start

    def widened(self, buffers: Buffers) -> Stretch:
        """With the slots that its resource needs before and after. Within a visit a pause is turnover first."""
        before, after = buffers
        spare = MOST_SLOTS - self.length
        ahead = min(before, max(self.since - after, 0), spare)
        return replace(self, start=self.start - ahead, end=self.end + min(after, self.until, spare - ahead))


@dataclass(frozen=True)
class Thread:
    """One resource of the kind `selector` (such as `role:nurse`) through one or more stretches.

    A `present` thread takes no unit and may be shared out among several people; its stretches only need someone of the
    role on site at every minute.
    """

    selector: str
    stretches: tuple[Stretch, ...]
    present: bool = False

    @property
    def role(self) -> str:
        """The code after the kind: what people call it."""
        return self.selector.partition(":")[2]

    def meets(self, other: Thread) -> bool:
        """Whether some slot lies in both."""
        return any(a.start < b.end and b.start < a.end for a in self.stretches for b in other.stretches)

    def around(self, buffers: Buffers) -> tuple[Stretch, ...]:
        """What a resource with these buffers has to be free for; the visit itself does not grow."""
        if buffers == (0, 0):
            return self.stretches
        return tuple(stretch.widened(buffers) for stretch in self.stretches)

    @cached_property
    def _hash(self) -> int:
        return hash((self.selector, self.stretches, self.present))

    def __hash__(self) -> int:  # a key of what calendars remember: asked for at every start that is looked at
        return self._hash


@dataclass(frozen=True)
class Demand:
    """A visit type as the calendar sees it. Slots count from the visit's start; setup lies before it."""

    code: str
    threads: tuple[Thread, ...]
    patient_slots: int
    first_slot: int
    past_slot: int
    site_certifications: tuple[str, ...]

    @cached_property
    def counts(self) -> Mapping[Thread, int]:
        """Distinct threads with how often each occurs (two facilitators are one thread, twice)."""
        return Counter(self.threads)

    @cached_property
    def selectors(self) -> frozenset[str]:
        """What the threads ask for."""
        return frozenset(thread.selector for thread in self.threads)

    @cached_property
    def meeting(self) -> tuple[frozenset[int], ...]:
        """For each thread, by its place, the places of the others that some slot is shared with."""
        return tuple(
            frozenset(j for j, other in enumerate(self.threads) if i != j and thread.meets(other))
            for i, thread in enumerate(self.threads)
        )

    def without_buffers(self) -> Demand:
        """The same visit with nothing taken before the patient comes or after they have gone."""
        threads = []
        for thread in self.threads:
            stretches = tuple(
                replace(each, start=max(each.start, 0), end=min(each.end, self.patient_slots))
                for each in thread.stretches
                if each.start < self.patient_slots and each.end > 0
            )
            threads += [replace(thread, stretches=stretches)] if stretches else []
        return replace(self, threads=tuple(threads), first_slot=0, past_slot=self.patient_slots)

    @cached_property
    def _hash(self) -> int:
        return hash((self.code, self.threads, self.patient_slots))

    def __hash__(self) -> int:  # a key of what is remembered of it
        return self._hash

    @property
    def reach(self) -> tuple[int, int]:
        """Slots from the visit's start to the first and past the last one that it touches."""
        return min(self.first_slot, 0), max(self.past_slot, self.patient_slots)


@lru_cache(maxsize=1024)
def demand_of(visit: VisitType) -> Demand:
    """Compile a visit type.

    Rooms and devices of one type are the same thing throughout the visit: nobody changes chairs between segments.
    Cover by people may pass from one to another at a segment's edge unless the need says `same_as`.
    """
    threads: dict[tuple[str, str, int], list[Stretch]] = {}
    roots: dict[tuple[str, str], str] = {}
    present: dict[str, list[Stretch]] = {}
    placed = [(segment, start // SLOT_MINUTES, end // SLOT_MINUTES) for segment, start, end in visit.offsets()]
    for segment, start, end in placed:
        for need in segment.needs:
            if need.mode == "present":
                present.setdefault(need.selector, []).append(Stretch(start, end, None, segment.name))
                continue
            units = None if need.mode == "exclusive" else need.units
            root = _root(segment, need, roots)
            for ordinal in range(need.count):
                stretches = threads.setdefault((need.selector, root, ordinal), [])
                stretches.append(Stretch(start, end, units, segment.name))
    return Demand(
        code=visit.code,
        threads=(
            *with_pauses([Thread(selector, _merged(found)) for (selector, _, _), found in threads.items()]),
            *(
                Thread(selector, (each,), present=True)
                for selector, found in present.items()
                for each in _merged(found)
            ),
        ),
        patient_slots=visit.minutes // SLOT_MINUTES,
        first_slot=min(start for _, start, _ in placed),
        past_slot=max(end for _, _, end in placed),
        site_certifications=visit.site_certifications,
    )


def with_pauses(threads: Sequence[Thread]) -> Iterator[Thread]:
    """The same threads, each stretch with the pauses to whatever the same person, room or device may serve besides.

    Nobody needs to turn over from one segment of a visit to the next one of the same visit.
    """
    for thread in threads:
        others = [each for each in threads if _may_share(thread, each)]
        found = [stretch for each in (thread, *others) for stretch in each.stretches]
        yield replace(
            thread,
            stretches=tuple(
                replace(
                    stretch,
                    since=min((stretch.start - each.end for each in found if each.end <= stretch.start), default=FAR),
                    until=min((each.start - stretch.end for each in found if each.start >= stretch.end), default=FAR),
                )
                for stretch in thread.stretches
            ),
        )


def _may_share(thread: Thread, other: Thread) -> bool:
    """Whether one resource may serve both: people in any of their roles, things in their only type."""
    people = all(each.selector.startswith("role:") for each in (thread, other))
    return (people or thread.selector == other.selector) and not thread.meets(other)


def _root(segment: Segment, need: Need, roots: dict[tuple[str, str], str]) -> str:
    """Name of the segment at which the thread of this need began."""
    if need.kind != "role":
        return ""
    root = roots[need.same_as, need.selector] if need.same_as else segment.name
    roots[segment.name, need.selector] = root
    return root


def _merged(stretches: list[Stretch]) -> tuple[Stretch, ...]:
    """Adjacent stretches that take the same number of units, as one."""
    merged: list[Stretch] = []
    for stretch in stretches:
        held = merged[-1] if merged else None
        if held and held.end == stretch.start and held.units == stretch.units:
            merged[-1] = Stretch(held.start, stretch.end, held.units, held.segment)
        else:
            merged.append(stretch)
    return tuple(merged)
