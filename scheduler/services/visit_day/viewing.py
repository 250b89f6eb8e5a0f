"""A visit with its day around it: real times, what was asked, what is to be done, what to look out for. Only reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.clinical_hold import freezes
from scheduler.core.lifecycle import OPEN
from scheduler.core.visit import CheckItem, VisitType
from scheduler.core.visit_day import (
    Due,
    Flag,
    Open,
    Stay,
    Times,
    Watch,
    collisions,
    delay,
    lateness,
    stage,
    tasks_of,
    unsettled,
    watch,
)
from scheduler.models import Appointment, Occupancy, Resource
from scheduler.services import tasks
from scheduler.services.appointments import AppointmentView, row_of, times_of, view
from scheduler.services.busy import LONGEST
from scheduler.services.catalog import visit_kind
from scheduler.services.consequences import AFFECTED
from scheduler.services.held import holds_of
from scheduler.services.tasks import TaskView


@dataclass(frozen=True)
class Check:
    """One item of the checklist with its answer, {ok, value, by, note, at, waived}; None is not answered."""

    item: CheckItem
    answer: Mapping[str, Any] | None


@dataclass(frozen=True)
class DayView:
    """An appointment as the desk sees it on the day. `revision` is the ETag."""

    view: AppointmentView
    checks: tuple[Check, ...]
    tasks: tuple[Due, ...]
    flags: tuple[Flag, ...]
    watch: Watch | None

    @property
    def row(self) -> Appointment:
        """The appointment's."""
        return self.view.row

    @property
    def id(self) -> UUID:
        """The appointment's."""
        return self.view.id

    @property
    def revision(self) -> int:
        """The appointment's."""
        return self.view.revision


def get(session: Session, call: Call, appointment_id: UUID) -> DayView:
    """One visit. Raises NotFound."""
    return shown(session, call, row_of(session, call, appointment_id))


def shown(session: Session, call: Call, row: Appointment) -> DayView:
    """The row with its day; looks at the neighbors' time only when the visit runs behind."""
    kind = visit_kind(session, call, row.visit_type).visit
    behind = delay(kind, times_of(row), row.status, call.now)
    mine, others, units = _around(session, call, row, behind) if behind else ((), (), {})
    holds = holds_of(session, call, {row.patient_id}).get(row.patient_id, ()) if freezes(kind) else ()
    owed = tasks.open_of(session, call, [row.id]).get(row.id, ())
    return day_of(call, view(session, call, row), kind, mine, others, units, holds, owed)


def day_of(
    call: Call,
    seen: AppointmentView,
    kind: VisitType,
    mine: Iterable[Stay],
    others: Iterable[Stay],
    units: Mapping[UUID, int],
    holds: Collection[str] = (),
    owed: Iterable[TaskView] = (),
) -> DayView:
    """The day of a visit from what was read. `mine` are its own stays, `others` those it could run into.

    `holds` are the reasons of the patient's clinical holds, `owed` the open staff tasks about the visit.
    """
    row, times = seen.row, times_of(seen.row)
    todo = tasks_of(kind, times, row.time_zone, status=row.status, outcome=row.outcome, done=row.tasks_done)
    checks = tuple(Check(item, row.checklist.get(item.key)) for item in kind.checklist)
    watched = watch(kind, times)
    flags = [
        *lateness(kind, times, row.status, call.now),
        *_overruns(kind, times, row.status, mine, others, units, call.now),
        *_unfinished(row, kind, watched),
        *(_late(task) for task in todo if task.is_late(call.now)),
        *_doubtful(row, kind),
        *_held(row, kind, holds),
        *_owed(owed),
    ]
    return DayView(seen, checks, todo, tuple(flags), watched)


def open_items(row: Appointment, kind: VisitType, point: Any) -> tuple[Open, ...]:
    """The items of that point of the visit that nobody has settled."""
    day = datetime.fromisoformat(row.local_start).date()
    return unsettled(kind.checklist, row.checklist, point, day, zone(row.time_zone))


def stays_of(rows: Iterable[Any]) -> list[Stay]:
    """Blocking occupancies of appointments as stays: so many units of one resource for one visit at a time."""
    counted: dict[tuple[UUID, UUID, datetime, datetime], int] = {}
    for row in rows:
        if row.appointment_id is not None:
            key = row.resource_id, row.appointment_id, row.starts_at, row.ends_at
            counted[key] = counted.get(key, 0) + 1
    return [Stay(*key, units) for key, units in counted.items()]


def _around(
    session: Session, call: Call, row: Appointment, behind: timedelta
) -> tuple[list[Stay], list[Stay], dict[UUID, int]]:
    """The visit's own stays, those of others on the same resources for as long as it may run on, and their units."""
    own = _occupied(session, call, Occupancy.appointment_id == row.id)
    if not own:
        return [], [], {}
    last = max(each.ends_at for each in own) + behind
    rows = _occupied(
        session,
        call,
        Occupancy.resource_id.in_({each.resource_id for each in own}),
        Occupancy.starts_at > row.starts_at - LONGEST,
        Occupancy.starts_at < last,
        Occupancy.ends_at > row.starts_at,
    )
    others = [each for each in rows if each.appointment_id != row.id]
    return stays_of(own), stays_of(others), {each.resource_id: each.units for each in [*own, *others]}


def _occupied(session: Session, call: Call, *conditions: Any) -> list[Row[Any]]:
    there = and_(Resource.organization_id == Occupancy.organization_id, Resource.id == Occupancy.resource_id)
    wanted = (
        select(Occupancy.resource_id, Occupancy.appointment_id, Occupancy.starts_at, Occupancy.ends_at, Resource.units)
        .join(Resource, there)
        # Units beyond the regular ones belong to overrides: somebody has answered for them.
        .where(
            Occupancy.organization_id == call.organization_id,
            Occupancy.blocking,
            Occupancy.unit < Resource.units,
            *conditions,
        )
    )
    return list(session.execute(wanted))


def _overruns(
    kind: VisitType,
    times: Times,
    status: str,
    mine: Iterable[Stay],
    others: Iterable[Stay],
    units: Mapping[UUID, int],
    now: datetime,
) -> Iterator[Flag]:
    behind = delay(kind, times, status, now)
    minutes = behind // timedelta(minutes=1)
    for met in collisions(mine, others, units, behind, stage(kind, times, status)):
        detail = f"It runs {minutes} minutes over, into the time of another visit."
        yield Flag("overrun", detail, minutes, met.owner, met.resource_id, start=met.start)


def _unfinished(row: Appointment, kind: VisitType, watched: Watch | None) -> Iterator[Flag]:
    if row.status == "pending":
        yield Flag("unconfirmed", "The visit is pencilled in and not confirmed.", start=row.pencilled_until)
    if watched is not None and not watched.certain and row.status == "checked-in":
        yield Flag("last_device_unknown", "When the last device was given has not been recorded.")
    if kind.kind == "dosing" and row.status == "fulfilled" and row.outcome is None:
        yield Flag("dose_not_recorded", "The visit is over, and nobody recorded a dose.")


def _late(task: Due) -> Flag:
    return Flag("task_late", f"{task.label}: should have been done by now.", item=task.key, start=task.due_at)


def _doubtful(row: Appointment, kind: VisitType) -> Iterator[Flag]:
    """What was passed with a warning, or because somebody answered for it."""
    passed = {"check_in": row.checked_in_at, "start": row.dosed_at, "discharge": row.fulfilled_at}
    for point, at in passed.items():
        if at is not None and row.outcome != "not_dosed":
            for each in open_items(row, kind, point):
                yield Flag("checklist_warning", each.detail, item=each.item.key)
    for item in kind.checklist:
        waiver = row.checklist.get(item.key, {}).get("waived")
        if waiver:
            yield Flag("checklist_waived", f"{item.label}: waived by {waiver['by']}.", item=item.key)


def _held(row: Appointment, kind: VisitType, holds: Collection[str]) -> Iterator[Flag]:
    """A visit that could still give a dose and must not."""
    if freezes(kind) and row.dosed_at is None and row.status in {*OPEN, "arrived", "checked-in"}:
        for reason in holds:
            yield Flag("on_hold", f"A clinical hold stops the dose: {reason.replace('_', ' ')}.", item=reason)


def _owed(owed: Iterable[TaskView]) -> Iterator[Flag]:
    """What somebody on the staff was asked to see to; the visit's own tasks stand in its list."""
    for task in owed:
        if task.kind == AFFECTED:
            yield Flag(AFFECTED, task.detail[:500])
        elif task.kind != "visit_task":
            detail = f"{task.title}. {task.detail}".strip()
            yield Flag("task_open", detail[:500], item=task.item or task.kind, start=task.due_at)
