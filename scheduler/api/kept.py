"""Fields and parts of schemas for what is kept as documents: checked like the others, but text going in and out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import marshmallow as ma

from scheduler.api.fields import Choice, Day, Id, Instant, List, Text, TimeOfDay, Weekday
from scheduler.api.schema import Coded, Schema
from scheduler.core.errors import Fault, Invalid
from scheduler.core.hours import closure_faults, validity_faults
from scheduler.services import contacts


class DayText(Day):
    """A calendar day, kept as its text."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        del attr, obj, kwargs
        return None if value is None else str(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return super()._deserialize(value, attr, data, **kwargs).isoformat()


class InstantText(Instant):
    """An instant, kept as its text in UTC."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        del attr, obj, kwargs
        return None if value is None else str(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return super()._deserialize(value, attr, data, **kwargs).astimezone(UTC).isoformat()


class IdText(Id):
    """An id, kept as its text."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return str(super()._deserialize(value, attr, data, **kwargs))


class Code(Text):
    """A name for machines: letters, digits, `_`, `.` and `-`, at most 60 of them."""

    def __init__(self, **kwargs: Any) -> None:
        form = ma.validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", error="Letters, digits, '_', '.' and '-' only.")
        super().__init__(60, validate=form, **kwargs)


class Phone(Text):
    """A telephone number in any spelling; it becomes E.164. With `min=0` it may be empty."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return contacts.phone(text, "") if text else text
        except Invalid as error:
            fault = error.faults[0]
            raise ma.ValidationError(Coded(fault.detail, fault.code)) from error


class Locale(Text):
    """A language, with its script and region if they matter."""

    def __init__(self, **kwargs: Any) -> None:
        form = r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"
        super().__init__(20, validate=ma.validate.Regexp(form, error='Such as "en" or "en-US".'), **kwargs)


class Valid(Schema):
    """Parent of what holds from one day to another, both inclusive."""

    valid_from = DayText(allow_none=True, metadata={"description": "The first day, inclusive; always if absent"})
    valid_to = DayText(allow_none=True, metadata={"description": "The last day, inclusive; for ever if absent"})

    @ma.validates_schema(skip_on_field_errors=False)
    def _in_order(self, data: dict[str, Any], **_: Any) -> None:
        raise_each(validity_faults(data, ""))


class HoursSchema(Valid):
    """Weekly hours in the wall time of the location. An end that is not after the start is on the next day."""

    weekday = Weekday(required=True)
    start = TimeOfDay(required=True)
    end = TimeOfDay(required=True, midnight_ends=True)


class StaffHoursSchema(HoursSchema):
    """Weekly hours at one of the locations."""

    location_id = IdText(required=True)


class Mark(Text):
    """What stands for a thing whose changes nobody counts: its ETag says it, and `If-Match` takes it."""

    def __init__(self) -> None:
        super().__init__(32, dump_only=True, metadata={"description": "What the ETag says: changes go by it"})


class Region(Text):
    """A country or one of its subdivisions, by ISO 3166-2."""

    def __init__(self, **kwargs: Any) -> None:
        form = ma.validate.Regexp(r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", error='Such as "US-NY" or "DE".')
        metadata = {"examples": ["US-NY"]} | kwargs.pop("metadata", {})
        super().__init__(6, validate=form, metadata=metadata, **kwargs)


class RoleSchema(Valid):
    """A role that somebody may serve in, at one location or at all of them."""

    code = Code(required=True)
    location_id = IdText(allow_none=True)
    regions = List(Region(), max=300, metadata={"description": "Where it is licensed: counts for visits by video"})


class CertificationSchema(Valid):
    """Something that the site is certified for."""

    code = Code(required=True)


class ClosureSchema(Schema):
    """A time when the location is closed: whole local days, or local minutes."""

    from_ = Text(
        16,
        required=True,
        data_key="from",
        attribute="from",
        metadata={"description": "A day, or a local minute", "examples": ["2030-12-24", "2030-12-24T12:00"]},
    )
    to = Text(
        16,
        required=True,
        metadata={"description": "A day, which counts whole, or the local minute of opening again"},
    )
    reason = Text(500, min=0)

    @ma.validates_schema(skip_on_field_errors=False)
    def _in_order(self, data: dict[str, Any], **_: Any) -> None:
        faults = closure_faults([data], "") if data.keys() >= {"from", "to"} else []
        raise_each([Fault(fault.pointer.removeprefix("/0"), fault.code, fault.detail) for fault in faults])


class HolidaysSchema(Schema):
    """Whose public holidays close a location, and on which it works all the same."""

    country = Text(2, required=True, metadata={"description": "ISO 3166-1", "examples": ["US"]})
    subdivision = Text(10, allow_none=True, metadata={"description": "Its code in that country", "examples": ["CA"]})
    open_days = List(DayText(), max=200, metadata={"description": "Single days that are open"})
    open_names = List(Text(200), max=100, metadata={"description": "Holidays that are never kept, by name"})


class AffectedSchema(Schema):
    """A booked visit that a change leaves without something it needs."""

    id = Id(required=True)
    patient_id = Id(required=True)
    visit_type = Text(60, required=True)
    status = Choice("proposed", "pending", "booked", "arrived", "checked-in", required=True)
    location_id = Id(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, required=True)


def raise_each(faults: list[Fault]) -> None:
    """Raise each of the core's faults at the field that its pointer names."""
    messages: dict[str, list[str]] = {}
    for fault in faults:
        messages.setdefault(fault.pointer.rpartition("/")[2], []).append(Coded(fault.detail, fault.code))
    if messages:
        raise ma.ValidationError(messages)
