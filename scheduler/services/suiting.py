"""Which booked visits of a course do not suit the patient any more, once the patient's wishes have changed.

A visit that never suited was agreed as it is, and so is one that was moved since: neither counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.preferences import CoursePreferences, Unsuited
from scheduler.core.standing import Broken
from scheduler.models import Appointment, Course, CourseSession, Resource
from scheduler.services import course_rules

OTHER_PEOPLE = "other_practitioner"

#: As a course keeps them: by the visit's id, where it was when it ceased to suit, and why.
Unfit = Mapping[str, Mapping[str, Any]]


def unfit(
    session: Session,
    call: Call,
    course: Course,
    visits: Mapping[int, Appointment],
    before: CoursePreferences,
    roles: Collection[str],
) -> dict[str, Any]:
    """Of the visits by position, those ahead that suited `before`, or were to be moved already, and do not suit now.

    `roles` are those in which the protocol wants the same person.
    """
    wish = course_rules.wishes_of(course)
    by_other = _by_others(session, call, course, wish, roles)
    found = {}
    for place, row in visits.items():
        why = against(row, wish) or by_other.get(place)
        was_fine = against(row, before) is None if why is None or why.code != OTHER_PEOPLE else True
        if why is not None and _is_ahead(row, call) and (was_fine or _still(course.unfit, row)):
            kept = {"code": why.code, "detail": why.detail}
            found[str(row.id)] = kept | {"start": row.local_start, "moves": sum(row.moves.values())}
    return found


def still_unfit(
    call: Call, course: Course, sessions: Collection[CourseSession], booked: Mapping[UUID, Appointment]
) -> Iterator[Broken]:
    """Those ahead that are where they were when they ceased to suit, unless the patient has granted it since."""
    wish, kept = course_rules.wishes_of(course), course.unfit or {}
    for each in sessions:
        row = booked.get(each.id)
        if row is None or not _is_ahead(row, call) or not _still(kept, row):
            continue
        why = kept[str(row.id)]
        if why["code"] == OTHER_PEOPLE or against(row, wish) is not None:
            yield Broken(each.position, why["code"], why["detail"])


def _is_ahead(row: Appointment, call: Call) -> bool:
    return row.status in lifecycle.OPEN and row.starts_at > call.now


def _still(kept: Unfit | None, row: Appointment) -> bool:
    entry = (kept or {}).get(str(row.id))
    return entry is not None and entry["start"] == row.local_start and entry["moves"] == sum(row.moves.values())


def against(row: Appointment, wish: CoursePreferences) -> Unsuited | None:
    """Why the visit does not suit the patient; None where it does."""
    return wish.against(datetime.fromisoformat(row.local_start))


def _by_others(
    session: Session, call: Call, course: Course, wish: CoursePreferences, roles: Collection[str]
) -> dict[int, Unsuited]:
    """The sessions that somebody else serves than the only ones whom the patient wants, by position."""
    if wish.continuity != "required" or not wish.practitioner_ids:
        return {}
    named: dict[str, set[UUID]] = {}
    asked = select(Resource.id, Resource.roles).where(
        Resource.organization_id == call.organization_id, Resource.id.in_(wish.practitioner_ids)
    )
    for row in session.execute(asked):
        for role in {each["code"] for each in row.roles}.intersection(roles):
            named.setdefault(role, set()).add(row.id)
    found = {}
    for place, served in course_rules.serving(session, call, course.id).items():
        others = sorted(role for role, who in named.items() if served.get(role) and not served[role] & who)
        if others:
            said = " and ".join(role.replace("_", " ") for role in others)
            found[place] = Unsuited(OTHER_PEOPLE, f"The patient wants another {said} for it.")
    return found
