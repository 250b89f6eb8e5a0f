"""Ending patients' links by hand: POST /v1/appointments/{id}/revoke-links and /v1/patients/{id}/revoke-links."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Text, Whole
from scheduler.api.http import Blueprint, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.services import link_ends
from scheduler.services.records import Revision

blp = Blueprint("link_ends", __name__, url_prefix="/v1", description="Links to patients' pages, ended by hand")


class RevokeLinksSchema(Schema):
    """Why the links are ended; kept in the audit trail."""

    reason = Text(300, required=True)


class RevokedLinksSchema(Schema):
    """How many opened something until now."""

    links = Whole(min=0, required=True)
    calendar_feeds = Whole(min=0, required=True)


@blp.post("/appointments/<uuid:appointment_id>/revoke-links")
@endpoint(
    scope="scheduling:write",
    takes=RevokeLinksSchema,
    gives=RevokedLinksSchema,
    if_match="optional",
    refuses=(NotFound,),
)
def revoke_appointment_links(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: Revision | None
) -> Any:
    """End every link to the visit's page at once. Messages that leave later have links of their own."""
    return link_ends.of_visit(session, call, appointment_id, revision=revision, **body)


@blp.post("/patients/<uuid:patient_id>/revoke-links")
@endpoint(
    scope="patients:write", takes=RevokeLinksSchema, gives=RevokedLinksSchema, if_match="optional", refuses=(NotFound,)
)
def revoke_patient_links(
    session: Session, call: Call, body: dict[str, Any], *, patient_id: UUID, revision: Revision | None
) -> Any:
    """End every link to the patient's visits, and their calendar feeds. Messages that leave later have new links."""
    return link_ends.of_patient(session, call, patient_id, revision=revision, **body)
