"""Plans that were offered: kept for a short time, and booked as a whole when they still fit. Made in `planning`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, PlanStale
from scheduler.models import Appointment, Course, StoredPlan, new_id
from scheduler.services import audit, course_rules, courses, groups, outbox, visit_day
from scheduler.services.appointments import AppointmentView, Participation, in_time, participants, row_of, views
from scheduler.services.booking import snapshot
from scheduler.services.locks import lock_locations
from scheduler.services.plan_places import look
from scheduler.services.planning import CoursePlan, Desk, Placed, set_up
from scheduler.services.records import Revision
from scheduler.services.settling import settle

#: So long after its end a plan is of no use to anybody.
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class OfferedPlan:
    """A plan with the token that books it."""

    token: str
    desk: Desk
    plan: CoursePlan
    #: Whether what follows its gate could still be planned; None where nobody has looked, or nothing follows.
    continues: bool | None = None

    @property
    def on_hold(self) -> str | None:
        """Why its booking would be refused at this moment: a clinical hold, which may be released by then."""
        kinds = (self.desk.kinds[each.spec.visit_type] for each in self.plan.sessions)
        return next(filter(None, map(self.desk.loaded.site.held, (kind.visit for kind in kinds))), None)


def keep(
    session: Session,
    call: Call,
    desk: Desk,
    plans: Sequence[CoursePlan],
    minutes: int,
    *,
    through: str = "next_gate",
) -> list[OfferedPlan]:
    """Store the plans for that many minutes, each under a token of its own."""
    offered = []
    for plan in plans:
        body = {"through": through, "sessions": [stored(desk, placed) for placed in plan.sessions]}
        offered.append(OfferedPlan(store(session, call, desk.course.id, body, minutes), desk, plan))
    session.flush()
    return offered


def store(session: Session, call: Call, course_id: UUID, body: Mapping[str, Any], minutes: int) -> str:
    """Keep what a token stands for; the token."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    row = StoredPlan(
        organization_id=call.organization_id,
        id=new_id(),
        course_id=course_id,
        digest=digest,
        body=dict(body),
        created_at=call.now,
        expires_at=call.now + timedelta(minutes=minutes),
    )
    session.add(row)
    return _token(row.id, digest)


def forget(session: Session, call: Call) -> bool:
    """Delete the organization's plans that were over a day ago. A chore: it leaves nothing behind."""
    session.execute(
        delete(StoredPlan).where(
            StoredPlan.organization_id == call.organization_id, StoredPlan.expires_at <= call.now - FORGOTTEN_AFTER
        )
    )
    return False


def participations(desk: Desk, placed: Placed) -> tuple[Participation, ...]:
    """Who serves each segment of a planned session."""
    timeline = desk.loaded.site.timeline
    segments = in_time(desk.kinds[placed.spec.visit_type].visit.outline(), placed.start)
    takings = placed.attended(timeline)
    served = [(t.resource_id, t.selector, timeline.instant(t.start), timeline.instant(t.end)) for t in takings]
    return participants(segments, served)


def book(session: Session, call: Call, course_id: UUID, token: str) -> list[AppointmentView]:
    """Book every session of the plan in one transaction, or none.

    Sessions behind a gate that has not been passed are pencilled (`pending`). Every visit is looked at anew under the
    locks, so that bookings elsewhere in the clinic never make a plan stale. Raises NotFound, PlanStale when it no
    longer fits, Refused when something lasting is missing, IllegalTransition for a course that has ended, LostRace.
    """
    course = taken(session, call, course_id)
    return book_opened(session, call, course, opened(session, call, course_id, token))


def taken(session: Session, call: Call, course_id: UUID, revision: Revision | None = None) -> Course:
    """The course with its location, locked for a booking. Raises NotFound, StaleRevision."""
    row = courses.row_of(session, call, course_id)
    lock_locations(session, call, [row.location_id], share=True)
    return courses.locked(session, call, course_id, revision)


def book_opened(session: Session, call: Call, course: Course, stored: StoredPlan) -> list[AppointmentView]:
    """`book`, of a course that is `taken` and a plan that is `opened`."""
    courses.require_running(course)
    course_id = course.id
    confirmed = _confirmed(session, call, stored)

    def desk_of() -> Desk:
        return set_up(session, call, courses.get(session, call, course_id), span=span_of(stored.body), look="standing")

    joining = groups.lock_at_starts(session, call, course.location_id, group_starts(stored.body))
    desk, places = look(session, call, stored, desk_of, joining=joining)
    if places:
        settle(session, call, places)
    booked = [*(appointment for appointment, _ in places), *confirmed]
    outbox.owe_for_appointments(session, call, booked)
    outbox.owe_for_course(session, call, desk.course.row, booked)
    desk.course.row.status = "active"
    ids = [str(appointment.id) for appointment in booked]
    audit.note_booked(session, call, {appointment.id: snapshot(appointment) for appointment, _ in places})
    audit.note(session, call, "course.book", "course", course_id, after={"appointments": ids})
    session.delete(stored)
    session.flush()
    return views(session, call, sorted(booked, key=lambda row: (row.starts_at, row.id)))


def _confirmed(session: Session, call: Call, stored: StoredPlan) -> list[Appointment]:
    """The pencilled visits of the plan, confirmed where they stand. Raises PlanStale, and Refused as `confirm` does."""
    found = []
    for entry in stored.body["sessions"]:
        if "pencilled" not in entry:
            continue
        row = row_of(session, call, UUID(entry["pencilled"]), lock=True)
        if row.status != "pending" or row.starts_at != datetime.fromisoformat(entry["start"]):
            detail = "A pencilled visit of the plan has changed since."
            raise PlanStale(detail)
        if row.starts_at <= call.now:
            detail = "The time of a pencilled visit of the plan has passed."
            raise PlanStale(detail)
        found.append(row)
    for row in sorted(found, key=lambda each: each.id):
        link = course_rules.link(session, call, row.course_session_id, row.patient_id, row.visit_type, moving=True)
        visit_day.refuse_ungated(session, call, row, rules=link)
        before = snapshot(row)
        row.status, row.pencilled_until = "booked", None
        session.flush()
        audit.note(session, call, "appointment.confirm", "appointment", row.id, before=before, after=snapshot(row))
    return found


def span_of(body: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """From the first start to the last end of what a stored plan books; None when it only confirms."""
    times = [datetime.fromisoformat(entry[name]) for entry in body["sessions"] for name in ("start", "end")]
    return (min(times), max(times)) if times else None


def stored(desk: Desk, placed: Placed) -> dict[str, Any]:
    """A session of a plan as it is kept; of one that is a group also which it joins, if any."""
    people = sorted({str(taking.resource_id) for taking in placed.takings})
    pool = sorted({str(key) for taking in placed.takings for key in taking.pool})
    served = {role: [str(each) for each in who] for role, who in placed.served.items()}
    of_several = desk.kinds[placed.spec.visit_type].visit.group is not None
    group = {"group": str(placed.group.id) if placed.group else None} if of_several else {}
    return {
        "session_id": str(placed.session_id),
        "start": placed.start.isoformat(),
        "end": placed.end.isoformat(),
        "people": people,
        "served": served,
        **({"pool": pool} if pool else {}),
        **({"pencilled": str(placed.pencilled)} if placed.pencilled else {}),
        **group,
    }


def group_starts(body: Mapping[str, Any]) -> list[datetime]:
    """When the visits of a stored plan begin that may join a group, or begin one."""
    return [datetime.fromisoformat(entry["start"]) for entry in body["sessions"] if "group" in entry]


def _token(plan_id: UUID, digest: str) -> str:
    return base64.urlsafe_b64encode(plan_id.bytes + bytes.fromhex(digest)).decode().rstrip("=")


def opened(session: Session, call: Call, course_id: UUID, token: str) -> StoredPlan:
    """The stored plan behind a token. Raises Invalid for none of ours, PlanStale when its time is over."""
    plan_id, digest = _read(token)
    row = session.get(StoredPlan, (call.organization_id, plan_id))
    if row is None or row.course_id != course_id or row.expires_at <= call.now:
        detail = "This plan has expired or was booked already."
        raise PlanStale(detail)
    if not hmac.compare_digest(row.digest, digest):
        raise Invalid([Fault("/plan_token", "bad_token", "This is not the token of a plan.")])
    return row


def body_of(session: Session, call: Call, course_id: UUID, token: str) -> dict[str, Any]:
    """What a plan that may be over was for; nothing when it is not known any more. Raises Invalid for no token."""
    row = session.get(StoredPlan, (call.organization_id, _read(token)[0]))
    return dict(row.body) if row is not None and row.course_id == course_id else {}


def _read(token: str) -> tuple[UUID, str]:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return UUID(bytes=raw[:16]), raw[16:].hex()
    except (binascii.Error, ValueError) as error:
        raise Invalid([Fault("/plan_token", "bad_token", "This is not the token of a plan.")]) from error
