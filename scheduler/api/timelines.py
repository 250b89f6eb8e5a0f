"""Pictures of courses over HTTP: drawn here, readable on paper, without color and without eyes. No patient is named."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.http import Blueprint, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import Invalid, NotFound, PlanStale
from scheduler.core.timeline import draw
from scheduler.services import timelines

blp = Blueprint("timelines", __name__, url_prefix="/v1", description="Courses in pictures")

SVG = "image/svg+xml; charset=utf-8"


@blp.get("/courses/<uuid:course_id>/timeline.svg")
@endpoint(scope="courses:read", media=SVG, refuses=(NotFound,))
def draw_course(session: Session, call: Call, *, course_id: UUID) -> Any:
    """The course as it stands: phases, windows, doses, integration visits, gates; what is booked, done, pencilled."""
    return draw(timelines.of_course(session, call, course_id))


@blp.get("/courses/<uuid:course_id>/plans/<string:plan_token>/timeline.svg")
@endpoint(scope="courses:read", media=SVG, refuses=(NotFound, Invalid, PlanStale))
def draw_plan(session: Session, call: Call, *, course_id: UUID, plan_token: str) -> Any:
    """The course as it would stand with a plan that was offered."""
    return draw(timelines.of_plan(session, call, course_id, plan_token))
