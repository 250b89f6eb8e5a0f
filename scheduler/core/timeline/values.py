"""What a timeline shows: one bar a session, its mark where it stands, gates between them. And the same in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

State = Literal["open", "planned", "pencilled", "booked", "done", "broken"]
Kind = Literal["dosing", "integration", "other"]

WORDS: dict[State, str] = {
    "open": "not planned",
    "planned": "planned",
    "pencilled": "pencilled",
    "booked": "booked",
    "done": "done",
    "broken": "booked, to be looked at",
}


@dataclass(frozen=True)
class Mark:
    """A visit where it stands: its start in the location's wall time."""

    start: datetime
    state: State


@dataclass(frozen=True)
class Lost:
    """A visit of a session that did not count: its start in wall time, and what became of it, in a word or two."""

    start: datetime
    word: str


@dataclass(frozen=True)
class Bar:
    """A session: its window in local days (`latest` None: nothing limits it), and its visit if it has one.

    `use_by` is the last day on which what was received for it may be given; `lost` are its visits that did not count.
    """

    sequence: int
    label: str
    phase: str
    kind: Kind
    earliest: date
    target: date
    latest: date | None
    mark: Mark | None
    use_by: date | None = None
    lost: tuple[Lost, ...] = ()


@dataclass(frozen=True)
class Gate:
    """A condition that stands before the session at that place among the bars."""

    before: int
    label: str
    hard: bool
    outcome: str


@dataclass(frozen=True)
class Timeline:
    """A course from its first day to its last."""

    title: str
    time_zone: str
    today: date
    bars: tuple[Bar, ...]
    gates: tuple[Gate, ...] = ()

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day that anything is about; today only when it is among them."""
        found = [each.earliest for each in self.bars] + [each.target for each in self.bars]
        found += [each.latest for each in self.bars if each.latest and each.mark is None]
        found += [each.mark.start.date() for each in self.bars if each.mark]
        found += [each.use_by for each in self.bars if each.use_by]
        found += [lost.start.date() for each in self.bars for lost in each.lost]
        return min(found, default=self.today), max(found, default=self.today)


def described(timeline: Timeline) -> Iterator[str]:
    """The picture in words, a line a session and a line a gate: for who cannot see it."""
    for place, bar in enumerate(timeline.bars):
        yield from _gates(timeline, place)
        latest = f" to {bar.latest:%d %b %Y}" if bar.latest else " or later"
        window = f"window {bar.earliest:%d %b %Y}{latest}"
        where = f"{WORDS[bar.mark.state]} on {bar.mark.start:%a %d %b %Y at %H:%M}" if bar.mark else WORDS["open"]
        more = [f"{lost.word} on {lost.start:%a %d %b %Y at %H:%M}" for lost in bar.lost]
        more += [f"to be given by {bar.use_by:%d %b %Y}"] if bar.use_by else []
        yield f"{bar.sequence}. {bar.label} ({bar.phase}): {'; '.join([where, window, *more])}."
    yield from _gates(timeline, len(timeline.bars))


def _gates(timeline: Timeline, place: int) -> Iterator[str]:
    for gate in (each for each in timeline.gates if each.before == place):
        yield f"{'Hard' if gate.hard else 'Soft'} gate, {gate.label}: {gate.outcome}."
