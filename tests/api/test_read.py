"""What is read straight from a JSON object is what marshmallow's load makes of it, or nothing."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import create_app
from scheduler.api.fields import Id, Instant, List, Nested, Text, Whole
from scheduler.api.schema import Schema, instance
from scheduler.config import Settings
from tests.api.walking import routes


class _Inner(Schema):
    from_ = Instant(data_key="from", required=True)
    id = Id(load_default=None)


class _Outer(Schema):
    name = Text(9, required=True, attribute="called")
    size = Whole(load_default=7)
    one = Nested(_Inner, allow_none=True)
    many = List(Nested(_Inner), max=2, load_default=list)
    shown = Text(9, dump_only=True)


class _Ordered(_Outer):
    @ma.validates_schema
    def _small(self, data: dict[str, Any], **_: Any) -> None:
        if data["size"] > 7:
            raise ma.ValidationError("too large")


_PARTS = st.dictionaries(
    st.sampled_from(["from", "id", "else"]),
    st.sampled_from(["2030-03-04T09:00:00Z", "00000000-0000-0000-0000-000000000007", None, 7]),
)


def loaded(schema: ma.Schema, value: Any) -> dict[str, Any] | None:
    try:
        return dict(schema.load(value))
    except ma.ValidationError:
        return None


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["a", "far too long", None]),
            "size": st.sampled_from([0, None, "1"]),
            "one": st.one_of(st.none(), _PARTS),
            "many": st.lists(_PARTS, max_size=3),
            "shown": st.just("a"),
            "else": st.none(),
        },
    )
)
def test_as_marshmallow_reads_it(value: dict[str, Any]) -> None:
    """Aliases, defaults, null, what is missing, wrong, or was never declared."""
    assert instance(_Outer).well_formed(value) == loaded(_Outer(), value)


@pytest.mark.parametrize("value", [[], None, "name", 7])
def test_no_object(value: Any) -> None:
    assert instance(_Outer).well_formed(value) is None


def test_defaults_are_made_anew() -> None:
    first, second = (instance(_Outer).well_formed({"name": "a"}) for _ in range(2))
    assert first == second == {"called": "a", "size": 7, "many": []}
    assert first is not None
    assert second is not None
    assert first["many"] is not second["many"]


def test_what_a_schema_checks_itself_is_left_to_marshmallow() -> None:
    assert instance(_Ordered).well_formed({"name": "a"}) is None


def test_every_body_in_form() -> None:
    told = [(route.manner.takes, route.body()) for route in routes(create_app(Settings(database_url="sqlite://")))]
    found = [(instance(takes).well_formed(body), takes().load(body)) for takes, body in told if takes is not None]
    quick = [(list(made.items()), list(wanted.items())) for made, wanted in found if made is not None]
    assert len(quick) > 30
    assert all(made == wanted for made, wanted in quick)
