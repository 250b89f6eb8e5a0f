"""The reference for planning: somebody who books one visit after the other, each at the first time that is offered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds, to_local
from scheduler.core.course import SessionSpec, expand
from scheduler.core.spacing import Booked
from scheduler.models import Location
from scheduler.services import availability
from scheduler.services.availability import Question
from scheduler.services.catalog import protocol_of
from scheduler.services.courses import CourseView

#: A session without an upper limit is looked for so many days.
_PATIENCE = 56


def earliest_fit(session: Session, call: Call, course: CourseView) -> list[datetime] | None:
    """The start of every session, each the earliest that is offered after the ones before it; None when one has none.

    It keeps the gaps and windows of the protocol, looks at the real calendar through the product's own availability,
    and never goes back on a choice.
    """
    _, protocol = protocol_of(session, call, course.row.protocol_id)
    location = session.get_one(Location, (call.organization_id, course.row.location_id))
    booked: dict[int, Booked] = {}
    for spec in expand(protocol, course.row.cadence):
        since, until = _bounds(spec, booked, course.row.start_after, location.time_zone)
        question = Question(
            spec.visit_type, location.id, max(since, call.now), max(until, call.now), course.row.patient_id
        )
        offers, _ = (
            availability.search(session, call, question, limit=1) if question.since < question.until else ([], 0)
        )
        if not offers:
            return None
        day = to_local(offers[0].start, location.time_zone).date()
        booked[spec.index] = Booked(day, offers[0].start, offers[0].end)
    return [place.starts_at for place in booked.values()]


def _bounds(spec: SessionSpec, booked: Mapping[int, Booked], start: date, zone: str) -> tuple[datetime, datetime]:
    """When the session may start, given the ones before it."""
    if spec.kind == "leaf" and spec.window is not None and spec.anchor is not None:
        main, window = booked[spec.anchor], spec.window
        edge = main.ends_at if window.edge == "end" else main.starts_at
        latest = edge + timedelta(minutes=window.maximum + 1)
        return edge + timedelta(minutes=window.minimum), latest
    before = [place for index, place in booked.items() if index == spec.anchor]
    least, _, most = spec.gap or (0, 0, None)
    first = (before[0].day if before else start) + timedelta(days=least)
    last = (before[0].day if before else start) + timedelta(days=_PATIENCE if most is None else most)
    return day_bounds(first, zone)[0], day_bounds(last, zone)[1]
