"""Every refusal as application/problem+json (RFC 9457). Alone maps the core's refusals to HTTP statuses."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.routing import RequestRedirect

from scheduler.api import granting
from scheduler.api.trace import request_id
from scheduler.core import errors
from scheduler.core.errors import Fault, Reason, SchedulingError
from scheduler.database import is_overloaded
from scheduler.services import failure

_log = logging.getLogger("scheduler.errors")

#: A refusal finds its status here, or that of its nearest parent.
STATUS: dict[type[SchedulingError], HTTPStatus] = {
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.ScopeMissing: HTTPStatus.FORBIDDEN,
    errors.NotTheHolder: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Refused: HTTPStatus.CONFLICT,
    errors.SlotTaken: HTTPStatus.CONFLICT,
    errors.LostRace: HTTPStatus.CONFLICT,
    errors.IllegalTransition: HTTPStatus.CONFLICT,
    errors.ProtocolNotApproved: HTTPStatus.CONFLICT,
    errors.PlanStale: HTTPStatus.CONFLICT,
    errors.AlreadyExists: HTTPStatus.CONFLICT,
    errors.InUse: HTTPStatus.CONFLICT,
    errors.LinkOver: HTTPStatus.GONE,
    errors.StaleRevision: HTTPStatus.PRECONDITION_FAILED,
    errors.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.LocalTimeFault: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NoFeasiblePlan: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PreconditionMissing: HTTPStatus.PRECONDITION_REQUIRED,
    SchedulingError: HTTPStatus.CONFLICT,
}

#: Codes of refusals that Flask and Werkzeug raise, where the phrase of the status would not do.
_HTTP_CODES = {
    400: "malformed_request",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}
_DETAILS = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not know that method; see `Allow`.",
    413: "The request body is too large.",
    415: "The body must be application/json.",
}
_PATIENCE = {"Retry-After": "1"}


def status_of(refusal: type[SchedulingError]) -> HTTPStatus:
    """The status that answers a refusal of this class."""
    return next(STATUS[parent] for parent in refusal.__mro__ if parent in STATUS)


def problem(status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """One problem document. `members` are its further members."""
    document = {
        "type": f"/docs/problems#{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": int(status),
        "detail": detail,
        "code": code,
        "request_id": request_id(),
        **members,
    }
    response = Response(json.dumps(_plain(document)), status=int(status), content_type="application/problem+json")
    response.headers.update(headers or {})
    return response


def init_app(app: Flask) -> None:
    """Answer every error of `app` in the one form."""
    app.register_error_handler(SchedulingError, _refusal)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _refusal(refusal: SchedulingError) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="regimen"'} if isinstance(refusal, errors.Unauthorized) else {}
    status = status_of(type(refusal))
    return problem(status, refusal.code, refusal.detail, headers=headers, **_members(refusal))


def _members(refusal: SchedulingError) -> dict[str, Any]:
    if isinstance(refusal, (errors.Invalid, errors.NotFound)) and refusal.faults:
        return {"errors": [_fault(fault) for fault in refusal.faults]}
    if isinstance(refusal, errors.Refused):
        return {"reasons": [reason(one) for one in refusal.reasons], "alternatives": refusal.alternatives}
    if isinstance(refusal, errors.LostRace) and refusal.reason is not None:
        return {"reasons": [reason(refusal.reason)], "alternatives": []}
    if isinstance(refusal, errors.PlanStale):
        return {"plan": refusal.fresh}
    if isinstance(refusal, errors.NoFeasiblePlan):
        return {"blocking": refusal.blocking, "relaxations": granting.relaxations(refusal)}
    return {}


def reason(one: Reason) -> dict[str, Any]:
    """A reason as clients see it, in a refusal and in an explanation alike; what it does not know is left out."""
    shown = {
        "code": one.code,
        "detail": one.detail,
        "role": one.role,
        "resource_id": one.resource_id,
        "segment": one.segment,
        "item": one.item,
        "from": one.start,
        "to": one.end,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _fault(fault: Fault) -> dict[str, str]:
    return {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}


def _http(error: HTTPException) -> Response:
    if isinstance(error, RequestRedirect):
        return error.get_response()  # type: ignore[return-value] # it is Flask's own redirect
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
        return _unexpected(error.original_exception)  # it was raised while another refusal was being answered
    status = error.code or 500
    phrase = HTTPStatus(status).phrase
    code = getattr(error, "problem_code", None) or _HTTP_CODES.get(status) or re.sub(r"\W+", "_", phrase.lower())
    # Werkzeug's own descriptions address whoever reads a web page; only ours say something about the request.
    detail = str(error.description) if hasattr(error, "problem_code") else _DETAILS.get(status, f"{phrase}.")
    response = problem(status, code, detail)
    for name, value in error.get_headers():  # Allow on 405, Retry-After on 429
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    refusal = error if isinstance(error, SchedulingError) else failure.refusal(error)
    if refusal is not None:
        return _refusal(refusal)
    said = failure.of_database(error)
    if failure.is_out_of_reach(error) or (said is not None and is_overloaded(said)):
        _log.error("the database asks for patience, request %s", request_id(), exc_info=error)
        return problem(503, "overloaded", "The scheduler is busy; try again in a moment.", headers=_PATIENCE)
    _log.error("%s failed, request %s", request.endpoint, request_id(), exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side; it was logged under this request id.")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
