"""Which occurrences of a series a change concerns. Rules are expanded, and visits booked, in services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Scope = Literal["this", "following", "all"]

#: More occurrences than this are no series but a mistake.
MOST_OCCURRENCES = 100
#: The longest horizon that an organization may have: nothing later can be booked, and so none is looked for.
LONGEST_SERIES = timedelta(days=731)


@dataclass(frozen=True)
class Occurrence:
    """One visit of a series. `key` is its original wall time (RFC 5545's RECURRENCE-ID), whatever became of it."""

    key: datetime
    appointment_id: UUID
    starts_at: datetime
    open: bool


def concerned(occurrences: Iterable[Occurrence], chosen: UUID, scope: Scope, now: datetime) -> list[Occurrence]:
    """The occurrences that a change of `chosen` reaches: itself, it and those after it, or all that are still ahead.

    What has begun, ended or been cancelled is never reached.
    """
    ordered = sorted(occurrences, key=lambda each: each.key)
    pivot = next(each for each in ordered if each.appointment_id == chosen)
    ahead = [each for each in ordered if each.open and each.starts_at > now]
    if scope == "this":
        return [each for each in ahead if each.appointment_id == chosen]
    return [each for each in ahead if scope == "all" or each.key >= pivot.key]
