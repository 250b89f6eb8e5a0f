"""How answers become JSON: a schema's text straight from the values. What is shown, and how, is each field's own say.

marshmallow would make a dictionary of each object, asking every field through four calls, to be encoded after that.
Here each field has one function from its value to its text, found once; a kind of field that is not known here is asked
itself, and what it says is encoded. So the text is what encoding `dump` would give, for every schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from functools import cached_property, lru_cache, partial
from json.encoder import encode_basestring
from typing import Any, cast
from uuid import UUID

import marshmallow as ma
from marshmallow import fields
from marshmallow.decorators import POST_DUMP, PRE_DUMP

#: From a value to its JSON.
Write = Callable[[Any], str]
#: The key of a value, what stands before its text, what writes it, and the value where there is none.
_Member = tuple[str, str, Write, Any]

#: Any JSON value as text.
encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Written(str):
    """What is JSON already, in the place of a list."""

    __slots__ = ()


class Writer:
    """Writes what a schema shows of an object."""

    def __init__(self, schema: ma.Schema) -> None:
        self._schema = schema

    def __call__(self, value: Any) -> str:
        """The object's JSON. Mappings are asked for their keys, objects for their attributes."""
        get = value.get if type(value) is dict else partial(self._schema.get_attribute, value)
        members = [
            lead + write(found)
            for name, lead, write, default in self._members
            if (found := get(name, default)) is not ma.missing
        ]
        return "{" + ",".join(members) + "}"

    @cached_property
    def _members(self) -> list[_Member]:
        if any(self._schema._hooks[each] for each in (PRE_DUMP, POST_DUMP)):  # noqa: SLF001 - marshmallow tells nobody
            msg = f"{type(self._schema).__name__} changes what is written, which nobody would ask"
            raise TypeError(msg)
        return [_member(name, field) for name, field in self._schema.dump_fields.items()]


def _member(name: str, field: fields.Field[Any]) -> _Member:
    if callable(field.dump_default) or not field._CHECK_ATTRIBUTE:  # noqa: SLF001 - marshmallow's protocol for fields without a value
        msg = f"the value of {name} is not simply there"
        raise TypeError(msg)
    key = name if field.data_key is None else field.data_key
    return field.attribute or name, f"{encode_basestring(key)}:", _writer(field), field.dump_default


def _writer(field: fields.Field[Any]) -> Write:
    """What writes the values of a field: found by the very function that would serialize them."""
    made = _KNOWN.get(type(field)._serialize)  # noqa: SLF001 - what a field is asked to override
    return _asked(field) if made is None else made(field)


def writes(field: type[fields.Field[Any]], write: Write) -> None:
    """Let the values of these fields be written so, None among them; not those of kinds that serialize otherwise."""
    _KNOWN[field._serialize] = lambda _: write  # noqa: SLF001 - the same


def _asked(field: fields.Field[Any]) -> Write:
    return lambda value: encoded(field._serialize(value, field.name, None))  # noqa: SLF001 - the same


def _plain(_: fields.Field[Any]) -> Write:
    def write(value: Any) -> str:
        return _WORDS[value] if value is None or type(value) is bool else encoded(value)

    return write


def _text(field: fields.Field[Any]) -> Write:
    ask = _asked(field)
    return lambda value: encode_basestring(value) if type(value) is str else "null" if value is None else ask(value)


def _number(field: fields.Field[Any]) -> Write:
    ask = _asked(field)
    if getattr(field, "num_type", None) is not int or getattr(field, "as_string", False):
        return ask
    return lambda value: repr(value) if type(value) is int else "null" if value is None else ask(value)


def _list(field: fields.Field[Any]) -> Write:
    write = _writer(cast("fields.List[Any]", field).inner)

    def listed(value: Any) -> str:
        if value is None or type(value) is Written:
            return value or "null"
        return f"[{','.join([write(each) for each in value])}]"

    return listed


def _nested(field: fields.Field[Any]) -> Write:
    known = cast("fields.Nested", field)
    if known.many or known.schema.many:
        return _asked(field)
    write = Writer(known.schema)
    return lambda value: "null" if value is None else write(value)


_KNOWN: dict[Any, Callable[[fields.Field[Any]], Write]] = {
    fields.Field._serialize: _plain,  # noqa: SLF001 - the same
    fields.String._serialize: _text,  # noqa: SLF001 - the same
    fields.Number._serialize: _number,  # noqa: SLF001 - the same
    fields.List._serialize: _list,  # noqa: SLF001 - the same
    fields.Nested._serialize: _nested,  # noqa: SLF001 - the same
}


def id_text(value: Any) -> str:
    """An id in JSON. The same few are written again and again."""
    return _id_text(value.int) if type(value) is UUID else "null" if value is None else encoded(str(value))


@lru_cache(maxsize=8192)
def _id_text(value: int) -> str:
    digits = f"{value:032x}"
    return f'"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"'


def instant_text(value: datetime | None) -> str:
    """An instant in JSON, as `isoformat` has it, but from parts that are remembered."""
    if value is None:
        return "null"
    if value.second or value.microsecond:
        return f'"{value.isoformat()}"'
    return f"{_day(value.toordinal())}{_MINUTES[value.hour * 60 + value.minute]}{_offset(value.utcoffset())}"


def local_text(value: datetime | None) -> str:
    """The wall time of an instant in JSON."""
    return instant_text(None if value is None else value.replace(tzinfo=None))


def day_text(value: date | None) -> str:
    """A day in JSON."""
    return "null" if value is None else f'"{value.isoformat()}"'


@lru_cache(maxsize=1024)
def _day(ordinal: int) -> str:
    return f'"{date.fromordinal(ordinal).isoformat()}T'


@lru_cache(maxsize=1024)
def _offset(offset: timedelta | None) -> str:
    if offset is None:
        return '"'
    _, _, said = datetime(2000, 1, 1, tzinfo=timezone(offset)).isoformat().partition(":00:00")
    return f'{said}"'


_WORDS = {None: "null", True: "true", False: "false"}
_MINUTES = [f"{minute // 60:02}:{minute % 60:02}:00" for minute in range(24 * 60)]
