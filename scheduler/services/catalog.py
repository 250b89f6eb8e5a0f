"""Visit types and protocols as values, parsed once per document. Their rows are kept by services of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, Text, bindparam, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.demand import Demand, demand_of
from scheduler.core.errors import Fault, Invalid, NotFound
from scheduler.core.protocol import Protocol, parse_protocol
from scheduler.core.visit import VisitType, parse_visit_type
from scheduler.models import ProtocolRow, VisitTypeRow
from scheduler.services.ready import Ready

_VISIT_TYPES = cast("Table", VisitTypeRow.__table__).c
#: Every visit type of an organization, as `Kinds` takes them.
ALL_KINDS = select(
    _VISIT_TYPES.id, _VISIT_TYPES.code, as_type(_VISIT_TYPES.definition, Text).label("definition")
).where(_VISIT_TYPES.organization_id == bindparam("organization"))
_BY_CODE = Ready(ALL_KINDS.where(_VISIT_TYPES.code == bindparam("code")))


@dataclass(frozen=True)
class Kind:
    """A visit type of the organization, and what it asks of the calendar."""

    id: UUID
    visit: VisitType
    demand: Demand


class Kinds(Mapping[str, Kind]):
    """An organization's visit types by code: each is parsed when it is asked for, since few of them are."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = {row.code: row for row in rows}

    def __getitem__(self, code: str) -> Kind:
        row = self._rows[code]
        return kind_of(row.id, row.definition)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def definitions(self) -> frozenset[tuple[str, str]]:
        """(code, document) of all of them."""
        return frozenset((code, row.definition) for code, row in self._rows.items())


class _Visits(Mapping[str, VisitType]):
    """The same without what they ask of the calendar."""

    def __init__(self, definitions: Iterable[tuple[str, str]]) -> None:
        self._definitions = dict(definitions)

    def __getitem__(self, code: str) -> VisitType:
        return _parsed(self._definitions[code])[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)


def visit_kinds(session: Session, call: Call) -> Kinds:
    """Every visit type of the organization by its code."""
    return Kinds(session.execute(ALL_KINDS, {"organization": call.organization_id}))


def visit_kind(session: Session, call: Call, code: str) -> Kind:
    """One visit type. Raises Invalid (`unknown_visit_type`): the code stands in a body or query, not in a path."""
    for row in _BY_CODE.rows(session, {"organization": call.organization_id, "code": code}):
        return kind_of(row.id, row.definition)
    raise unknown_kind(code)


def unknown_kind(code: str) -> Invalid:
    """The refusal of a code that no visit type of the organization has."""
    return Invalid([Fault("/visit_type", "unknown_visit_type", f"There is no visit type '{code}'.")])


def require_on(visit: VisitType) -> None:
    """Raises Invalid (`visit_type_off`) for a visit type that waits for a clinician to turn it on."""
    if not visit.enabled:
        detail = f"The visit type '{visit.code}' is off until a clinician turns it on."
        raise Invalid([Fault("/visit_type", "visit_type_off", detail)])


def protocol_of(
    session: Session, call: Call, protocol_id: UUID, kinds: Kinds | None = None
) -> tuple[ProtocolRow, Protocol]:
    """A protocol's row and value; `kinds` are the visit types where they have been read. Raises NotFound."""
    row = session.get(ProtocolRow, (call.organization_id, protocol_id))
    if row is None:
        detail = f"No protocol {protocol_id}."
        raise NotFound(detail)
    return row, parsed(row, visit_kinds(session, call) if kinds is None else kinds)


def parsed(row: Any, kinds: Kinds) -> Protocol:
    """The value of a protocol's row: worked out once for a document and the visit types that it may speak of.

    Any row with its `definition` will do. By what they say, and not by id and version: of what is taken back nothing is
    remembered for what comes instead.
    """
    return _read(json.dumps(row.definition, separators=(",", ":")), kinds.definitions)


@lru_cache(maxsize=128)
def _read(definition: str, visit_types: frozenset[tuple[str, str]]) -> Protocol:
    return parse_protocol(json.loads(definition), _Visits(visit_types))


def kind_of(kind_id: UUID, definition: str) -> Kind:
    """The value of a stored visit type, whose document is handed over as the JSON that the database keeps."""
    return Kind(kind_id, *_parsed(definition))


@lru_cache(maxsize=1024)
def _parsed(definition: str) -> tuple[VisitType, Demand]:
    # The floors were checked when it was stored.
    visit = parse_visit_type(json.loads(definition), {})
    return visit, demand_of(visit)
