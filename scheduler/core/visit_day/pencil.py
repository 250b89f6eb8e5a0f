"""Until when a visit behind an unpassed gate stays pencilled in. Gates are passed, and visits let go, elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from scheduler.core.civil import day_bounds
from scheduler.core.course import SessionSpec
from scheduler.core.protocol import Protocol
from scheduler.core.spacing import Booked


def deadline(
    protocol: Protocol,
    specs: Sequence[SessionSpec],
    spec: SessionSpec,
    booked: Mapping[int, Booked],
    passed: Collection[str],
    time_zone: str,
) -> datetime | None:
    """When the pencilled session `spec` expires: the end of the local day of the earliest deadline of its open gates.

    `booked` says where the sessions stand, by index. None when no open gate has a deadline, or when the session that it
    stands after has no date yet. A gate's deadline that falls after the session itself expires it before it starts.
    """
    open_gates = {key for key in spec.gates if key not in passed}
    found = []
    for gate in protocol.gates:
        after = next((each.index for each in specs if (each.step, each.ordinal) == (gate.step, gate.count)), None)
        stands = None if after is None else booked.get(after)
        if gate.key in open_gates and gate.deadline_days is not None and stands is not None:
            found.append(day_bounds(stands.day + timedelta(days=gate.deadline_days), time_zone)[1])
    if not found:
        return None
    place = booked.get(spec.index)
    return min([*found, place.starts_at] if place is not None else found)
