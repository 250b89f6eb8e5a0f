"""How every move of a visit begins and ends: locks in order, whether it is legal, the checklist, the audit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.civil import day_bounds, to_local
from scheduler.core.errors import Fault, Invalid, Reason, Refused, refuse
from scheduler.core.visit import CheckPoint, VisitType
from scheduler.core.visit_day import merged, waived
from scheduler.models import Appointment
from scheduler.services import access, audit, course_rules, records
from scheduler.services.appointments import row_of
from scheduler.services.booking import snapshot
from scheduler.services.catalog import visit_kind
from scheduler.services.finding import Rules, Search, Wanted
from scheduler.services.locks import lock_locations
from scheduler.services.pins import pins_of
from scheduler.services.visit_day.viewing import DayView, open_items, shown

#: Clocks of desks run apart by so much; what lies further ahead has not happened.
TOLERANCE = timedelta(minutes=5)

#: Reasons for which a patient may not be dosed, whatever the calendar says. Nobody can waive them.
_GATES = frozenset({"gate_not_passed", "on_hold"})

Answers = Mapping[str, Mapping[str, Any]]
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Waiver:
    """Items of the checklist that a named person answers for, and why."""

    items: tuple[str, ...]
    by: str
    reason: str


@dataclass(frozen=True)
class Opened:
    """A visit under its locks, as it was before the move. `status` is where the move leads."""

    row: Appointment
    kind: VisitType
    before: Mapping[str, Any]
    status: str


def locked(session: Session, call: Call, appointment_id: UUID, revision: int | None) -> Appointment:
    """The appointment under a move's locks: location (shared), course, appointment. Raises NotFound, StaleRevision."""
    row = row_of(session, call, appointment_id)
    lock_locations(session, call, [row.location_id], share=True)
    course_rules.lock(session, call, row.course_id)
    row = row_of(session, call, appointment_id, lock=True)
    records.expect(row, revision)
    return row


def opened(session: Session, call: Call, appointment_id: UUID, action: str, revision: int | None) -> Opened:
    """The visit, about to make that move. Raises NotFound, StaleRevision, IllegalTransition."""
    row = locked(session, call, appointment_id, revision)
    status = lifecycle.after(action, row.status)
    return Opened(row, visit_kind(session, call, row.visit_type).visit, snapshot(row), status)


def closed(
    session: Session,
    call: Call,
    move: Opened,
    action: str,
    *,
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> DayView:
    """Write the move down, and show what came of it. `before` and `after` are kept beside the snapshots."""
    noted(session, call, move, action, reason=reason, before=before, after=after)
    return shown(session, call, move.row)


def noted(
    session: Session,
    call: Call,
    move: Opened,
    action: str,
    *,
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write the move down."""
    row = move.row
    session.flush()
    audit.note(
        session,
        call,
        f"appointment.{action}",
        "appointment",
        row.id,
        before={**move.before, **(before or {})},
        after={**snapshot(row), **(after or {})},
        reason=reason,
    )


def happened(call: Call, at: datetime | None, pointer: str, *, to: Appointment | None = None) -> datetime:
    """When something really happened, now unless somebody says otherwise.

    Raises Invalid for what lies ahead, and for what would have been done `to` the patient of a visit before its local
    day, or before they were received if that was earlier: a dose of another year would have been watched long enough.
    """
    if at is not None and at > call.now + TOLERANCE:
        raise Invalid([Fault(pointer, "in_future", "That has not happened yet.")])
    if at is not None and to is not None and at < _first_moment(to):
        raise Invalid([Fault(pointer, "before_the_visit", "That is before the day of the visit.")])
    return call.now if at is None else at


def _first_moment(row: Appointment) -> datetime:
    day = day_bounds(to_local(row.starts_at, row.time_zone).date(), row.time_zone)[0]
    return min(day, row.checked_in_at or day)


class Hindrances:
    """What keeps a visit from going on, so that all of it is told at once."""

    def __init__(self) -> None:
        self._reasons: list[Reason] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Note what is refused meanwhile, and go on."""
        try:
            yield
        except Refused as refusal:
            self._reasons += refusal.reasons

    def refuse(self) -> None:
        """Raises Refused with every reason, if there is any."""
        if self._reasons:
            raise Refused(self._reasons)


def settle_checklist(
    call: Call,
    move: Opened,
    point: CheckPoint,
    answers: Answers,
    waiver: Waiver | None,
    *,
    further: Mapping[str, str] = _NOTHING,
) -> dict[str, Any]:
    """Take down the answers, and see that nothing which blocks is left open at that point of the visit.

    `further` is what blocks besides: what is said about it, by the word under which it may be waived.

    Returns what the audit says of it: the items answered (whether with yes) and those waived; values are not repeated.
    Raises Invalid; Refused (`checklist_incomplete`) with every item; ScopeMissing for a waiver without the scope.
    """
    row = move.row
    items = [item for item in move.kind.checklist if item.at == point]
    row.checklist = merged(move.kind.checklist, row.checklist, answers, at=call.now, by=call.actor)
    asked = [each for each in open_items(row, move.kind, point) if each.item.effect == "blocks"]
    blocking = {**further, **{each.item.key: each.detail for each in asked}}
    passed: dict[str, dict[str, Any]] = {}
    if waiver is not None:
        access.require(call, "override")
        _check_waiver(waiver, {item.key for item in items} | further.keys())
        by = partial(waived, by=waiver.by, reason=waiver.reason, at=call.now)
        row.checklist = by(row.checklist, [each.item.key for each in asked if each.item.key in waiver.items])
        passed = by({}, [key for key in further if key in waiver.items])
        blocking = {key: detail for key, detail in blocking.items() if key not in waiver.items}
    if blocking:
        raise Refused([Reason("checklist_incomplete", detail, item=key) for key, detail in blocking.items()])
    found = {item.key: row.checklist[item.key] for item in items if item.key in row.checklist} | passed
    said = {
        key: {"ok": answer["ok"], "by": answer["by"], **({"waived": answer["waived"]} if "waived" in answer else {})}
        for key, answer in found.items()
    }
    return {"checklist": said} if said else {}


def _check_waiver(waiver: Waiver, known: Collection[str]) -> None:
    faults = [
        Fault(f"/override/items/{place}", "unknown_item", f"Nothing is asked under '{key}' at this point.")
        for place, key in enumerate(waiver.items)
        if key not in known
    ]
    refuse(faults)


def refuse_ungated(
    session: Session, call: Call, row: Appointment, *, rules: Rules | None, received: bool = False
) -> None:
    """Raises Refused when a gate of the course (`rules`), a clearance or a clinical hold keeps the patient away.

    The law is that of booking; only its other reasons are passed over. `received` asks for what nobody is checked in
    without, besides what nobody is booked without.
    """
    kind = visit_kind(session, call, row.visit_type)
    visit = kind.visit.gated(course_rules.own_gates(session, call, row.course_session_id))
    kind = replace(kind, visit=replace(visit, clearances=visit.received_with) if received else visit)
    start = row.starts_at
    wanted = Wanted(
        row.patient_id, row.visit_type, row.location_id, start, pins=pins_of(row), patient_region=row.patient_region
    )
    search = Search(session, call, kind, wanted, rules, row.id)
    loaded = search.load(start, start)
    slot = loaded.site.timeline.slot(start)
    reasons = [
        Reason(bar.code, bar.detail, item=bar.item)
        for bar in search.clinic(loaded).bars
        if bar.code in _GATES and bar.starts >> slot & 1
    ]
    if reasons:
        raise Refused(reasons)
