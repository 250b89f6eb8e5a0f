"""Until when a visit behind a gate of its course stays pencilled in, as things stand now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.visit_day import deadline
from scheduler.models import Appointment, Course, CourseSession
from scheduler.services import course_rules
from scheduler.services.catalog import protocol_of


def pencilled_until(session: Session, call: Call, row: Appointment) -> datetime | None:
    """When the pencilled visit expires, from where its course stands today; None when nothing keeps it back any more.

    A visit outside any course keeps the deadline that it was given.
    """
    if row.course_id is None or row.course_session_id is None:
        return row.pencilled_until
    course = session.get_one(Course, (call.organization_id, row.course_id))
    step = session.get_one(CourseSession, (call.organization_id, row.course_session_id))
    _, protocol = protocol_of(session, call, course.protocol_id)
    protocol = course_rules.chosen(protocol, course)
    specs = course_rules.specs_of(protocol, course)
    standing = course_rules.standing(session, call, course.id)
    passed = course_rules.passed_gates(session, call, course.id)
    return deadline(protocol, specs, specs[step.position], standing, passed, row.time_zone)
