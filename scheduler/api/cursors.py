"""Cursors as clients hold them: each goes on with the question that it was given out for, and with no other.

Which row a cursor names is the collection's; here is only of which question it is a page.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Any

from scheduler.core.errors import Fault, Invalid

_OTHER = "This cursor was given out for another collection, or with other filters: ask for the first page of these."
#: What a page is asked by, besides its question.
_OF_A_PAGE = {"limit", "cursor"}
_LENGTH = 8


def sealed(cursor: str | None, name: str, path: Mapping[str, Any], query: Mapping[str, Any]) -> str | None:
    """The cursor with a mark of the question: the route's name, its ids, and its filters as they were understood."""
    return None if cursor is None else _mark(name, path, query) + cursor


def opened(name: str, path: Mapping[str, Any], query: Mapping[str, Any]) -> dict[str, Any]:
    """The query with its cursor as the collection knows it. Raises Invalid (`bad_cursor`) for another question's."""
    cursor = query.get("cursor")
    if cursor is None:
        return dict(query)
    if cursor[:_LENGTH] != _mark(name, path, query):
        raise Invalid([Fault("/cursor", "bad_cursor", _OTHER)])
    return {**query, "cursor": cursor[_LENGTH:]}


def _mark(name: str, path: Mapping[str, Any], query: Mapping[str, Any]) -> str:
    asked = [(key, _plain(query[key])) for key in sorted(query.keys() - _OF_A_PAGE)]
    told = repr((name, [str(each) for each in path.values()], asked))
    return urlsafe_b64encode(blake2s(told.encode("utf-8", "backslashreplace"), digest_size=6).digest()).decode()


def _plain(value: Any) -> Any:
    """As a text that is the same for the same meaning."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value)
