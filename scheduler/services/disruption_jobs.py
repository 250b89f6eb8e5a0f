"""A repair as a job, when somebody's absence touches more visits than a request should wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.intervals import Span
from scheduler.models import Job
from scheduler.services import disruptions, jobs

KIND = "disruption"
#: A repair has no time limit of its own: it is one pass over the visits.
SECONDS = 600


def ask(session: Session, call: Call, resource_id: UUID, start: datetime, end: datetime, reason: str) -> Job:
    """Have the repair made. Raises as `disruptions.offer` does."""
    span = disruptions.check(session, call, resource_id, start, end)
    request = {
        "resource_id": str(resource_id),
        "from": span.start.isoformat(),
        "to": span.end.isoformat(),
        "reason": reason,
    }
    return jobs.ask(session, call, KIND, request, SECONDS)


def begin(session: Session, call: Call, request: Mapping[str, Any]) -> RepairJob:
    """Make the repair: what it reads and what it finds are one."""
    span = Span(datetime.fromisoformat(request["from"]), datetime.fromisoformat(request["to"]))
    resource_id = UUID(request["resource_id"])
    lines = disruptions.propose(session, call, resource_id, span)
    return RepairJob(resource_id, span, request["reason"], lines)


@dataclass(frozen=True)
class RepairJob:
    """A repair that has been found."""

    resource_id: UUID
    span: Span
    reason: str
    lines: tuple[disruptions.Line, ...]

    def steps(self) -> Iterator[tuple[float, str]]:
        """It is found already."""
        yield 1.0, "keeping"

    def write(self, session: Session, call: Call) -> Mapping[str, Any]:
        """Keep it under a token."""
        offer = disruptions.keep(session, call, self.resource_id, self.span, self.reason, self.lines)
        count = {name: sum(line.outcome == name for line in self.lines) for name in ("kept", "moved", "broken")}
        return {"token": str(offer.token), **count}
