"""/v1/absences: times when a practitioner, room or device is not there, and whom that affects."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Id, Instant, List, Nested, Text, Whole
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import AffectedSchema
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.services import absences

blp = Blueprint("absences", __name__, url_prefix="/v1", description="Times when somebody or something is away")


class AbsenceSchema(Schema):
    """A time when a practitioner, room or device is not there."""

    id = Id(dump_only=True)
    resource_id = Id(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    reason = Text(500, min=0)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class NewAbsenceSchema(AbsenceSchema):
    """An absence that was just made, and the visits that somebody has to look at."""

    affected_appointments = List(Nested(AffectedSchema), max=100_000, dump_only=True)


class AbsencesQuery(PageQuery):
    """Filters of the list: absences that meet [from, to)."""

    resource_id = Id()
    from_ = Instant(data_key="from", attribute="since")
    to = Instant(attribute="until")


@blp.post("/absences")
@endpoint(
    scope="setup:write",
    takes=AbsenceSchema,
    gives=NewAbsenceSchema,
    status=201,
    refuses=(NotFound,),
    agree=(Agree(absences.check_span, ("start", "end")),),
)
def create_absence(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Say that somebody or something is away. Visits stay booked; the answer names those affected."""
    return absences.create(session, call, **body)


@blp.get("/absences")
@endpoint(scope="setup:read", query=AbsencesQuery, gives=AbsenceSchema, many=True)
def list_absences(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the absences."""
    return absences.listing(session, call, **query)


@blp.get("/absences/<uuid:absence_id>")
@endpoint(scope="setup:read", gives=AbsenceSchema, refuses=(NotFound,))
def get_absence(session: Session, call: Call, *, absence_id: UUID) -> Any:
    """Show one absence."""
    return absences.get(session, call, absence_id)


@blp.delete("/absences/<uuid:absence_id>")
@endpoint(scope="setup:write", status=204, refuses=(NotFound,), if_match=True)
def delete_absence(session: Session, call: Call, *, absence_id: UUID, revision: int) -> None:
    """Take an absence back."""
    absences.remove(session, call, absence_id, revision)
