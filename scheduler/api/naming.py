"""What a request names, found by its schema, so that a refusal can say at once all that is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import fields

from scheduler.api.fields import Id
from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound
from scheduler.services import Session, references
from scheduler.services.references import CODES, Named


def completed(
    session: Session, call: Call, refusal: Invalid | NotFound, schema: ma.Schema, data: Any
) -> Invalid | NotFound:
    """The refusal, with a fault for whatever else the request names and is not there.

    Its status and code stay: what only names what is not there is no contradiction in itself.
    """
    told = {fault.pointer for fault in refusal.faults}
    further = [
        each for each in references.unknown(session, call, list(_named(schema, data, ""))) if each.pointer not in told
    ]
    if not further:
        return refusal
    faults: list[Fault] = [*refusal.faults, *further]
    if isinstance(refusal, NotFound):
        return NotFound(refusal.detail, faults=faults)
    said = "" if refusal.code == Invalid.code else refusal.detail
    return Invalid(faults, detail=said, code=refusal.code)


def _named(schema: ma.Schema, data: Any, pointer: str) -> Iterator[Named]:
    """Every id and code in the data that is in form, field by field."""
    if not isinstance(data, Mapping):
        return
    for name, field in schema.load_fields.items():
        key = field.data_key or name
        if key in data:
            yield from _in_field(field, key, data[key], f"{pointer}/{key}")


def _in_field(field: fields.Field[Any], key: str, value: Any, pointer: str) -> Iterator[Named]:
    if isinstance(field, fields.List) and isinstance(value, list):
        for place, each in enumerate(value):
            yield from _in_field(field.inner, key, each, f"{pointer}/{place}")
    elif isinstance(field, fields.Nested):
        yield from _named(field.schema, value, pointer)
    elif isinstance(value, str) and isinstance(field, Id):
        try:
            yield Named(pointer, key, UUID(str(field.deserialize(value))))
        except ma.ValidationError:
            return
    elif isinstance(value, str) and key in CODES:
        yield Named(pointer, key, value)
