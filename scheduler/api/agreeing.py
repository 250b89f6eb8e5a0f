"""Contradictions among the parts of a request that could be read, told beside the parts that could not.

What contradicts what is for the services to say, and they say it themselves of a request that is in form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import marshmallow as ma

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound, SchedulingError
from scheduler.services import Session


class Agree(NamedTuple):
    """A check that rests on the values of some fields alone: `check(call, *values)`, absent ones as None.

    Where it `asks` the database it is `check(session, call, *values)`.
    """

    check: Callable[..., object]
    on: Sequence[str]
    asks: bool = False


def sound(schema: ma.Schema, data: Any) -> dict[str, Any]:
    """What `schema` makes of each field in which it finds no fault, by the client's names."""
    if not isinstance(data, Mapping):
        return {}
    spoiled: Any = {}
    try:
        read: Any = schema.load(data)
    except ma.ValidationError as error:
        read, spoiled = error.valid_data, error.messages
    names = {field.data_key or name: field.attribute or name for name, field in schema.load_fields.items()}
    return {key: read.get(name) for key, name in names.items() if key not in spoiled}


def contradictions(checks: Sequence[Agree], session: Session, call: Call, parts: Mapping[str, Any]) -> Iterator[Fault]:
    """The faults that checks find which rest on nothing but these parts, each once."""
    found: dict[Fault, None] = {}
    for each in checks:
        if parts.keys() >= set(each.on):
            values = [parts[name] for name in each.on]
            try:
                each.check(*([session, call] if each.asks else [call]), *values)
            except (Invalid, NotFound) as refusal:
                found |= dict.fromkeys(refusal.faults)
            except SchedulingError:
                continue  # what a rule refuses is told of a request that could be read
    yield from found
