"""The waitlist: who waits for what and when, and the answers to what was offered. Offers are made in `offering`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local, zone
from scheduler.core.errors import Fault, Invalid, LostRace, NotFound, Reason, Refused, refuse, together
from scheduler.core.waitlist import past_faults, window_faults
from scheduler.models import (
    CourseSession,
    Hold,
    Location,
    Patient,
    WaitlistEntry,
    WaitlistOffer,
    WaitlistOpening,
    new_id,
)
from scheduler.services import audit, booking, holds, records, waitlist_tasks
from scheduler.services.appointments import AppointmentView
from scheduler.services.catalog import require_on, visit_kind
from scheduler.services.group_places import is_living
from scheduler.services.licences import expect_region
from scheduler.services.locks import lock_locations
from scheduler.services.objecting import check_pins_at
from scheduler.services.offering import (
    lock_entry,
    lock_offer,
    lock_openings,
    organizations_due,
    reopen,
    sweep,
    wanted_of,
)
from scheduler.services.paging import Page
from scheduler.services.pins import Pin, stored

__all__ = ["accept", "change", "create", "decline", "get", "listing", "organizations_due", "remove", "sweep"]


@dataclass(frozen=True)
class OfferView:
    """A time held for an entry; `status` is what it is now, by the clock."""

    id: UUID
    start: datetime
    end: datetime
    time_zone: str
    status: str
    expires_at: datetime
    answered_at: datetime | None


@dataclass(frozen=True)
class EntryView:
    """Somebody who waits, and what was offered, oldest first."""

    id: UUID
    patient_id: UUID
    visit_type: str
    location_id: UUID
    course_session_id: UUID | None
    windows: list[dict[str, Any]]
    pins: list[dict[str, Any]]
    notice_minutes: int
    priority: int
    note: str
    patient_region: str | None
    status: str
    appointment_id: UUID | None
    revision: int
    created_at: datetime
    offers: tuple[OfferView, ...] = ()


def _plain(row: WaitlistEntry) -> EntryView:
    return EntryView(
        id=row.id,
        patient_id=row.patient_id,
        visit_type=row.visit_type,
        location_id=row.location_id,
        course_session_id=row.course_session_id,
        windows=row.windows,
        pins=row.pins,
        notice_minutes=row.notice_minutes,
        priority=row.priority,
        note=row.note,
        patient_region=row.patient_region,
        status=row.status,
        appointment_id=row.appointment_id,
        revision=row.revision,
        created_at=row.created_at,
    )


KIND = records.Kind("waitlist_entry", WaitlistEntry, _plain, where=(WaitlistEntry.status != "closed",))
#: What an entry may name: the field, what it names, and how that is called.
_KNOWN = (
    ("patient_id", Patient, "patient"),
    ("location_id", Location, "location"),
    ("course_session_id", CourseSession, "session"),
)


def create(session: Session, call: Call, values: Mapping[str, Any], pins: Sequence[Pin] = ()) -> EntryView:
    """Let somebody wait.

    `values` is {patient_id, visit_type, location_id, course_session_id?, windows?, notice_minutes?, priority?, note?,
    patient_region?}.
    Raises NotFound for a patient, location or session that there is not, Invalid.
    """
    kind = visit_kind(session, call, values["visit_type"])
    together(
        *(
            partial(records.require, session, call, model, values[key], noun)
            for key, model, noun in _KNOWN
            if values.get(key) is not None
        ),
        lambda: require_on(kind.visit),
        lambda: check_windows(call, values.get("windows", ())),
        lambda: check_ahead(session, call, values["location_id"], values.get("windows", ())),
        lambda: expect_region(kind.visit, values.get("patient_region")),
        lambda: check_pins_at(session, call, kind.visit.code, values["location_id"], call.now, pins),
    )
    row = WaitlistEntry(
        organization_id=call.organization_id,
        id=new_id(),
        visit_type_id=kind.id,
        pins=stored(pins),
        status="waiting",
        created_at=call.now,
        **{"windows": [], "notice_minutes": 0, "priority": 0, "note": "", **values},
    )
    return records.add(session, call, KIND, row)


def get(session: Session, call: Call, entry_id: UUID) -> EntryView:
    """One entry with its offers. Raises NotFound."""
    return _views(session, call, [records.find(session, call, KIND, entry_id)])[0]


def listing(
    session: Session,
    call: Call,
    *,
    patient_id: UUID | None = None,
    location_id: UUID | None = None,
    status: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[EntryView]:
    """The entries that are not closed, in the order in which they were made. `status` is the stored one."""
    wanted = [
        column == value
        for column, value in (
            (WaitlistEntry.patient_id, patient_id),
            (WaitlistEntry.location_id, location_id),
            (WaitlistEntry.status, status),
        )
        if value is not None
    ]
    found = records.listing(session, call, KIND, *wanted, limit=limit, cursor=cursor)
    offers = _offers(session, call, [view.id for view in found.items])
    return Page([_now(view, offers.get(view.id, ())) for view in found.items], found.next_cursor)


def change(
    session: Session, call: Call, entry_id: UUID, revision: int, values: Mapping[str, Any], pins: Sequence[Pin] | None
) -> EntryView:
    """Change windows, notice, priority, note or pins; what is offered already stays offered.

    Raises NotFound, StaleRevision, Invalid.
    """
    row = records.find(session, call, KIND, entry_id)
    records.expect(row, revision)
    together(
        lambda: check_windows(call, values.get("windows", ())),
        lambda: check_ahead(session, call, row.location_id, values.get("windows", ())),
        lambda: check_pins_at(session, call, row.visit_type, row.location_id, call.now, pins or ()),
    )
    changed = dict(values) if pins is None else {**values, "pins": stored(pins)}
    if pins is not None:
        waitlist_tasks.not_stale(session, call, row)
    records.change(session, call, KIND, row, changed)
    return get(session, call, entry_id)


def remove(session: Session, call: Call, entry_id: UUID, revision: int) -> None:
    """Let nobody wait any more; a time that was offered goes on to the next. Raises NotFound, StaleRevision."""
    entry, offer, openings = _locked(session, call, entry_id, None, revision)
    living = offer if offer is not None and offer.status == "offered" else None
    if living is not None:
        _give_back(session, call, living, "withdrawn", openings)
    entry.status = "closed"
    waitlist_tasks.not_stale(session, call, entry)
    records.note_removal(session, call, KIND, entry)
    if living is not None:
        audit.note(session, call, "waitlist.withdraw", "waitlist_entry", entry.id, after={"offer_id": living.id})
        waitlist_tasks.over(session, call, living, "The patient waits no more.")


def accept(
    session: Session, call: Call, entry_id: UUID, offer_id: UUID, revision: int | None = None
) -> AppointmentView:
    """Book what was offered: its hold is used up, and the entry waits no more.

    Raises NotFound, StaleRevision, Invalid for an offer that is not the entry's, LostRace, and Refused (`offer_over`,
    or as booking does).
    """
    entry, offer, _ = _answered(session, call, entry_id, offer_id, revision)
    hold = session.get_one(Hold, (call.organization_id, offer.hold_id))
    made = booking.book(session, call, wanted_of(entry, offer.starts_at), hold=hold)
    offer.status, offer.answered_at = "accepted", call.now
    entry.status, entry.appointment_id = "booked", made.id
    session.flush()
    after = {"offer_id": offer.id, "appointment_id": made.id}
    audit.note(session, call, "waitlist.accept", "waitlist_entry", entry.id, after=after)
    waitlist_tasks.answered(session, call, offer, "Accepted.")
    return made


def decline(session: Session, call: Call, entry_id: UUID, offer_id: UUID, revision: int | None = None) -> EntryView:
    """Let what was offered go on to the next; the entry waits for another time. Raises as `accept` does."""
    entry, offer, openings = _answered(session, call, entry_id, offer_id, revision)
    _give_back(session, call, offer, "declined", openings)
    entry.status = "waiting"
    session.flush()
    audit.note(session, call, "waitlist.decline", "waitlist_entry", entry.id, after={"offer_id": offer.id})
    waitlist_tasks.answered(session, call, offer, "Declined.")
    return get(session, call, entry_id)


def _answered(
    session: Session, call: Call, entry_id: UUID, offer_id: UUID, revision: int | None
) -> tuple[WaitlistEntry, WaitlistOffer, Sequence[WaitlistOpening]]:
    entry, offer, openings = _locked(session, call, entry_id, offer_id, revision)
    if offer is None or offer.status != "offered" or not _is_kept(session, call, offer):
        raise Refused([Reason("offer_over", "This time is not offered any more.")])
    return entry, offer, openings


def _is_kept(session: Session, call: Call, offer: WaitlistOffer) -> bool:
    """Whether the hold of the offer is living: it may have been released, or its group called off."""
    hold = session.get_one(Hold, (call.organization_id, offer.hold_id), populate_existing=True)
    return hold.ended_at is None and offer.expires_at > call.now


def _locked(
    session: Session, call: Call, entry_id: UUID, offer_id: UUID | None, revision: int | None
) -> tuple[WaitlistEntry, WaitlistOffer | None, Sequence[WaitlistOpening]]:
    """The entry and its offer (the live one unless another is named) under their locks, in the order of all.

    With the openings that go on to the next when the offer ends: its own, and those that passed the entry by.
    """
    seen = records.find(session, call, KIND, entry_id)
    records.expect(seen, revision)  # what is stale now stays so: it is said before anything about the offer
    wanted = select(WaitlistOffer).where(
        WaitlistOffer.organization_id == call.organization_id, WaitlistOffer.entry_id == entry_id
    )
    chosen = WaitlistOffer.status == "offered" if offer_id is None else WaitlistOffer.id == offer_id
    offer = session.scalars(wanted.where(chosen)).one_or_none()
    if offer is None and offer_id is not None:
        raise Invalid([Fault("/offer_id", "unknown_offer", "This entry has no such offer.")])
    openings = lock_openings(session, call, offer) if offer is not None else ()
    lock_locations(session, call, [seen.location_id], share=True)
    entry = lock_entry(session, call, entry_id)
    if entry is None or entry.status == "closed":
        raise NotFound("There is no such waitlist entry.")
    if offer is None and entry.status == "offered":
        raise LostRace("The entry was offered a time at the same moment.")
    records.expect(entry, revision)
    return entry, lock_offer(session, call, offer.id) if offer is not None else None, openings


def _give_back(
    session: Session, call: Call, offer: WaitlistOffer, status: str, openings: Sequence[WaitlistOpening]
) -> None:
    """End a living offer without a booking: its time is free, and its opening goes on to the next."""
    offer.status, offer.answered_at = status, call.now
    reopen(session, call, offer, openings)
    session.flush()
    holds.end(session, call, session.get_one(Hold, (call.organization_id, offer.hold_id)))


def check_windows(_: Call, windows: Sequence[Mapping[str, Any]]) -> None:
    """Raises Invalid for windows that nothing can lie in."""
    refuse(window_faults(windows))


def check_ahead(session: Session, call: Call, location_id: UUID, windows: Sequence[Mapping[str, Any]]) -> None:
    """Raises Invalid when all of the windows are over; by no site's clock none are."""
    site = session.get(Location, (call.organization_id, location_id))
    if site is not None:
        refuse(past_faults(windows, to_local(call.now, site.time_zone)))


def _views(session: Session, call: Call, rows: Sequence[WaitlistEntry]) -> list[EntryView]:
    offers = _offers(session, call, [row.id for row in rows])
    return [_now(_plain(row), offers.get(row.id, ())) for row in rows]


def _offers(session: Session, call: Call, ids: Sequence[UUID]) -> dict[UUID, tuple[OfferView, ...]]:
    """The offers of these entries, oldest first. One whose time or hold is over has expired."""
    entry = WaitlistEntry
    wanted = (
        select(WaitlistOffer, Location.time_zone, is_living(call.now).label("kept"))
        .join(entry, (entry.organization_id == WaitlistOffer.organization_id) & (entry.id == WaitlistOffer.entry_id))
        .join(Hold, (Hold.organization_id == WaitlistOffer.organization_id) & (Hold.id == WaitlistOffer.hold_id))
        .join(Location, (Location.organization_id == entry.organization_id) & (Location.id == entry.location_id))
        .where(WaitlistOffer.organization_id == call.organization_id, WaitlistOffer.entry_id.in_(ids))
    )
    found: dict[UUID, tuple[OfferView, ...]] = {}
    for row, name, kept in session.execute(wanted.order_by(WaitlistOffer.id)) if ids else ():
        status = "expired" if row.status == "offered" and not kept else row.status
        start, end = row.starts_at.astimezone(zone(name)), row.ends_at.astimezone(zone(name))
        view = OfferView(row.id, start, end, name, status, row.expires_at, row.answered_at)
        found[row.entry_id] = (*found.get(row.entry_id, ()), view)
    return found


def _now(view: EntryView, offers: tuple[OfferView, ...]) -> EntryView:
    """The entry with its offers, as it is by the clock."""
    living = any(offer.status == "offered" for offer in offers)
    status = "waiting" if view.status == "offered" and not living else view.status
    return EntryView(**{**vars(view), "status": status, "offers": offers})
