"""The day board of a location over HTTP: every visit of one local day, and who is taken when."""

from __future__ import annotations

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from scheduler.api.appointments import AppointmentSchema
from scheduler.api.day import TaskSchema, day_document, task_document
from scheduler.api.fields import Choice, Day, Id, Instant, List, LocalInstant, Nested, Text, Whole
from scheduler.api.http import Blueprint, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import NotFound
from scheduler.services import board
from scheduler.services.board import Board, Lane, Span

blp = Blueprint("board", __name__, url_prefix="/v1/locations", description="The day board")


class DayQuery(Schema):
    """Which day."""

    date = Day(required=True, metadata={"description": "The local day of the location"})


class BoardVisitSchema(AppointmentSchema):
    """A visit on the board, with the task that is to be done next; null when none is left."""

    next_task = Nested(TaskSchema, required=True, allow_none=True)


class TakenSchema(Schema):
    """So many units taken for a while."""

    kind = Choice("visit", "hold", "absence", required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    local_start = LocalInstant()
    local_end = LocalInstant()
    units = Whole(required=True)
    role = Text(60, allow_none=True, metadata={"description": "The role or type it is taken as"})
    appointment_id = Id(allow_none=True)


class LaneSchema(Schema):
    """A room, a device or somebody on the staff. Who is only required to be on site is not taken."""

    resource_id = Id(required=True)
    kind = Choice("practitioner", "room", "device", required=True)
    name = Text(200, required=True)
    types = List(Text(60), max=100, required=True, metadata={"description": "Roles, or the room or device type"})
    units = Whole(required=True)
    taken = List(Nested(TakenSchema), max=10_000, required=True)


class BoardSchema(Schema):
    """One local day of a location, from `start` to `end`: 23 to 25 hours as a rule."""

    location_id = Id(required=True)
    date = Day(required=True)
    time_zone = Text(64, required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    visits = List(Nested(BoardVisitSchema), max=10_000, required=True)
    resources = List(Nested(LaneSchema), max=10_000, required=True)


@blp.get("/<uuid:location_id>/day")
@endpoint(scope="scheduling:read", query=DayQuery, gives=BoardSchema, refuses=(NotFound,))
def show_day(session: Session, call: Call, query: dict[str, Any], *, location_id: UUID) -> Any:
    """Everything of one day at one site: visits of any status by start, rooms and staff with their taken time."""
    return _document(board.day(session, call, location_id, query["date"]))


def _document(found: Board) -> dict[str, Any]:
    where = zone(found.time_zone)
    visits = []
    for view in found.visits:
        following = next((task for task in view.tasks if task.done_at is None), None)
        shown = None if following is None else task_document(following, where)
        visits.append(day_document(view) | {"next_task": shown})
    return {
        "location_id": found.location_id,
        "date": found.day,
        "time_zone": found.time_zone,
        "start": found.start.astimezone(where),
        "end": found.end.astimezone(where),
        "visits": visits,
        "resources": [_lane(lane, where) for lane in found.lanes],
    }


def _lane(lane: Lane, where: ZoneInfo) -> dict[str, Any]:
    return {
        "resource_id": lane.id,
        "kind": lane.kind,
        "name": lane.name,
        "types": lane.types,
        "units": lane.units,
        "taken": [_taken(span, where) for span in lane.taken],
    }


def _taken(span: Span, where: ZoneInfo) -> dict[str, Any]:
    start, end = span.start.astimezone(where), span.end.astimezone(where)
    return {
        "kind": span.kind,
        "start": start,
        "end": end,
        "local_start": start,
        "local_end": end,
        "units": span.units,
        "role": span.role,
        "appointment_id": span.appointment_id,
    }
