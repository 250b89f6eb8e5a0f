"""What is one running course's own: the patient's wishes, a note, its first day, the cadence that a clinician has set.

Nothing booked is changed here: what does not fit any more is shown, and a re-plan mends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.coherence import contradiction
from scheduler.core.document import FaultList
from scheduler.core.easing import granted
from scheduler.core.errors import Fault, IllegalTransition, Invalid
from scheduler.core.protocol.own import OwnGaps, read_own
from scheduler.models import Course
from scheduler.services import audit, course_rules, courses, suiting
from scheduler.services.catalog import parsed, visit_kinds
from scheduler.services.course_wishes import check_practitioners
from scheduler.services.courses import CourseView
from scheduler.services.records import Revision


def change(
    session: Session, call: Call, course_id: UUID, revision: Revision | None, changes: Mapping[str, Any]
) -> CourseView:
    """Change what the body names: `preferences` key by key (null takes one away), `note`, `start_after`.

    A wish that is said anew takes the place of what the patient had granted of it. Raises NotFound, StaleRevision,
    Invalid, IllegalTransition for a course that has ended, and for a first day once something is booked.
    """
    row = _open(session, call, course_id, revision)
    view = courses.get(session, call, course_id)
    before, wish = _told(row), course_rules.wishes_of(row)
    wanted = changes.get("preferences", {})
    _check_hours({**row.preferences, **wanted})
    check_practitioners(session, call, wanted)
    if "start_after" in changes and view.booked and changes["start_after"] != row.start_after:
        raise IllegalTransition("Visits of the course are booked already: its first day is past changing.")
    if wanted:
        both = {**row.preferences, **wanted}
        row.preferences = {key: value for key, value in both.items() if value is not None}
        row.relaxations = _not_of(row, wanted) or None
    row.note, row.start_after = changes.get("note", row.note), changes.get("start_after", row.start_after)
    if wanted:
        kinds = visit_kinds(session, call)
        by_place = {each.position: view.booked[each.id] for each in view.sessions if each.id in view.booked}
        roles = parsed(view.protocol, kinds).continuity
        row.unfit = suiting.unfit(session, call, row, by_place, wish, roles) or None
    return written(session, call, row, "course.change", before)


def set_cadence(
    session: Session,
    call: Call,
    course_id: UUID,
    *,
    steps: OwnGaps,
    by: str,
    note: str = "",
    revision: Revision | None = None,
    **named: str | None,
) -> CourseView:
    """Set the gaps of some steps for this patient, in place of any set before, and, if it is named, the `cadence`.

    Every gap is within what the protocol declares for the step. What stands already stays, and shows as broken where it
    is outside. Raises NotFound, StaleRevision, IllegalTransition for a course that has ended, Invalid with every fault:
    numbers outside the protocol's bounds, and gaps that contradict each other or the rest, with the circle of them.
    """
    row = _open(session, call, course_id, revision)
    before = _told(row)
    view = courses.get(session, call, course_id)
    cadence, faults = named.get("cadence", row.cadence), FaultList()
    kinds = visit_kinds(session, call)
    protocol = parsed(view.protocol, kinds)
    if cadence is not None and cadence not in {each.key for each in protocol.cadences}:
        faults.add("/cadence", "unknown_cadence", f"The protocol has no cadence '{cadence}'.")
        faults.raise_any("The cadence")
    visits = {code: kind.visit for code, kind in kinds.items()}
    read_own(course_rules.without_own_gaps(protocol, row), cadence, steps, visits, faults)
    faults.raise_any("The cadence")
    row.cadence = cadence
    row.own_cadence = {"steps": dict(steps), "by": by, "note": note, "at": call.now.isoformat()} if steps else None
    circle = contradiction(course_rules.specs_of(protocol, row), visits)
    if circle:
        detail = f"These rules contradict each other: {'; '.join(circle)}."
        raise Invalid([Fault("/steps", "contradictory_rules", detail)])
    return written(session, call, row, "course.cadence", before, by=by, reason=note)


def rewindow(session: Session, call: Call, row: Course) -> None:
    """Write down between which dates each session may fall by what the course is now, from where it stands."""
    view = courses.get(session, call, row.id)
    specs = course_rules.specs_of(parsed(view.protocol, visit_kinds(session, call)), row, view.sessions)
    days = {index: booked.day for index, booked in view.stands.items()}
    for each, dates in zip(view.sessions, courses.dates_of(session, call, row, specs, days), strict=True):
        each.earliest, each.target, each.latest = dates


def written(
    session: Session,
    call: Call,
    row: Course,
    action: str,
    before: Mapping[str, Any],
    *,
    by: str | None = None,
    reason: str = "",
) -> CourseView:
    """The course after a change of what `before` tells, with new dates, in the audit trail."""
    session.flush()
    rewindow(session, call, row)
    after = {name: getattr(row, name) for name in before} | ({"by": by} if by else {})
    audit.note(session, call, action, "course", row.id, before=before, after=after, reason=reason or None)
    session.flush()
    return courses.get(session, call, row.id)


def _open(session: Session, call: Call, course_id: UUID, revision: Revision | None) -> Course:
    row = courses.locked(session, call, course_id, revision)
    if row.status not in courses.RUNNING:
        raise IllegalTransition(f"The course is {row.status}: nothing of it changes any more.")
    return row


def _told(row: Course) -> dict[str, Any]:
    """What of it the audit trail keeps."""
    names = ("preferences", "note", "start_after", "cadence", "own_cadence", "relaxations")
    return {name: getattr(row, name) for name in names}


def _check_hours(wish: Mapping[str, Any]) -> None:
    """Raises Invalid for hours that, with those that stay, end before they begin."""
    first, last = wish.get("earliest"), wish.get("latest")
    if first is not None and last is not None and last < first:
        raise Invalid([Fault("/preferences/latest", "ends_before_start", "The end comes before the beginning.")])


def _not_of(row: Course, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the course was granted, without what the patient now says otherwise."""
    said = {code for code, keys in granted.WISHES.items() if set(keys) & wanted.keys()}
    left = (
        {**each, "rules": [rule for rule in each["rules"] if rule["code"] not in said]}
        for each in row.relaxations or ()
    )
    return [each for each in left if each["rules"]]
