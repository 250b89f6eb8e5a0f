"""/v1/load: how full a location is, slot by slot."""

from __future__ import annotations

from typing import Any

from scheduler.api.fields import Id, Instant, List, LocalInstant, Nested, Step, Text, Whole
from scheduler.api.http import Agree, Blueprint, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import Invalid, NotFound
from scheduler.services import load

blp = Blueprint("load", __name__, url_prefix="/v1", description="How full a location is")


class LoadQuery(Schema):
    """A span of at most 31 days, half-open, that begins on the five-minute grid."""

    location_id = Id(required=True)
    from_ = Instant(data_key="from", required=True)
    to = Instant(required=True)
    step = Step()
    role = Text(60, load_default="nurse", metadata={"description": "Whose units are counted"})


class PlannedStartsSchema(Schema):
    """Starts of visits up to `minutes` long: what the clinic's template means the slot to have, and what it has."""

    minutes = Whole(required=True)
    starts = Whole(required=True)
    booked = Whole(required=True)


class StartsSchema(Schema):
    """So many visits of one type that begin."""

    visit_type = Text(60, required=True)
    count = Whole(required=True)


class LoadSlotSchema(Schema):
    """One slot, at its fullest five minutes."""

    start = Instant(required=True)
    end = Instant(required=True)
    local_start = LocalInstant()
    starts = List(Nested(StartsSchema), max=1000, required=True)
    units_taken = Whole(required=True, metadata={"description": "Of the role, by visits and holds"})
    units_rostered = Whole(required=True)
    rooms_taken = Whole(required=True)
    rooms_open = Whole(required=True)
    template = List(Nested(PlannedStartsSchema), max=200, required=True)


class LoadSchema(Schema):
    """A heat map: starts, and the load on one role and on the rooms."""

    location_id = Id(required=True)
    time_zone = Text(64, required=True)
    role = Text(60, required=True)
    step = Whole(required=True)
    slots = List(Nested(LoadSlotSchema), max=10_000, required=True)


_AGREE = (Agree(load.check_span, ("from", "to")), Agree(load.check_grid, ("from",)))


@blp.get("/load")
@endpoint(scope="scheduling:read", query=LoadQuery, gives=LoadSchema, refuses=(NotFound, Invalid), agree=_AGREE)
def show_load(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Starts by visit type and units taken beside those there are, in each slot of a span."""
    since, until = query.pop("from_"), query.pop("to")
    found = load.of_location(session, call, query.pop("location_id"), since, until, **query)
    where = zone(found.time_zone)
    return vars(found) | {
        "slots": [
            {
                "start": slot.start.astimezone(where),
                "end": slot.end.astimezone(where),
                "local_start": slot.start.astimezone(where),
                "starts": [{"visit_type": code, "count": count} for code, count in slot.starts.items()],
                "units_taken": slot.taken,
                "units_rostered": slot.rostered,
                "rooms_taken": slot.rooms_taken,
                "rooms_open": slot.rooms_open,
                "template": slot.template,
            }
            for slot in found.slots
        ]
    }
