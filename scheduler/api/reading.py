"""How a JSON object becomes values when nothing is wrong with it. What is wrong, marshmallow says: `schema.read`.

marshmallow asks each field through five calls, so as to go on when one of them refuses. Here the first that refuses
ends it, and who asked begins anew with marshmallow, which finds every fault.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import marshmallow as ma
from marshmallow import fields
from marshmallow.decorators import POST_LOAD, PRE_LOAD, VALIDATES, VALIDATES_SCHEMA

#: Where a value goes, the key under which it comes, what reads it, and what stands there when it does not come.
_Member = tuple[str, str, fields.Field[Any], Any]

#: Stands for what has to come.
_DEMANDED = object()


class Reader:
    """Reads what a schema takes, as its `load` would."""

    def __init__(self, schema: ma.Schema) -> None:
        self._schema = schema

    def __call__(self, value: Any) -> dict[str, Any] | None:
        """The values; None when something is wrong, or the schema does more than ask its fields."""
        if type(value) is not dict or self._members is None:
            return None
        loaded, left = {}, len(value)
        try:
            for name, key, field, default in self._members:
                if key in value:
                    left -= 1
                    loaded[name] = field.deserialize(value[key], key, value)
                elif default is _DEMANDED:
                    return None
                elif default is not ma.missing:
                    loaded[name] = default() if callable(default) else default
        except ma.ValidationError:
            return None
        return None if left else loaded

    @cached_property
    def _members(self) -> list[_Member] | None:
        schema = self._schema
        hooks = schema._hooks  # noqa: SLF001 - marshmallow tells nobody
        if any(hooks[each] for each in (PRE_LOAD, POST_LOAD, VALIDATES, VALIDATES_SCHEMA)):
            return None
        if schema.many or schema.partial or schema.unknown != ma.RAISE:
            return None
        return [_member(name, field) for name, field in schema.load_fields.items()]


def _member(name: str, field: fields.Field[Any]) -> _Member:
    key = name if field.data_key is None else field.data_key
    return field.attribute or name, key, field, _DEMANDED if field.required else field.load_default
