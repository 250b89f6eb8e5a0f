"""A noun that exists in tests only, so that the manner is tested whatever becomes of the real ones.

`/v1/probes` keeps its rows in `locations`; each route shows one corner of `endpoint`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.api.fields import Choice, Flag, Instant, List, Nested, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, endpoint, patch_schema
from scheduler.core.call import Call
from scheduler.core.errors import (
    AlreadyExists,
    LostRace,
    NoFeasiblePlan,
    NotFound,
    PlanStale,
    Reason,
    Refused,
    SchedulingError,
    SlotTaken,
    StaleRevision,
)
from scheduler.models import Location
from scheduler.services import audit, paging

if TYPE_CHECKING:
    from flask import Flask

LATER = datetime(2030, 3, 5, 9, tzinfo=UTC)


class PartSchema(Schema):
    """One part."""

    name = Text(20, required=True)
    minutes = Whole(min=5, max=600, required=True)


class ProbeSchema(Schema):
    """A thing that tests make."""

    id = Text(40, dump_only=True)
    revision = Whole(dump_only=True)
    name = Text(20, required=True)
    address = Text(200, min=0, lines=True, load_default="")
    at = Instant(load_only=True)
    size = Choice("small", "large", load_only=True)
    count = Whole(min=1, max=9, load_only=True)
    open = Flag(load_only=True)
    parts = List(Nested(PartSchema), max=3, load_only=True)


ProbePatch = patch_schema(ProbeSchema, "ProbePatch", without=("parts",))


class SecretSchema(Schema):
    """A thing with a secret."""

    id = Text(40)
    secret = Text(40)


blp = Blueprint("probes", __name__, url_prefix="/v1", description="For tests")
#: What the views were told and how often they ran; emptied for each application.
SEEN: dict[str, Any] = {}


@blp.post("/probes")
@endpoint(scope="setup:write", takes=ProbeSchema, gives=ProbeSchema, status=201, refuses=(AlreadyExists,))
def create_probe(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Make a probe."""
    SEEN.setdefault("made", []).append(dict(body))
    SEEN["call"] = call
    row = Location(
        organization_id=call.organization_id,
        name=body.pop("name"),
        address=body.pop("address"),
        time_zone="UTC",
        created_at=call.now,
    )
    session.add(row)
    session.flush()
    audit.note(session, call, "probe.create", "probe", row.id, after={"name": row.name})
    if SEEN.get("races", 0):
        SEEN["races"] -= 1
        raise LostRace("Somebody was faster.")
    return row


@blp.get("/probes")
@endpoint(scope="setup:read", query=PageQuery, gives=ProbeSchema, many=True)
def list_probes(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List probes."""
    wanted = select(Location).where(Location.organization_id == call.organization_id)
    return paging.page(session, call, wanted, [Location.name, Location.created_at, Location.id], **query)


def _found(session: Session, call: Call, probe_id: UUID) -> Location:
    row = session.get(Location, (call.organization_id, probe_id))
    if row is None:
        raise NotFound("There is no such probe.")
    return row


@blp.get("/probes/<uuid:probe_id>")
@endpoint(scope="setup:read", gives=ProbeSchema, refuses=(NotFound,))
def get_probe(session: Session, call: Call, *, probe_id: UUID) -> Any:
    """Show a probe."""
    return _found(session, call, probe_id)


@blp.get("/probes/<uuid:probe_id>/look")
@endpoint(scope="patients:read", gives=ProbeSchema, refuses=(NotFound,), reads="probe")
def look_at_probe(session: Session, call: Call, *, probe_id: UUID) -> Any:
    """Show a probe, and keep that it was looked at."""
    return _found(session, call, probe_id)


@blp.patch("/probes/<uuid:probe_id>")
@endpoint(scope="setup:write", takes=ProbePatch, gives=ProbeSchema, if_match=True, refuses=(NotFound, StaleRevision))
def patch_probe(session: Session, call: Call, body: dict[str, Any], *, probe_id: UUID, revision: int) -> Any:
    """Change a probe."""
    row = _found(session, call, probe_id)
    if row.revision != revision:
        raise StaleRevision("Somebody changed it.")
    for name, value in body.items():
        setattr(row, name, value)
    return row


@blp.delete("/probes/<uuid:probe_id>")
@endpoint(scope="setup:write", if_match=True, status=204, refuses=(NotFound, StaleRevision))
def delete_probe(session: Session, call: Call, *, probe_id: UUID, revision: int) -> None:
    """Remove a probe."""
    row = _found(session, call, probe_id)
    if row.revision != revision:
        raise StaleRevision("Somebody changed it.")
    session.delete(row)


@blp.post("/probes/<uuid:probe_id>/touch")
@endpoint(scope="setup:write", gives=ProbeSchema, if_match="optional", refuses=(NotFound,))
def touch_probe(session: Session, call: Call, *, probe_id: UUID, revision: int | None) -> Any:
    """Do something to a probe; needs no body."""
    SEEN["revision"] = revision
    row = _found(session, call, probe_id)
    row.address += "x"
    return row


@blp.post("/probe-secrets")
@endpoint(scope="setup:write", gives=SecretSchema, status=201, secrets=("secret",))
def create_secret(session: Session, call: Call) -> Any:
    """Make something with a secret."""
    return {"id": "1", "secret": "hush"}


REFUSALS: dict[str, SchedulingError | Exception] = {
    "refused": Refused(
        [
            Reason("resource_busy", "The chair is taken.", role="nurse", start=LATER, end=LATER + timedelta(hours=1)),
            Reason("on_hold", "A clinical hold freezes dosing."),
        ],
        alternatives=[LATER],
    ),
    "slot-taken": SlotTaken(),
    "plan-stale": PlanStale("The plan is stale.", fresh={"token": "t", "sessions": []}),
    "no-plan": NoFeasiblePlan(
        "No plan.", blocking=[{"code": "horizon"}], relaxations=[{"rules": [{"code": "horizon"}]}]
    ),
    "own-fault": RuntimeError("SELECT secret_hash FROM api_keys WHERE name = 'Jane Roe'"),
}


@blp.post("/probe-refusals/<name>")
@endpoint(scope="setup:write", gives=ProbeSchema, refuses=(Refused, SlotTaken, PlanStale, NoFeasiblePlan))
def refuse(session: Session, call: Call, *, name: str) -> Any:
    """Refuse."""
    raise REFUSALS[name]


def register(app: Flask) -> None:
    """Add the noun to an application that has not served yet."""
    SEEN.clear()
    app.extensions["flask-smorest"]["apis"][""]["ext_obj"].register_blueprint(blp)
