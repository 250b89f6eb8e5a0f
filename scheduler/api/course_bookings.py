"""Booking a course over HTTP by the token of a plan: all of it or nothing, and a fresh plan when it is stale."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app, g, request

from scheduler.api.appointments import AppointmentSchema
from scheduler.api.courses import PlanSchema, offer_plans, plan_document
from scheduler.api.errors import problem, status_of
from scheduler.api.fields import List, Nested, Text
from scheduler.api.http import Blueprint, Schema, Session, endpoint
from scheduler.api.replans import ReplanSchema, replan_document
from scheduler.api.schema import instance
from scheduler.api.visits import appointment_document
from scheduler.core.call import Call
from scheduler.core.errors import (
    IllegalTransition,
    Invalid,
    NoFeasiblePlan,
    NotFound,
    PlanStale,
    Refused,
)
from scheduler.database import db, transact
from scheduler.services import plans, rebooking, replanning
from scheduler.services.records import Revision

blp = Blueprint("course_bookings", __name__, url_prefix="/v1", description="Courses of treatment")


class CourseBookingSchema(Schema):
    """The plan to be booked."""

    plan_token = Text(200, required=True)


class CourseBookingsSchema(Schema):
    """Every appointment of the plan, by start."""

    appointments = List(Nested(AppointmentSchema), max=1000, required=True)


@blp.post("/courses/<uuid:course_id>/bookings")
@endpoint(
    scope="courses:write",
    takes=CourseBookingSchema,
    gives=CourseBookingsSchema,
    status=201,
    if_match="optional",
    refuses=(NotFound, Invalid, Refused, IllegalTransition, PlanStale),
)
def book_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Book every session of a plan, or none, with the changes that it answers; behind a gate visits are pencilled."""
    g.plan_token = body["plan_token"]  # for the answer to a stale one, which is made in another transaction
    booked = rebooking.accept(session, call, course_id, body["plan_token"], revision=revision)
    return {"appointments": [appointment_document(view) for view in booked]}


@blp.errorhandler(PlanStale)  # type: ignore[untyped-decorator] # flask-smorest ships no types
def answer_stale_plan(refusal: PlanStale) -> Response:
    """The refusal of a stale plan, with a fresh one of its kind; null when there is none any more."""
    session = db.session()
    course_id = UUID(str((request.view_args or {})["course_id"]))
    token: str = g.plan_token

    def plan_anew(session: Session, call: Call) -> dict[str, Any] | None:
        try:
            return _anew(session, call, course_id, plans.body_of(session, call, course_id, token))
        except (NoFeasiblePlan, Invalid, IllegalTransition, Refused):
            return None

    rehearsed = request.args.get("dry_run") == "true"  # the booking was read before it was refused
    fresh = transact(session, g.call, plan_anew, dry_run=rehearsed)
    return problem(status_of(PlanStale), refusal.code, refusal.detail, plan=fresh)


def _anew(session: Session, call: Call, course_id: UUID, was: dict[str, Any]) -> dict[str, Any]:
    """A fresh plan for what the stale one was for."""
    if was.get("kind") != "replan":
        through = was.get("through", "next_gate")
        return dict(instance(PlanSchema).as_values(plan_document(offer_plans(session, call, course_id, 1, through)[0])))
    minutes = current_app.extensions["settings"].plan_minutes
    pinned = [UUID(each) for each in was["pinned"]]
    found = replanning.propose(
        session, call, course_id, rebooking.changes_in(was), pinned=pinned, by=was["by"], minutes=minutes
    )
    return dict(instance(ReplanSchema).as_values(replan_document(found)))
