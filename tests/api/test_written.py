"""What is written by the shorter way is what marshmallow writes."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import marshmallow as ma
import pytest

from scheduler.api.fields import Id, Instant, List, Nested, Text, Whole
from scheduler.api.schema import Schema


class _Inner(Schema):
    from_ = Instant(data_key="from")
    id = Id()


class _Outer(Schema):
    name = Text(9, attribute="called")
    size = Whole(dump_default=7)
    one = Nested(_Inner, allow_none=True)
    many = List(Nested(_Inner), max=9)
    secret = Text(9, load_only=True)


_PART = {"from_": datetime(2030, 3, 4, 9, tzinfo=UTC), "id": UUID(int=7), "other": "not declared"}
_WHOLE = {"called": "a", "size": 0, "one": _PART, "many": [_PART, {}], "secret": "b"}


@pytest.mark.parametrize(
    "value", [_WHOLE, {}, {"one": None, "many": None}, SimpleNamespace(called="a", one=_PART), None]
)
def test_as_marshmallow_writes_it(value: Any) -> None:
    """Aliases, defaults, what is missing, null, nested in mappings and in objects; nothing that was not declared."""

    class _Plain(_Outer):
        _serialize = ma.Schema._serialize

    assert _Outer().dump(value) == _Plain().dump(value)
    assert _Outer().dump([value, value], many=True) == [_Plain().dump(value)] * 2


def test_what_is_written() -> None:
    """The two could be wrong alike."""
    shown = _Outer().dump(_WHOLE)
    part = {"from": "2030-03-04T09:00:00+00:00", "id": "00000000-0000-0000-0000-000000000007"}
    assert shown == {"name": "a", "size": 0, "one": part, "many": [part, {}]}


def test_a_default_that_must_be_called_is_refused() -> None:
    """The shorter way does not call it, and says so."""

    class _Called(Schema):
        size = Whole(dump_default=lambda: 7)

    with pytest.raises(TypeError, match="size"):
        _Called().dump({})
