"""Finding a time over HTTP, and why a time can't be had."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import marshmallow as ma

from scheduler.api.appointments import REGION, REGION_AGREES
from scheduler.api.errors import reason
from scheduler.api.fields import (
    Choice,
    CommaList,
    Flag,
    Id,
    Instant,
    List,
    Nested,
    Repeated,
    Start,
    Step,
    Text,
    TimeOfDay,
    Weekday,
)
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Region, raise_each
from scheduler.api.offers import OfferSchema, offer_document
from scheduler.api.visits import ObstacleSchema, obstacle
from scheduler.core.call import Call
from scheduler.core.errors import AlreadyExists, Fault, Invalid, LocalTimeFault, NotFound, Refused
from scheduler.core.hours import WEEKDAYS
from scheduler.core.localgrid import Wish
from scheduler.core.waitlist import window_faults
from scheduler.services import availability
from scheduler.services.availability import Question
from scheduler.services.objecting import check_start

blp = Blueprint("availability", __name__, url_prefix="/v1", description="Finding a time")

_REFUSES = (NotFound, Invalid, AlreadyExists)
_HOLD = {"description": "A living hold of yours: its time counts as free"}
_PEOPLE = {
    "description": "Who is to serve. Of several with one role any will do; a role that none of them has stays open"
}
_ROOM = {"description": "The room to use"}
_DEVICE = {"description": "The device to use"}
_MOVED = {
    "description": "A visit that is to move: its time counts as free, its `pins` hold unless somebody is asked for. "
    "Of a course's visit say `course_session_id` too, or starts are offered that its course refuses"
}
_SESSION = {"description": "The session of a course that the visit is for: its gaps, gates and limits hold too"}
_BY = {"description": "For whom: patients may have a lead time and a horizon of their own"}


class AvailabilityQuery(PageQuery):
    """Which starts are wanted; local times of day are the location's, and bound the start."""

    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    from_ = Instant(data_key="from", required=True)
    to = Instant(required=True)
    patient_id = Id(load_default=None)
    practitioner_id = Repeated(Id(), max=50, load_default=list, metadata=_PEOPLE)
    room_id = Id(load_default=None, metadata=_ROOM)
    device_id = Id(load_default=None, metadata=_DEVICE)
    weekdays = CommaList(Weekday(), max=7, load_default=None)
    earliest = TimeOfDay(load_default=None)
    latest = TimeOfDay(load_default=None)
    step = Step()
    exclude_appointment = Id(load_default=None, metadata=_MOVED)
    hold_id = Id(load_default=None, metadata=_HOLD)
    by = Choice("patient", "staff", load_default="staff", metadata=_BY)
    patient_region = Region(load_default=None, metadata=REGION)
    course_session_id = Id(load_default=None, metadata=_SESSION)

    @ma.validates_schema(skip_on_field_errors=False)
    def _has_hours(self, data: dict[str, Any], **_: Any) -> None:
        raise_each(window_faults([data], ""))


class ExplainQuery(Schema):
    """The start in question."""

    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    start = Start(required=True)
    patient_id = Id(load_default=None)
    practitioner_id = Repeated(Id(), max=50, load_default=list, metadata=_PEOPLE)
    room_id = Id(load_default=None, metadata=_ROOM)
    device_id = Id(load_default=None, metadata=_DEVICE)
    exclude_appointment = Id(load_default=None, metadata=_MOVED)
    hold_id = Id(load_default=None, metadata=_HOLD)
    by = Choice("patient", "staff", load_default="staff", metadata=_BY)
    patient_region = Region(load_default=None, metadata=REGION)
    course_session_id = Id(load_default=None, metadata=_SESSION)


class ExplanationSchema(Schema):
    """Whether a start can be booked; the codes are those of the refusal."""

    bookable = Flag(required=True)
    reasons = List(Nested(ObstacleSchema), max=100, required=True)


_SPAN = (Agree(availability.check_span, ("from", "to")), REGION_AGREES)
_START = (Agree(check_start, ("location_id", "start"), asks=True), REGION_AGREES)


@blp.get("/availability")
@endpoint(
    scope="scheduling:read",
    query=AvailabilityQuery,
    gives=OfferSchema,
    many=True,
    refuses=(*_REFUSES, Refused),
    agree=_SPAN,
)
def list_availability(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Every start that can be booked at once, earliest first; a span of at most 26 weeks."""
    question = Question(
        visit_type=query["visit_type"],
        location_id=query["location_id"],
        since=_from_cursor(query.get("cursor")) or query["from_"],
        until=query["to"],
        patient_id=query["patient_id"],
        practitioner_ids=tuple(query["practitioner_id"]),
        room_id=query["room_id"],
        device_id=query["device_id"],
        wish=_wish(query),
        exclude_appointment=query["exclude_appointment"],
        hold_id=query["hold_id"],
        by=query["by"],
        patient_region=query["patient_region"],
        course_session_id=query["course_session_id"],
    )
    offers, following = availability.search(session, call, question, limit=query["limit"])
    return Page([offer_document(each) for each in offers], following.isoformat() if following else None)


@blp.get("/availability/explain")
@endpoint(
    scope="scheduling:read",
    query=ExplainQuery,
    gives=ExplanationSchema,
    refuses=(*_REFUSES, LocalTimeFault),
    agree=_START,
)
def explain_availability(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Whether a visit can start then, by the law that books it, and every reason why not."""
    question = Question(
        visit_type=query["visit_type"],
        location_id=query["location_id"],
        since=query["start"],
        until=query["start"],
        patient_id=query["patient_id"],
        practitioner_ids=tuple(query["practitioner_id"]),
        room_id=query["room_id"],
        device_id=query["device_id"],
        exclude_appointment=query["exclude_appointment"],
        hold_id=query["hold_id"],
        by=query["by"],
        patient_region=query["patient_region"],
        course_session_id=query["course_session_id"],
    )
    found = availability.explain(session, call, question)
    return {"bookable": found.bookable, "reasons": [obstacle(reason(each)) for each in found.reasons]}


def _wish(query: dict[str, Any]) -> Wish:
    days = query["weekdays"]
    wish = Wish(step=query["step"], weekdays=frozenset(WEEKDAYS.index(day) for day in days) if days else None)
    earliest = wish.earliest if query["earliest"] is None else _minutes(query["earliest"])
    latest = wish.latest if query["latest"] is None else _minutes(query["latest"])
    return Wish(wish.step, wish.weekdays, earliest, latest)


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _from_cursor(cursor: str | None) -> datetime | None:
    """The cursor is the next start: it names nothing of any organization."""
    if cursor is None:
        return None
    try:
        found = datetime.fromisoformat(cursor)
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None:
        raise Invalid([Fault("/cursor", "bad_cursor", "This cursor was not given out for this collection.")])
    return found
