"""What each kind of field takes, refuses and shows. Needs no application."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from marshmallow import Schema as PlainSchema
from marshmallow import ValidationError, fields, validate

from scheduler.api.fields import (
    Choice,
    CommaList,
    Day,
    Dict,
    Flag,
    Id,
    Instant,
    List,
    LocalInstant,
    Nested,
    QueryFlag,
    QueryWhole,
    Repeated,
    Text,
    TimeOfDay,
    Weekday,
    Whole,
    ZoneName,
)
from scheduler.api.schema import Schema, page_schema, patch_schema, read
from scheduler.core.errors import Invalid

SOME = "0190a5c4-7e2b-7000-8000-00000000000a"


def code(field: fields.Field[Any], value: Any) -> str:
    """The code with which the field refuses that value."""
    with pytest.raises(Invalid) as caught:
        read(Schema.from_dict({"x": field})(), {"x": value})
    (fault,) = caught.value.faults
    assert fault.pointer.startswith("/x")
    assert fault.detail
    return fault.code


def loaded(field: fields.Field[Any], value: Any) -> Any:
    return read(Schema.from_dict({"x": field})(), {"x": value})["x"]


def shown(field: fields.Field[Any], value: Any) -> Any:
    dumped: Any = Schema.from_dict({"x": field})().dump({"x": value})
    return dumped["x"]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (Text(5), "", "blank"),
        (Text(5), " \u00a0", "blank"),
        (Text(5), "123456", "too_long"),
        (Text(5, min=2), "1", "too_short"),
        (Text(5, min=2), "123456", "too_long"),
        (Text(5), 5, "invalid_type"),
        (Text(5), None, "required"),
        (Text(5), ["a"], "invalid_type"),
        (Text(9), "a\nb", "control_character"),
        (Choice("a", "b"), "c", "not_a_choice"),
        (Choice("a", "b"), 1, "invalid_type"),
        (Weekday(), "monday", "not_a_choice"),
        (Whole(min=1, max=3), 0, "out_of_range"),
        (Whole(min=1, max=3), 4, "out_of_range"),
        (Whole(), 2**31, "out_of_range"),
        (Whole(), 1.0, "invalid_type"),
        (Whole(), 1.9, "invalid_type"),
        (Whole(), "1", "invalid_type"),
        (Whole(), True, "invalid_type"),
        (Whole(), None, "required"),
        (QueryWhole(), "1_0", "invalid_type"),
        (QueryWhole(), " 1", "invalid_type"),
        (QueryWhole(), "+1", "invalid_type"),
        (QueryWhole(), "99999999999999", "invalid_type"),
        (Flag(), "true", "invalid_type"),
        (Flag(), 1, "invalid_type"),
        (QueryFlag(), "True", "invalid_type"),
        (QueryFlag(), "1", "invalid_type"),
        (QueryFlag(), ["true"], "invalid_type"),
        (Id(), "1", "invalid_id"),
        (Id(), SOME.replace("-", ""), "invalid_id"),
        (Id(), f"{{{SOME}}}", "invalid_id"),
        (Id(), f"urn:uuid:{SOME}", "invalid_id"),
        (Id(), 7, "invalid_id"),
        (Instant(), "2030-03-04T09:00:00", "naive_time"),
        (Instant(), "2030-03-04", "invalid_type"),
        (Instant(), "2030-03-04 09:00:00Z", "invalid_type"),
        (Instant(), "2030-02-30T09:00:00Z", "invalid_type"),
        (Instant(), "2030-03-04T24:00:00Z", "invalid_type"),
        (Instant(), "2030-03-04T09:00:60Z", "invalid_type"),
        (Instant(), "2030-03-04T09:00:00+25:00", "invalid_type"),
        (Instant(), "20300304T090000Z", "invalid_type"),
        (Instant(), "2030-03-04T09:00:00Z\n", "invalid_type"),
        (Instant(), "٢030-03-04T09:00:00Z", "invalid_type"),
        (Instant(), "0001-01-01T00:00:00+14:00", "out_of_range"),
        (Instant(), "9999-12-31T23:59:59-12:00", "out_of_range"),
        (Instant(), 1900000000, "invalid_type"),
        (Day(), "2030-02-30", "invalid_type"),
        (Day(), "2030-3-4", "invalid_type"),
        (Day(), "20300304", "invalid_type"),
        (Day(), "2030-W10-1", "invalid_type"),
        (Day(), "1899-12-31", "out_of_range"),
        (TimeOfDay(), "9:00", "invalid_format"),
        (TimeOfDay(), "24:00", "invalid_format"),
        (TimeOfDay(), "09:60", "invalid_format"),
        (TimeOfDay(midnight_ends=True), "24:01", "invalid_format"),
        (ZoneName(), "Mars/Olympus", "unknown_time_zone"),
        (ZoneName(), "../etc/passwd", "unknown_time_zone"),
        (ZoneName(), "", "unknown_time_zone"),
        (List(Text(3), max=2), ["a", "b", "c"], "too_long"),
        (List(Text(3), max=2, min=1), [], "too_short"),
        (List(Text(3), max=2), "ab", "invalid_type"),
        (List(Text(3), max=2), {"0": "a"}, "invalid_type"),
        (CommaList(Weekday(), max=7), "mon,,tue", "not_a_choice"),
        (CommaList(Weekday(), max=7), ["mon"], "invalid_type"),
        (Repeated(Id(), max=2), [SOME, "x"], "invalid_id"),
        (fields.Dict(), [], "invalid_type"),
        (fields.String(validate=validate.Regexp("^a$")), "b", "invalid_format"),
        (fields.String(validate=validate.Email()), "b", "invalid_format"),
    ],
)
def test_what_a_field_refuses(field: fields.Field[Any], value: Any, expected: str) -> None:
    assert code(field, value) == expected


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (Text(5), "12345", "12345"),
        (Text(5, min=0), "", ""),
        (Text(9, lines=True), "a\n\tb", "a\n\tb"),
        (Weekday(), "mon", "mon"),
        (Whole(min=1, max=3), 3, 3),
        (QueryWhole(min=-5), "-5", -5),
        (Flag(), False, False),
        (QueryFlag(), "false", False),
        (QueryFlag(), "true", True),
        (Id(), SOME.upper(), UUID(SOME)),
        (Instant(), "2030-03-04T09:00:00Z", datetime(2030, 3, 4, 9, tzinfo=UTC)),
        (Instant(), "2030-03-04t09:00:00.5z", datetime(2030, 3, 4, 9, 0, 0, 500_000, tzinfo=UTC)),
        (Instant(), "2030-03-04T09:00-05:00", datetime(2030, 3, 4, 14, tzinfo=UTC)),
        (Day(), "2028-02-29", date(2028, 2, 29)),
        (TimeOfDay(), "23:59", "23:59"),
        (TimeOfDay(midnight_ends=True), "24:00", "24:00"),
        (ZoneName(), "America/New_York", "America/New_York"),
        (List(Text(3), max=2), ["a", "b"], ["a", "b"]),
        (CommaList(Weekday(), max=7), "mon,tue", ["mon", "tue"]),
        (Repeated(Id(), max=2), [SOME], [UUID(SOME)]),
    ],
)
def test_what_a_field_takes(field: fields.Field[Any], value: Any, expected: Any) -> None:
    assert loaded(field, value) == expected
    assert type(loaded(field, value)) is type(expected)


def test_an_instant_keeps_the_offset_that_it_was_given() -> None:
    assert loaded(Instant(), "2030-03-04T09:00:00-05:00").utcoffset() == timedelta(hours=-5)
    moment = datetime(2030, 3, 4, 9, tzinfo=ZoneInfo("America/New_York"))
    assert shown(Instant(), moment) == "2030-03-04T09:00:00-05:00"
    assert shown(Instant(), datetime(2030, 3, 4, 9, tzinfo=UTC)) == "2030-03-04T09:00:00+00:00"
    assert shown(LocalInstant(), datetime(2030, 3, 4, 9, tzinfo=timezone(timedelta(hours=2)))) == "2030-03-04T09:00:00"
    assert (shown(Instant(), None), shown(LocalInstant(), None), shown(Day(), None)) == (None, None, None)
    assert shown(Day(), date(2030, 3, 4)) == "2030-03-04"


class Inner(Schema):
    a = Text(3, required=True)
    b = Text(3, load_default="b")


class Outer(Schema):
    id = Id(dump_only=True)
    name = Text(3, required=True)
    size = Whole(load_default=1)
    at = Instant(data_key="when")
    inner = Nested(Inner)
    many = List(Nested(Inner), max=2)
    table = Dict(keys=Text(2), values=Whole(max=5))


def faults(schema: PlainSchema, value: Any) -> set[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(schema, value)
    return {(fault.pointer, fault.code) for fault in caught.value.faults}


def test_pointers_lead_to_the_fault() -> None:
    value = {
        "id": SOME,
        "when": "soon",
        "inner": {"a": 1, "c": 2},
        "many": [{"a": "x"}, "no", {}],
        "table": {"long": 1, "ok": 6},
        "a/b~c": 1,
    }
    assert faults(Outer(), value) == {
        ("/id", "unknown_field"),
        ("/name", "required"),
        ("/when", "invalid_type"),
        ("/inner/a", "invalid_type"),
        ("/inner/c", "unknown_field"),
        ("/many/1", "invalid_type"),
        ("/many/2/a", "required"),
        ("/table/long", "too_long"),
        ("/table/ok", "out_of_range"),
        ("/a~1b~0c", "unknown_field"),
    }


def test_a_patch_requires_nothing_adds_nothing_and_shows_nothing_new() -> None:
    patch = patch_schema(Outer, "OuterPatch", without=("table",))
    assert patch.__name__ == "OuterPatch"
    assert read(patch(), {}) == {}
    assert read(patch(), {"size": 3, "inner": {"a": "x"}}) == {"size": 3, "inner": {"a": "x", "b": "b"}}
    assert faults(patch(), {"id": SOME, "table": {}, "inner": {}, "name": None}) == {
        ("/id", "unknown_field"),
        ("/table", "unknown_field"),
        ("/inner/a", "required"),
        ("/name", "required"),
    }
    assert read(Outer(), {"name": "x"}) == {"name": "x", "size": 1}, "the original is as it was"
    assert faults(Outer(), {}) == {("/name", "required")}


def test_a_page_has_items_and_a_cursor() -> None:
    page = page_schema(Inner)
    assert page.__name__ == "InnerPage"
    dumped: Any = page().dump({"items": [{"a": "x", "b": "y", "secret": "z"}], "next_cursor": None})
    assert dumped == {"items": [{"a": "x", "b": "y"}], "next_cursor": None}


def test_a_fault_of_several_fields_points_to_the_whole() -> None:
    from marshmallow import validates_schema

    from scheduler.api.schema import Coded

    class Both(Schema):
        a = Whole()
        b = Whole()

        @validates_schema
        def in_order(self, data: dict[str, Any], **_: Any) -> None:
            if data["a"] > data["b"]:
                raise ValidationError(Coded("a comes before b.", "out_of_order"))

    assert faults(Both(), {"a": 2, "b": 1}) == {("", "out_of_order")}
