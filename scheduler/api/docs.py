"""/openapi.yaml, the page that shows it at /docs, and the meaning of every problem code. All of it works offline."""

from __future__ import annotations

from html import escape
from pathlib import Path

import flask_swagger_ui
from apispec.yaml_utils import dict_to_yaml
from flask import Blueprint, Flask, Response, current_app, send_from_directory
from werkzeug.exceptions import NotFound

from scheduler.api.errors import STATUS, status_of
from scheduler.core.errors import SchedulingError

blp = Blueprint("docs", __name__)

_OURS = Path(__file__).parent / "static"
_SWAGGER = Path(flask_swagger_ui.__file__).parent / "dist"
_FILES = {
    "start.js": _OURS,
    "swagger-ui.css": _SWAGGER,
    "swagger-ui-bundle.js": _SWAGGER,
    "favicon-32x32.png": _SWAGGER,
}
#: The page's own files, and the inline styles that Swagger UI sets. Nothing from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: Problem codes that are no class of core/errors: what the HTTP layer itself refuses.
HTTP_PROBLEMS = {
    "malformed_request": (400, "The request cannot be read."),
    "invalid_json": (400, "The body is not JSON, or could be understood in two ways."),
    "malformed_header": (400, "A header cannot be read."),
    "forbidden": (403, "The server does not take that connection."),
    "method_not_allowed": (405, "The address does not know that method; `Allow` lists those it knows."),
    "body_too_large": (413, "The request body is larger than this installation reads."),
    "uri_too_long": (414, "The request line is longer than the server reads."),
    "unsupported_media_type": (
        415,
        "The body must be application/json, with no `Content-Encoding` but `identity`.",
    ),
    "expectation_failed": (417, "Only `100-continue` can be expected."),
    "headers_too_large": (431, "There are more header fields, or longer ones, than the server reads."),
    "not_implemented": (501, "The server does not know that transfer coding."),
    "too_many_requests": (429, "The key has used up its share; wait as long as `Retry-After` says."),
    "internal_error": (500, "Something went wrong on our side. The request id finds it in the logs."),
    "overloaded": (503, "The scheduler is busy or its database is away; try again after `Retry-After`."),
}

#: Why a visit is refused: the codes of a 409 and of its reasons.
REFUSALS = {
    "resource_busy": "Somebody or something that the visit needs is taken.",
    "patient_busy": "The patient has another visit at that time.",
    "outside_hours": "Nobody who could do it is rostered for all of it.",
    "resource_absent": "Whoever could do it is away.",
    "not_qualified": "Nobody there has the role or certificate that it needs.",
    "location_closed": "The site is closed.",
    "location_not_certified": "The site lacks a certificate that the visit needs.",
    "gate_not_passed": "A gate of the course has not been passed, or a clearance is missing: `item` says which.",
    "gap_too_short": "The protocol wants more days between these sessions.",
    "gap_too_long": "The protocol allows no more days, or hours, between these sessions.",
    "supply_expired": "What was received for this patient would have to be given earlier.",
    "dose_interval": "The protocol wants more hours between doses.",
    "on_hold": "A clinical hold freezes dosing.",
    "group_full": "All places of the group that begins then are taken.",
    "group_held": "All places of the group that begins then are taken, some by holds, until when at least.",
    "lead_time": "It is too soon from now.",
    "horizon": "It is too far from now.",
    "observation_not_over": "The observation that the protocol asks for is not over.",
}

#: Wall times that a change of clocks spoils.
TIMES = {
    "nonexistent_time": (422, "The clocks at the site skip this time."),
    "ambiguous_time": (422, "The clocks at the site show this time twice; say which with `disambiguation`."),
}


def openapi_yaml(app: Flask) -> str:
    """The contract, as committed in openapi.yaml; written once per process, when somebody first asks."""
    if "contract" not in app.extensions:
        spec = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].described().to_dict()
        ordered = {"openapi": spec["openapi"], "info": spec["info"], **spec}
        style = {"sort_keys": False, "width": 120, "allow_unicode": True}
        app.extensions["contract"] = str(dict_to_yaml(ordered, style))
    return str(app.extensions["contract"])


@blp.get("/openapi.yaml")
def contract() -> Response:
    """The contract."""
    return Response(openapi_yaml(current_app), content_type="application/yaml")


@blp.get("/docs")
def page() -> Response:
    """The page that reads the contract."""
    return _page((_OURS / "docs.html").read_text())


@blp.get("/docs/<name>")
def asset(name: str) -> Response:
    """A file of that page."""
    if name not in _FILES:
        raise NotFound
    return send_from_directory(_FILES[name], name, max_age=3600)


@blp.get("/docs/problems")
def problems() -> Response:
    """What each problem code means; `type` in a problem points here."""
    known = {code: (409, meaning) for code, meaning in REFUSALS.items()} | TIMES | HTTP_PROBLEMS
    for refusal in STATUS:
        if refusal.code != SchedulingError.code:
            meaning = (refusal.__doc__ or "").split("\n")[0]
            known.setdefault(refusal.code, (int(status_of(refusal)), meaning))
    body = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{status}</td><td>{escape(meaning)}</td></tr>'
        for code, (status, meaning) in sorted(known.items(), key=lambda item: (item[1][0], item[0]))
    )
    return _page(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Problems</title>'
        f"<h1>Problems</h1><table><tr><th>Code<th>Status<th>Meaning</tr>{body}</table></html>"
    )


def _page(html: str) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response
