"""The one assertion about refusals, used everywhere: there is one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
FURTHER = {"errors", "reasons", "alternatives", "plan", "blocking", "relaxations", "repair"}


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that this is the problem of that status and code, whole and in form; returns it."""
    assert (response.status_code, (response.json or {}).get("code")) == (status, code), response.text
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = response.json
    assert MEMBERS <= document.keys() <= MEMBERS | FURTHER
    assert document["type"] == f"/docs/problems#{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"].endswith((".", "`.", "`"))
    assert document["request_id"] == response.headers["X-Request-Id"]
    return document


def faults(response: TestResponse) -> set[tuple[str, str]]:
    """The (pointer, code) pairs of a 422."""
    document = assert_problem(response, 422, response.json["code"])
    assert document["errors"]
    assert all(fault.keys() == {"pointer", "code", "detail"} and fault["detail"] for fault in document["errors"])
    return {(fault["pointer"], fault["code"]) for fault in document["errors"]}
