"""/v1/tasks: what somebody on the staff has to do, and that it is done."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Choice, Id, Instant, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound, StaleRevision
from scheduler.services import task_answers, tasks
from scheduler.services.tasks import Filter

blp = Blueprint("tasks", __name__, url_prefix="/v1", description="What the staff has to do")

_STATUSES = ("open", "done", "dismissed")
_ITEM = {
    "description": "The key of a visit's task or of a gate; of a `waitlist_offer` or `waitlist_pins` the entry's id"
}
_MOVED = (NotFound, StaleRevision, IllegalTransition)


class StaffTaskSchema(Schema):
    """Something that a person has to see to, and about whom or what it is."""

    id = Id(required=True)
    kind = Text(60, required=True, metadata={"description": "What made it, such as `visit_task` or `clinical_hold`"})
    title = Text(200, required=True)
    detail = Text(2000, min=0, lines=True, required=True)
    item = Text(60, required=True, allow_none=True, metadata=_ITEM)
    patient_id = Id(required=True, allow_none=True)
    appointment_id = Id(required=True, allow_none=True)
    course_id = Id(required=True, allow_none=True)
    message_id = Id(required=True, allow_none=True)
    location_id = Id(required=True, allow_none=True)
    due_at = Instant(required=True)
    level = Whole(required=True, metadata={"description": "How often it has become more urgent, last when it was due"})
    next_step_at = Instant(required=True, allow_none=True)
    status = Choice(*_STATUSES, required=True)
    closed_at = Instant(required=True, allow_none=True)
    closed_by = Text(200, required=True, allow_none=True)
    note = Text(2000, lines=True, required=True, allow_none=True)
    revision = Whole(required=True)
    created_at = Instant(required=True)


class TasksQuery(PageQuery):
    """Filters of the list; the due time is at or after `due_after` and before `due_before`."""

    status = Choice(*_STATUSES, load_default=None)
    kind = Choice(*tasks.KINDS, load_default=None)
    patient_id = Id(load_default=None)
    appointment_id = Id(load_default=None)
    course_id = Id(load_default=None)
    location_id = Id(load_default=None)
    due_after = Instant(load_default=None)
    due_before = Instant(load_default=None)


class TaskDoneSchema(Schema):
    """That it is done."""

    by = Text(200, load_default=None, metadata={"description": "Who did it; the caller otherwise"})
    note = Text(2000, lines=True, load_default=None)


class TaskDismissedSchema(Schema):
    """Why it is not to be done."""

    by = Text(200, load_default=None, metadata={"description": "Who says so; the caller otherwise"})
    note = Text(2000, lines=True, required=True)


@blp.get("/tasks")
@endpoint(scope="scheduling:read", query=TasksQuery, gives=StaffTaskSchema, many=True)
def list_tasks(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """Tasks by the time at which they are due."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    return tasks.listed(session, call, Filter(**query), limit=limit, cursor=cursor)


@blp.get("/tasks/<uuid:task_id>")
@endpoint(scope="scheduling:read", gives=StaffTaskSchema, refuses=(NotFound,))
def get_task(session: Session, call: Call, *, task_id: UUID) -> Any:
    """One task."""
    return tasks.get(session, call, task_id)


@blp.post("/tasks/<uuid:task_id>/done")
@endpoint(scope="scheduling:write", takes=TaskDoneSchema, gives=StaffTaskSchema, if_match="optional", refuses=_MOVED)
def do_task(session: Session, call: Call, body: dict[str, Any], *, task_id: UUID, revision: int | None) -> Any:
    """Say that a task is done."""
    return task_answers.answer(session, call, task_id, "done", **body, revision=revision)


@blp.post("/tasks/<uuid:task_id>/dismiss")
@endpoint(
    scope="scheduling:write", takes=TaskDismissedSchema, gives=StaffTaskSchema, if_match="optional", refuses=_MOVED
)
def dismiss_task(session: Session, call: Call, body: dict[str, Any], *, task_id: UUID, revision: int | None) -> Any:
    """Say that a task is not to be done, and why."""
    return task_answers.answer(session, call, task_id, "dismissed", **body, revision=revision)
