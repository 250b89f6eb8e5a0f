"""What an answer is over HTTP: its headers, and where a new thing is to be found. What it says is the views'."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from flask import Request, Response, current_app
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.urls import iri_to_uri

from scheduler.services.idempotency import Kept

#: An address that needs no quoting.
_PLAIN = re.compile(r"[A-Za-z0-9/._-]*", flags=re.ASCII)


class Whole(Response):
    """An answer with a body, all of whose headers are said: Werkzeug need not look through them once more."""

    def get_wsgi_headers(self, environ: dict[str, Any]) -> Headers:
        """As they are."""
        del environ
        return self.headers


def response(came: Request, kept: Kept) -> Response:
    """The response to a request; 304 when the caller has just that already."""
    unchanged = came.method in {"GET", "HEAD"} and _is_known(came, kept.headers.get("ETag", ""))
    if kept.body is None or unchanged:
        answer = Response(status=304 if unchanged else kept.status, headers=kept.headers)
        del answer.headers["Content-Type"]
        return answer
    media = kept.headers.get("Content-Type", "application/json")
    return Whole(kept.body, status=kept.status, headers=kept.headers, content_type=media)


def _is_known(came: Request, etag: str) -> bool:
    """Whether the caller has just that already, as If-None-Match says."""
    return bool(etag) and came.if_none_match.contains_weak(etag.strip('"'))


def tag_of(text: str) -> str:
    """The ETag of what has no revision."""
    return f'"{digest(text)[:32]}"'


def digest(text: str) -> str:
    """What stands for a text in a tag."""
    return hashlib.sha256(text.encode()).hexdigest()


def location(came: Request, made: Any) -> dict[str, str]:
    """Where the new thing is, when it can be fetched by itself."""
    if made is None:
        return {}
    known: dict[str, bool] = current_app.extensions.setdefault("fetchable", {})
    rule, path = str(came.url_rule), f"{came.path}/{made}"
    if rule not in known:
        known[rule] = _can_be_fetched(came, path)
    if not known[rule]:
        return {}
    return {"Location": path if _PLAIN.fullmatch(path) else iri_to_uri(path)}


def _can_be_fetched(came: Request, path: str) -> bool:
    try:
        current_app.create_url_adapter(came).match(path, method="GET")  # type: ignore[union-attr] # in a request
    except HTTPException:
        return False
    return True
