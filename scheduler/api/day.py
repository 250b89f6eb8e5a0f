"""How a visit's day looks to clients: answers, checklist, tasks, flags. Schemas and documents, no routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import fields

from scheduler.api.fields import Choice, Dict, Flag, Id, Instant, List, Nested, Text, Whole
from scheduler.api.kept import InstantText
from scheduler.api.schema import Schema
from scheduler.api.visits import appointment_document
from scheduler.core.civil import zone
from scheduler.core.visit_day import Due
from scheduler.core.visit_day import Flag as Raised
from scheduler.services.visit_day import Check, DayView, Waiver

_LONGEST = 500
_MOST = 100
_POINTS = ("check_in", "start", "discharge")


class AnswerValue(fields.Field[Any]):
    """What an answer states: a text or a number."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own protocol
        "invalid": "This must be a text or a number.",
        "too_long": "This is too long.",
    }

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": ["string", "number"]} | kwargs.pop("metadata", {})
        super().__init__(allow_none=True, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        del attr, data, kwargs
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.make_error("invalid")
        if isinstance(value, str) and len(value) > _LONGEST:
            raise self.make_error("too_long")
        return value


class AnswerSchema(Schema):
    """An answer to one item of the checklist."""

    ok = Flag(required=True)
    value = AnswerValue(load_default=None, metadata={"description": "The name or the number that the item asks for"})
    by = Text(200, load_default=None, allow_none=True, metadata={"description": "Who answered; the caller otherwise"})
    note = Text(_LONGEST, lines=True, load_default=None, allow_none=True)


class Answers(Dict):
    """Answers by the keys of their items."""

    default_error_messages = {"too_long": "These are more answers than any checklist has items."}  # noqa: RUF012 - marshmallow's own protocol

    def __init__(self, **kwargs: Any) -> None:
        says = {"description": "Answers by the keys of their items; a later one replaces an earlier one"}
        super().__init__(keys=Text(64), values=Nested(AnswerSchema), metadata=says, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, dict) and len(value) > _MOST:
            raise self.make_error("too_long")
        return super()._deserialize(value, attr, data, **kwargs)


class WaiverSchema(Schema):
    """Items of the checklist that somebody answers for by name; takes the scope `override`."""

    items = List(Text(64), min=1, max=_MOST, required=True, metadata={"description": "Keys of the checklist"})
    by = Text(200, required=True, metadata={"description": "The person who takes the responsibility"})
    reason = Text(_LONGEST, required=True, metadata={"description": "Kept with the answer and in the audit trail"})


class WaivedSchema(Schema):
    """Who answered for an item that was not settled."""

    by = Text(200, required=True)
    reason = Text(_LONGEST, required=True)
    at = InstantText(required=True)


class GivenSchema(AnswerSchema):
    """An answer that was given."""

    at = InstantText(required=True)
    waived = Nested(WaivedSchema)


class CheckSchema(Schema):
    """One item of the checklist, and the answer it has."""

    key = Text(64, required=True)
    label = Text(200, required=True)
    effect = Choice("blocks", "warns", required=True)
    at = Choice(*_POINTS, required=True)
    takes = Choice("text", "number", allow_none=True, metadata={"description": "What the answer must state"})
    min = Whole(allow_none=True)
    max = Whole(allow_none=True)
    unit = Text(200, allow_none=True)
    same_day = Flag(required=True, metadata={"description": "Only an answer of the visit's own day counts"})
    answer = Nested(GivenSchema, required=True, allow_none=True)


class TaskSchema(Schema):
    """Something to be done; `planned` while what it counts from has not happened."""

    key = Text(64, required=True)
    label = Text(200, required=True)
    due_at = Instant(required=True)
    planned = Flag(required=True)
    done_at = Instant(required=True, allow_none=True)
    done_by = Text(200, required=True, allow_none=True)
    note = Text(_LONGEST, allow_none=True)
    dismissed = Flag(required=True, metadata={"description": "It was not to be done after all; the note says why"})


class FlagSchema(Schema):
    """Something about the visit that somebody should see, as of the moment of asking."""

    code = Text(60, required=True)
    detail = Text(_LONGEST, required=True)
    minutes = Whole()
    appointment_id = Id(metadata={"description": "Another visit that it concerns"})
    resource_id = Id()
    item = Text(64, metadata={"description": "The key of a task or of something on the checklist"})
    from_ = Instant(data_key="from")


def waiver_from(document: Mapping[str, Any] | None) -> Waiver | None:
    """The waiver of a body."""
    if document is None:
        return None
    return Waiver(tuple(document["items"]), document["by"], document["reason"])


def day_document(view: DayView) -> dict[str, Any]:
    """A visit with its day, as clients see it."""
    where = zone(view.row.time_zone)
    over_at = view.watch.over_at.astimezone(where) if view.watch is not None else None
    return appointment_document(view.view) | {
        "observation_over_at": over_at,
        "checklist": [_check(each) for each in view.checks],
        "tasks": [task_document(each, where) for each in view.tasks],
        "flags": [flag_document(each, where) for each in view.flags],
    }


def task_document(task: Due, where: ZoneInfo) -> dict[str, Any]:
    """A task as clients see it."""
    return {
        "key": task.key,
        "label": task.label,
        "due_at": task.due_at.astimezone(where),
        "planned": task.planned,
        "done_at": task.done_at.astimezone(where) if task.done_at is not None else None,
        "done_by": task.done_by,
        "note": task.note,
        "dismissed": task.dismissed,
    }


def flag_document(flag: Raised, where: ZoneInfo) -> dict[str, Any]:
    """A flag as clients see it; what it does not know is left out."""
    shown = {
        "code": flag.code,
        "detail": flag.detail,
        "minutes": flag.minutes,
        "appointment_id": flag.appointment_id,
        "resource_id": flag.resource_id,
        "item": flag.item,
        "from_": flag.start.astimezone(where) if flag.start is not None else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _check(check: Check) -> dict[str, Any]:
    item = check.item
    return {
        "key": item.key,
        "label": item.label,
        "effect": item.effect,
        "at": item.at,
        "takes": item.value,
        "min": item.least,
        "max": item.most,
        "unit": item.unit,
        "same_day": item.same_day,
        "answer": check.answer,
    }
