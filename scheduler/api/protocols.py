"""/v1/protocols: templates of courses. Drafts change, published versions never do."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.documents import DocumentSchema, Part
from scheduler.api.fields import Choice, Id, Instant, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Code
from scheduler.core.call import Call
from scheduler.core.errors import AlreadyExists, IllegalTransition, NotFound
from scheduler.services import protocols
from scheduler.services.protocols import ProtocolView

blp = Blueprint("protocols", __name__, url_prefix="/v1", description="Templates of courses, in versions")


class ProtocolPatch(DocumentSchema):
    """Keys of a protocol's document; null takes one away."""

    code = Part("code", "All versions of a protocol share it")
    name = Part("text", maxLength=200)
    modality = Part("code")
    continuity = Part("codes", "Roles for which one person is wanted throughout")
    phases = Part("objects", "Each a `key` and its `steps`: visit types with counts, gaps and windows")
    cadences = Part("object", "Named variants of the gaps")
    default_cadence = Part("code")
    gates = Part("objects", "Judgments between sessions, hard or soft")
    enabled = Part("flag", "False keeps courses from being made of it")
    missed_session = Part("object")
    information = Part("object")
    sources = Part("object")
    grade = Part("text")
    source = Part("codes")
    note = Part("text")


class ProtocolSchema(ProtocolPatch):
    """One version of a protocol."""

    id = Id(dump_only=True)
    version = Whole(dump_only=True)
    status = Choice("draft", "active", "retired", dump_only=True)
    approved_by = Text(200, dump_only=True, allow_none=True)
    approved_at = Instant(dump_only=True, allow_none=True)
    approval_note = Text(2000, min=0, dump_only=True)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


class PublicationSchema(Schema):
    """Who answers for the protocol."""

    approved_by = Text(200, required=True, metadata={"description": "The clinician, by name"})
    note = Text(2000, min=0, lines=True, load_default="")


class ProtocolsQuery(PageQuery):
    """Filters of the list."""

    code = Code()
    status = Choice("draft", "active", "retired")


@blp.post("/protocols")
@endpoint(scope="protocols:write", takes=ProtocolSchema, gives=ProtocolSchema, status=201, refuses=(AlreadyExists,))
def create_protocol(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Draft a protocol, or the next version of one. Contradictions are refused, and every fault is named."""
    return _shown(protocols.create(session, call, body))


@blp.get("/protocols")
@endpoint(scope="setup:read", query=ProtocolsQuery, gives=ProtocolSchema, many=True)
def list_protocols(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the protocols, every version."""
    found = protocols.listing(session, call, **query)
    return Page([_shown(view) for view in found.items], found.next_cursor)


@blp.get("/protocols/<uuid:protocol_id>")
@endpoint(scope="setup:read", gives=ProtocolSchema, refuses=(NotFound,))
def get_protocol(session: Session, call: Call, *, protocol_id: UUID) -> Any:
    """Show one version of a protocol."""
    return _shown(protocols.get(session, call, protocol_id))


@blp.patch("/protocols/<uuid:protocol_id>")
@endpoint(
    scope="protocols:write",
    takes=ProtocolPatch,
    gives=ProtocolSchema,
    refuses=(NotFound, IllegalTransition),
    if_match=True,
)
def patch_protocol(session: Session, call: Call, body: dict[str, Any], *, protocol_id: UUID, revision: int) -> Any:
    """Change a draft, but not its code."""
    return _shown(protocols.change(session, call, protocol_id, revision, body))


@blp.post("/protocols/<uuid:protocol_id>/publish")
@endpoint(
    scope="protocols:approve",
    takes=PublicationSchema,
    gives=ProtocolSchema,
    refuses=(NotFound, IllegalTransition),
    if_match="optional",
)
def publish_protocol(
    session: Session, call: Call, body: dict[str, Any], *, protocol_id: UUID, revision: int | None
) -> Any:
    """Publish a draft in a clinician's name. The version that was active retires; running courses keep theirs."""
    return _shown(protocols.publish(session, call, protocol_id, revision, **body))


def _shown(view: ProtocolView) -> dict[str, Any]:
    return view.definition | {key: value for key, value in vars(view).items() if key != "definition"}
