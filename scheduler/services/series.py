"""Series without a course: the same visit again and again by an RFC 5545 rule. Every occurrence is looked at, always.

A series is booked whole, but for occurrences that the caller drops by name; later changes reach one occurrence, it and
those after it, or all that are still ahead. What was cancelled stays cancelled, what is past stays as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core import civil
from scheduler.core.availability import occupied
from scheduler.core.call import Call
from scheduler.core.civil import Disambiguation, intent, to_instant, to_local
from scheduler.core.errors import Fault, Invalid, LocalTimeFault, NotFound, Reason, Refused, refuse, whole
from scheduler.core.lifecycle import OPEN
from scheduler.core.policies import Initiator
from scheduler.core.recurrence import Occurrence, Scope, concerned
from scheduler.models import Appointment, Series, new_id
from scheduler.services import audit, booking, outbox, series_moves
from scheduler.services.appointments import AppointmentView, row_of, views
from scheduler.services.booking import draft, snapshot
from scheduler.services.finding import Found, Search, Wanted, premises_of
from scheduler.services.locks import lock_locations, lock_resources
from scheduler.services.objecting import check_pins, objections, read_start
from scheduler.services.paging import Page, page
from scheduler.services.premises import premises
from scheduler.services.records import expect
from scheduler.services.recurring import occurrences, parts_of
from scheduler.services.series_moves import BY_STAFF, Why
from scheduler.services.settling import settle
from scheduler.services.visit_day.letting_go import locked_together


@dataclass(frozen=True)
class Look:
    """One occurrence as it would be booked: its wall time, its place in the calendar, or the reasons why not."""

    key: datetime
    starts_at: datetime | None
    found: Found | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class SeriesView:
    """A series and its living and dead visits, by their original wall time."""

    row: Series
    appointments: tuple[AppointmentView, ...]

    @property
    def id(self) -> UUID:
        """The series'."""
        return self.row.id

    @property
    def revision(self) -> int:
        """The series'."""
        return self.row.revision


def preview(session: Session, call: Call, wanted: Wanted, rule: str) -> list[Look]:
    """Every occurrence of the rule, whether it could be booked now, and why not.

    Raises NotFound; Invalid for a rule outside the subset: DAILY, WEEKLY, MONTHLY, INTERVAL, COUNT or UNTIL, BYDAY.
    """
    return _looks(session, call, wanted, rule)[0]


def _looks(
    session: Session, call: Call, wanted: Wanted, rule: str, drop: Collection[datetime] = ()
) -> tuple[list[Look], set[datetime]]:
    """What `preview` shows, and the wall times of what is dropped. Raises Invalid for what is no occurrence, too."""
    at = whole(
        lambda: premises_of(session, call, wanted),
        partial(objections, session, call, wanted),
        partial(check_rule, call, rule),
    )
    kind, zone = at.asked_for, at.location.time_zone
    search = Search(session, call, kind, wanted, at=at)
    dropped = {to_local(each, zone) for each in drop}

    def read() -> list[datetime]:
        return _expected(occurrences(rule, search.reading()[0], zone), dropped)

    whole(search.agrees, read, partial(check_rule, call, rule), search.check_pins)
    keys = whole(read, partial(check_rule, call, rule), search.check_pins)
    near = search.load(wanted.start, wanted.start)
    last = to_instant(keys[-1], zone, "compatible")
    if call.last_try:  # nothing may be lost any more
        lock_resources(session, call, list(near.rows))
        search = replace(search, at=premises_of(session, call, wanted))
    loaded = search.load(wanted.start, last)
    check_pins(loaded, kind, wanted.pins)
    clinic, groups, timeline = search.clinic(loaded), search.joinable(loaded), loaded.site.timeline
    looks = []
    for key in keys:
        try:
            start = to_instant(key, zone)
        except LocalTimeFault as fault:
            looks.append(Look(key, None, None, (Reason(fault.code, fault.detail),)))
            continue
        slot, start = timeline.slot(start), start.astimezone(civil.zone(zone))
        place = search.place(loaded, clinic, slot, groups)
        if place is None:
            loaded.require_whole(call)
            looks.append(Look(key, start, None, search.why_not(loaded, clinic, slot)))
            continue
        clinic = occupied(clinic, place.takings)
        looks.append(Look(key, start, place))
    return looks, dropped


def check_rule(_: Call, rule: str) -> None:
    """Raises Invalid for a rule outside the subset, or without an end."""
    parts_of(rule)


def check_drop(
    session: Session,
    call: Call,
    location_id: UUID,
    start: datetime,
    disambiguation: Disambiguation | None,
    rule: str,
    drop: Collection[datetime],
) -> None:
    """Raises Invalid for a rule that does not begin there, and for what is dropped and no occurrence of it."""
    zone = premises(session, call, location_id).location.time_zone
    keys = occurrences(rule, read_start(zone, start, disambiguation)[0], zone)
    _expected(keys, {to_local(each, zone) for each in drop})


def _expected(keys: list[datetime], dropped: Collection[datetime]) -> list[datetime]:
    """The occurrences. Raises Invalid for what is dropped and none of them."""
    detail = "There is no occurrence at {}."
    refuse([Fault("/drop", "unknown_occurrence", detail.format(_text(each))) for each in sorted({*dropped} - {*keys})])
    return keys


def create(
    session: Session, call: Call, wanted: Wanted, rule: str, *, drop: Collection[datetime] = ()
) -> tuple[SeriesView, list[Look]]:
    """Book every occurrence but those dropped, in one transaction, or none.

    Raises as `preview` does, and Refused with the reasons of every occurrence that cannot be booked.
    """
    lock_locations(session, call, [wanted.location_id], share=True)
    looks, dropped = _looks(session, call, wanted, rule, drop)
    # What the clocks skip or repeat on that day has no time: it is left out, and the series says so.
    skipped = {look.key: look.reasons[0].code for look in looks if look.starts_at is None and look.key not in dropped}
    kept = [look for look in looks if look.key not in dropped and look.key not in skipped]
    reasons = [_dated(look, reason) for look in kept if look.found is None for reason in look.reasons]
    if reasons:
        raise Refused(reasons)
    if not kept:
        raise Invalid([Fault("/drop", "nothing_left", "Every occurrence is dropped.")])
    row = Series(
        organization_id=call.organization_id,
        id=new_id(),
        patient_id=wanted.patient_id,
        visit_type=wanted.visit_type,
        location_id=wanted.location_id,
        rule=rule,
        local_start=_text(kept[0].key),
        dropped=[
            {"occurrence": _text(key), **({"code": skipped[key]} if key in skipped else {})}
            for key in sorted({*dropped, *skipped})
        ],
        created_at=call.now,
    )
    session.add(row)
    places = []
    for look in kept:
        assert look.found is not None  # noqa: S101 - refused above
        appointment = draft(call, replace(wanted, start=look.found.starts_at), look.found)
        appointment.series_id, appointment.occurrence = row.id, _text(look.key)
        places.append((appointment, look.found))
    session.flush()
    settle(session, call, places)
    made = [appointment for appointment, _ in places]
    outbox.owe_for_appointments(session, call, made)
    outbox.owe_for_course(session, call, row, made)
    audit.note_booked(session, call, {each.id: snapshot(each) for each in made})
    audit.note(session, call, "series.create", "series", row.id, after={"rule": rule, "visits": len(places)})
    return get(session, call, row.id), looks


def get(session: Session, call: Call, series_id: UUID) -> SeriesView:
    """One series. Raises NotFound."""
    row = session.get(Series, (call.organization_id, series_id))
    if row is None:
        detail = f"No series {series_id}."
        raise NotFound(detail)
    return _views(session, call, [row])[0]


def listed(
    session: Session,
    call: Call,
    *,
    patient_id: UUID | None = None,
    location_id: UUID | None = None,
    visit_type: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[SeriesView]:
    """A page of series with their visits, oldest first, in a constant number of statements."""
    chosen = select(Series).where(Series.organization_id == call.organization_id)
    for column, value in (
        (Series.patient_id, patient_id),
        (Series.location_id, location_id),
        (Series.visit_type, visit_type),
    ):
        if value is not None:
            chosen = chosen.where(column == value)
    found = page(session, call, chosen, [Series.id], limit=limit, cursor=cursor)
    return Page(_views(session, call, found.items), found.next_cursor)


def cancel(
    session: Session,
    call: Call,
    appointment_id: UUID,
    scope: Scope,
    *,
    reason: str,
    by: Initiator,
    category: str | None = None,
    revision: int | None = None,
) -> list[AppointmentView]:
    """Cancel an occurrence, it and those after it, or all ahead.

    Raises NotFound, StaleRevision, Refused when nothing is left to.
    """
    chosen = _concerned(session, call, appointment_id, scope, revision)
    locked_together(session, call, [each.appointment_id for each in chosen])
    gone = [
        booking.cancel(session, call, each.appointment_id, reason=reason, by=by, category=category, tell=False)
        for each in chosen
    ]
    was = {each.appointment_id: each.starts_at for each in chosen}
    outbox.owe_for_course_change(session, call, [outbox.Changed(each.row, was[each.id]) for each in gone])
    return gone


def reschedule(
    session: Session,
    call: Call,
    appointment_id: UUID,
    scope: Scope,
    start: datetime,
    *,
    why: Why = BY_STAFF,
    revision: int | None = None,
) -> list[AppointmentView]:
    """Move an occurrence to `start`, and the others of the scope by as many days and to the same wall time.

    All or none. Raises NotFound, StaleRevision, Refused, LocalTimeFault.
    """
    row = row_of(session, call, appointment_id)
    local, _ = intent(start, row.time_zone)
    before = datetime.fromisoformat(row.local_start)
    shift = local.date() - before.date()
    chosen = _concerned(session, call, appointment_id, scope, revision)
    targets = {}
    for each in chosen:
        here = to_local(each.starts_at, row.time_zone)
        to = datetime.combine(here.date() + shift, local.time())
        targets[each.appointment_id] = to_instant(to, row.time_zone)
    return series_moves.move_all(session, call, targets, why)


def _concerned(
    session: Session, call: Call, appointment_id: UUID, scope: Scope, revision: int | None
) -> list[Occurrence]:
    row = row_of(session, call, appointment_id)
    if row.series_id is None:
        raise Invalid([Fault("/scope", "no_series", "This visit does not belong to a series.")])
    lock_locations(session, call, [row.location_id], share=True)
    expect(row, revision)
    known = [
        Occurrence(datetime.fromisoformat(each.occurrence), each.id, each.starts_at, each.status in OPEN)
        for each in _visits(session, call, [row.series_id])
        if each.occurrence is not None
    ]
    chosen = concerned(known, appointment_id, scope, call.now)
    if not chosen:
        raise Refused([Reason("nothing_ahead", "No visit of that scope is still ahead.")])
    return chosen


def _views(session: Session, call: Call, rows: Sequence[Series]) -> list[SeriesView]:
    visits: dict[UUID | None, list[AppointmentView]] = {}
    for each in views(session, call, _visits(session, call, [row.id for row in rows])):
        visits.setdefault(each.row.series_id, []).append(each)
    return [SeriesView(row, tuple(visits.get(row.id, ()))) for row in rows]


def _visits(session: Session, call: Call, ids: Collection[UUID]) -> Sequence[Appointment]:
    # By the patients, who have an index: a series is found by nothing else.
    whose = select(Series.patient_id).where(Series.organization_id == call.organization_id, Series.id.in_(ids))
    return session.scalars(
        select(Appointment)
        .where(
            Appointment.organization_id == call.organization_id,
            Appointment.patient_id.in_(whose),
            Appointment.series_id.in_(ids),
        )
        .order_by(Appointment.occurrence)
    ).all()


def _dated(look: Look, reason: Reason) -> Reason:
    return replace(reason, detail=f"{_text(look.key)}: {reason.detail}")


def _text(local: datetime) -> str:
    return local.isoformat(timespec="minutes")
