"""The values that a course-planning problem and its answers are made of; no algorithm lives here.

A *start bitmap* is a Python int: bit i is set when a visit may start at slot i of the grid. Whoever builds one has
already asked the clinic's hours, the patient and every pool of rooms, devices and people.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Literal, NamedTuple

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.civil import on_grid

#: Larger weights gain nothing and would come near the planner's "infinite" cost.
HEAVIEST = 10_000
HOUR_MINUTES = 60


def _refuse_unless(lawful: bool, sentence: str) -> None:  # noqa: FBT001 - a condition is what it is about
    if not lawful:
        raise ValueError(sentence)


@dataclass(frozen=True)
class Grid:
    """The UTC timeline that bitmaps speak of, and the local days and wall times at which visits are looked for."""

    #: Start of bit 0; aware, on a five-minute mark of UTC.
    origin: datetime
    #: How many five-minute slots there are.
    slots: int
    #: IANA name; local days and wall times are in this zone.
    zone: str
    first_day: date
    days: int
    #: Starts are looked for every so many minutes of local wall time: 5 to 60, a multiple of 5.
    row_minutes: int = 15

    def __post_init__(self) -> None:
        _refuse_unless(self.origin.utcoffset() is not None, "Grid.origin must be aware")
        _refuse_unless(on_grid(self.origin), "Grid.origin is on a five-minute mark")
        _refuse_unless(self.slots > 0 and self.days > 0, "a grid has at least one slot and one day")
        _refuse_unless(
            SLOT_MINUTES <= self.row_minutes <= HOUR_MINUTES and self.row_minutes % SLOT_MINUTES == 0,
            "Grid.row_minutes is a multiple of 5 from 5 to 60",
        )


@dataclass(frozen=True)
class Rest:
    """Elapsed minutes from an edge of the previous main session to the start of this one."""

    min: int
    max: int | None
    edge: Literal["start", "end"]

    def __post_init__(self) -> None:
        _refuse_unless(self.min >= 0 and (self.max is None or self.max >= self.min), "a rest has 0 <= min <= max")


@dataclass(frozen=True)
class Gap:
    """Local calendar days from the previous main session. Only `min`, `max` and `rest` are rules; `target` is a wish.

    With `clinic_days` only the problem's open days count: the next open day is one later, whatever lies between.
    """

    min: int
    target: int
    max: int
    rest: Rest | None = None
    clinic_days: bool = False

    def __post_init__(self) -> None:
        _refuse_unless(0 <= self.min <= self.max, "a gap has 0 <= min <= max")


@dataclass(frozen=True)
class Window:
    """When a leaf starts: elapsed minutes from an edge of its main visit. `target` is a wish."""

    min: int
    target: int
    max: int
    edge: Literal["start", "end"]

    def __post_init__(self) -> None:
        _refuse_unless(0 <= self.min <= self.max, "a window has 0 <= min <= max")


class Reach(NamedTuple):
    """So many slots after the start of its main session a leaf starts: at least, as wished for, and at most."""

    soonest: int
    target: int
    latest: int


#: One of `LEVELS` -> bitmaps of starts: a start has its weight once for each of them that holds it.
Levels = Mapping[str, tuple[int, ...]]
LEVELS = ("start_profile", "nurse_peak", "room_remainders", "therapist_remainders", "dropped")
#: Whose pieces of a day are looked at one by one.
THERAPIST = "therapist"


@dataclass(frozen=True)
class Leaf:
    """A session that hangs on one main session, such as an integration talk after a dose."""

    session_id: str
    #: How long the patient is there.
    minutes: int
    starts: int
    #: Role -> person -> start bitmap where that person can serve the visit.
    by: Mapping[str, Mapping[Hashable, int]]
    window: Window
    #: Over before the next main session, and on a day before it unless `same_day`.
    before_next: bool
    #: May fall on the day of a main session; otherwise never does, whichever session that is.
    same_day: bool = False
    #: As those of a main session.
    levels: Levels = field(default_factory=dict)
    own_levels: Mapping[Hashable, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _refuse_unless(self.minutes > 0 and self.minutes % SLOT_MINUTES == 0, "a visit lasts whole slots")


@dataclass(frozen=True)
class Main:
    """A session of the chain: each follows the one before it after a gap of days."""

    session_id: str
    #: How long the patient is there.
    minutes: int
    starts: int
    #: Role -> person -> start bitmap where that person can serve the visit.
    by: Mapping[str, Mapping[Hashable, int]]
    #: None for the first session, and only for it.
    gap: Gap | None
    leaf: Leaf | None
    #: Two doses in a row had better be at the same time of day.
    dosing: bool
    phase: str
    #: How full the clinic is, and what would be left of its days: whoever serves.
    levels: Levels = field(default_factory=dict)
    #: Person -> further levels of `therapist_remainders`, where that very one is the primary therapist and serves it.
    own_levels: Mapping[Hashable, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _refuse_unless(self.minutes > 0 and self.minutes % SLOT_MINUTES == 0, "a visit lasts whole slots")

    def reach(self, leaf: Leaf) -> Reach:
        """When its leaf may start: by the window, and once it is over itself."""
        window, edge = leaf.window, self.minutes if leaf.window.edge == "end" else 0
        soonest = max(-(-(edge + window.min) // SLOT_MINUTES), self.minutes // SLOT_MINUTES)
        return Reach(soonest, (edge + window.target) // SLOT_MINUTES, (edge + window.max) // SLOT_MINUTES)

    def until(self, following: Main) -> tuple[int, int | None]:
        """How many slots after its start the next main session starts, at least and, None: without end, at most."""
        rest = following.gap.rest if following.gap is not None else None
        if rest is None:
            return self.minutes // SLOT_MINUTES, None
        edge = self.minutes if rest.edge == "end" else 0
        least = -(-max(self.minutes, edge + rest.min) // SLOT_MINUTES)
        return least, None if rest.max is None else (edge + rest.max) // SLOT_MINUTES


Visit = Main | Leaf


@dataclass(frozen=True)
class Span:
    """From the local day of main session `first` to that of `last` (indexes) it is `min_days` to `max_days`."""

    first: int
    last: int
    max_days: int
    min_days: int = 0

    def __post_init__(self) -> None:
        _refuse_unless(0 <= self.first < self.last and 0 <= self.min_days <= self.max_days, "a span runs forward")


@dataclass(frozen=True)
class Cap:
    """Of main sessions `first` to `last` at most `most` fall within any `days` days, or, None, within one week.

    Days are local and counted with both ends; a week begins on Monday.
    """

    first: int
    last: int
    most: int
    days: int | None

    def __post_init__(self) -> None:
        _refuse_unless(0 <= self.first <= self.last and self.most >= 1, "a cap allows one session at least")
        _refuse_unless(self.days is None or self.days >= 1, "a cap counts at least one day")

    def counts_both(self, one: int, other: int, weekday: int) -> bool:
        """Whether it counts sessions of these two days together, the earlier one first; `weekday` is that of day 0."""
        if self.days is not None:
            return other - one < self.days
        return (one + weekday) // 7 == (other + weekday) // 7


#: Starts that exclude each other: (session id, slot) pairs that are never all in one plan.
Discord = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Preferences:
    """What the patient would like; hard limits are in the bitmaps already."""

    #: Monday is 0; None: any day is as good.
    weekdays: frozenset[int] | None = None
    #: Minutes of the local day between which a visit would lie; None: no wish.
    earliest: int | None = None
    latest: int | None = None


@dataclass(frozen=True)
class Weights:
    """What each wish is worth. Ten points: the course ends one day later."""

    #: Per day of the last and of the first main session, counted from the grid's first day.
    finish: int = 10
    begin: int = 1
    #: Per day between a gap and its target.
    gap: int = 30
    #: Per whole quarter of an hour between the wall times of two doses in a row, up to the cap.
    time_of_day: int = 4
    time_of_day_cap: int = 64
    #: Per main session on a weekday, or at an hour, that the patient does not like.
    weekday: int = 25
    hours: int = 20
    #: Per session that somebody else than the primary person serves.
    prescriber: int = 60
    therapist: int = 80
    other_role: int = 60
    #: Per local day between a leaf and the day of its target; per leaf at an hour that the patient does not like.
    leaf_delay: int = 3
    leaf_hours: int = 10
    #: Per level of starts, and of nurses at work, that a session's start would rise above.
    start_profile: int = 2
    nurse_peak: int = 2
    #: Per session that leaves the time at which it is booked; per local day (up to so many) and per whole quarter of an
    #: hour on the clock by which it does.
    moved: int = 300
    moved_day: int = 8
    moved_days_cap: int = 60
    moved_quarter: int = 2
    #: Per piece of a room's day, and of a therapist's, that a session leaves too short for any visit.
    room_remainders: int = 0
    therapist_remainders: int = 0
    #: Per person or thing that a session was booked with by name, and that is not free at its new time.
    dropped: int = 1000

    def __post_init__(self) -> None:
        for weight in fields(self):
            _refuse_unless(0 <= getattr(self, weight.name) <= HEAVIEST, f"Weights.{weight.name} is 0 to {HEAVIEST}")

    def person(self, role: str) -> int:
        """The price of a session that somebody else than the primary person of that role serves."""
        return {"prescriber": self.prescriber, THERAPIST: self.therapist}.get(role, self.other_role)


@dataclass(frozen=True)
class Problem:
    """One course to be planned. Raises ValueError when it contradicts itself."""

    grid: Grid
    mains: tuple[Main, ...]
    #: Role -> who may be its primary person, the most wanted first. Roles that are not named here need no one person.
    candidates: Mapping[str, tuple[Hashable, ...]]
    continuity: Literal["required", "preferred", "none"]
    preferences: Preferences
    weights: Weights
    spans: tuple[Span, ...] = ()
    #: Session id -> the slot at which it stands. Its own start is taken as it is, and what concerns pinned sessions
    #: only is not judged; every rule that binds a free session to it holds. Its `by` says who serves it: where none of
    #: the candidates does, it binds the course to nobody.
    pinned: Mapping[str, int] = field(default_factory=dict)
    #: Session id -> the slot at which it is booked now. It may stay there for nothing, where it can, or be moved at the
    #: price of `Weights.moved` and its companions: the cheapest plan is then the one that disturbs least.
    booked: Mapping[str, int] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    discords: tuple[Discord, ...] = ()
    #: Bit d is set when local day d of the grid is one that gaps in clinic days count; -1 is every day.
    open_days: int = -1

    def __post_init__(self) -> None:
        ids = [visit.session_id for visit in self.visits()]
        _refuse_unless(bool(self.mains), "a course has at least one main session")
        _refuse_unless(len(set(ids)) == len(ids), "session ids are unique")
        _refuse_unless(self.pinned.keys() <= set(ids), "only sessions of the course can be pinned")
        _refuse_unless(self.booked.keys() <= set(ids) - self.pinned.keys(), "a booked session is free to move")
        _refuse_unless(self.mains[0].gap is None, "the first main session has no gap")
        _refuse_unless(all(main.gap for main in self.mains[1:]), "every later main session has a gap")
        _refuse_unless(all(span.last < len(self.mains) for span in self.spans), "a span ends inside the course")
        _refuse_unless(all(cap.last < len(self.mains) for cap in self.caps), "a cap ends inside the course")
        _refuse_unless(all(len(each) > 1 for each in self.discords), "one start by itself is no discord")
        discordant = {session_id for each in self.discords for session_id, _ in each}
        _refuse_unless(discordant <= set(ids), "only sessions of the course are in discord")
        named = {name for visit in self.visits() for name in visit.levels}
        _refuse_unless(named <= set(LEVELS), "levels have known names")

    def visits(self) -> Iterator[Visit]:
        """Every session: each main one, followed by its leaf."""
        for main in self.mains:
            yield main
            if main.leaf is not None:
                yield main.leaf

    def judged(self, *session_ids: str) -> bool:
        """Whether a rule among these sessions counts: at least one of them can still be moved."""
        return any(session_id not in self.pinned for session_id in session_ids)

    def roles(self) -> tuple[str, ...]:
        """The roles for which one primary person is looked for, in the order of `candidates`."""
        if self.continuity == "none":
            return ()
        listed = {role for visit in self.visits() for role in visit.by}
        required = self.continuity == "required"
        return tuple(role for role, people in self.candidates.items() if role in listed and (people or required))


@dataclass(frozen=True)
class Plan:
    """A complete course: where every session starts, what that costs and why."""

    #: (session id, slot), chronological.
    starts: tuple[tuple[str, int], ...]
    cost: int
    #: Name of the wish -> points; they add up to `cost`.
    parts: Mapping[str, int]
    #: Role -> the one person wanted throughout.
    primaries: Mapping[str, Hashable]
    #: Whether it is proven that none is better; False only when the search was given an end.
    optimal: bool = True


@dataclass(frozen=True)
class Blocked:
    """Why no plan exists: the first session, in the order of the course, with which it becomes impossible."""

    session_id: str
    #: `no_start`: no start on any day that the sessions before it leave; `no_fit`: starts, but none that keeps the
    #: rules of time; `continuity`: only with changing people; `span`: only outside a span; `cap`: only above a cap.
    cause: Literal["no_start", "no_fit", "continuity", "span", "cap"]
    #: The local days that the sessions before it leave, and how many starts it has by itself on each.
    days: tuple[tuple[date, int], ...]
