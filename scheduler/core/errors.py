"""Every way the scheduler says no. Nothing here knows HTTP; `api/errors.py` maps each class to a status.

SchedulingError
├── NotFound                    no such thing in this organization
├── Unauthorized                no usable key
├── ScopeMissing                the key may not do this
├── NotTheHolder                this hold is somebody else's
├── Invalid                     the request contradicts itself; carries every fault
│   └── LocalTimeFault          a wall time that does not exist, or exists twice
├── Refused                     the calendar or a rule says no; carries every reason
│   └── SlotTaken               the database itself refused a double booking
├── LostRace                    a candidate went between look and lock: the whole transaction is tried again
├── IllegalTransition           the life cycle has no such move
├── ProtocolNotApproved         no clinician has approved this protocol
├── PlanStale                   the plan no longer fits the calendar; carries a fresh one
├── NoFeasiblePlan              no plan exists in the horizon; carries what blocks it
├── StaleRevision               somebody changed it in between
├── PreconditionMissing         a change must say which revision it saw
├── IdempotencyKeyReused        the same key came with another body
├── AlreadyExists               a natural key is taken
├── LinkOver                    a patient's link whose visit has moved on
└── InUse                       it cannot go while something depends on it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

T = TypeVar("T")

#: Codes of faults by which a request names something that is not there, and that say no more.
_ABSENT = frozenset(
    {f"unknown_{noun}" for noun in ("patient", "location", "resource", "practitioner", "visit_type", "protocol")}
)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request body. `pointer` is an RFC 6901 JSON pointer."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True)
class Reason:
    """One thing that stands in the way of a visit. `start`/`end` bound the time in question, aware UTC.

    `item` is the key of something on the visit's checklist, or the gate or clearance that is missing.
    """

    code: str
    detail: str
    role: str | None = None
    resource_id: UUID | None = None
    segment: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    item: str | None = None


class SchedulingError(Exception):
    """Base of all refusals; `code` is stable and goes to clients, `detail` is one plain sentence."""

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class NotFound(SchedulingError):
    """No such thing in this organization; `faults` says where the request names it, if that is in its body."""

    code = "not_found"

    def __init__(self, detail: str, *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.faults = tuple(faults)


class Unauthorized(SchedulingError):
    """The request carries no usable key."""

    code = "unauthorized"


class ScopeMissing(SchedulingError):
    """The key is good but may not do this."""

    code = "insufficient_scope"


class NotTheHolder(SchedulingError):
    """The hold is somebody else's: neither its token nor the key that made it was shown."""

    code = "not_the_holder"


class Invalid(SchedulingError):
    """The request contradicts itself or its schema; `faults` names every one, never only the first."""

    code = "validation_failed"

    def __init__(self, faults: Sequence[Fault], *, detail: str = "", code: str | None = None) -> None:
        super().__init__(detail or f"{len(faults)} fault(s) in the request.", code=code)
        self.faults = tuple(faults)


def refuse(faults: Sequence[Fault]) -> None:
    """Raise Invalid when there is any."""
    if faults:
        raise Invalid(faults)


def together(*checks: Callable[[], object]) -> None:
    """Make all of these checks, and refuse once with every fault that any of them found, each told once.

    One refusal alone stays what it is. Of several, a code that says more than that something is wrong is kept; that
    something is not there is no contradiction, so that several such are still NotFound. What a rule refuses is told
    when there is no fault.
    """
    refusals: list[Invalid | NotFound] = []
    ruled: list[SchedulingError] = []
    for check in checks:
        try:
            check()
        except (Invalid, NotFound) as refusal:
            refusals.append(refusal)
        except (Refused, ProtocolNotApproved) as refusal:
            ruled.append(refusal)
    if len(refusals) == 1:
        raise refusals[0]
    faults = tuple(dict.fromkeys(each for refusal in refusals for each in refusal.faults))
    missing = next((refusal for refusal in refusals if isinstance(refusal, NotFound)), None)
    if missing is not None and all(each.code in _ABSENT for each in faults):
        raise NotFound(missing.detail, faults=faults)
    if refusals:
        said = next((each for each in refusals if each.code not in {Invalid.code, NotFound.code}), None)
        raise Invalid(faults, detail=said.detail, code=said.code) if said else Invalid(faults)
    if ruled:
        raise ruled[0]


def whole(work: Callable[[], T], *checks: Callable[[], object]) -> T:
    """What the work gives; when it is refused, the refusal names what these checks find as well."""
    try:
        return work()
    except (Invalid, NotFound) as error:
        refusal = error

    def again() -> None:
        raise refusal

    together(again, *checks)
    raise refusal


class LocalTimeFault(Invalid):
    """A wall time that a change of clocks skips (`nonexistent_time`) or repeats (`ambiguous_time`)."""

    def __init__(self, code: str, detail: str, *, pointer: str = "/start") -> None:
        super().__init__([Fault(pointer, code, detail)], detail=detail, code=code)


class Refused(SchedulingError):
    """A well-formed request that the calendar or a rule refuses; the first reason gives the code."""

    def __init__(self, reasons: Sequence[Reason], *, alternatives: Sequence[datetime] = ()) -> None:
        super().__init__(reasons[0].detail, code=reasons[0].code)
        self.reasons = tuple(reasons)
        self.alternatives = tuple(alternatives)


class SlotTaken(Refused):
    """The database's own guard, `no_double_booking`, refused the write. `database.transact` looks and tries again."""

    def __init__(self, reason: Reason | None = None) -> None:
        detail = "Something that the visit needs is taken at this time."
        super().__init__([reason or Reason("resource_busy", detail)])


class LostRace(SchedulingError):
    """A resource was taken between looking and locking. `database.transact` tries again; clients rarely see it.

    `reason` says which, and when, where that is known.
    """

    code = "resource_busy"

    def __init__(self, detail: str, *, reason: Reason | None = None) -> None:
        super().__init__(detail, code=None if reason is None else reason.code)
        self.reason = reason


class IllegalTransition(SchedulingError):
    """The life cycle has no such move from the present status."""

    code = "illegal_transition"


class ProtocolNotApproved(SchedulingError):
    """A course needs a protocol that a named clinician has approved."""

    code = "protocol_not_approved"


class PlanStale(SchedulingError):
    """The plan no longer fits the calendar. `fresh` is a new plan, or None when there is none."""

    code = "plan_stale"

    def __init__(self, detail: str, *, fresh: Any = None) -> None:
        super().__init__(detail)
        self.fresh = fresh


class NoFeasiblePlan(SchedulingError):
    """No plan exists in the horizon; `blocking` says what is in the way, `relaxations` what would help."""

    code = "no_feasible_plan"

    def __init__(
        self,
        detail: str,
        *,
        blocking: Sequence[dict[str, Any]] = (),
        relaxations: Sequence[dict[str, Any]] = (),
        changes: Sequence[Sequence[Any]] = (),
        of_one_course: bool = True,
    ) -> None:
        super().__init__(detail)
        #: Whether a change can be granted to the course: not while what is booked is planned anew.
        self.of_one_course = of_one_course
        self.blocking = tuple(blocking)
        self.relaxations = tuple(relaxations)
        #: The rules that each relaxation lifts, in their order; clients are not told them.
        self.changes = tuple(changes)


class StaleRevision(SchedulingError):
    """The revision named in the request is no longer the current one."""

    code = "precondition_failed"


class PreconditionMissing(SchedulingError):
    """A change of an existing thing must name the revision it is based on."""

    code = "precondition_required"


class IdempotencyKeyReused(SchedulingError):
    """The same idempotency key came with another request."""

    code = "idempotency_key_reused"


class AlreadyExists(SchedulingError):
    """A natural key (a code, an external id) is already in use."""

    code = "already_exists"


class LinkOver(SchedulingError):
    """A patient's link speaks of a time that its visit no longer has, or of something it was not made for."""

    code = "link_over"


class InUse(SchedulingError):
    """It cannot be removed while something depends on it."""

    code = "in_use"
