"""A dose that was given later or sooner than planned, and the visits of its course that count from it.

What happened is never refused: whoever no longer stands within the limits is somebody's task. Nothing moves here.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.lifecycle import OPEN
from scheduler.core.spacing import Booked
from scheduler.models import Appointment
from scheduler.services import consequences, courses
from scheduler.services.catalog import visit_kinds
from scheduler.services.impact import affected_of

_TITLE = "A booked visit no longer fits its course"
_ASK = "The dose was given at another time than planned. Move the visit, or plan the course anew."


def settle(session: Session, call: Call, row: Appointment) -> None:
    """Owe a task for each visit ahead that is out of place by when this one's dose was given, and for no other."""
    if row.course_id is None or row.course_session_id is None:
        return
    session.flush()
    cause = f"dose/{row.id}"
    consequences.withdraw(session, call, cause)
    view = courses.get(session, call, row.course_id)
    place = next(each.position for each in view.sessions if each.id == row.course_session_id)
    planned = Booked(datetime.fromisoformat(row.local_start).date(), row.starts_at, row.ends_at)
    if view.stands.get(place, planned) == planned:
        return
    kinds = visit_kinds(session, call)
    anyway = courses.astray(session, call, view, {**view.stands, place: planned}, kinds)
    known = {(each.index, each.code) for each in anyway}
    for each in view.broken:
        visit = view.booked.get(view.sessions[each.index].id)
        if (each.index, each.code) not in known and visit is not None and visit.status in OPEN:
            why = f"{each.detail[:1].upper()}{each.detail[1:]}"
            consequences.owe(session, call, [affected_of(visit)], cause=cause, why=why, title=_TITLE, ask=_ASK)
