"""What an endpoint's declaration says to openapi.yaml: one OpenAPI 3.1 operation. Acts on nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

import marshmallow as ma
from marshmallow import fields

from scheduler.api.agreeing import Agree
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
    agree: Sequence[Agree] = ()
    reads: str | None = None
    media: str | None = None


class ReasonSchema(Schema):
    """One thing that stands in the way."""

    code = fields.String(required=True)
    detail = fields.String(required=True)
    role = fields.String()
    resource_id = fields.UUID()
    segment = fields.String()
    item = fields.String(metadata={"description": "What is missing: a key of the checklist, a gate, a clearance"})
    from_ = fields.DateTime(data_key="from")
    to = fields.DateTime()


class FaultSchema(Schema):
    """One thing wrong with the request."""

    pointer = fields.String(required=True, metadata={"description": "A JSON pointer into the body, or `/parameter`"})
    code = fields.String(required=True)
    detail = fields.String(required=True)


#: Which faults come together; what needs the calendar is asked of a request that could be read whole.
_FAULTS = (
    "With 422: every fault of form, every id and code that is not there, and every contradiction in what is asked "
    "whose own fields could be read"
)


class ProblemSchema(Schema):
    """An RFC 9457 problem. Which members beyond the first six it has follows from `code`."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; programs go by this"})
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FaultSchema), metadata={"description": _FAULTS})
    reasons = fields.List(fields.Nested(ReasonSchema), metadata={"description": "With a refused visit: every reason"})
    alternatives = fields.List(fields.DateTime(), metadata={"description": "Bookable starts nearest the wanted one"})
    plan = fields.Dict(allow_none=True, metadata={"description": "With a stale plan: a fresh one"})
    repair = fields.Dict(metadata={"description": "With a stale repair: a fresh one"})
    blocking = fields.List(fields.Dict(), metadata={"description": "With no feasible plan: what is in the way"})
    relaxations = fields.List(
        fields.Dict(),
        metadata={"description": "With no feasible plan: what would help, `who` grants it, and by which `call`"},
    )


INFO = {
    "title": "Regimen",
    "version": "1.0",
    "openapi_version": "3.1.0",
    "info": {
        "description": (
            "Schedules courses of treatment. Ids are UUIDs, instants are RFC 3339 with an offset, every refusal is "
            "`application/problem+json`, and every collection pages the same way."
        ),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
}

_HEADERS: dict[str, dict[str, Any]] = {
    "RequestId": {"description": "Names this request in the logs", "schema": {"type": "string"}},
    "ETag": {
        "description": 'What this change is of, as `"7"`; send it back in `If-Match`. Where other things or the clock '
        'have a part in the answer it is `"7-..."`: the revision, all that `If-Match` minds, and a mark of the answer',
        "schema": {"type": "string"},
    },
    "Location": {"description": "Where the new thing is", "schema": {"type": "string", "format": "uri-reference"}},
    "IdempotencyReplayed": {
        "description": "`true` when this answer was given before",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
_IF_MATCH = {
    "description": "The `ETag` that this change is based on. An empty header is a 400, not an absent one",
    "schema": {"type": "string", "pattern": '^"([0-9]+(-[0-9a-f]{12})?|[0-9a-f]{32})"$'},
}
_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "DryRun": (
        "query",
        {
            "name": "dry_run",
            "description": "Validate and answer as usual, and write nothing",
            "schema": {"type": "boolean", "default": False},
        },
    ),
    "IdempotencyKey": (
        "header",
        {
            "name": "Idempotency-Key",
            "description": "A key of your choice; the same key and request again replays the first answer",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        },
    ),
    "Actor": (
        "header",
        {
            "name": "X-Actor",
            "description": "The person behind a shared key; kept in the audit trail",
            "schema": {"type": "string", "maxLength": 200},
        },
    ),
    "IfMatch": ("header", {"name": "If-Match", "required": True, **_IF_MATCH}),
    "IfMatchOptional": ("header", {"name": "If-Match", **_IF_MATCH}),
}
_PROBLEM = {"application/problem+json": {"schema": ProblemSchema}}
_RESPONSES = {"401": ("Unauthorized", errors.Unauthorized), "403": ("Forbidden", errors.ScopeMissing)}


def describe_shared(spec: Any) -> None:
    """Write down once what operations refer to."""
    spec.components.security_scheme("api_key", {"type": "http", "scheme": "bearer", "description": "An API key"})
    for name, header in _HEADERS.items():
        spec.components.header(name, header)
    for name, (place, parameter) in _PARAMETERS.items():
        spec.components.parameter(name, place, dict(parameter))
    spec.components.response("Problem", {"description": "Any other problem", "content": _PROBLEM})
    for name, refusal in _RESPONSES.values():
        spec.components.response(name, {"description": _line(refusal), "content": _PROBLEM})


def operation(manner: Manner, method: str) -> dict[str, Any]:
    """The operation object, its schemas still as classes."""
    made: dict[str, Any] = {
        "operationId": manner.name,
        "security": [{"api_key": [manner.scope]}],
        "parameters": _parameters(manner, method),
        "responses": {str(manner.status): _success(manner, method), **_refusals(manner, method)},
    }
    if manner.takes is not None:
        made["requestBody"] = {
            "required": any(field.required for field in manner.takes().load_fields.values()),
            "content": {"application/json": {"schema": manner.takes}},
        }
    return made


def _parameters(manner: Manner, method: str) -> list[Any]:
    found: list[Any] = []
    if manner.query is not None:
        found.append({"in": "query", "schema": manner.query})
    if method != "GET":
        found += ["DryRun", "Actor"]
    if method == "POST":
        found.append("IdempotencyKey")
    if manner.if_match:
        found.append("IfMatch" if manner.if_match is True else "IfMatchOptional")
    return found


def _success(manner: Manner, method: str) -> dict[str, Any]:
    headers = {"X-Request-Id": "RequestId"}
    made: dict[str, Any] = {"description": HTTPStatus(manner.status).phrase, "headers": headers}
    if method == "POST":
        headers["Idempotency-Replayed"] = "IdempotencyReplayed"
    if manner.status == HTTPStatus.CREATED:
        headers["Location"] = "Location"
    if manner.media is not None:
        kind = manner.media.partition(";")[0]
        return made | {"content": {kind: {"schema": {"type": "string"}}}}
    if manner.gives is None:
        return made
    of_one = {"revision", "version"} & manner.gives._declared_fields.keys()  # noqa: SLF001 - no public way to list them
    if not manner.many and (of_one or method == "GET"):
        headers["ETag"] = "ETag"
    shown = page_of(manner.gives) if manner.many else manner.gives
    return made | {"content": {"application/json": {"schema": shown}}}


def _refusals(manner: Manner, method: str) -> dict[str, Any]:
    """One response per status; its description lists the codes."""
    possible: list[type[SchedulingError]] = [errors.Unauthorized, errors.ScopeMissing, errors.Invalid, *manner.refuses]
    if manner.if_match:
        possible.append(errors.StaleRevision)
    if manner.if_match is True:
        possible.append(errors.PreconditionMissing)
    if method == "POST":
        possible.append(errors.IdempotencyKeyReused)
    by_status: dict[str, list[str]] = {}
    for refusal in dict.fromkeys(possible):
        by_status.setdefault(str(int(status_of(refusal))), []).append(_line(refusal))
    found: dict[str, Any] = {
        status: _RESPONSES[status][0] if status in _RESPONSES else _problem(lines)
        for status, lines in sorted(by_status.items())
    }
    return found | {"default": "Problem"}


def _problem(lines: list[str]) -> dict[str, Any]:
    said = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
    return {"description": said, "content": _PROBLEM}


def _line(refusal: type[SchedulingError]) -> str:
    says = (refusal.__doc__ or "").strip().split("\n")[0]
    return f"`{refusal.code}`: {says}" if refusal.code != SchedulingError.code else says


@cache
def page_of(schema: type[Schema]) -> type[Schema]:
    """The page of a schema, one class however many routes give it."""
    return page_schema(schema)


def is_repeated(field: ma.fields.Field[Any]) -> bool:
    """Whether a query parameter may come several times."""
    return isinstance(field, Repeated) and not isinstance(field, CommaList)
