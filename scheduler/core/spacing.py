"""What its neighbors in a course forbid a session: too soon after one, too close before another, behind a gate.

Upper limits are not here: a visit later than its protocol likes is flagged, but it is not refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from scheduler.core.availability import Bar
from scheduler.core.bitmap import Timeline
from scheduler.core.course import SessionSpec
from scheduler.core.site import valid_days


@dataclass(frozen=True)
class Booked:
    """Where another session of the course stands: its local day, and its instants (aware UTC)."""

    day: date
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class SessionRules:
    """The bounds of one session: local days (inclusive), instants of its start, and the gates not yet passed.

    `full` are days (inclusive pairs) on which it would be one session too many of its phase.
    """

    first_day: date | None = None
    last_day: date | None = None
    not_before: datetime | None = None
    closed_gates: tuple[str, ...] = ()
    not_after: datetime | None = None
    full: tuple[tuple[date, date], ...] = ()
    #: The last day on which what was received for it may be given.
    use_by: date | None = None

    def bars(self, timeline: Timeline, time_zone: str) -> tuple[Bar, ...]:
        """The starts that these bounds forbid."""
        return tuple(self._bars(timeline, time_zone))

    def _bars(self, timeline: Timeline, time_zone: str) -> Iterator[Bar]:
        for gate in self.closed_gates:
            detail = f"The gate '{gate.replace('_', ' ')}' has not been passed."
            yield Bar("gate_not_passed", detail, timeline.everything)
        bounds = {}
        if self.first_day is not None:
            bounds["valid_from"] = self.first_day.isoformat()
        if self.last_day is not None:
            bounds["valid_to"] = self.last_day.isoformat()
        if self.first_day and self.last_day and self.first_day > self.last_day:
            yield Bar("gap_too_short", "There is no room between the sessions around it.", timeline.everything)
        elif bounds:
            outside = timeline.everything & ~valid_days([bounds], time_zone, timeline)
            yield Bar("gap_too_short", "It is closer to another session of the course than allowed.", outside)
        if self.not_before is not None:
            early = timeline.everything & ~timeline.from_slot(timeline.slot_after(self.not_before))
            yield Bar("gap_too_short", "It is too soon after the session that it follows.", early)
        if self.not_after is not None:
            late = timeline.everything & timeline.from_slot(timeline.slot(self.not_after) + 1)
            yield Bar("gap_too_short", "It is too close before the session that follows it.", late)
        if self.use_by is not None:
            days = [{"valid_to": self.use_by.isoformat()}]
            detail = f"What was received for it has to be given by {self.use_by.isoformat()}."
            yield Bar("supply_expired", detail, timeline.everything & ~valid_days(days, time_zone, timeline))
        if self.full:
            days = [{"valid_from": first.isoformat(), "valid_to": last.isoformat()} for first, last in self.full]
            detail = "It would be one more session within some days than its phase allows."
            yield Bar("gap_too_short", detail, valid_days(days, time_zone, timeline))


def session_rules(
    specs: Sequence[SessionSpec], index: int, booked: Mapping[int, Booked], passed: Collection[str], minutes: int = 0
) -> SessionRules:
    """The bounds of session `index`, given where the others stand and which gates are passed.

    `minutes` is how long it lasts: what follows must wait for its end.
    """
    spec = specs[index]
    gates = tuple(gate for gate in spec.gates if gate not in passed)
    if spec.kind == "leaf":
        return _leaf_rules(specs, spec, booked, gates, minutes)
    chain = [each for each in specs if each.kind == "main"]
    place = chain.index(spec)
    first = last = None
    days = 0
    for each, following in zip(chain[place - 1 :: -1] if place else [], chain[place:0:-1], strict=True):
        days += following.gap[0] if following.gap else 0
        if each.index in booked:
            first = booked[each.index].day + timedelta(days)
            break
    days = 0
    for each in chain[place + 1 :]:
        days += each.gap[0] if each.gap else 0
        if each.index in booked:
            last = booked[each.index].day - timedelta(days)
            break
    firsts = [first, *(booked[b.anchor].day + timedelta(b.least) for b in spec.bounds if b.anchor in booked)]
    lasts = [last, *_held_back(chain, spec, booked)]
    return SessionRules(
        max((day for day in firsts if day), default=None),
        min((day for day in lasts if day), default=None),
        _not_before(chain, place, booked),
        gates,
        _not_after(chain, place, booked, minutes),
        tuple(_full(chain, spec, booked)),
        spec.use_by,
    )


def _held_back(chain: Sequence[SessionSpec], spec: SessionSpec, booked: Mapping[int, Booked]) -> Iterator[date]:
    """The last days that later sessions leave which count their days from this one."""
    for each in chain:
        if each.index in booked:
            yield from (booked[each.index].day - timedelta(b.least) for b in each.bounds if b.anchor == spec.index)


def _not_before(chain: Sequence[SessionSpec], place: int, booked: Mapping[int, Booked]) -> datetime | None:
    """The end of the session before, and the hours that this one keeps from it."""
    before = booked.get(chain[place - 1].index) if place else None
    if before is None:
        return None
    rest = chain[place].rest
    if rest is None:
        return before.ends_at
    edge = before.ends_at if rest.edge == "end" else before.starts_at
    return max(before.ends_at, edge + timedelta(minutes=rest.minimum))


def _not_after(chain: Sequence[SessionSpec], place: int, booked: Mapping[int, Booked], minutes: int) -> datetime | None:
    """The same, seen from the session that follows."""
    following = chain[place + 1] if place + 1 < len(chain) else None
    if following is None or following.index not in booked:
        return None
    starts = booked[following.index].starts_at
    if following.rest is None:
        return starts - timedelta(minutes=minutes)
    ended = minutes if following.rest.edge == "end" else 0
    return starts - timedelta(minutes=max(minutes, ended + following.rest.minimum))


def _full(chain: Sequence[SessionSpec], spec: SessionSpec, booked: Mapping[int, Booked]) -> Iterator[tuple[date, date]]:
    """The days around others of its phase on which one more would be too many."""
    days = sorted(booked[each.index].day for each in chain if each.phase == spec.phase and each.index in booked)
    for limit in spec.limits:
        for first, last in zip(days, days[limit.most - 1 :], strict=False):
            monday = first - timedelta(first.weekday())
            if limit.days is None and last <= monday + timedelta(6):
                yield monday, monday + timedelta(6)
            elif limit.days is not None and (last - first).days < limit.days:
                reach = timedelta(limit.days - 1)
                yield last - reach, first + reach


def _leaf_rules(
    specs: Sequence[SessionSpec],
    spec: SessionSpec,
    booked: Mapping[int, Booked],
    gates: tuple[str, ...],
    minutes: int,
) -> SessionRules:
    main = booked.get(spec.anchor) if spec.anchor is not None else None
    after = next((each for each in specs if each.kind == "main" and each.anchor == spec.anchor), None)
    following = booked.get(after.index) if after is not None and spec.before_next else None
    apart = timedelta(0 if spec.same_day else 1)
    not_before = None
    if main is not None and spec.window is not None:
        edge = main.ends_at if spec.window.edge == "end" else main.starts_at
        not_before = max(main.ends_at, edge + timedelta(minutes=spec.window.minimum))
    return SessionRules(
        first_day=main.day + apart if main is not None and (spec.before_next or spec.same_day) else None,
        last_day=following.day - apart if following is not None else None,
        not_before=not_before,
        closed_gates=gates,
        not_after=following.starts_at - timedelta(minutes=minutes) if following is not None else None,
    )
