"""/v1/groups: visits of several patients. A patient joins by booking the visit type at the group's start."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Choice, Id, Instant, List, LocalInstant, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import IllegalTransition, NotFound, Refused, StaleRevision
from scheduler.services import meetings
from scheduler.services.meetings import GroupView

blp = Blueprint("groups", __name__, url_prefix="/v1", description="Visits of several patients")


class GroupSchema(Schema):
    """One meeting of a group; each patient in it has an appointment of their own."""

    lives = True

    id = Id(required=True)
    status = Choice("open", "cancelled", required=True)
    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, required=True)
    local_start = LocalInstant()
    local_end = LocalInstant()
    minimum = Whole(required=True)
    maximum = Whole(required=True)
    free = Whole(required=True, metadata={"description": "Places that neither a visit nor a hold has"})
    appointment_ids = List(Id(), max=100, required=True, metadata={"description": "The living visits in it"})
    below_minimum = Choice("task", "cancel", required=True)
    decide_at = Instant(allow_none=True, metadata={"description": "When it is looked whether enough patients come"})
    decided_at = Instant(allow_none=True)
    revision = Whole(required=True)
    created_at = Instant(required=True)


class GroupsQuery(PageQuery):
    """Filters of the list; `from` and `to` bound the start, half-open."""

    location_id = Id(load_default=None)
    visit_type = Text(60, load_default=None)
    status = Choice("open", "cancelled", load_default=None)
    from_ = Instant(data_key="from", load_default=None)
    to = Instant(load_default=None)


class GroupCancelSchema(Schema):
    """Why a group does not take place."""

    reason = Text(500, required=True)


@blp.get("/groups")
@endpoint(scope="scheduling:read", query=GroupsQuery, gives=GroupSchema, many=True)
def list_groups(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Groups by start."""
    found = meetings.listing(session, call, since=query.pop("from_"), until=query.pop("to"), **query)
    return Page([_shown(view) for view in found.items], found.next_cursor)


@blp.get("/groups/<uuid:group_id>")
@endpoint(scope="scheduling:read", gives=GroupSchema, refuses=(NotFound,))
def get_group(session: Session, call: Call, *, group_id: UUID) -> Any:
    """One group and who comes."""
    return _shown(meetings.get(session, call, group_id))


@blp.post("/groups/<uuid:group_id>/cancel")
@endpoint(
    scope="scheduling:write",
    takes=GroupCancelSchema,
    gives=GroupSchema,
    refuses=(NotFound, IllegalTransition, Refused, StaleRevision),
    if_match="optional",
)
def cancel_group(session: Session, call: Call, body: dict[str, Any], *, group_id: UUID, revision: int | None) -> Any:
    """Call the group off by the clinic: every visit in it is cancelled, or none.

    Holds of its places end too: who uses or extends one is told so (`group_called_off`).
    """
    return _shown(meetings.cancel(session, call, group_id, **body, revision=revision))


def _shown(view: GroupView) -> dict[str, Any]:
    row, where = view.row, zone(view.row.time_zone)
    start, end = row.starts_at.astimezone(where), row.ends_at.astimezone(where)
    return {
        "id": row.id,
        "status": view.status,
        "visit_type": row.visit_type,
        "location_id": row.location_id,
        "start": start,
        "end": end,
        "time_zone": row.time_zone,
        "local_start": start,
        "local_end": end,
        "minimum": row.minimum,
        "maximum": row.maximum,
        "free": view.free,
        "appointment_ids": view.appointment_ids,
        "below_minimum": row.below_minimum,
        "decide_at": row.decide_at,
        "decided_at": row.decided_at,
        "revision": row.revision,
        "created_at": row.created_at,
    }
