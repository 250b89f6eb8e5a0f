"""Visit types and protocols as values, read once per revision. Their rows are kept by services of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.demand import Demand, demand_of
from scheduler.core.errors import Fault, Invalid, NotFound
from scheduler.core.protocol import Protocol, parse_protocol
from scheduler.core.visit import VisitType, parse_visit_type
from scheduler.models import ProtocolRow, VisitTypeRow


@dataclass(frozen=True)
class Kind:
    """A visit type of the organization, and what it asks of the calendar."""

    id: UUID
    visit: VisitType
    demand: Demand


def visit_kinds(session: Session, call: Call) -> dict[str, Kind]:
    """Every visit type of the organization by its code."""
    rows = session.execute(
        select(VisitTypeRow.id, VisitTypeRow.revision, VisitTypeRow.code, VisitTypeRow.definition).where(
            VisitTypeRow.organization_id == call.organization_id
        )
    )
    return {row.code: _kind(row.id, row.definition) for row in rows}


def visit_kind(session: Session, call: Call, code: str) -> Kind:
    """One visit type. Raises Invalid (`unknown_visit_type`): the code stands in a body or query, not in a path."""
    row = session.execute(
        select(VisitTypeRow.id, VisitTypeRow.definition).where(
            VisitTypeRow.organization_id == call.organization_id, VisitTypeRow.code == code
        )
    ).one_or_none()
    if row is None:
        raise Invalid([Fault("/visit_type", "unknown_visit_type", f"There is no visit type '{code}'.")])
    return _kind(row.id, row.definition)


def protocol_of(session: Session, call: Call, protocol_id: UUID) -> tuple[ProtocolRow, Protocol]:
    """A protocol's row and value. Raises NotFound."""
    row = session.get(ProtocolRow, (call.organization_id, protocol_id))
    if row is None:
        detail = f"No protocol {protocol_id}."
        raise NotFound(detail)
    kinds = {code: kind.visit for code, kind in visit_kinds(session, call).items()}
    return row, parse_protocol(row.definition, kinds)


def read_visit(definition: Mapping[str, Any]) -> VisitType:
    """The visit type of a stored document."""
    return _parsed(json.dumps(definition, sort_keys=True))


def _kind(kind_id: UUID, definition: Mapping[str, Any]) -> Kind:
    visit = read_visit(definition)
    return Kind(kind_id, visit, demand_of(visit))


@lru_cache(maxsize=1024)
def _parsed(definition: str) -> VisitType:
    # The floors were checked when it was stored.
    return parse_visit_type(json.loads(definition), {})
