"""Jobs as rows: asked for, claimed under a lease with a token, moved forward, ended. What a kind does is `job_kinds`'.

Whoever holds the token may write, and nobody else: a job whose worker died is taken over when its lease runs out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound, SchedulingError
from scheduler.models import Job, Organization, new_id
from scheduler.services import audit
from scheduler.services.paging import Page, page
from scheduler.services.records import Revision, expect

#: A job that took this many workers with it is given up.
ATTEMPTS = 3
#: Finished jobs are kept so long.
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Claimed:
    """A job in a worker's hands."""

    id: UUID
    kind: str
    request: Mapping[str, Any]
    seconds: int
    actor: str
    token: UUID


def ask(session: Session, call: Call, kind: str, request: Mapping[str, Any], seconds: int) -> Job:
    """Write down that this is to be done; a worker takes it from here."""
    row = Job(
        organization_id=call.organization_id,
        id=new_id(),
        kind=kind,
        status="queued",
        progress=0,
        step="waiting",
        seconds=seconds,
        request=dict(request),
        actor=call.actor,
        attempts=0,
        created_at=call.now,
    )
    session.add(row)
    session.flush()
    audit.note(session, call, "job.ask", "job", row.id, after={"kind": kind})
    return row


def get(session: Session, call: Call, job_id: UUID) -> Job:
    """One job. Raises NotFound."""
    row = session.get(Job, (call.organization_id, job_id))
    if row is None:
        detail = f"No job {job_id}."
        raise NotFound(detail)
    return row


def listed(
    session: Session,
    call: Call,
    *,
    kind: str | None = None,
    status: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[Job]:
    """A page of jobs, the newest first."""
    chosen = select(Job).where(Job.organization_id == call.organization_id)
    if kind is not None:
        chosen = chosen.where(Job.kind == kind)
    if status is not None:
        chosen = chosen.where(Job.status == status)
    return page(session, call, chosen, [Job.created_at, Job.id], limit=limit, cursor=cursor, descending=True)


def cancel(session: Session, call: Call, job_id: UUID, *, revision: Revision | None = None) -> Job:
    """End a job that is not over; the worker that holds it notices.

    Raises NotFound, StaleRevision, IllegalTransition.
    """
    row = _locked(session, call, Job.id == job_id)
    if row is None:
        detail = f"No job {job_id}."
        raise NotFound(detail)
    expect(row, revision)
    if row.status not in {"queued", "running"}:
        detail = f"The job is {row.status} already."
        raise IllegalTransition(detail)
    _end(call, row, "cancelled")
    session.flush()
    audit.note(session, call, "job.cancel", "job", row.id)
    return row


def organizations_due(session: Session, now: datetime) -> list[UUID]:
    """The organizations with a job that nobody holds: a look, which locks nothing."""
    due = select(Job.id).where(Job.organization_id == Organization.id, _free(now)).exists()
    return list(session.scalars(select(Organization.id).where(due).order_by(Organization.id)))


def claim(session: Session, call: Call, *, lease: timedelta, token: UUID) -> Claimed | None:
    """Take the oldest job that nobody holds; None when there is none. One that keeps killing workers is given up."""
    while (row := _locked(session, call, _free(call.now), passing_by=True)) is not None:
        if row.attempts >= ATTEMPTS:
            row.code, row.detail = "given_up", f"It was begun {row.attempts} times and never came to its end."
            _end(call, row, "failed")
            session.flush()
            continue
        row.status, row.step = "running", "reading"  # what it was at once it is said to be still, until it is further
        row.attempts += 1
        row.token, row.lease_until = token, call.now + lease
        row.started_at = row.started_at or call.now
        session.flush()
        return Claimed(row.id, row.kind, row.request, row.seconds, row.actor, token)
    return None


def report(session: Session, call: Call, held: Claimed, progress: float, step: str, lease: timedelta) -> bool:
    """Say how far the job is, and hold it for longer; False when it is not this worker's any more."""
    row = _held(session, call, held)
    if row is None:
        return False
    row.progress, row.step = max(row.progress, min(999, round(1000 * progress))), step
    row.lease_until = call.now + lease
    return True


def give_back(session: Session, call: Call, held: Claimed) -> None:
    """Let somebody else begin it anew: this worker stops, which is not the job's fault."""
    row = _held(session, call, held)
    if row is not None:
        row.status, row.step, row.token, row.lease_until = "queued", "waiting", None, None
        row.attempts -= 1


def still_held(session: Session, call: Call, held: Claimed) -> bool:
    """Whether the job is this worker's, whatever happens until the transaction ends."""
    return _held(session, call, held) is not None


def finish(session: Session, call: Call, held: Claimed, result: Mapping[str, Any]) -> None:
    """The job is done; in the transaction of what it wrote, whose beginning asked `still_held`."""
    row = session.get_one(Job, (call.organization_id, held.id))
    row.result, row.progress, row.step = dict(result), 1000, "done"
    _end(call, row, "done")


def fail(session: Session, call: Call, held: Claimed, refusal: SchedulingError | None) -> None:
    """The job came to nothing: by a refusal, or (None) by a fault of ours, of which only the log tells more."""
    row = _held(session, call, held)
    if row is not None:
        row.code = refusal.code if refusal else "internal_error"
        row.detail = refusal.detail if refusal else "Something went wrong that is not the request's fault."
        _end(call, row, "failed")


def forget(session: Session, call: Call) -> bool:
    """Delete what ended long ago; nothing is left to do."""
    old = Job.organization_id == call.organization_id, Job.finished_at <= call.now - KEPT
    session.execute(delete(Job).where(*old))
    return False


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(Job.status == "queued", and_(Job.status == "running", Job.lease_until <= now))


def _held(session: Session, call: Call, held: Claimed) -> Job | None:
    return _locked(session, call, and_(Job.id == held.id, Job.token == held.token, Job.status == "running"))


def _locked(session: Session, call: Call, which: ColumnElement[bool], *, passing_by: bool = False) -> Job | None:
    wanted = select(Job).where(Job.organization_id == call.organization_id, which).order_by(Job.created_at, Job.id)
    locked = wanted.limit(1).with_for_update(skip_locked=passing_by, key_share=True)
    return session.scalars(locked.execution_options(populate_existing=True)).one_or_none()


def _end(call: Call, row: Job, status: str) -> None:
    row.status, row.finished_at, row.token, row.lease_until = status, call.now, None, None
