"""Messages: which are owed for a visit, and when each may be sent. What they say lives in messaging."""

from __future__ import annotations

from scheduler.core.reminders.ladder import CALL, FOLLOW_UP, UNREACHABLE, UNRECORDED, UNTOLD, in_order
from scheduler.core.reminders.plan import HELD_CLASSES, plan_messages
from scheduler.core.reminders.quiet import LAW_FROM, LAW_TO, is_night, is_too_little, next_open, previous_close, resting
from scheduler.core.reminders.reading import parse_rules
from scheduler.core.reminders.values import (
    CHANNELS,
    KINDS,
    SPOKEN_KINDS,
    TASK,
    TASK_KINDS,
    VOICE,
    WAYS,
    Event,
    Owed,
    Recipient,
    Rule,
    Visit,
)

__all__ = [
    "CALL",
    "CHANNELS",
    "FOLLOW_UP",
    "HELD_CLASSES",
    "KINDS",
    "LAW_FROM",
    "LAW_TO",
    "SPOKEN_KINDS",
    "TASK",
    "TASK_KINDS",
    "UNREACHABLE",
    "UNRECORDED",
    "UNTOLD",
    "VOICE",
    "WAYS",
    "Event",
    "Owed",
    "Recipient",
    "Rule",
    "Visit",
    "in_order",
    "is_night",
    "is_too_little",
    "next_open",
    "parse_rules",
    "plan_messages",
    "previous_close",
    "resting",
]
