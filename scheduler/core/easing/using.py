"""How a plan uses a rule that was lifted for it: on which days, and by how much it goes beyond a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_

from scheduler.core.availability import Taking
from scheduler.core.civil import to_local
from scheduler.core.course import Bound, SessionSpec
from scheduler.core.easing.lifting import newcomer
from scheduler.core.easing.rules import Rule, Scene
from scheduler.core.intervals import Span
from scheduler.core.opendays import EVERY_DAY, OpenDays

#: A planned session: start, end, and who serves.
Planned = tuple[SessionSpec, datetime, datetime, Sequence[Taking]]

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


def dates_used(rule: Rule, scene: Scene, visits: Sequence[Planned]) -> list[date]:
    """The local days of the visits that would not be possible on them with the rule in force."""
    return [to_local(visit[1], scene.site.time_zone).date() for visit in visits if _uses(rule, scene, visit)]


def exceeded(
    rule: Rule,
    scene: Scene,
    visits: Sequence[Planned],
    stands: Mapping[int, tuple[datetime, datetime]],
    opened: OpenDays = EVERY_DAY,
) -> dict[int, int]:
    """By how many days or hours each session, by index, goes beyond the limit that the rule is about.

    `opened` are the days that clinic days count in the plan.
    """
    at = dict(stands) | {spec.index: (start, end) for spec, start, end, _ in visits}
    found = {}
    for spec in scene.specs:
        if rule.code == "bound_max" and spec.index in at:
            found[spec.index] = max((_beyond(bound, at, spec.index, scene) for bound in spec.bounds), default=0)
        if spec.anchor is None or not {spec.index, spec.anchor} <= at.keys():
            continue
        here, before = at[spec.index], at[spec.anchor]
        if rule.code == "gap_max" and spec.kind == "main" and spec.gap is not None and spec.gap[2] is not None:
            one, other = (to_local(place[0], scene.site.time_zone).date() for place in (before, here))
            found[spec.index] = opened.between(one, other, clinic_days=spec.clinic_days) - spec.gap[2]
        elif rule.code == "window_max" and spec.window is not None:
            edge = before[1] if spec.window.edge == "end" else before[0]
            found[spec.index] = -(-(here[0] - edge - spec.window.maximum * _MINUTE) // _HOUR)
        elif rule.code == "rest_max" and spec.rest is not None and spec.rest.maximum is not None:
            edge = before[1] if spec.rest.edge == "end" else before[0]
            found[spec.index] = -(-(here[0] - edge - spec.rest.maximum * _MINUTE) // _HOUR)
    return {index: more for index, more in found.items() if more > 0}


def _beyond(bound: Bound, at: Mapping[int, tuple[datetime, datetime]], index: int, scene: Scene) -> int:
    """By how many days the session is further from the one that its days are counted from than it may be."""
    if bound.most is None or bound.anchor not in at:
        return 0
    one, other = (to_local(at[place][0], scene.site.time_zone).date() for place in (bound.anchor, index))
    return (other - one).days - bound.most


def _uses(rule: Rule, scene: Scene, visit: Planned) -> bool:
    _, start, end, takings = visit
    wall, wish = to_local(start, scene.site.time_zone), scene.preferences
    minute = 60 * wall.hour + wall.minute
    if rule.code == "weekdays":
        return wish.weekdays is not None and wall.weekday() not in wish.weekdays
    if rule.code == "hours":
        return minute < (wish.earliest or 0) or (wish.latest is not None and minute > wish.latest)
    if rule.code == "blackout" and rule.start is not None and rule.end is not None:
        return rule.start <= wall.date() <= rule.end
    if rule.code in {"location_closed", "outside_hours"}:
        site, taken = scene.site, reduce(or_, (taking.slots for taking in takings), 0)
        slots = taken | site.timeline.inside([Span(start, end)])
        return bool(slots & (site.closed if rule.code == "location_closed" else ~(site.open | site.closed)))
    return any(_serves(rule, scene, taking) for taking in takings)


def _serves(rule: Rule, scene: Scene, taking: Taking) -> bool:
    """Whether somebody serves there who could not with the rule in force."""
    if taking.selector != rule.selector:
        return False
    if rule.code in {"no_resource", "not_qualified"}:
        return newcomer(taking.resource_id)
    slots = taking.slots
    calendar = scene.site.calendars.get(taking.resource_id)
    if calendar is None:
        return False
    if rule.run is not None:
        first, past = rule.run
        return taking.resource_id == rule.resource_id and taking.start < past and first < taking.end
    return rule.code == "off_duty" and bool(slots & ~calendar.rostered)
