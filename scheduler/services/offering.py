"""Offering freed time to whoever waits for it: one opening, one entry, one hold a transaction. Answers are elsewhere.

Rows are locked in the order opening, location, entry, offer, course, resources. An entry is offered an opening once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from scheduler.core.call import Call
from scheduler.core.errors import AlreadyExists, Fault, Invalid, LostRace, NotFound, refuse
from scheduler.core.waitlist import offer_until, wanted_starts
from scheduler.models import WaitlistEntry, WaitlistOffer, WaitlistOpening, new_id
from scheduler.services import audit, course_rules, holds, waitlist_tasks
from scheduler.services.calendars import Loaded
from scheduler.services.catalog import visit_kind
from scheduler.services.finding import Found, Search, Wanted
from scheduler.services.locks import lock_locations, lock_resources
from scheduler.services.objecting import check_pins
from scheduler.services.pins import Pin, entry_keeps, pins_of

T = TypeVar("T")

ONE_LIVE_OFFER = "uq__waitlist_offers__live"


def sweep(session: Session, call: Call) -> bool:
    """Let one overdue offer expire, or offer one opening to the next who can use it; False when nothing is left to do.

    To be called in a transaction of its own, again and again. Any number of workers may.
    """
    return _expire_one(session, call) or _offer_one(session, call)


def organizations_due(session: Session, now: datetime) -> list[UUID]:
    """The organizations with something to sweep: a plain look, without locks."""
    due = select(WaitlistOffer.organization_id).where(
        WaitlistOffer.status == "offered", WaitlistOffer.expires_at <= now
    )
    opened = select(WaitlistOpening.organization_id).where(WaitlistOpening.status == "open")
    return sorted(session.scalars(due.union(opened)))


def wanted_of(entry: WaitlistEntry, start: datetime) -> Wanted:
    """The visit that the entry waits for, at that start."""
    return Wanted(
        patient_id=entry.patient_id,
        visit_type=entry.visit_type,
        location_id=entry.location_id,
        start=start,
        pins=pins_of(entry),
        pins_kept_by=entry_keeps("/offer_id"),
        course_session_id=entry.course_session_id,
        note=entry.note,
        patient_region=entry.patient_region,
    )


def reopen(session: Session, call: Call, offer: WaitlistOffer, openings: Sequence[WaitlistOpening]) -> None:
    """Let openings go on to the next. They are locked by the caller, and so is the entry of the offer.

    Whoever passed the entry by has held it until the end (`_nobody_is_answering`): what they closed is seen here, and
    no more can follow. What was closed after the openings had been locked is taken now, out of the order of all: a
    last try waits for it. Raises LostRace where somebody else is at it.
    """
    late = set(session.scalars(_passed_by(call, offer))) - {opening.id for opening in openings}
    taken = _openings(session, call, late, skip_locked=not call.last_try) if late else ()
    if len(taken) < len(late):
        raise LostRace("Another time was closed at the same moment.")
    for opening in (*openings, *taken):
        opening.status = "open" if opening.ends_at > call.now else "closed"


def lock_openings(session: Session, call: Call, offer: WaitlistOffer) -> Sequence[WaitlistOpening]:
    """Take the offer's opening until the transaction ends, and those that passed its entry by; before all else, by id.

    While somebody thinks about one time, no other is offered: what was closed meanwhile they have not been asked about.
    """
    return _openings(session, call, [offer.opening_id, *session.scalars(_passed_by(call, offer))])


def _openings(
    session: Session, call: Call, ids: Collection[UUID], *, skip_locked: bool = False
) -> Sequence[WaitlistOpening]:
    mine = WaitlistOpening.organization_id == call.organization_id, WaitlistOpening.id.in_(ids)
    chosen = select(WaitlistOpening).where(*mine).order_by(WaitlistOpening.id)
    return session.scalars(_locked(chosen, skip_locked=skip_locked)).all()


def _passed_by(call: Call, offer: WaitlistOffer) -> Select[UUID]:
    """The openings that were closed while the offer's entry thought about it, or before, and that it was not asked."""
    opening, another = WaitlistOpening, aliased(WaitlistOffer)
    given_back = exists().where(
        another.organization_id == opening.organization_id,
        another.opening_id == opening.id,
        another.answered_at >= offer.created_at,
    )
    asked = exists().where(
        another.organization_id == opening.organization_id,
        another.opening_id == opening.id,
        another.entry_id == offer.entry_id,
    )
    here = select(WaitlistEntry.location_id).where(
        WaitlistEntry.organization_id == call.organization_id, WaitlistEntry.id == offer.entry_id
    )
    return select(opening.id).where(
        opening.organization_id == call.organization_id,
        opening.location_id == here.scalar_subquery(),
        opening.status == "closed",
        opening.ends_at > call.now,
        or_(opening.id > offer.opening_id, given_back),
        opening.id != offer.opening_id,
        ~asked,
    )


def lock_entry(session: Session, call: Call, entry_id: UUID) -> WaitlistEntry | None:
    """Take the entry until the transaction ends; as it is under the lock."""
    mine = WaitlistEntry.organization_id == call.organization_id, WaitlistEntry.id == entry_id
    return session.scalars(_locked(select(WaitlistEntry).where(*mine))).one_or_none()


def lock_offer(session: Session, call: Call, offer_id: UUID) -> WaitlistOffer | None:
    """Take the offer until the transaction ends; as it is under the lock."""
    mine = WaitlistOffer.organization_id == call.organization_id, WaitlistOffer.id == offer_id
    return session.scalars(_locked(select(WaitlistOffer).where(*mine))).one_or_none()


def _locked(chosen: Select[T], *, skip_locked: bool = False) -> Select[T]:
    locked = chosen.with_for_update(key_share=True, skip_locked=skip_locked)
    return locked.execution_options(populate_existing=True)


def _expire_one(session: Session, call: Call) -> bool:
    """The longest overdue offer, if there is one: its entry waits again, its opening goes on to the next."""
    overdue = select(WaitlistOffer).where(
        WaitlistOffer.organization_id == call.organization_id,
        WaitlistOffer.status == "offered",
        WaitlistOffer.expires_at <= call.now,
    )
    seen = session.scalars(overdue.order_by(WaitlistOffer.expires_at).limit(1)).one_or_none()
    if seen is None:
        return False
    openings = lock_openings(session, call, seen)
    entry = lock_entry(session, call, seen.entry_id)
    offer = lock_offer(session, call, seen.id)
    if entry is None or offer is None or offer.status != "offered":
        return True  # somebody answered, or another worker was faster
    offer.status, offer.answered_at, entry.status = "expired", call.now, "waiting"
    reopen(session, call, offer, openings)
    session.flush()
    audit.note(session, call, "waitlist.expire", "waitlist_entry", entry.id, after={"offer_id": offer.id})
    waitlist_tasks.over(session, call, offer, "The offer has expired.")
    return True


def _offer_one(session: Session, call: Call) -> bool:
    mine = WaitlistOpening.organization_id == call.organization_id, WaitlistOpening.status == "open"
    first = select(WaitlistOpening.id).where(*mine).order_by(WaitlistOpening.id).limit(1).scalar_subquery()
    chosen = select(WaitlistOpening).where(*mine, WaitlistOpening.id == first)
    # What another worker is at is left to it, with all that follows: times pass an entry by in their order only.
    opening = session.scalars(chosen.with_for_update(key_share=True, skip_locked=True)).one_or_none()
    if opening is None:
        return False
    lock_locations(session, call, [opening.location_id], share=True)
    if opening.ends_at <= call.now or not any(
        _offer(session, call, opening, entry_id) for entry_id in _candidates(session, call, opening)
    ):
        _nobody_is_answering(session, call, opening)
        opening.status = "closed"
    session.flush()
    return True


def _nobody_is_answering(session: Session, call: Call, opening: WaitlistOpening) -> None:
    """Hold the entries that think about other times until the opening is closed: who declines then sees that it is.

    Raises LostRace, and waits for nobody, when one of them is just being answered: its entry may be waiting again.
    """
    thinking = select(WaitlistEntry.id).where(
        WaitlistEntry.organization_id == call.organization_id,
        WaitlistEntry.location_id == opening.location_id,
        WaitlistEntry.status == "offered",
    )
    all_of_them = set(session.scalars(thinking))
    if all_of_them != set(session.scalars(thinking.with_for_update(read=True, skip_locked=True))):
        raise LostRace("Somebody who was offered another time is answering at this moment.")


def _candidates(session: Session, call: Call, opening: WaitlistOpening) -> list[UUID]:
    """Who waits at the place and was not offered this opening before: the highest priority, then who waits longest."""
    asked = exists().where(
        WaitlistOffer.organization_id == WaitlistEntry.organization_id,
        WaitlistOffer.entry_id == WaitlistEntry.id,
        or_(WaitlistOffer.opening_id == opening.id, WaitlistOffer.status == "offered"),
    )
    wanted = select(WaitlistEntry.id).where(
        WaitlistEntry.organization_id == call.organization_id,
        WaitlistEntry.location_id == opening.location_id,
        WaitlistEntry.status == "waiting",
        ~asked,
    )
    return list(session.scalars(wanted.order_by(WaitlistEntry.priority.desc(), WaitlistEntry.id)))


def _offer(session: Session, call: Call, opening: WaitlistOpening, entry_id: UUID) -> bool:
    """Hold a time of the opening for the entry, if there is one that it can use."""
    entry = lock_entry(session, call, entry_id)
    if entry is None or entry.status != "waiting":
        return False
    try:
        place = _place(session, call, opening, entry)
    except (Invalid, NotFound) as error:  # its patient, course or wishes are not what they were
        waitlist_tasks.stale(session, call, entry, [each for each in error.faults if each.pointer.startswith("/pins")])
        return False
    except AlreadyExists:  # its session has a visit by now
        return False
    if place is None:
        return False
    wanted, found, until = place
    hold, _ = holds.keep(session, call, wanted, found, until=until)
    offer = WaitlistOffer(
        organization_id=call.organization_id,
        id=new_id(),
        entry_id=entry.id,
        opening_id=opening.id,
        hold_id=hold.id,
        starts_at=found.starts_at,
        ends_at=found.ends_at,
        created_at=call.now,
        expires_at=until,
    )
    entry.status = "offered"
    session.add(offer)
    try:
        session.flush()
    except IntegrityError as error:
        if ONE_LIVE_OFFER in str(error.orig) or "waitlist_offers.entry_id" in str(error.orig):
            raise LostRace("The entry was offered another time at the same moment.") from error
        raise
    told = {"offer_id": offer.id, "start": offer.starts_at, "expires_at": offer.expires_at}
    audit.note(session, call, "waitlist.offer", "waitlist_entry", entry.id, after=told)
    waitlist_tasks.owe(session, call, entry, offer, found.loaded.site.time_zone)
    waitlist_tasks.not_stale(session, call, entry)
    return True


_ENDED = "They do not serve as that then."


def _has_ended(loaded: Loaded, pin: Pin) -> bool:
    """Whether nobody has that role, or is such a thing, who was asked for by name."""
    return not loaded.site.calendars[pin.resource_id].serves.get(pin.selector)


def _place(
    session: Session, call: Call, opening: WaitlistOpening, entry: WaitlistEntry
) -> tuple[Wanted, Found, datetime] | None:
    """The start nearest to the opening's that touches it, suits the entry and can be booked; and the offer's end."""
    kind = visit_kind(session, call, entry.visit_type)
    link = course_rules.link(session, call, entry.course_session_id, entry.patient_id, entry.visit_type)
    wanted = wanted_of(entry, opening.starts_at)
    search = Search(session, call, kind, wanted, link)
    search.agrees()  # it may be off by now, or by video
    first = opening.starts_at - timedelta(minutes=kind.visit.minutes)
    loaded = search.load(first, opening.ends_at)
    if call.last_try:
        lock_resources(session, call, list(loaded.rows))
        loaded = search.load(first, opening.ends_at)
    check_pins(loaded, kind, wanted.pins)
    refuse(
        [Fault(f"/pins/{at}", "no_such_need", _ENDED) for at, pin in enumerate(wanted.pins) if _has_ended(loaded, pin)]
    )
    timeline, zone = loaded.site.timeline, loaded.site.time_zone
    touching = timeline.from_slot(timeline.slot(first) + 1) & ~timeline.from_slot(timeline.slot_after(opening.ends_at))
    among = touching & wanted_starts(entry.windows, zone, timeline)
    notice = timedelta(minutes=entry.notice_minutes)
    for found in search.around(loaded, opening.starts_at, among):
        until = offer_until(loaded.policies, found.starts_at, notice, call.now)
        if until is not None:
            return wanted, found, until
    return None
