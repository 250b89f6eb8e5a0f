"""The fields that schemas are made of: strict about kinds, bounded in size, aware of time. No schema lives here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import fields, validate
from marshmallow.fields import Nested

from scheduler.api.schema import Coded
from scheduler.api.writing import day_text, id_text, instant_text, local_text, writes
from scheduler.core import civil
from scheduler.core.errors import Invalid

__all__ = [
    "Choice",
    "CommaList",
    "Day",
    "Dict",
    "Flag",
    "Fraction",
    "Id",
    "Instant",
    "List",
    "LocalInstant",
    "Nested",
    "QueryFlag",
    "QueryWhole",
    "Repeated",
    "Start",
    "Step",
    "Text",
    "TimeOfDay",
    "Weekday",
    "Whole",
    "ZoneName",
]

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})?", flags=re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", flags=re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", flags=re.IGNORECASE | re.ASCII)
_WHOLE = re.compile(r"-?\d{1,10}", flags=re.ASCII)


class Dict(fields.Dict):
    """Values by keys; a fault points at the value itself, or at the key that is wrong."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call] # marshmallow's
        except ma.ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            # marshmallow says {key: {"key": [...], "value": {...}}}, which would point beside the body.
            flat = {key: list(said.values()) for key, said in error.messages.items()}
            raise ma.ValidationError(flat) from error


class Text(fields.String):
    """A string of `min` to `max` characters not blank unless `min` is 0; `lines` allows line breaks and tabs."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own protocol
        "blank": "This must say something.",
        "control_character": "This must be a single line.",
    }

    def __init__(self, max: int, *, min: int = 1, lines: bool = False, **kwargs: Any) -> None:  # noqa: A002 - marshmallow's words
        limits = validate.Length(min=min, max=max) if min > 1 else validate.Length(max=max)
        if min == 1:
            kwargs["metadata"] = {"minLength": 1} | kwargs.get("metadata", {})
        super().__init__(validate=[limits, *_listed(kwargs.pop("validate", None))], **kwargs)
        self.least = min
        self.lines = lines

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        if self.least and not text.strip():
            raise self.make_error("blank")
        if not self.lines and ("\n" in text or "\t" in text):
            raise self.make_error("control_character")
        return text


class Choice(fields.String):
    """One of a few words."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf(choices, error="This must be one of {choices}."), **kwargs)


class Weekday(Choice):
    """A day of the week, "mon" to "sun"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("mon", "tue", "wed", "thu", "fri", "sat", "sun", **kwargs)


class Whole(fields.Integer):
    """A whole number within bounds; 1.0 and "1" are not one."""

    def __init__(self, *, min: int = -(2**31), max: int = 2**31 - 1, **kwargs: Any) -> None:  # noqa: A002 - marshmallow's words
        limits = validate.Range(min=min, max=max)
        super().__init__(strict=True, validate=[limits, *_listed(kwargs.pop("validate", None))], **kwargs)


class QueryWhole(Whole):
    """A whole number in a query string, in digits."""

    def _validated(self, value: Any) -> int:
        if not isinstance(value, str) or not _WHOLE.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


class Step(QueryWhole):
    """How far apart starts are in a query, in minutes on the grid."""

    default_error_messages = {"not_on_grid": "The step is a multiple of five minutes."}  # noqa: RUF012 - marshmallow's own protocol

    def __init__(self) -> None:
        super().__init__(min=5, max=60, load_default=15, metadata={"description": "Minutes, a multiple of 5"})

    def _validated(self, value: Any) -> int:
        found = super()._validated(value)
        if found % civil.GRID_MINUTES:
            raise self.make_error("not_on_grid")
        return found


class Fraction(fields.Float):
    """A share of the whole, from 0 to 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[validate.Range(min=0, max=1)], **kwargs)


class Flag(fields.Boolean):
    """True or false and nothing that resembles them."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        del attr, data, kwargs
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class QueryFlag(fields.Boolean):
    """`true` or `false` in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        del attr, data, kwargs
        if value not in ("true", "false"):  # a tuple: what comes twice is a list, which no set can be asked for
            raise self.make_error("invalid", input=value)
        return bool(value == "true")


class Id(fields.UUID):
    """A UUID in its usual spelling."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        del attr, obj, kwargs
        return None if value is None else str(value)

    def _validated(self, value: Any) -> UUID:
        if not isinstance(value, str) or not _UUID.fullmatch(value):
            raise self.make_error("invalid_uuid")
        return UUID(value)


class Instant(fields.Field[datetime]):
    """An RFC 3339 instant. A time without an offset is refused: it would be somebody's guess."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own protocol
        "invalid": "This must be an RFC 3339 time with an offset, like 2030-03-04T09:00:00-05:00.",
        "naive_time": "This time has no offset; say which, like 2030-03-04T09:00:00-05:00.",
        "out_of_range": "This year is out of range.",
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"type": "string", "format": "date-time"} | kwargs.get("metadata", {})
        super().__init__(**kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        del attr, obj, kwargs
        return None if value is None else value.isoformat()

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        del attr, data, kwargs
        if not isinstance(value, str) or not _INSTANT.fullmatch(value):
            raise self.make_error("invalid")
        try:
            found = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise self.make_error("invalid") from error
        if found.utcoffset() is None:
            raise self.make_error("naive_time")
        if found.year not in civil.YEARS:
            raise self.make_error("out_of_range")
        return found


class Start(Instant):
    """When a visit is to start: an instant on the five-minute grid."""

    default_error_messages = {"not_on_grid": "Visits start on the five-minute grid."}  # noqa: RUF012 - marshmallow's own protocol

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        found = super()._deserialize(value, attr, data, **kwargs)
        if not civil.on_grid(found.astimezone(UTC)):
            raise self.make_error("not_on_grid")
        return found


class LocalInstant(fields.Field[datetime]):
    """A wall time without an offset, written only: what a calendar at the clinic shows."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"type": "string", "examples": ["2030-03-04T09:00:00"]} | kwargs.get("metadata", {})
        super().__init__(dump_only=True, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        del attr, obj, kwargs
        return None if value is None else value.replace(tzinfo=None).isoformat()


class Day(fields.Field[date]):
    """A calendar day, "YYYY-MM-DD"."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own protocol
        "invalid": "This must be a day, like 2030-03-04.",
        "out_of_range": "This year is out of range.",
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"type": "string", "format": "date"} | kwargs.get("metadata", {})
        super().__init__(**kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        del attr, obj, kwargs
        return None if value is None else value.isoformat()

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        del attr, data, kwargs
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise self.make_error("invalid")
        try:
            found = date.fromisoformat(value)
        except ValueError as error:
            raise self.make_error("invalid") from error
        if found.year not in civil.YEARS:
            raise self.make_error("out_of_range")
        return found


class TimeOfDay(fields.String):
    """A local time of day "HH:MM", kept as that text; `midnight_ends` allows "24:00" for the end of a day."""

    def __init__(self, *, midnight_ends: bool = False, **kwargs: Any) -> None:
        pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
        if midnight_ends:
            pattern = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
        form = validate.Regexp(re.compile(pattern), error='This must be a time of day "HH:MM".')
        # `$` alone would also pass a line break at the end.
        super().__init__(validate=[validate.Length(max=5), form], **kwargs)


class ZoneName(fields.String):
    """The IANA name of a time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        name = str(super()._deserialize(value, attr, data, **kwargs))
        try:
            civil.zone(name)
        except Invalid as error:
            fault = error.faults[0]
            raise ma.ValidationError(Coded(fault.detail, fault.code)) from error
        return name


class List(fields.List[Any]):
    """A list of at most `max` things."""

    def __init__(self, inner: fields.Field[Any], *, max: int, min: int = 0, **kwargs: Any) -> None:  # noqa: A002 - marshmallow's words
        limits = validate.Length(min=min, max=max) if min else validate.Length(max=max)
        super().__init__(inner, validate=[limits, *_listed(kwargs.pop("validate", None))], **kwargs)


class Repeated(List):
    """A query parameter that may come several times."""


class CommaList(List):
    """A query parameter whose values are separated by commas."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        return list(super()._deserialize(value.split(","), attr, data, **kwargs))


def _listed(validators: Any) -> Sequence[Any]:
    if validators is None:
        return ()
    return (validators,) if callable(validators) else tuple(validators)


writes(Id, id_text)
writes(Instant, instant_text)
writes(LocalInstant, local_text)
writes(Day, day_text)
