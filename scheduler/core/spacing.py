"""What its neighbors in a course forbid a session: too soon after one, too close before another, behind a gate.

Upper limits are here where the protocol says that they are hard; a visit beyond another is flagged, but not refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from scheduler.core.bar import Bar
from scheduler.core.bitmap import Timeline
from scheduler.core.course import SessionSpec
from scheduler.core.opendays import EVERY_DAY, OpenDays
from scheduler.core.site import valid_days


@dataclass(frozen=True)
class Booked:
    """Where another session of the course stands: its local day, and its instants (aware UTC).

    One that gave its dose later or sooner than planned stands as much later or sooner: others count from what happened.
    """

    day: date
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Near:
    """Local days and instants of the start between which a session keeps to hard upper limits."""

    first_day: date | None = None
    last_day: date | None = None
    since: datetime | None = None
    until: datetime | None = None


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
    #: Hard upper limits: what lies outside is too far from the session before or after.
    near: Near = Near()

    def bars(self, timeline: Timeline, time_zone: str) -> tuple[Bar, ...]:
        """The starts that these bounds forbid."""
        return tuple(self._bars(timeline, time_zone))

    def _bars(self, timeline: Timeline, time_zone: str) -> Iterator[Bar]:
        for gate in self.closed_gates:
            detail = f"The gate '{gate.replace('_', ' ')}' has not been passed."
            yield Bar("gate_not_passed", detail, timeline.everything, item=gate)
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
        yield from self._too_far(timeline, time_zone)
        if self.full:
            days = [{"valid_from": first.isoformat(), "valid_to": last.isoformat()} for first, last in self.full]
            detail = "It would be one more session within some days than its phase allows."
            yield Bar("gap_too_short", detail, valid_days(days, time_zone, timeline))

    def leave(self, stands: Booked) -> bool:
        """Whether the lower bounds leave the session where it stands. Gates and upper limits have no say in this."""
        return not (
            (self.first_day is not None and stands.day < self.first_day)
            or (self.last_day is not None and stands.day > self.last_day)
            or (self.not_before is not None and stands.starts_at < self.not_before)
            or (self.not_after is not None and stands.starts_at > self.not_after)
            or any(first <= stands.day <= last for first, last in self.full)
        )

    def _too_far(self, timeline: Timeline, time_zone: str) -> Iterator[Bar]:
        near, far = self.near, 0
        bounds = {"valid_from": near.first_day, "valid_to": near.last_day}
        days = {key: day.isoformat() for key, day in bounds.items() if day is not None}
        if near.first_day is not None and near.last_day is not None and near.first_day > near.last_day:
            far = timeline.everything
        elif days:
            far = timeline.everything & ~valid_days([days], time_zone, timeline)
        if near.since is not None:
            far |= timeline.everything & ~timeline.from_slot(timeline.slot_after(near.since))
        if near.until is not None:
            far |= timeline.everything & timeline.from_slot(timeline.slot(near.until) + 1)
        if far:
            yield Bar("gap_too_long", "It is farther from another session of the course than allowed.", far)


def binding(
    specs: Sequence[SessionSpec], placed: Collection[int], stands: Mapping[int, Booked], now: datetime
) -> dict[int, Booked]:
    """What stands without the talks about these sessions that have begun: they follow nothing that is placed now."""
    talks = {spec.index for spec in specs if spec.kind == "leaf" and spec.anchor in placed}
    return {index: each for index, each in stands.items() if index not in talks or each.starts_at > now}


def session_rules(
    specs: Sequence[SessionSpec],
    index: int,
    booked: Mapping[int, Booked],
    passed: Collection[str],
    minutes: int = 0,
    opened: OpenDays = EVERY_DAY,
) -> SessionRules:
    """The bounds of session `index`, given where the others stand and which gates are passed.

    `minutes` is how long it lasts: what follows must wait for its end. `opened` are the days that clinic days count.
    """
    spec = specs[index]
    gates = tuple(gate for gate in spec.gates if gate not in passed)
    if spec.kind == "leaf":
        return _leaf_rules(specs, spec, booked, gates, minutes)
    chain = [each for each in specs if each.kind == "main"]
    place = chain.index(spec)
    own, former = _talks(specs, spec, booked), _talks(specs, spec, booked, former=True)
    first, last = _soonest(chain, place, booked, opened), _latest_day(chain, place, booked, opened)
    firsts = [first, *(booked[b.anchor].day + timedelta(b.least) for b in spec.bounds if b.anchor in booked)]
    firsts += [stands.day + _apart(talk) for talk, stands in former]
    lasts = [last, *_held_back(chain, spec, booked)]
    lasts += [stands.day - _apart(talk) for talk, stands in own if talk.before_next or talk.same_day]
    earliest = [_not_before(chain, place, booked), *(stands.ends_at for _, stands in former)]
    latest = [_not_after(chain, place, booked, minutes), *(_leaving(talk, at, minutes) for talk, at in own)]
    return SessionRules(
        max((day for day in firsts if day), default=None),
        min((day for day in lasts if day), default=None),
        max((at for at in earliest if at), default=None),
        gates,
        min((at for at in latest if at), default=None),
        tuple(_full(chain, spec, booked)),
        spec.use_by,
        _near(specs, spec, booked, minutes, opened),
    )


def _soonest(chain: Sequence[SessionSpec], place: int, booked: Mapping[int, Booked], opened: OpenDays) -> date | None:
    """The first day that the least gaps since the nearest booked session before leave."""
    behind = next((each for each in range(place - 1, -1, -1) if chain[each].index in booked), None)
    if behind is None:
        return None
    day = booked[chain[behind].index].day
    for each in chain[behind + 1 : place + 1]:
        day = opened.after(day, each.gap[0] if each.gap else 0, clinic_days=each.clinic_days)
    return day


def _latest_day(
    chain: Sequence[SessionSpec], place: int, booked: Mapping[int, Booked], opened: OpenDays
) -> date | None:
    """The last day that the least gaps before the nearest booked session after it leave."""
    ahead = next((each for each in range(place + 1, len(chain)) if chain[each].index in booked), None)
    if ahead is None:
        return None
    day = booked[chain[ahead].index].day
    for each in reversed(chain[place + 1 : ahead + 1]):
        day = opened.before(day, each.gap[0] if each.gap else 0, clinic_days=each.clinic_days)
    return day


def _near(
    specs: Sequence[SessionSpec],
    spec: SessionSpec,
    booked: Mapping[int, Booked],
    minutes: int,
    opened: OpenDays = EVERY_DAY,
) -> Near:
    """What the hard upper limits of the session, and of those that count from it, leave."""
    days, instants = list(_longest(specs, spec, booked, opened)), list(_latest(specs, spec, booked, minutes))
    return Near(
        first_day=max((day for day, ahead in days if not ahead), default=None),
        last_day=min((day for day, ahead in days if ahead), default=None),
        since=max((at for at, ahead in instants if not ahead), default=None),
        until=min((at for at, ahead in instants if ahead), default=None),
    )


def _longest(
    specs: Sequence[SessionSpec], spec: SessionSpec, booked: Mapping[int, Booked], opened: OpenDays
) -> Iterator[tuple[date, bool]]:
    """Last days (True) counted from sessions before, first days (False) from those that count from this one."""
    for each in specs:
        for anchor, most, clinic_days in _hard_days(each):
            if each is spec and anchor in booked:
                past = opened.after(booked[anchor].day, most + 1, clinic_days=clinic_days)
                yield past - timedelta(days=1), True
            elif anchor == spec.index and each.index in booked:
                past = opened.before(booked[each.index].day, most + 1, clinic_days=clinic_days)
                yield past + timedelta(days=1), False


def _hard_days(spec: SessionSpec) -> Iterator[tuple[int, int, bool]]:
    """The index of a session before, the most days from it that are ever booked, and whether those are clinic days."""
    if spec.hard and spec.anchor is not None and spec.gap and spec.gap[2] is not None:
        yield spec.anchor, spec.gap[2], spec.clinic_days
    yield from ((bound.anchor, bound.most, False) for bound in spec.bounds if bound.hard and bound.most is not None)
    if spec.span_hard and spec.span is not None and spec.span[0] != spec.index:
        yield spec.span[0], spec.span[1], False


def _latest(
    specs: Sequence[SessionSpec], spec: SessionSpec, booked: Mapping[int, Booked], minutes: int
) -> Iterator[tuple[datetime, bool]]:
    """The same for limits that count elapsed time from an edge of a visit."""
    for each in specs:
        edge, most = _hard_minutes(each)
        if most is None or each.anchor is None:
            continue
        if each is spec and each.anchor in booked:
            anchor = booked[each.anchor]
            yield (anchor.ends_at if edge == "end" else anchor.starts_at) + timedelta(minutes=most), True
        elif each.anchor == spec.index and each.index in booked:
            ended = minutes if edge == "end" else 0
            yield booked[each.index].starts_at - timedelta(minutes=most + ended), False


def _hard_minutes(spec: SessionSpec) -> tuple[str, int | None]:
    if spec.kind == "leaf":
        window = spec.window
        return ("end", None) if window is None or not window.hard else (window.edge, window.maximum)
    return ("end", None) if spec.rest is None or not spec.hard else (spec.rest.edge, spec.rest.maximum)


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


def _talks(
    specs: Sequence[SessionSpec], spec: SessionSpec, booked: Mapping[int, Booked], *, former: bool = False
) -> list[tuple[SessionSpec, Booked]]:
    """The booked talks that follow the session, or the `former` ones: those to be had before it."""
    return [
        (each, booked[each.index])
        for each in specs
        if each.kind == "leaf"
        and each.index in booked
        and each.anchor is not None
        and (each.before_next and each.anchor == spec.anchor if former else each.anchor == spec.index)
    ]


def _leaving(talk: SessionSpec, stands: Booked, minutes: int) -> datetime | None:
    """The last start of a session that leaves the talk about it as late as it must be."""
    if talk.window is None:
        return None
    ended = minutes if talk.window.edge == "end" else 0
    return stands.starts_at - timedelta(minutes=max(minutes, ended + talk.window.minimum))


def _apart(talk: SessionSpec) -> timedelta:
    """How many days a talk keeps from the sessions around it."""
    return timedelta(0 if talk.same_day else 1)


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
    apart = _apart(spec)
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
        near=_near(specs, spec, booked, minutes),
    )
