"""Many courses planned at once, over HTTP: asked for here, carried out as a job, booked course by course."""

from __future__ import annotations

from typing import Any

from scheduler.api.fields import Choice, Id, List, Whole
from scheduler.api.http import Answer, Blueprint, Schema, Session, endpoint
from scheduler.api.jobs import JobSchema, document
from scheduler.core.call import Call
from scheduler.core.errors import Invalid
from scheduler.services import plan_batches

blp = Blueprint("plan_batches", __name__, url_prefix="/v1", description="Many courses planned at once")


class PlanBatchSchema(Schema):
    """Courses that are to be planned together, in the order in which they would be planned one by one.

    The same `seed` and `rounds` find the same, as long as the time lasts.
    """

    course_ids = List(Id(), min=1, max=200, required=True)
    through = Choice("next_gate", "all", load_default="next_gate")
    seconds = Whole(min=1, max=600, load_default=30)
    rounds = Whole(min=0, max=100_000, load_default=10_000)
    seed = Whole(min=0, load_default=0)


@blp.post("/plan-batches")
@endpoint(scope="courses:read", takes=PlanBatchSchema, gives=JobSchema, status=202, refuses=(Invalid,))
def plan_batch(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Plan many courses together; occupies nothing.

    The job's result has a plan token for each course that found a place, to be booked by `bookings` of that course:
    some now, the others later or never. Beside it stand what planning them one by one would have come to, and a bound
    that no plan of all on the quarters of the hour can be below. Whoever has no place on these is looked for on every
    five minutes in the end: `between_quarters` says how many have one there.
    """
    asked = document(plan_batches.ask(session, call, body.pop("course_ids"), **body))
    return Answer(asked, headers={"Location": f"/v1/jobs/{asked['id']}"})
