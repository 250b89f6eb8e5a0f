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
    """The bounds of one session: local days (inclusive), an instant for a leaf, and the gates not yet passed."""

    first_day: date | None = None
    last_day: date | None = None
    not_before: datetime | None = None
    closed_gates: tuple[str, ...] = ()

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


def session_rules(
    specs: Sequence[SessionSpec], index: int, booked: Mapping[int, Booked], passed: Collection[str]
) -> SessionRules:
    """The bounds of session `index`, given where the others stand and which gates are passed."""
    spec = specs[index]
    gates = tuple(gate for gate in spec.gates if gate not in passed)
    if spec.kind == "leaf":
        return _leaf_rules(specs, spec, booked, gates)
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
    return SessionRules(first, last, None, gates)


def _leaf_rules(
    specs: Sequence[SessionSpec], spec: SessionSpec, booked: Mapping[int, Booked], gates: tuple[str, ...]
) -> SessionRules:
    main = booked.get(spec.anchor) if spec.anchor is not None else None
    after = next((each for each in specs if each.kind == "main" and each.anchor == spec.anchor), None)
    following = booked.get(after.index) if after is not None and spec.before_next else None
    not_before = None
    if main is not None and spec.window is not None:
        edge = main.ends_at if spec.window.edge == "end" else main.starts_at
        not_before = edge + timedelta(minutes=spec.window.minimum)
    return SessionRules(
        first_day=main.day + timedelta(1) if main is not None and spec.before_next else None,
        last_day=following.day - timedelta(1) if following is not None else None,
        not_before=not_before,
        closed_gates=gates,
    )
