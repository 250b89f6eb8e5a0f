"""/v1/patients/{id}/holds: clinical holds, which stop a patient's dosing until a prescriber releases them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Choice, Id, Instant, List, Nested, QueryFlag, Text, Whole
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.visits import ObstacleSchema
from scheduler.core.call import Call
from scheduler.core.clinical_hold import REASONS
from scheduler.core.errors import AlreadyExists, IllegalTransition, Invalid, NotFound, StaleRevision
from scheduler.services import clinical_holds

blp = Blueprint("clinical_holds", __name__, url_prefix="/v1/patients", description="What stops a patient's dosing")


class ClinicalHoldSchema(Schema):
    """Why a patient may not be dosed. Held visits keep their time until `deadline`, then they are let go."""

    id = Id(dump_only=True)
    patient_id = Id(dump_only=True)
    reason = Choice(*REASONS, required=True)
    note = Text(2000, min=0, lines=True)
    by = Text(
        200, load_only=True, load_default=None, metadata={"description": "Who stops dosing; the caller otherwise"}
    )
    placed_by = Text(200, dump_only=True)
    deadline = Instant(required=True)
    lapsed_at = Instant(dump_only=True, allow_none=True)
    released_at = Instant(dump_only=True, allow_none=True)
    released_by = Text(200, dump_only=True, allow_none=True)
    release_note = Text(2000, dump_only=True, lines=True, allow_none=True)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class HoldsQuery(PageQuery):
    """Filters of the list."""

    active = QueryFlag(load_default=None, metadata={"description": "Only those that stand, or only those released"})


class ReleaseSchema(Schema):
    """Who lets dosing go on, and why."""

    by = Text(200, required=True, metadata={"description": "The prescriber in whose name it is released"})
    note = Text(2000, lines=True, required=True)


class ResumedSchema(Schema):
    """A dosing visit that goes on; `reasons` are gates that are not passed and gaps that are not kept by now."""

    id = Id(required=True)
    start = Instant(required=True)
    time_zone = Text(64, required=True)
    reasons = List(Nested(ObstacleSchema), max=100, required=True)


class ReleasedSchema(Schema):
    """The hold, the visits that go on, and those that time has overtaken. Both are none while another hold stands."""

    hold = Nested(ClinicalHoldSchema, required=True)
    visits = List(Nested(ResumedSchema), max=10_000, required=True)
    let_go = List(Id(), max=10_000, required=True)


@blp.post("/<uuid:patient_id>/holds")
@endpoint(
    scope="patients:write",
    takes=ClinicalHoldSchema,
    gives=ClinicalHoldSchema,
    status=201,
    refuses=(NotFound, Invalid, AlreadyExists),
    agree=(Agree(clinical_holds.check_deadline, ("deadline",)),),
)
def place_clinical_hold(session: Session, call: Call, body: dict[str, Any], *, patient_id: UUID) -> Any:
    """Stop the patient's dosing: no dose is booked, checked in or started. Therapy stays as it is."""
    return clinical_holds.place(session, call, patient_id, **body)


@blp.get("/<uuid:patient_id>/holds")
@endpoint(
    scope="patients:read",
    query=HoldsQuery,
    gives=ClinicalHoldSchema,
    many=True,
    refuses=(NotFound,),
    reads="patient",
)
def list_clinical_holds(session: Session, call: Call, query: dict[str, Any], *, patient_id: UUID) -> Page[Any]:
    """The patient's clinical holds, oldest first, released ones too."""
    return clinical_holds.listing(session, call, patient_id, **query)


@blp.post("/<uuid:patient_id>/holds/<uuid:clinical_hold_id>/release")
@endpoint(
    scope="holds:release",
    takes=ReleaseSchema,
    gives=ReleasedSchema,
    if_match="optional",
    refuses=(NotFound, StaleRevision, IllegalTransition),
)
def release_clinical_hold(
    session: Session,
    call: Call,
    body: dict[str, Any],
    *,
    patient_id: UUID,
    clinical_hold_id: UUID,
    revision: int | None,
) -> Any:
    """Let dosing go on, in a prescriber's name. Every held visit is looked at again."""
    found = clinical_holds.release(session, call, patient_id, clinical_hold_id, **body, revision=revision)
    return {
        "hold": found.hold,
        "visits": [
            {
                "id": each.id,
                "start": each.start,
                "time_zone": each.time_zone,
                "reasons": [{"code": one.code, "detail": one.detail} for one in each.reasons],
            }
            for each in found.visits
        ],
        "let_go": list(found.let_go),
    }
