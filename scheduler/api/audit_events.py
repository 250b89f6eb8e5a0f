"""/v1/audit-events: who changed what. Reading only; nothing here or below changes an event."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from scheduler.api.fields import Id, Instant, Text
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.services import audit

blp = Blueprint("audit_events", __name__, url_prefix="/v1", description="Who changed what, and when")


class AuditEventSchema(Schema):
    """One change."""

    id = Id()
    at = Instant()
    actor = fields.String(metadata={"description": "The person named in X-Actor, or the key's name"})
    key_id = Id(allow_none=True)
    request_id = fields.String()
    action = fields.String(metadata={"examples": ["appointment.cancel"]})
    subject_type = fields.String()
    subject_id = Id()
    before = fields.Dict(allow_none=True)
    after = fields.Dict(allow_none=True)
    reason = fields.String(allow_none=True)


class AuditEventQuery(PageQuery):
    """Filters."""

    subject_id = Id()
    action = Text(60)
    actor = Text(200)
    since = Instant(data_key="from", metadata={"description": "Inclusive"})
    until = Instant(data_key="to", metadata={"description": "Exclusive"})


@blp.get("/audit-events")
@endpoint(scope="audit:read", query=AuditEventQuery, gives=AuditEventSchema, many=True)
def list_audit_events(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List changes, newest first."""
    return audit.list_events(session, call, **query)
