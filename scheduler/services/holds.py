"""Holds: time kept for a short while for whoever shows its token, used up by a booking. Nothing has to sweep them.

A hold counts until its time has passed, in the query itself. Rows of its resources are locked before the hold's own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound, NotTheHolder, Reason, Refused, whole
from scheduler.models import ApiKey, Hold, Occupancy, new_id
from scheduler.services import audit, booking, course_rules, groups, overrides, policies, records
from scheduler.services.appointments import AppointmentView, Participation, in_time, participants
from scheduler.services.finding import Found, Wanted, find
from scheduler.services.locks import bump_calendars, lock_locations
from scheduler.services.objecting import expect_patient, objections, refuse_over
from scheduler.services.occupying import Owner, Visit, end_hold, held_group, lock_held, sweep, write
from scheduler.services.paging import Page, page
from scheduler.services.pins import stored
from scheduler.services.settling import take_up
from scheduler.services.sheet import Sheet

#: How long a hold lasts unless it is told, and at most.
USUAL = timedelta(minutes=5)
LONGEST = timedelta(minutes=30)


@dataclass(frozen=True)
class HoldView:
    """A hold with its segments in time and who is kept; the token only for whoever has just made it."""

    row: Hold
    segments: tuple[Mapping[str, Any], ...]
    participants: tuple[Participation, ...]
    token: str | None = None

    @property
    def id(self) -> UUID:
        """The hold's."""
        return self.row.id

    @property
    def revision(self) -> int:
        """The hold's."""
        return self.row.revision


def create(session: Session, call: Call, wanted: Wanted, *, lasting: timedelta = USUAL) -> HoldView:
    """Keep the time of a visit for its holder. The patient may still be unknown.

    Raises as booking does, and Refused (`too_many_holds`) when the caller's key has as many as one may.
    """
    lock_locations(session, call, [wanted.location_id], share=True)
    named = wanted.course_session_id, wanted.patient_id, wanted.visit_type
    link = whole(lambda: course_rules.link(session, call, *named), lambda: objections(session, call, wanted))
    _refuse_hoarding(session, call)
    found = whole(lambda: find(session, call, wanted, rules=link), lambda: objections(session, call, wanted))
    until = call.now + lasting
    row, token = keep(session, call, wanted, found, until=until, key_id=call.key_id)
    return replace(view(session, call, row), token=token)


def keep(
    session: Session,
    call: Call,
    wanted: Wanted,
    found: Found,
    *,
    until: datetime,
    key_id: UUID | None = None,
) -> tuple[Hold, str]:
    """Write a hold of the place found, under the locks; it and its token. `key_id` is the key it counts for, if any.

    Whoever has changed meanwhile is looked at once more, under the locks. Raises LostRace or SlotTaken.
    """
    token = secrets.token_urlsafe(32)
    entered = None if found.group is None else found.group.id
    group_id = entered or (None if found.kind.visit.group is None else new_id())
    row = Hold(
        organization_id=call.organization_id,
        id=new_id(),
        patient_id=wanted.patient_id,
        location_id=wanted.location_id,
        visit_type_id=found.kind.id,
        visit_type=found.kind.visit.code,
        time_zone=found.loaded.site.time_zone,
        starts_at=found.starts_at,
        ends_at=found.ends_at,
        token_hash=_digest(token),
        key_id=key_id,
        body={
            "pins": stored(wanted.pins),
            "segments": found.kind.visit.outline(),
            **({} if group_id is None else {"group_id": str(group_id)}),
        },
        created_at=call.now,
        expires_at=until,
    )
    visit = _visit(row, wanted, found)
    ids = visit.resource_ids
    if entered is not None:
        groups.lock_open(session, call, entered)
        ids |= groups.kept(session, call, [entered])
    loaded = take_up(session, call, ids, [found])
    sweep(session, call, loaded, ids)
    sheet = Sheet()
    sheet.add_new(row)
    write(session, call, loaded, [visit], sheet)
    sheet.add(*audit.event(call, "hold.create", "hold", row.id, after=_snapshot(row)))
    sheet.put_down(session)
    if entered is not None:
        groups.enter(session, call, entered, visit=found.kind.visit, hold_id=row.id)
    elif group_id is not None:
        groups.found(session, call, found.kind.visit, row, group_id)
    return row, token


def _visit(row: Hold, wanted: Wanted, found: Found) -> Visit:
    pinned = frozenset(pin.selector for pin in wanted.pins)
    if found.kind.visit.group is not None:  # the room of a group is not changed for another
        pinned |= {taking.selector for taking in found.takings}
    return Visit(Owner(hold_id=row.id), row.patient_id, row.starts_at, row.ends_at, found.takings, pinned)


def book(session: Session, call: Call, wanted: Wanted, hold_id: UUID, token: str | None) -> AppointmentView:
    """Book with a hold: its time is free for its holder, and it is used up in the same transaction.

    The visit may be another than was held. Raises as booking does, Invalid for a hold that there is not or that is for
    another patient, NotTheHolder, and Refused (`hold_expired`, `group_called_off`) for one that is over.
    """
    row = whole(lambda: _held(session, call, wanted, hold_id, token), lambda: objections(session, call, wanted))
    return booking.book(session, call, wanted, hold=row)


def _held(session: Session, call: Call, wanted: Wanted, hold_id: UUID, token: str | None) -> Hold:
    row = _found(session, call, hold_id)
    if row is None:
        raise Invalid([Fault("/hold_id", "unknown_hold", "There is no such hold.")])
    _expect_holder(call, row, token)
    refuse_over(call, row)
    expect_patient(row, wanted.patient_id)
    return row


def extend(
    session: Session,
    call: Call,
    hold_id: UUID,
    *,
    token: str | None = None,
    lasting: timedelta = USUAL,
    revision: int | None = None,
) -> HoldView:
    """Let a hold last so long from now, once. It never becomes shorter.

    Raises NotFound, NotTheHolder, StaleRevision, Refused (`hold_expired`, `group_called_off`, `already_extended`).
    """
    row = _row(session, call, hold_id)
    _expect_holder(call, row, token)
    group_id = held_group(row)
    if group_id is not None:
        groups.lock(session, call, group_id)
    ids = lock_held(session, call, hold_id, also=groups.kept(session, call, [group_id] if group_id else []))
    row = _row(session, call, hold_id)
    records.expect(row, revision)
    refuse_over(call, row)
    if row.extended:
        raise Refused([Reason("already_extended", "A hold is extended once.")])
    before = _snapshot(row)
    row.extended, row.expires_at = True, max(row.expires_at, call.now + lasting)
    session.flush()
    if group_id is not None:
        groups.carry(session, call, group_id)
    bump_calendars(session, call, ids, locked=True)  # readers keep the holds' ends with their calendars
    audit.note(session, call, "hold.extend", "hold", row.id, before=before, after=_snapshot(row))
    return view(session, call, row)


def release(session: Session, call: Call, hold_id: UUID, revision: int) -> None:
    """Give the time back. Nothing happens to a hold that is over.

    Raises NotFound, NotTheHolder unless the caller's key made it or may override, StaleRevision.
    """
    row = _row(session, call, hold_id)
    if overrides.SCOPE not in call.scopes:
        _expect_holder(call, row, None)
    records.expect(row, revision)
    end(session, call, row)


def call_off(session: Session, call: Call, row: Hold, *, reason: str) -> None:
    """End a hold whose group does not take place; its holder is told so when it is used."""
    row.body = row.body | {"called_off": True}
    session.flush()
    end(session, call, row, reason=reason)


def end(session: Session, call: Call, row: Hold, *, reason: str | None = None) -> None:
    """Give back what a hold takes up, whoever asks; takes the locks of its resources."""
    group_id = held_group(row)
    if group_id is not None:
        groups.lock(session, call, group_id)
    ids = lock_held(session, call, row.id, also=groups.kept(session, call, [group_id] if group_id else []))
    if group_id is not None:
        groups.carry(session, call, group_id, ending=row.id)
    if end_hold(session, call, row.id, ids):
        bump_calendars(session, call, ids, locked=True)
        audit.note(session, call, "hold.release", "hold", row.id, before=_snapshot(row), reason=reason)


def get(session: Session, call: Call, hold_id: UUID) -> HoldView:
    """One hold, over or not. Raises NotFound."""
    return view(session, call, _row(session, call, hold_id))


def listing(
    session: Session, call: Call, *, location_id: UUID | None = None, limit: int = 50, cursor: str | None = None
) -> Page[HoldView]:
    """The living holds of the organization, those of a location if wanted, oldest first."""
    wanted = select(Hold).where(
        Hold.organization_id == call.organization_id, Hold.ended_at.is_(None), Hold.expires_at > call.now
    )
    if location_id is not None:
        wanted = wanted.where(Hold.location_id == location_id)
    found = page(session, call, wanted, [Hold.id], limit=limit, cursor=cursor)
    return Page(_views(session, call, found.items), found.next_cursor)


def view(session: Session, call: Call, row: Hold) -> HoldView:
    """The row with who is kept."""
    return _views(session, call, [row])[0]


def _views(session: Session, call: Call, rows: Sequence[Hold]) -> list[HoldView]:
    served: dict[UUID, list[tuple[UUID, str, datetime, datetime]]] = {row.id: [] for row in rows}
    kept = select(
        Occupancy.hold_id, Occupancy.resource_id, Occupancy.role, Occupancy.starts_at, Occupancy.ends_at
    ).where(Occupancy.organization_id == call.organization_id, Occupancy.hold_id.in_(served))
    for taken in session.execute(kept) if rows else ():
        if taken.hold_id is not None:
            served[taken.hold_id].append((taken.resource_id, taken.role, taken.starts_at, taken.ends_at))
    found = []
    for row in rows:
        segments = in_time(row.body["segments"], row.starts_at)
        found.append(HoldView(row, segments, participants(segments, served[row.id])))
    return found


def _found(session: Session, call: Call, hold_id: UUID) -> Hold | None:
    return session.get(Hold, (call.organization_id, hold_id), populate_existing=True)


def _row(session: Session, call: Call, hold_id: UUID) -> Hold:
    row = _found(session, call, hold_id)
    if row is None:
        raise NotFound("There is no such hold.")
    return row


def _expect_holder(call: Call, row: Hold, token: str | None) -> None:
    """The holder is whoever shows the token; without one, the key that made the hold."""
    if token is None:
        holds = call.key_id is not None and call.key_id == row.key_id
    else:
        holds = hmac.compare_digest(_digest(token), row.token_hash)
    if not holds:
        raise NotTheHolder("This is not the token of that hold, or the hold was made with another key.")


def _refuse_hoarding(session: Session, call: Call) -> None:
    """One key holds so much at once and no more, however many ask with it at the same moment."""
    if call.key_id is None:
        return
    most = policies.current(session, call).max_holds
    mine = ApiKey.organization_id == call.organization_id, ApiKey.id == call.key_id
    session.execute(select(ApiKey.id).where(*mine).with_for_update(key_share=True)).all()
    living = select(func.count()).where(
        Hold.organization_id == call.organization_id,
        Hold.key_id == call.key_id,
        Hold.expires_at > call.now,
        Hold.ended_at.is_(None),
    )
    if session.execute(living).scalar_one() >= most:
        raise Refused([Reason("too_many_holds", f"This key holds {most} times already, which is the most.")])


def _digest(token: str) -> str:
    # The token has 256 random bits: a slow hash would protect nothing more.
    return hashlib.sha256(token.encode()).hexdigest()


def _snapshot(row: Hold) -> dict[str, Any]:
    return {
        "visit_type": row.visit_type,
        "location_id": row.location_id,
        "start": row.starts_at,
        "end": row.ends_at,
        "expires_at": row.expires_at,
    }
