"""Repeated visits without a course over HTTP: previewed, booked whole, changed by one, from one on, or all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.appointments import BY, CATEGORY, WISH_AGREES, AppointmentSchema, CancelSchema, WantedSchema
from scheduler.api.errors import reason
from scheduler.api.fields import Choice, Flag, Id, Instant, List, Nested, Start, Text, Whole
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Code
from scheduler.api.visits import ObstacleSchema, appointment_document, obstacle, pins_from
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, Invalid, LocalTimeFault, NotFound, Refused, StaleRevision
from scheduler.services import series
from scheduler.services.finding import Wanted
from scheduler.services.series import Look, SeriesView
from scheduler.services.series_moves import Why

blp = Blueprint("series", __name__, url_prefix="/v1", description="Repeated visits without a course")

_RULE = {"description": "RFC 5545 RRULE: FREQ (DAILY, WEEKLY, MONTHLY), INTERVAL, COUNT or UNTIL, BYDAY"}


class SeriesBookingSchema(WantedSchema):
    """A repeated visit that is wanted; `start` is the first, `drop` names starts that are left out."""

    class Meta(WantedSchema.Meta):
        """A session of a course is one visit."""

        exclude = ("course_session_id",)

    rule = Text(500, required=True, metadata=_RULE)
    drop = List(Instant(), max=100, load_default=list)


class OccurrenceSchema(Schema):
    """One occurrence as it would be booked; `start` is null when the clocks skip or repeat its wall time."""

    local_start = Text(30, required=True)
    start = Instant(required=True, allow_none=True)
    bookable = Flag(required=True)
    reasons = List(Nested(ObstacleSchema), max=100, required=True)


class OccurrencesSchema(Schema):
    """Every occurrence of the rule."""

    occurrences = List(Nested(OccurrenceSchema), max=100, required=True)


class DroppedSchema(Schema):
    """An occurrence that is left out; `code` tells when the clocks skip or repeat it, and not the caller."""

    local_start = Text(30, required=True)
    code = Text(60)


class SeriesSchema(Schema):
    """A series with all its visits, by the wall time at which each was meant to be."""

    lives = True

    id = Id(required=True)
    patient_id = Id(required=True)
    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    rule = Text(500, required=True)
    appointments = List(Nested(AppointmentSchema), max=100, required=True)
    dropped = List(Nested(DroppedSchema), max=100, required=True)
    created_at = Instant(required=True)
    revision = Whole(required=True)


class SeriesQuery(PageQuery):
    """Filters of the list."""

    patient_id = Id()
    location_id = Id()
    visit_type = Text(60)


class SeriesMoveSchema(Schema):
    """Where one occurrence moves to; the others of the scope move by as many days, to the same wall time."""

    start = Start(required=True)
    scope = Choice("this", "following", "all", required=True)
    by = Choice("patient", "staff", "clinic", load_default="staff", metadata=BY)
    reason = Text(500, load_default=None)
    category = Code(load_default=None, metadata=CATEGORY)


class SeriesCancelSchema(CancelSchema):
    """Which occurrences do not take place, and why."""

    scope = Choice("this", "following", "all", required=True)


class SeriesChangeSchema(Schema):
    """Every visit that changed."""

    appointments = List(Nested(AppointmentSchema), max=100, required=True)


_AGREE = (
    *WISH_AGREES,
    Agree(series.check_rule, ("rule",)),
    Agree(series.check_drop, ("location_id", "start", "disambiguation", "rule", "drop"), asks=True),
)


@blp.post("/series/preview")
@endpoint(
    scope="scheduling:read",
    takes=SeriesBookingSchema,
    gives=OccurrencesSchema,
    refuses=(NotFound, Invalid, LocalTimeFault),
    agree=_AGREE,
)
def preview_series(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Every occurrence of the rule, and whether it could be booked now; books nothing."""
    rule, _, wanted = _asked(body)
    return {"occurrences": [_look(look) for look in series.preview(session, call, wanted, rule)]}


@blp.post("/series")
@endpoint(
    scope="scheduling:write",
    takes=SeriesBookingSchema,
    gives=SeriesSchema,
    status=201,
    refuses=(NotFound, Invalid, LocalTimeFault, Refused),
    agree=_AGREE,
)
def create_series(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Book every occurrence but the dropped ones and those that the clocks skip or repeat, or none."""
    rule, drop, wanted = _asked(body)
    made, _ = series.create(session, call, wanted, rule, drop=drop)
    return _document(made)


@blp.get("/series")
@endpoint(scope="scheduling:read", query=SeriesQuery, gives=SeriesSchema, many=True)
def list_series(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Series with their visits, oldest first."""
    found = series.listed(session, call, **query)
    return Page([_document(view) for view in found.items], found.next_cursor)


@blp.get("/series/<uuid:series_id>")
@endpoint(scope="scheduling:read", gives=SeriesSchema, refuses=(NotFound,))
def get_series(session: Session, call: Call, *, series_id: UUID) -> Any:
    """One series with its visits."""
    return _document(series.get(session, call, series_id))


@blp.post("/appointments/<uuid:appointment_id>/reschedule-series")
@endpoint(
    scope="scheduling:write",
    takes=SeriesMoveSchema,
    gives=SeriesChangeSchema,
    refuses=(NotFound, Invalid, LocalTimeFault, Refused, IllegalTransition, StaleRevision),
    if_match="optional",
)
def reschedule_series(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Move one occurrence, it and those after it, or all that are ahead, by as many days and to the same wall time.

    One that was moved alone before is among them: from the day on which it stands it comes to the common hour too.
    """
    scope, start, why = body.pop("scope"), body.pop("start"), Why(**body)
    moved = series.reschedule(session, call, appointment_id, scope, start, why=why, revision=revision)
    return {"appointments": [appointment_document(view) for view in moved]}


@blp.post("/appointments/<uuid:appointment_id>/cancel-series")
@endpoint(
    scope="scheduling:write",
    takes=SeriesCancelSchema,
    gives=SeriesChangeSchema,
    refuses=(NotFound, Invalid, Refused, IllegalTransition, StaleRevision),
    if_match="optional",
)
def cancel_series(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Cancel one occurrence, it and those after it, or all that are ahead."""
    gone = series.cancel(session, call, appointment_id, body.pop("scope"), **body, revision=revision)
    return {"appointments": [appointment_document(view) for view in gone]}


def _asked(body: dict[str, Any]) -> tuple[str, list[Any], Wanted]:
    body["pins"] = pins_from(body["pins"])
    return body.pop("rule"), body.pop("drop"), Wanted(**body)


def _look(look: Look) -> dict[str, Any]:
    return {
        "local_start": look.key.isoformat(),
        "start": look.starts_at,
        "bookable": look.found is not None,
        "reasons": [obstacle(reason(each)) for each in look.reasons],
    }


def _document(view: SeriesView) -> dict[str, Any]:
    row = view.row
    return {
        "id": row.id,
        "patient_id": row.patient_id,
        "visit_type": row.visit_type,
        "location_id": row.location_id,
        "rule": row.rule,
        "appointments": [appointment_document(each) for each in view.appointments],
        "dropped": [
            {"local_start": each["occurrence"], **({"code": each["code"]} if "code" in each else {})}
            for each in row.dropped
        ],
        "created_at": row.created_at,
        "revision": row.revision,
    }
