"""What is written straight from the values is what marshmallow's dump says, encoded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import marshmallow as ma
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import fields

from scheduler import create_app
from scheduler.api.fields import Day, Flag, Fraction, Id, Instant, List, LocalInstant, Nested, Text, Whole
from scheduler.api.kept import IdText, InstantText
from scheduler.api.offers import OfferSchema, offer_document
from scheduler.api.schema import Schema
from scheduler.api.visits import ParticipantSchema, SegmentSchema, participants_in, segments_in
from scheduler.api.writing import Written, encoded
from scheduler.config import Settings
from scheduler.services.appointments import Participation
from scheduler.services.availability import Offer, Party
from tests.api.walking import routes

_NEW_YORK = ZoneInfo("America/New_York")


class _Inner(Schema):
    from_ = Instant(data_key="from")
    id = Id()


class _Outer(Schema):
    name = Text(9, attribute="called")
    size = Whole(dump_default=7)
    one = Nested(_Inner, allow_none=True)
    many = List(Nested(_Inner), max=9)
    secret = Text(9, load_only=True)


class _Each(Schema):
    """One of every kind that is written by a way of its own, and some that are asked."""

    text = Text(9)
    id = Id()
    kept_id = IdText()
    instant = Instant()
    kept_instant = InstantText()
    local = LocalInstant()
    day = Day()
    whole = Whole()
    flag = Flag()
    share = Fraction()
    anything = fields.Raw()
    counts = fields.Dict(keys=Text(9), values=Whole())
    texts = List(Text(9), max=9)


_PART = {"from_": datetime(2030, 3, 4, 9, tzinfo=UTC), "id": UUID(int=7), "other": "not declared"}
_WHOLE = {"called": "a", "size": 0, "one": _PART, "many": [_PART, {}], "secret": "b"}


@pytest.mark.parametrize(
    "value", [_WHOLE, {}, {"one": None, "many": None}, SimpleNamespace(called="a", one=_PART), None]
)
def test_as_marshmallow_writes_it(value: Any) -> None:
    """Aliases, defaults, what is missing, null, nested in mappings and in objects; nothing that was not declared."""
    assert _Outer().as_json(value) == encoded(_Outer().dump(value))


def test_what_is_written() -> None:
    """The two could be wrong alike."""
    part = {"from": "2030-03-04T09:00:00+00:00", "id": "00000000-0000-0000-0000-000000000007"}
    assert json.loads(_Outer().as_json(_WHOLE)) == {"name": "a", "size": 0, "one": part, "many": [part, {}]}
    assert _Inner().as_json({"from_": datetime(2030, 11, 3, 1, 30, tzinfo=_NEW_YORK, fold=1)}) == (
        '{"from":"2030-11-03T01:30:00-05:00"}'
    )


#: Whatever JSON must escape, and what it need not.
_TEXT = st.text('aé"\\\n\0\u2028😀/')
_ZONES = [UTC, _NEW_YORK, ZoneInfo("Asia/Kathmandu"), timezone(timedelta(hours=-3, seconds=7)), None]
#: The night in which an hour comes twice.
_FALL = datetime.fromisoformat("2030-11-03T00:00")
_INSTANTS = st.builds(
    lambda instant, zone, fold: instant.replace(tzinfo=zone, fold=fold),
    st.one_of(
        st.datetimes(),
        st.integers(0, 240).map(lambda minutes: _FALL + timedelta(minutes=minutes)),
        st.integers(0, 14_400).map(lambda seconds: _FALL + timedelta(seconds=seconds)),
    ),
    st.sampled_from(_ZONES),
    st.sampled_from([0, 1]),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.one_of(st.none(), _TEXT, st.integers()),
            "id": st.one_of(st.none(), st.uuids(), st.uuids().map(str)),
            "kept_id": st.uuids().map(str),
            "instant": st.one_of(st.none(), _INSTANTS),
            "kept_instant": _INSTANTS.map(datetime.isoformat),
            "local": st.one_of(st.none(), _INSTANTS),
            "day": st.one_of(st.none(), st.dates()),
            "whole": st.one_of(st.none(), st.integers(), st.booleans()),
            "flag": st.one_of(st.none(), st.booleans()),
            "share": st.one_of(st.none(), st.floats(0, 1), st.integers(0, 1)),
            "anything": st.recursive(
                st.one_of(st.none(), st.booleans(), _TEXT, st.integers()),
                lambda inner: st.one_of(st.lists(inner), st.dictionaries(_TEXT, inner)),
            ),
            "counts": st.one_of(st.none(), st.dictionaries(_TEXT, st.integers())),
            "texts": st.one_of(st.none(), st.lists(st.one_of(st.none(), _TEXT))),
        },
    )
)
@example({"instant": datetime(2030, 11, 3, 1, 30, tzinfo=_NEW_YORK, fold=1)})
def test_every_kind_of_value(value: dict[str, Any]) -> None:
    assert _Each().as_json(value) == encoded(_Each().dump(value))


def test_every_answer() -> None:
    """Whatever a route gives: with all of its fields, with half of them, as a mapping and as an object."""
    schemas = {route.manner.gives for route in routes(create_app(Settings(database_url="sqlite://")))} - {None}
    assert len(schemas) > 50
    rng = Random(1)
    for schema in sorted((each() for each in schemas), key=lambda each: type(each).__name__):
        for share in (1.0, 0.5):
            value = _value(schema, share, rng)
            said = encoded(schema.dump(value))
            assert schema.as_json(value) == said, type(schema).__name__
            assert schema.as_json(SimpleNamespace(**value)) == said, type(schema).__name__


def _value(schema: ma.Schema, share: float, rng: Random) -> dict[str, Any]:
    return {
        field.attribute or name: _of(field, share, rng)
        for name, field in schema.dump_fields.items()
        if rng.random() < share
    }


def _of(field: fields.Field[Any], share: float, rng: Random) -> Any:
    """Some value for a field."""
    if rng.random() > share:
        return None
    if isinstance(field, Nested):
        return _value(field.schema, share, rng)
    if isinstance(field, fields.List):
        return [_of(field.inner, share, rng) for _ in range(2)]
    if isinstance(field, fields.Dict):
        inner = field.value_field
        return {f'"{key}': 1 if inner is None else _of(inner, share, rng) for key in range(2)}
    return next(value for kind, value in _VALUES if isinstance(field, kind))


_VALUES: list[tuple[type, Any]] = [
    (Instant, datetime(2030, 3, 4, 9, 5, tzinfo=_NEW_YORK)),
    (LocalInstant, datetime(2030, 3, 4, 9, 5, tzinfo=_NEW_YORK)),
    (Day, date(2030, 3, 4)),
    (Id, UUID(int=7)),
    (fields.Integer, 7),
    (fields.Float, 0.5),
    (fields.Boolean, True),
    (fields.DateTime, datetime(2030, 3, 4, 9, 5, tzinfo=UTC)),
    (fields.Field, 'a "quoted" \\ wörd\n'),
]


_SHARES = st.tuples(
    st.uuids(),
    st.tuples(
        st.tuples(st.sampled_from(["practitioner", "room"]), _TEXT.map("100%s {{0}} ".__add__), _TEXT),
        st.integers(0, 600).map(lambda minutes: timedelta(minutes=minutes)),
        st.integers(1, 600).map(lambda minutes: timedelta(minutes=minutes)),
    ),
)


@given(
    st.lists(_SHARES, max_size=6),
    st.lists(st.integers(-600, 600), min_size=1, max_size=3),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]),
)
def test_people_of_offers_and_of_visits(shares: list[Any], starts: list[int], zone: str) -> None:
    """Written once with gaps, and filled for each start: as if each had been written by itself, in any night."""
    party, night = Party(tuple(shares)), datetime(2030, 11, 3, 6, tzinfo=UTC)
    for start in (night + timedelta(minutes=minutes) for minutes in starts):
        shown = offer_document(Offer(start, start + timedelta(hours=2), zone, party))
        people = _one_by_one(party.at(start), ZoneInfo(zone))
        assert OfferSchema().as_json(shown) == encoded(OfferSchema().dump(shown | {"participants": people}))
        assert participants_in(party.at(start), ZoneInfo(zone)) == encoded(ParticipantSchema(many=True).dump(people))
        parts = [{"name": each.segment, "start": each.start, "end": each.end} for each in party.at(start)]
        alone = [{"name": each["segment"], "start": each["start"], "end": each["end"]} for each in people]
        assert segments_in(parts, ZoneInfo(zone)) == encoded(SegmentSchema(many=True).dump(alone))


def _one_by_one(found: Iterable[Participation], where: ZoneInfo) -> list[dict[str, Any]]:
    return [
        each._asdict() | {"start": each.start.astimezone(where), "end": each.end.astimezone(where)} for each in found
    ]


def test_what_is_json_already_is_left_as_it_is() -> None:
    assert _Outer().as_json({"many": Written('[{"id":"7"}]')}) == '{"size":7,"many":[{"id":"7"}]}'


class _Called(Schema):
    size = Whole(dump_default=lambda: 7)


class _Computed(Schema):
    size = fields.Function(len)


class _Changed(Schema):
    size = Whole()

    @ma.post_dump
    def _doubled(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | {"size": data["size"] * 2}


@pytest.mark.parametrize(("schema", "named"), [(_Called, "size"), (_Computed, "size"), (_Changed, "_Changed")])
def test_what_would_have_to_be_called_is_refused(schema: type[Schema], named: str) -> None:
    """It would not be called, so it is said."""
    with pytest.raises(TypeError, match=named):
        schema().as_json({"size": 1})
