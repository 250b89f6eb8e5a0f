"""What nearly every request asks the database, asked once for nobody: statements are compiled then, and plans made."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from itertools import product
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound, Unauthorized
from scheduler.services import access, calendars, course_rules, courses, doses, tokens
from scheduler.services.premises import premises

#: An organization, a location and a patient that nobody has.
_NOBODY = UUID(int=0)


def rehearse(session: Session, now: datetime) -> None:
    """Have the statements of a look at the calendar written, and the database open what they need. Changes nothing."""
    call = Call(now, _NOBODY, "rehearsal")
    with suppress(Unauthorized):
        access.authenticate(session, tokens.issue("regimen", _NOBODY, _NOBODY)[0], now)
    for course_session_id, hold_id in product((None, _NOBODY), repeat=2):
        with suppress(NotFound):
            premises(session, call, _NOBODY, course_session_id=course_session_id, hold_id=hold_id)
    calendars.rehearse(session, call, _NOBODY)
    courses.rehearse(session, call, _NOBODY)
    course_rules.serving(session, call, _NOBODY)
    session.execute(doses.VISITS, doses.asked_for(session, call, _NOBODY))
