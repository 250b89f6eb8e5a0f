"""Schemas of documents that the core reads itself, so that all their faults are named in one place and at once."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields

from scheduler.api.schema import Schema

_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "code": {"type": "string", "maxLength": 60, "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"},
    "codes": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "flag": {"type": "boolean"},
}


class DocumentSchema(Schema):
    """Parent of documents: lets everything through to the core, which refuses what it does not know."""

    def load(self, *arguments: Any, **named: Any) -> Any:
        """Hand unknown keys on: they are faults of the document, to be named with its others."""
        return super().load(*arguments, **named | {"unknown": ma.INCLUDE})


class Part(fields.Raw):
    """One key of a document. It is documented here and checked by the core."""

    def __init__(self, kind: str, description: str = "", **more: Any) -> None:
        metadata = _KINDS[kind] | ({"description": description} if description else {}) | more
        super().__init__(allow_none=True, metadata=metadata)
