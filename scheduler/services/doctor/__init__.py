"""The doctor: what must be true of the tables, whoever wrote them and however it is kept true. Changes nothing.

The one checker, for operators and for tests. Each check yields what is broken, a line for each, by plain SELECTs; it
reads in streams and keeps a few lines, so that its memory does not grow with the clinic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import SchedulingError
from scheduler.services.doctor import ground, letters, promises, spacing, taken, trail, visits

#: So many of what is broken are named.
SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One invariant: its name, what it says, and the search for whatever breaks it."""

    key: str
    says: str
    broken: Callable[[Session, Call], Iterable[str]]


@dataclass(frozen=True)
class Finding:
    """What came of a check: how much is broken, and some of it."""

    key: str
    says: str
    count: int
    shown: tuple[str, ...]


CHECKS: tuple[Check, ...] = (
    Check("guards", "the database's own guards are in force", ground.guards),
    Check("references", "no row points at one that is not there", ground.references),
    Check("overlaps", "no two visits, holds or absences share a unit", taken.overlaps),
    Check("units", "every resource has its units, and nothing is booked beyond them", taken.units),
    Check("owners", "nothing is taken up by what is over, cancelled or gone", taken.owners),
    Check("patients_time", "every visit takes up exactly its patient's time", taken.patients_time),
    Check("participants", "rooms, devices and people serve what they are, where they are", taken.participants),
    Check("wall_times", "every visit stands where its wall time and zone say", visits.wall_times),
    Check("sessions", "every visit of a course is the course's, its patient's and its kind", visits.sessions),
    Check("groups", "every place of a group is one living visit's", visits.groups),
    Check("given_up", "nothing is booked for a course that was given up", visits.given_up),
    Check("pencilled", "no visit is pencilled beyond its time", visits.pencilled),
    Check("named", "every visit ahead has whom and what it was booked with by name", promises.named),
    Check("away", "whoever is away serves no visit ahead, unless somebody was told", promises.away),
    Check("gates", "no visit ahead is booked behind a gate that is not passed", promises.gates),
    Check("gaps", "no visit ahead is closer to its course's others than its protocol allows", spacing.gaps),
    Check("doses", "no dose ahead is closer to the patient's others than its kind allows", spacing.doses),
    Check("reminders", "every visit ahead has what its message rules owe", letters.reminders),
    Check("outdated", "no message waits that speaks of another time", letters.outdated),
    Check("leases", "nothing is in the hands of a worker that is long gone", letters.leases),
    Check("audit", "every visit has its audit events, and every event its visit", trail.audit),
    Check("replays", "every answer that is kept for replay is whole", trail.replays),
    Check("numbers", "what a webhook is told of one subject has a number of its own", trail.numbers),
)


def examine(session: Session, call: Call, checks: Iterable[Check] = CHECKS) -> Iterator[Finding]:
    """What came of each check, one after the other, of the call's organization as it is at `call.now`."""
    for check in checks:
        lines = _seen(check, session, call)
        shown = tuple(islice(lines, SHOWN))
        yield Finding(check.key, check.says, len(shown) + sum(1 for _ in lines), shown)


def _seen(check: Check, session: Session, call: Call) -> Iterator[str]:
    """What is broken. What can't be looked at, because a document is unreadable, is broken too."""
    try:
        yield from check.broken(session, call)
    except SchedulingError as error:
        yield f"it could not be looked at: {error.detail}"
