"""What the clients were told, held against the tables: nothing acknowledged is lost, nothing came in unasked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.race.checker import Tables

Did = Iterable[dict[str, Any]]

#: Why a request may be refused when many want the same: another was there first, or the course's own rules.
CONFLICTS = {
    "book": {(409, "resource_busy"), (409, "patient_busy")},
    "move": {
        (409, "resource_busy"), (409, "patient_busy"), (409, "gap_too_short"), (409, "gap_too_long"),
        (409, "dose_interval"), (409, "outside_window"), (409, "illegal_transition"), (412, "precondition_failed"),
    },
    "cancel": {(409, "illegal_transition")},
    "course": set(),
    "plan": {(422, "no_feasible_plan")},
    "book_course": {(409, "plan_stale")},
}  # fmt: skip


def unjust(did: Did) -> list[str]:
    """Answers that are neither a success nor a true conflict, counted."""
    odd = Counter(
        f"{each['op']}: {each['status']} {each['code']}: {each['detail']}"
        for each in did
        if not 200 <= each["status"] < 300 and ((each["status"], each["code"]) not in CONFLICTS[each["op"]])
    )
    return [f"{count} x {what}" for what, count in odd.items()]


def raced(did: Did) -> list[str]:
    """Refusals that tell of a race inside the product instead of a reason: the guard spoke, or the tries ran out."""
    told = ("a moment ago", "is taken at this time", "same moment", "in the meantime", "has just been")
    return [each["detail"] for each in did if any(words in (each.get("detail") or "") for words in told)]


def lost(did: Did, tables: Tables, *, unknown: bool = False) -> Iterator[str]:
    """Differences between what was acknowledged and what is there.

    With `unknown`, some answers never came: then the tables may hold more and later than was told, but never less.
    """
    latest: dict[UUID, dict[str, Any]] = {}
    for each in did:
        for seen in each["seen"]:
            key = UUID(seen["id"])
            if key not in latest or latest[key]["version"] < seen["version"]:
                latest[key] = seen
    for key, seen in latest.items():
        row = tables.appointments.get(key)
        if row is None:
            yield f"{key} was acknowledged and is not there"
        elif row.revision == seen["version"]:
            told = (seen["status"], datetime.fromisoformat(seen["start"]), seen["sequence"])
            if told != (row.status, row.starts_at, row.sequence):
                yield f"{key} was shown as {told}, and is {(row.status, row.starts_at, row.sequence)}"
        elif row.revision < seen["version"] or not unknown:
            yield f"{key} was shown at version {seen['version']}, and is at {row.revision}"
    if not unknown:
        yield from (f"{key} is there and nobody was told" for key in tables.appointments.keys() - latest.keys())


def table(did: Did) -> str:
    """What happened, by kind and code, with the times of each kind in milliseconds."""
    did = list(did)
    lines = []
    for op in sorted({each["op"] for each in did}):
        mine = [each for each in did if each["op"] == op]
        times = sorted(each["seconds"] * 1000 for each in mine)
        codes = Counter(each["code"] for each in mine)
        spread = f"p50 {times[len(times) // 2]:.0f}  p99 {times[len(times) * 99 // 100]:.0f}  max {times[-1]:.0f} ms"
        lines.append(f"{op:12} {len(mine):5}  {spread}  {dict(codes.most_common())}")
    return "\n".join(lines)
