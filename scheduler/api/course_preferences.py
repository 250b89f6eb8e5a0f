"""What a patient's course must respect, and what it had better: read with every span in order. Used by `courses`."""

from __future__ import annotations

from copy import copy
from typing import Any

import marshmallow as ma

from scheduler.api.appointments import REGION
from scheduler.api.fields import Choice, Day, Dict, Id, List, Nested, Text, TimeOfDay, Weekday, Whole
from scheduler.api.http import Schema
from scheduler.api.kept import Region, raise_each
from scheduler.core.errors import Fault


def _in_order(data: dict[str, Any], first: str, last: str, *, at: str) -> None:
    """Raises a fault at the later end of a span that ends before it begins; either may be left out."""
    begins, ends = data.get(first), data.get(last)
    if begins is not None and ends is not None and ends < begins:
        raise_each([Fault(at, "ends_before_start", "The end comes before the beginning.")])


class BlackoutSchema(Schema):
    """Local dates, both included, on which the patient does not come."""

    from_ = Day(data_key="from", required=True)
    to = Day(required=True)

    @ma.validates_schema(skip_on_field_errors=False)
    def _has_days(self, data: dict[str, Any], **_: Any) -> None:
        _in_order(data, "from_", "to", at="/to")


class WishesSchema(Schema):
    """When the patient would rather come. A visit on another weekday, or outside these times, costs points."""

    weekdays = List(Weekday(), max=7, min=1)
    earliest = TimeOfDay()
    until = TimeOfDay(metadata={"description": "When a visit would be over"})

    @ma.validates_schema(skip_on_field_errors=False)
    def _has_hours(self, data: dict[str, Any], **_: Any) -> None:
        _in_order(data, "earliest", "until", at="/until")


class PreferencesSchema(Schema):
    """What the patient's course must respect. Times of day bound the starts of visits, in the location's wall time."""

    weekdays = List(Weekday(), max=7, min=1)
    earliest = TimeOfDay()
    latest = TimeOfDay()
    practitioner_ids = List(Id(), max=20)
    blackouts = List(Nested(BlackoutSchema), max=50)
    wishes = Nested(WishesSchema)
    continuity = Choice("required", "preferred", "none")
    optional_steps = List(Text(60), max=20, metadata={"description": "Keys of the optional steps that the course has"})
    sessions = Dict(
        keys=Text(60),
        values=Whole(min=1, max=100),
        metadata={"description": "How many sessions the course has of a step, by key, within the protocol's bounds"},
    )
    patient_region = Region(metadata=REGION)

    @ma.validates_schema(skip_on_field_errors=False)
    def _has_hours(self, data: dict[str, Any], **_: Any) -> None:
        _in_order(data, "earliest", "latest", at="/latest")


def _changed(name: str) -> Any:
    field = copy(PreferencesSchema._declared_fields[name])  # noqa: SLF001 - marshmallow offers no other way
    field.allow_none = True
    return field


class ChangedPreferencesSchema(Schema):
    """What is changed of the wishes of a running course: null takes one away, and what is left out stays."""

    weekdays = _changed("weekdays")
    earliest = _changed("earliest")
    latest = _changed("latest")
    practitioner_ids = _changed("practitioner_ids")
    blackouts = _changed("blackouts")
    wishes = _changed("wishes")
    continuity = _changed("continuity")
