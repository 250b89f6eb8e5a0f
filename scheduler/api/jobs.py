"""Work that takes longer than a request, over HTTP: how far it is, what came of it, and how to end it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Choice, Dict, Fraction, Id, Instant, Text, Whole
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Mark
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.services import jobs
from scheduler.services.job_kinds import KINDS
from scheduler.services.records import Revision

blp = Blueprint("jobs", __name__, url_prefix="/v1", description="Work that takes longer than a request")

_STATUSES = ("queued", "running", "done", "failed", "cancelled")


class JobSchema(Schema):
    """One piece of work. `step` is a word for what it does now; `code` and `detail` say why it failed."""

    id = Id(required=True)
    kind = Choice(*KINDS, required=True)
    status = Choice(*_STATUSES, required=True)
    progress = Fraction(required=True)
    step = Text(60, required=True)
    seconds = Whole(required=True, metadata={"description": "How long it may look for something better"})
    request = Dict(keys=Text(60), required=True)
    result = Dict(keys=Text(60), required=True, allow_none=True)
    code = Text(60, required=True, allow_none=True)
    detail = Text(2000, required=True, allow_none=True)
    created_at = Instant(required=True)
    started_at = Instant(required=True, allow_none=True)
    finished_at = Instant(required=True, allow_none=True)
    revision = Mark()


class JobsQuery(PageQuery):
    """Filters of the list."""

    kind = Choice(*KINDS, load_default=None)
    status = Choice(*_STATUSES, load_default=None)


@blp.get("/jobs")
@endpoint(scope="courses:read", query=JobsQuery, gives=JobSchema, many=True)
def list_jobs(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Jobs, the newest first."""
    found = jobs.listed(session, call, **query)
    return Page([document(row) for row in found.items], found.next_cursor)


@blp.get("/jobs/<uuid:job_id>")
@endpoint(scope="courses:read", gives=JobSchema, refuses=(NotFound,))
def get_job(session: Session, call: Call, *, job_id: UUID) -> Any:
    """One job. Ask again until its status is none of `queued` and `running`."""
    return document(jobs.get(session, call, job_id))


@blp.post("/jobs/<uuid:job_id>/cancel")
@endpoint(scope="courses:write", gives=JobSchema, if_match="optional", refuses=(NotFound, IllegalTransition))
def cancel_job(session: Session, call: Call, *, job_id: UUID, revision: Revision | None) -> Any:
    """End a job that is not over; nothing of it is kept."""
    return document(jobs.cancel(session, call, job_id, revision=revision))


def document(row: Any) -> dict[str, Any]:
    """The job as `JobSchema` shows it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "status": row.status,
        "progress": row.progress / 1000,
        "step": row.step,
        "seconds": row.seconds,
        "request": row.request,
        "result": row.result,
        "code": row.code,
        "detail": row.detail,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "revision": row.revision,
    }
