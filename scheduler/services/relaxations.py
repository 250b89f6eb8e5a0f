"""Changes that an explanation offered, granted to one course: kept with it, and withdrawn while nothing rests on them.

Which changes help is `explaining`'s; which can be granted to a course alone is `core/easing/granted`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.course import SessionSpec
from scheduler.core.easing import WHO, Rule, granted
from scheduler.core.errors import Fault, IllegalTransition, InUse, Invalid, NoFeasiblePlan, NotFound
from scheduler.core.second_look import broken
from scheduler.models import Course, new_id
from scheduler.services import (
    access,
    course_rules,
    course_terms,
    courses,
    opening_days,
    overrides,
    planning,
    suiting,
)
from scheduler.services.catalog import parsed, visit_kinds
from scheduler.services.courses import CourseView
from scheduler.services.records import Revision


def grant(
    session: Session,
    call: Call,
    course_id: UUID,
    *,
    change: str,
    by: str,
    reason: str,
    through: Literal["next_gate", "all"] = "next_gate",
    revision: Revision | None = None,
) -> CourseView:
    """Lift for the course what that `change` of the explanation lifts; the plan that it promised can then be made.

    The explanation is made again, so that nothing is granted that does not help, or was never offered. Raises NotFound,
    StaleRevision, IllegalTransition when the course has a plan without it, Invalid for a change that is not offered or
    not a course's own, ScopeMissing for more than the patient's own wishes by somebody who may lift nothing, and what
    planning raises for a course that is not to be planned.
    """
    row = courses.locked(session, call, course_id, revision)
    rules, offer = _offered(session, call, course_id, change, through)
    if not granted.grantable(rules):
        detail = "People, rooms, hours and other visits are changed where they are kept, not for one course."
        raise Invalid([Fault("/change", "not_grantable", detail)])
    if offer["who"] != WHO[0]:
        access.require(call, overrides.SCOPE)
    entry = {
        "id": str(new_id()),
        "change": change,
        "who": offer["who"],
        "by": by,
        "reason": reason,
        "at": call.now.isoformat(),
        "rules": granted.stored(rules),
    }
    before = {"relaxations": row.relaxations}
    row.relaxations = [*(row.relaxations or ()), entry]
    return course_terms.written(session, call, row, "course.relax", before, by=by, reason=reason)


def withdraw(
    session: Session, call: Call, course_id: UUID, relaxation_id: UUID, revision: Revision | None = None
) -> None:
    """Take a change back. Raises NotFound, StaleRevision, InUse when a visit ahead stands only by it."""
    row = courses.locked(session, call, course_id, revision)
    known = row.relaxations or []
    entry = next((each for each in known if each["id"] == str(relaxation_id)), None)
    if entry is None:
        raise NotFound(f"The course was granted nothing by the id {relaxation_id}.")
    view = courses.get(session, call, course_id)
    with_it = _faults(session, call, view, row)
    before = {"relaxations": known}
    row.relaxations = [each for each in known if each is not entry] or None
    new = [fault for fault in _faults(session, call, view, row) if fault not in with_it]
    if new:
        raise InUse(f"A visit is booked by it: {new[0]}. Move or cancel that first.")
    course_terms.written(session, call, row, "course.withdraw", before)


def _offered(
    session: Session, call: Call, course_id: UUID, change: str, through: Literal["next_gate", "all"]
) -> tuple[Collection[Rule], Mapping[str, Any]]:
    """The rules of the change, and what the explanation says of it."""
    try:
        planning.make_plans(session, call, course_id, through=through)
    except NoFeasiblePlan as refusal:
        for rules, offer in zip(refusal.changes, refusal.relaxations, strict=True):
            if offer["change"] == change:
                return rules, offer
        said = "; ".join(f"“{offer['change']}”" for offer in refusal.relaxations)
        detail = f"It is not among what would help as things are now: {said or 'nothing would'}."
        raise Invalid([Fault("/change", "not_offered", detail)]) from refusal
    raise IllegalTransition("The course has a plan: nothing has to be lifted for it.")


def _faults(session: Session, call: Call, view: CourseView, row: Course) -> list[str]:
    """What the visits ahead would break by the course's own rules and by the patient's wishes."""
    specs = course_rules.specs_of(parsed(view.protocol, visit_kinds(session, call)), row, view.sessions)
    ahead = [place for place, stand in view.stands.items() if stand.starts_at > call.now]
    opened = opening_days.around(session, call, row.location_id, specs, {each.day for each in view.stands.values()})
    visits = [view.booked[each.id] for each in view.sessions if each.id in view.booked and each.position in ahead]
    wish = course_rules.wishes_of(row)
    found = [*broken(specs, view.stands, ahead, opened), *_late(specs, view, row, ahead)]
    found += [f"on {each.local_start[:10]} {why.detail}" for each in visits if (why := suiting.against(each, wish))]
    if wish.continuity == "required":
        by = course_rules.serving(session, call, row.id)
        for role in parsed(view.protocol, visit_kinds(session, call)).continuity:
            if len(set().union(*(each.get(role, set()) for each in by.values()))) > 1:
                found.append(f"the {role.replace('_', ' ')} is not the same throughout")
    return found


def _late(specs: Collection[SessionSpec], view: CourseView, row: Course, ahead: Collection[int]) -> list[str]:
    """The first session where it is later than it may be."""
    first = next(iter(specs))
    most = first.gap[2] if first.gap else None
    is_late = (
        most is not None
        and first.index in ahead
        and view.stands[first.index].day > row.start_after + timedelta(days=most)
    )
    return [f"session {first.sequence} begins the course too late"] if is_late else []
