"""How long a patient is watched after the dose: a floor in elapsed minutes that no checklist and no override lowers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.core.visit import VisitType
from scheduler.core.visit_day.times import Times


@dataclass(frozen=True)
class Watch:
    """The demanded watch, aware UTC. `certain` is false while the anchor is only reckoned from the plan."""

    since: datetime
    over_at: datetime
    segment: str
    certain: bool


def watch(visit: VisitType, times: Times) -> Watch | None:
    """The watch that the visit type demands; None without one, or before any dose.

    While nobody has said when the last device was given, it is reckoned from the first one and the planned length of
    the dose: the patient is watched rather longer than too short.
    """
    if visit.observation is None or times.dosed_at is None:
        return None
    since, certain = times.dosed_at, True
    if visit.observation.anchor == "last_device":
        certain = times.last_device_at is not None
        start, end = times.planned_dose(visit)
        since = times.last_device_at or times.dosed_at + (end - start)
    minutes = timedelta(minutes=visit.observation.minutes)
    return Watch(since, since + minutes, visit.observation.segment, certain)
