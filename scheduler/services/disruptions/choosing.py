"""Which lines of a repair are accepted together: those that are named, and what they cannot do without."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from uuid import UUID

from scheduler.core.errors import Fault, Invalid
from scheduler.services.disruptions.lines import Line


def choose(lines: Sequence[Line], named: Mapping[str, Collection[UUID]], *, everything: bool) -> list[Line]:
    """The lines that are meant, and those that go with them. Raises Invalid naming each that cannot be.

    `named` are ids of sessions or visits, by the name of the list in which they came.
    """
    open_lines = [line for line in lines if not line.done and line.outcome != "broken"]
    if everything:
        return open_lines
    places = {f"/{name}/{place}": key for name, ids in named.items() for place, key in enumerate(ids)}
    meant = {pointer: _line(lines, key) for pointer, key in places.items()}
    wanted = {_party(line) for line in meant.values() if line is not None}
    chosen = [line for line in open_lines if _party(line) in wanted]
    waiting = {line.appointment_id: line for line in open_lines if line not in chosen}
    faults = [fault for pointer, line in meant.items() for fault in _faults(pointer, line, chosen, waiting)]
    if faults:
        raise Invalid(faults)
    return chosen


def _line(lines: Sequence[Line], key: UUID) -> Line | None:
    return next((each for each in lines if key in (each.session_id, each.appointment_id)), None)


def _party(line: Line) -> Hashable:
    """What it goes together with: the moves of its course, its group, or nothing but itself."""
    if line.outcome == "moved" and line.course_id is not None:
        return line.course_id
    return line.group_id or line.appointment_id


def _faults(pointer: str, line: Line | None, chosen: Sequence[Line], waiting: Mapping[UUID, Line]) -> Iterator[Fault]:
    """What is wrong with naming that line; those in whose way others stand are told with the one that is named."""
    if line is None:
        yield Fault(pointer, "not_in_the_repair", "The repair has no such visit.")
        return
    if line.outcome == "broken":
        yield Fault(pointer, "no_way", line.detail)
        return
    with_it = [each for each in chosen if _party(each) == _party(line)]
    for key in dict.fromkeys(key for each in with_it for key in each.after if key in waiting):
        detail = f"The visit of {waiting[key].when} still stands there: accept {key} as well."
        yield Fault(pointer, "stands_there", detail)
