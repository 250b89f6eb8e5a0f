"""One line of a repair: a visit, and what becomes of it. As a value, and as the document that is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from scheduler.core.civil import to_local

#: Who, from which slot on, and up to which.
Seat = tuple[UUID, int, int]
Outcome = Literal["kept", "moved", "broken"]

_IDS = ("appointment_id", "session_id", "course_id", "group_id", "patient_id", "location_id")
_LISTS = ("people", "after", "dropped")
_TIMES = ("start", "end", "to")


@dataclass(frozen=True)
class Line:
    """`start` is where the visit stands, `to` where it would go (the same when it is kept).

    `people` are those who would serve it, rooms among them; `seats` are the slots, counted from its start, for which
    each of them would, but for rooms that are bound late. `struck` is false for a visit that has to make room for
    others of its course. `after` are the visits that stand where it would go: they are accepted as well, or before.
    Those of one `group_id` are accepted together. `dropped` are those whom it was promised by name and would not have.
    `done` once it was accepted.
    """

    appointment_id: UUID
    session_id: UUID | None
    course_id: UUID | None
    patient_id: UUID
    location_id: UUID
    visit_type: str
    time_zone: str
    start: datetime
    end: datetime
    outcome: Outcome
    code: str
    detail: str
    to: datetime | None = None
    people: tuple[UUID, ...] = ()
    seats: tuple[Seat, ...] = ()
    struck: bool = True
    after: tuple[UUID, ...] = ()
    group_id: UUID | None = None
    dropped: tuple[UUID, ...] = ()
    done: bool = False

    @property
    def when(self) -> str:
        """Where the visit stands, as the clinic's clock has it, for whoever reads of it."""
        wall = to_local(self.start, self.time_zone)
        return f"{wall:%A} {wall.day} {wall:%B, %H:%M}"

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        found: dict[str, Any] = asdict(self)
        for name in _IDS:
            found[name] = None if found[name] is None else str(found[name])
        for name in _TIMES:
            found[name] = None if found[name] is None else found[name].isoformat()
        for name in _LISTS:
            found[name] = [str(each) for each in found[name]]
        found["seats"] = [[str(who), first, past] for who, first, past in self.seats]
        return found

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Line:
        """The line of a stored document."""
        found = dict(stored)
        for name in _IDS:
            found[name] = None if found.get(name) is None else UUID(found[name])
        for name in _TIMES:
            found[name] = None if found[name] is None else datetime.fromisoformat(found[name])
        for name in _LISTS:
            found[name] = tuple(UUID(each) for each in found.get(name, ()))
        found["seats"] = tuple((UUID(who), first, past) for who, first, past in found.get("seats", ()))
        return cls(**found)
