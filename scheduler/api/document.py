"""What an endpoint's declaration says to openapi.yaml: one OpenAPI 3.1 operation. Acts on nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import marshmallow as ma
from marshmallow import fields

from scheduler.api.errors import status_of
from scheduler.api.fields import CommaList, Repeated
from scheduler.api.schema import Schema, page_schema
from scheduler.core import errors
from scheduler.core.errors import SchedulingError

IfMatch = bool | Literal["optional"]


@dataclass(frozen=True)
class Manner:
    """How one endpoint is used: what it takes, gives and refuses."""

    name: str
    scope: str
    takes: type[Schema] | None = None
    query: type[Schema] | None = None
    gives: type[Schema] | None = None
    many: bool = False
    status: int = 200
    refuses: Sequence[type[SchedulingError]] = ()
    if_match: IfMatch = False
    secrets: Sequence[str] = ()
    reads: str | None = None


class ReasonSchema(Schema):
    """One thing that stands in the way."""

    code = fields.String(required=True)
    detail = fields.String(required=True)
    role = fields.String()
    resource_id = fields.UUID()
    segment = fields.String()
    from_ = fields.DateTime(data_key="from")
    to = fields.DateTime()


class FaultSchema(Schema):
    """One thing wrong with the request."""

    pointer = fields.String(required=True, metadata={"description": "A JSON pointer into the body, or `/parameter`"})
    code = fields.String(required=True)
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """An RFC 9457 problem. Which members beyond the first six it has follows from `code`."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; programs go by this"})
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FaultSchema), metadata={"description": "With 422: every fault"})
    reasons = fields.List(fields.Nested(ReasonSchema), metadata={"description": "With a refused visit: every reason"})
    alternatives = fields.List(fields.DateTime(), metadata={"description": "Bookable starts nearest the wanted one"})


REQUEST_ID = {"description": "Names this request in the logs", "schema": {"type": "string"}}
ETAG = {"description": 'The revision, as `"7"`; send it back in `If-Match`', "schema": {"type": "string"}}
REPLAYED = {"description": "`true` when this answer was given before", "schema": {"type": "string", "enum": ["true"]}}

_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "Validate and answer as usual, and write nothing",
    "schema": {"type": "boolean", "default": False},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A key of your choice; the same key and request again replays the first answer (kept 7 days)",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_ACTOR = {
    "name": "X-Actor",
    "in": "header",
    "description": "The person behind a shared key; kept in the audit trail",
    "schema": {"type": "string", "maxLength": 200},
}


def operation(manner: Manner, method: str) -> dict[str, Any]:
    """The operation object, its schemas still as classes."""
    changes = method != "GET"
    made: dict[str, Any] = {
        "operationId": manner.name,
        "security": [{"api_key": []}],
        "x-scope": manner.scope,
        "parameters": _parameters(manner, method),
        "responses": {str(manner.status): _success(manner, method), **_refusals(manner, changes=changes)},
    }
    if manner.takes is not None:
        made["requestBody"] = {
            "required": any(field.required for field in manner.takes().load_fields.values()),
            "content": {"application/json": {"schema": manner.takes}},
        }
    return made


def _parameters(manner: Manner, method: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if manner.query is not None:
        found.append({"in": "query", "schema": manner.query})
    if method != "GET":
        found += [_DRY_RUN, _ACTOR]
    if method == "POST":
        found.append(_IDEMPOTENCY_KEY)
    if manner.if_match:
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": manner.if_match is True,
                "description": "The `ETag` that this change is based on",
                "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
            }
        )
    return found


def _success(manner: Manner, method: str) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": REQUEST_ID}
    made: dict[str, Any] = {"description": "Done" if method != "GET" else "Found", "headers": headers}
    if method == "POST":
        headers["Idempotency-Replayed"] = REPLAYED
    if manner.gives is None:
        return made
    shown = page_schema(manner.gives) if manner.many else manner.gives
    if not manner.many and "revision" in manner.gives._declared_fields:  # noqa: SLF001 - no public way to list them
        headers["ETag"] = ETAG
    return made | {"content": {"application/json": {"schema": shown}}}


def _refusals(manner: Manner, *, changes: bool) -> dict[str, Any]:
    """One response per status; its description lists the codes."""
    possible: list[type[SchedulingError]] = [errors.Unauthorized, errors.ScopeMissing, errors.Invalid]
    possible += manner.refuses
    if manner.if_match:
        possible.append(errors.StaleRevision)
    if manner.if_match is True:
        possible.append(errors.PreconditionMissing)
    if changes:
        possible.append(errors.IdempotencyKeyReused)
    by_status: dict[str, list[str]] = {}
    for refusal in possible:
        says = (refusal.__doc__ or "").strip().split("\n")[0]
        lines = by_status.setdefault(str(int(status_of(refusal))), [])
        line = f"`{refusal.code}`: {says}" if refusal.code != "error" else says
        if line not in lines:
            lines.append(line)
    found: dict[str, Any] = {
        status: {
            "description": "\n".join(f"- {line}" for line in lines) if len(lines) > 1 else lines[0],
            "content": {"application/problem+json": {"schema": ProblemSchema}},
        }
        for status, lines in sorted(by_status.items())
    }
    return found | {"default": {"$ref": "#/components/responses/Problem"}}


def is_repeated(field: ma.fields.Field[Any]) -> bool:
    """Whether a query parameter may come several times."""
    return isinstance(field, Repeated) and not isinstance(field, CommaList)
