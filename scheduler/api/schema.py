"""The base of every schema: unknown fields refused, all faults at once, each with a pointer and a stable code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import cache, cached_property
from typing import Any, ClassVar, Self, TypeVar

import marshmallow as ma
from marshmallow import fields, validate

from scheduler.api.reading import Reader
from scheduler.api.writing import Writer
from scheduler.core.errors import Fault, Invalid

S = TypeVar("S", bound="Schema")

#: marshmallow's names for what went wrong, where ours differ.
_CODES = {
    "null": "required",
    "invalid": "invalid_type",
    "invalid_string": "invalid_type",
    "invalid_uuid": "invalid_id",
    "invalid_utf8": "invalid_type",
    "type": "invalid_type",
    "unknown": "unknown_field",
    "too_large": "out_of_range",
    "special": "invalid_type",
}


class Coded(str):
    """An error text that knows its code. `format` keeps the code, since that is what marshmallow does to texts."""

    __slots__ = ("code",)
    code: str

    def __new__(cls, text: str, code: str) -> Self:
        """A text with its code."""
        made = super().__new__(cls, text)
        made.code = code
        return made

    def format(self, *args: object, **kwargs: object) -> str:
        """The same code with the blanks filled in."""
        return Coded(super().format(*args, **kwargs), self.code)


class _LengthText(Coded):
    """One text for both ends of a length; the value says which end."""

    __slots__ = ()

    def format(self, *args: object, **kwargs: Any) -> str:
        code = "too_short" if len(kwargs["input"]) < kwargs["min"] else "too_long"
        return Coded(str.format(self, *args, **kwargs), code)


class Schema(ma.Schema):
    """Parent of every request and response schema. Declare fields explicitly: they are the privacy boundary."""

    #: Whether what it shows moves without a new revision: other rows, or the clock, have a part in it.
    lives: ClassVar[bool] = False

    class Meta:
        """Nothing passes that was not declared."""

        unknown = ma.RAISE

    error_messages = {  # noqa: RUF012 - marshmallow's own protocol
        "unknown": Coded("There is no such field.", "unknown_field"),
        "type": Coded("This must be an object.", "invalid_type"),
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give every text that this field can raise its code."""
        del field_name
        _give_codes(field_obj)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """What an object has under that name. A mapping has its keys: `items` is a method to nobody but marshmallow."""
        return obj.get(attr, default) if type(obj) is dict else super().get_attribute(obj, attr, default)

    @cached_property
    def as_json(self) -> Callable[[Any], str]:
        """From an object to its JSON: what encoding `dump` would give."""
        return Writer(self)

    @cached_property
    def well_formed(self) -> Callable[[Any], dict[str, Any] | None]:
        """From JSON in which nothing is wrong to what `load` would make of it; None for any other."""
        return Reader(self)

    def as_values(self, obj: Any) -> dict[str, Any]:
        """The same as plain values: for what is kept, or part of another document."""
        shown: dict[str, Any] = json.loads(self.as_json(obj))
        return shown


@cache
def instance(of: type[S]) -> S:
    """The one instance of a schema: it keeps no state between uses, and making one costs more than using it."""
    return of()


def read(schema: Schema, value: Any, *, pointer: str = "") -> dict[str, Any]:
    """Load `value`. Raises `Invalid` with every fault in it."""
    known = schema.well_formed(value)
    if known is not None:
        return known
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ma.ValidationError as error:
        raise Invalid(list(_faults(error.messages, pointer))) from error
    return loaded


def patch_schema(of: type[S], name: str, *, without: tuple[str, ...] = ()) -> type[S]:
    """The schema of a PATCH: the fields of `of` that a client may send, none required, none with a default."""
    made: dict[str, Any] = {"__module__": of.__module__, "__doc__": f"A change of {of.__name__}."}
    left_out = set(without)
    for key, field in of._declared_fields.items():  # noqa: SLF001 - marshmallow offers no other way to list them
        if field.dump_only:
            left_out.add(key)
        made[key] = copy(field)
        made[key].required = False
        made[key].load_default = ma.missing
    made["Meta"] = type("Meta", (of.Meta,), {"exclude": tuple(sorted(left_out))})
    return type(name, (of,), made)


def page_schema(of: type[ma.Schema], name: str | None = None) -> type[Schema]:
    """The schema of one page of a collection."""
    made = {
        "items": fields.List(fields.Nested(of), required=True),
        "next_cursor": fields.String(
            required=True, allow_none=True, metadata={"description": "Hand it back as `cursor`; null on the last page"}
        ),
        "__module__": of.__module__,
        "__doc__": "One page.",
    }
    return type(name or f"{of.__name__.removesuffix('Schema')}Page", (Schema,), made)


def _give_codes(field: fields.Field[Any]) -> None:
    field.error_messages = {
        key: text if isinstance(text, Coded) else Coded(str(text), _CODES.get(key, key))
        for key, text in field.error_messages.items()
    }
    for validator in field.validators:
        _give_validator_codes(validator)
    if isinstance(field, fields.List):
        _give_codes(field.inner)
    if isinstance(field, fields.Dict):
        for inner in (field.key_field, field.value_field):
            if inner is not None:
                _give_codes(inner)


def _give_validator_codes(validator: Any) -> None:
    if isinstance(validator, validate.Length):
        validator.message_min = Coded(validator.message_min, "too_short")
        validator.message_max = Coded(validator.message_max, "too_long")
        validator.message_all = _LengthText(validator.message_all, "too_long")
    elif isinstance(validator, validate.Range):
        for name in ("message_min", "message_max", "message_all"):
            setattr(validator, name, Coded(getattr(validator, name), "out_of_range"))
    elif isinstance(validator, (validate.OneOf, validate.Regexp, validate.Email)):
        code = "not_a_choice" if isinstance(validator, validate.OneOf) else "invalid_format"
        if not isinstance(validator.error, Coded):
            validator.error = Coded(validator.error, code)


def _faults(messages: Any, pointer: str) -> Iterator[Fault]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            below = pointer if key == "_schema" else f"{pointer}/{_escaped(key)}"
            yield from _faults(inner, below)
        return
    for text in messages if isinstance(messages, (list, tuple)) else [messages]:
        if isinstance(text, (Mapping, list, tuple)):
            yield from _faults(text, pointer)
        else:
            yield Fault(pointer, getattr(text, "code", "invalid"), str(text))


def _escaped(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
