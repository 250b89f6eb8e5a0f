"""Protocols as an organization keeps them: drafts that change, published versions that never do.

A course is made from a published one only; that, and what a protocol means, lives elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.coherence import check_coherent
from scheduler.core.errors import Fault, IllegalTransition, Invalid, refuse
from scheduler.core.protocol import Protocol, parse_protocol
from scheduler.models import ProtocolRow, new_id
from scheduler.services import audit, records
from scheduler.services.paging import Page
from scheduler.services.visit_types import by_code, code_faults, overlaid

#: Said by the row, never by the document that a client sends.
_OF_THE_ROW = {"status", "approved_by"}


@dataclass(frozen=True)
class ProtocolView:
    """A version of a protocol as clients see it; `definition` is the document of core/protocol."""

    id: UUID
    code: str
    version: int
    name: str
    status: str
    definition: dict[str, Any]
    approved_by: str | None
    approved_at: datetime | None
    approval_note: str
    revision: int
    created_at: datetime


def _view(row: ProtocolRow) -> ProtocolView:
    return ProtocolView(
        row.id,
        row.code,
        row.version,
        row.name,
        row.status,
        row.definition,
        row.approved_by,
        row.approved_at,
        row.approval_note,
        row.revision,
        row.created_at,
    )


KIND = records.Kind("protocol", ProtocolRow, _view, taken="Another draft of this protocol was made a moment ago.")


def create(session: Session, call: Call, definition: Mapping[str, Any]) -> ProtocolView:
    """A new draft: the next version of its code. Raises Invalid with every fault."""
    document = _document(definition)
    protocol = _parsed(session, call, document)
    versions = [row.version for row in _versions(session, call, protocol.code)]
    row = ProtocolRow(
        organization_id=call.organization_id,
        id=new_id(),
        code=protocol.code,
        version=max(versions, default=0) + 1,
        name=protocol.name,
        status="draft",
        definition=document,
        approval_note="",
        created_at=call.now,
    )
    return records.add(session, call, KIND, row)


def get(session: Session, call: Call, protocol_id: UUID) -> ProtocolView:
    """One version of a protocol. Raises NotFound."""
    return records.get(session, call, KIND, protocol_id)


def listing(
    session: Session,
    call: Call,
    *,
    code: str | None = None,
    status: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ProtocolView]:
    """The organization's protocols, every version, oldest first."""
    conditions: list[ColumnElement[bool]] = []
    if code is not None:
        conditions.append(ProtocolRow.code == code)
    if status is not None:
        conditions.append(ProtocolRow.status == status)
    return records.listing(session, call, KIND, *conditions, limit=limit, cursor=cursor)


def change(session: Session, call: Call, protocol_id: UUID, revision: int, values: Mapping[str, Any]) -> ProtocolView:
    """Replace some keys of a draft's document; null takes one away.

    Raises NotFound, StaleRevision, Invalid (also for another code), IllegalTransition (`protocol_published`).
    """
    row = records.find(session, call, KIND, protocol_id)
    _expect_draft(row)
    records.expect(row, revision)
    document = _document(overlaid(row.definition, values))
    faults: list[Fault] = []
    if document.get("code") != row.code:
        faults.append(Fault("/code", "immutable", "A draft is a version of its code; make a new one for another."))
    try:
        protocol = _parsed(session, call, document | {"code": row.code})
    except Invalid as error:
        raise Invalid([*faults, *error.faults]) from error
    refuse(faults)
    return records.change(session, call, KIND, row, {"definition": document, "name": protocol.name})


def publish(
    session: Session, call: Call, protocol_id: UUID, revision: int | None, *, approved_by: str, note: str = ""
) -> ProtocolView:
    """Publish a draft in a clinician's name; the version that was active retires. Running courses keep theirs.

    Raises NotFound, StaleRevision, Invalid when the visit types have changed under it, IllegalTransition.
    """
    row = records.find(session, call, KIND, protocol_id)
    versions = _versions(session, call, row.code)  # locked, so that two drafts cannot both become the active one
    row = records.find(session, call, KIND, protocol_id)
    _expect_draft(row)
    records.expect(row, revision)
    _parsed(session, call, row.definition)
    for other in versions:
        if other.status == "active":
            records.change(session, call, KIND, other, {"status": "retired"})
    approval = {"status": "active", "approved_by": approved_by, "approved_at": call.now, "approval_note": note}
    view = records.change(session, call, KIND, row, approval)
    audit.note(session, call, "protocol.publish", "protocol", row.id, after=approval, reason=note[:500] or None)
    return view


def _versions(session: Session, call: Call, code: str) -> list[ProtocolRow]:
    """Every version of a code, locked until the transaction ends."""
    wanted = select(ProtocolRow).where(ProtocolRow.organization_id == call.organization_id, ProtocolRow.code == code)
    locked = wanted.order_by(ProtocolRow.id).with_for_update(key_share=True)
    return list(session.scalars(locked.execution_options(populate_existing=True)))


def _expect_draft(row: ProtocolRow) -> None:
    if row.status != "draft":
        detail = f"Version {row.version} of '{row.code}' is published and stays as it is: make a new version."
        raise IllegalTransition(detail, code="protocol_published")


def _document(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in definition.items() if key not in _OF_THE_ROW}


def _parsed(session: Session, call: Call, definition: Mapping[str, Any]) -> Protocol:
    faults = code_faults(definition.get("code"))
    visits = by_code(session, call)
    try:
        protocol = parse_protocol(definition, visits)
    except Invalid as error:
        raise Invalid([*faults, *error.faults]) from error
    refuse(faults)
    check_coherent(protocol, visits)
    return protocol
