"""Writing visits at the places that were found: locks in order, a second look, rows. What a place is, `finding` says.

Every way of booking and moving comes through here: one visit, a course, a series, a change undone. Never commits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.availability import Clinic, Taking
from scheduler.core.bitmap import runs
from scheduler.core.call import Call
from scheduler.core.clinical_hold import freezes
from scheduler.core.doses import Dose, dose_bars, dose_of
from scheduler.core.errors import LostRace, Reason, Refused
from scheduler.core.gathering import Served
from scheduler.core.serving import first_lost
from scheduler.models import Appointment, Hold, new_id
from scheduler.services import groups
from scheduler.services.calendars import Loaded, renewed
from scheduler.services.collisions import why_taken
from scheduler.services.doses import doses_of
from scheduler.services.finding import Found
from scheduler.services.occupying import Owner, Visit, end_hold, held_by, held_group, release, sweep, take, write
from scheduler.services.repacking import CHANGED
from scheduler.services.sheet import Sheet, guarded


def settle(
    session: Session,
    call: Call,
    places: Sequence[tuple[Appointment, Found]],
    *,
    freed: Collection[UUID] = (),
    ending: Collection[UUID] = (),
    hold: Hold | None = None,
    sheet: Sheet | None = None,
) -> dict[UUID, list[Served]]:
    """Lock everyone concerned in order, make sure that nothing has changed since the look, and write the visits.

    All places share one look (`loaded`). `freed` are resources that the visits had before; appointments that are
    already stored give their old occupancies back first, and so do those that are `ending` with it and the `hold` that
    is used up. Whoever has changed meanwhile is looked at once more, under the locks. With `sheet`, new rows wait on
    it for others. Returns who serves each visit, as far as that is known without reading it. Raises Refused when the
    visits contradict each other, LostRace or SlotTaken; nothing may be kept then.
    """
    if len(places) > 1:
        _mind_each_others_times(places)
        _mind_each_others_doses(session, call, places)
    visits = [_visit(appointment, found) for appointment, found in places]
    own_group = None if hold is None else held_group(hold)
    entered = _mind_groups(session, call, places, own_group)
    ids = groups.kept(session, call, entered if own_group is None else {*entered, own_group})
    ids |= set(freed).union(*(visit.resource_ids for visit in visits))
    if hold is not None:
        ids |= held_by(session, call, hold.id)
    loaded = take_up(session, call, ids, [found for _, found in places])
    sweep(session, call, loaded, ids)
    if hold is not None and own_group is not None and own_group not in entered:
        groups.carry(session, call, own_group, ending=hold.id)
    if hold is not None and not end_hold(session, call, hold.id, ids, patient_only=own_group in entered):
        detail = "The hold was used at the same moment."
        raise LostRace(detail)
    for appointment_id in ending:
        release(session, call, appointment_id, ids)
    rows = Sheet() if sheet is None else sheet
    for appointment, _ in places:
        if appointment in session:
            release(session, call, appointment.id, ids)
        else:
            rows.add_new(appointment)
    guarded(session, session.flush)
    serving = write(session, call, loaded, visits, rows)
    grouped = any(found.group is not None or found.kind.visit.group is not None for _, found in places)
    if sheet is None or grouped:
        rows.put_down(session)
    if grouped:
        _gather(session, call, places, hold)
    return serving


def take_up(session: Session, call: Call, ids: Collection[UUID], places: Sequence[Found]) -> Loaded:
    """Lock everyone concerned, in order; the calendars of the look that these places share, as they are by now.

    Most who change a calendar want another hour of the same person: nobody need begin anew for that. Only calendars are
    read again; rooms that are to be bound late are looked at where they are bound. The patient's calendar stands for
    more where it comes to doses (others of them, clinical holds), and a resource that was changed itself may serve no
    longer. Raises LostRace for these, and when somebody is not free any more.
    """
    loaded = places[0].loaded
    changed = take(session, call, ids, loaded)
    if not changed:
        return loaded
    same = all(loaded.rows[key].revision == each.own for key, each in changed.items())
    if not same or not all(_is_plain(found, changed) for found in places):
        raise LostRace(CHANGED)
    now = renewed(session, call, loaded, {key: each.calendar for key, each in changed.items()})
    patient = {now.site.patient.resource_id: now.site.patient} if now.site.patient is not None else {}
    theirs = {key: each for key, each in {**now.site.calendars, **patient}.items() if key in changed}
    takings = (taking for found in places for taking in _takings(found))
    lost = first_lost(
        Clinic(now.site.timeline, theirs), (each for each in takings if theirs.keys() & {each.resource_id, *each.pool})
    )
    if lost is not None:
        raise LostRace(CHANGED, reason=_why_lost(now, *lost))
    return now


def _why_lost(now: Loaded, taking: Taking, slots: int) -> Reason:
    """Who was found for it and is not to be had any more, and when."""
    first, past = next(runs(slots))
    site = now.site
    since, until = site.timeline.instant(first), site.timeline.instant(past)
    return why_taken(taking.selector, taking.resource_id, since, until, site.time_zone)


def _is_plain(found: Found, changed: Collection[UUID]) -> bool:
    """Whether free calendars are all that the place hangs on: no override, no group, no doses of a patient."""
    visit, patient = found.kind.visit, found.loaded.site.patient
    doses = freezes(visit) and patient is not None and patient.resource_id in changed
    return found.lifted is None and visit.group is None and not doses


def _takings(found: Found) -> tuple[Taking, ...]:
    """What the visit takes of those who serve, and of the patient."""
    patient, timeline = found.loaded.site.patient, found.loaded.site.timeline
    if patient is None:
        return found.takings
    first, past = timeline.slot(found.starts_at), timeline.slot_after(found.ends_at)
    return (*found.takings, Taking(patient.resource_id, "patient", first, past, None))


def concerned(places: Sequence[tuple[Appointment, Found]]) -> set[UUID]:
    """Everyone and everything whose units these visits take, the patients too."""
    return set[UUID]().union(*(_visit(appointment, found).resource_ids for appointment, found in places))


def _mind_each_others_times(places: Sequence[tuple[Appointment, Found]]) -> None:
    """Hold visits that are written together to one place at a time for a patient. Raises Refused (`patient_busy`)."""
    until: dict[UUID, datetime] = {}
    for row, found in sorted(places, key=lambda place: place[1].starts_at):
        busy = until.get(row.patient_id, found.starts_at)
        if busy > found.starts_at:
            detail = "Two of the visits would come at the same time."
            raise Refused([Reason("patient_busy", detail, start=found.starts_at, end=min(busy, found.ends_at))])
        until[row.patient_id] = found.ends_at


def _mind_each_others_doses(session: Session, call: Call, places: Sequence[tuple[Appointment, Found]]) -> None:
    """Hold visits that are written together to the limits between doses: each was looked at without the others.

    Raises Refused (`dose_interval`).
    """
    ids = [row.id for row, _ in places]
    doses: dict[UUID, list[tuple[Appointment, Found]]] = defaultdict(list)
    for row, found in places:
        if found.kind.visit.kind == "dosing":
            doses[row.patient_id].append((row, found))
    for patient_id, mine in doses.items():
        _mind_doses(mine, doses_of(session, call, patient_id, mine[0][1].kind.visit, ignoring=ids))


def _mind_doses(dosing: Sequence[tuple[Appointment, Found]], others: Sequence[Dose]) -> None:
    """Hold the doses of one patient to the limits between them and the `others`."""
    given = [dose_of(found.kind.visit, found.starts_at, found.local.date()) for _, found in dosing]
    for place, (_, found) in enumerate(dosing):
        site = found.loaded.site
        rest = [*others, *given[:place], *given[place + 1 :]]
        slot = site.timeline.slot(found.starts_at)
        bars = dose_bars(found.kind.visit, rest, site.timeline, site.time_zone)
        reasons = [
            Reason(bar.code, bar.detail, start=found.starts_at, item=bar.item) for bar in bars if bar.starts >> slot & 1
        ]
        if reasons:
            raise Refused(reasons)


def _mind_groups(
    session: Session, call: Call, places: Sequence[tuple[Appointment, Found]], own: UUID | None
) -> set[UUID]:
    """Leave the groups that a visit is no longer to be in, and take those that are about to be entered, by id.

    And the `own` of a hold that is used up. Returns which will be entered.
    """
    for appointment, found in places:
        if appointment.group_id is not None and (found.group is None or found.group.id != appointment.group_id):
            groups.leave(session, call, appointment)
    entered = {found.group.id for _, found in places if found.group is not None}
    for group_id in sorted(entered if own is None else {*entered, own}):
        (groups.lock_open if group_id in entered else groups.lock)(session, call, group_id)
    return entered


def _gather(session: Session, call: Call, places: Sequence[tuple[Appointment, Found]], hold: Hold | None) -> None:
    """Give each visit of several patients its place, in the group found for it or in one of its own."""
    for appointment, found in places:
        if found.group is not None:
            own_hold = hold.id if hold is not None else None
            visit = found.kind.visit
            groups.enter(session, call, found.group.id, visit=visit, appointment=appointment, own_hold=own_hold)
        elif found.kind.visit.group is not None:
            groups.found(session, call, found.kind.visit, appointment, new_id())


def _visit(appointment: Appointment, found: Found) -> Visit:
    owner = Owner(appointment_id=appointment.id)
    pinned = frozenset(pin["selector"] for pin in appointment.pins)
    if found.kind.visit.group is not None:  # the room of a group is not changed for another
        pinned |= {taking.selector for taking in found.takings}
    extra = found.lifted.extra if found.lifted else ()
    return Visit(owner, appointment.patient_id, found.starts_at, found.ends_at, found.takings, pinned, extra)
