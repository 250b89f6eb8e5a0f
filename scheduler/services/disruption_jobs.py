"""A repair as a job: found as a request finds it, then searched with no transaction open for as long as it may.

What comes of it is never worse than one course after the other, and says what each course by itself would come to.
"""

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


def ask(
    session: Session,
    call: Call,
    resource_id: UUID,
    start: datetime,
    end: datetime,
    reason: str,
    *,
    seconds: int,
    rounds: int,
    seed: int,
) -> Job:
    """Have the repair made. Raises as `disruptions.offer` does."""
    span = disruptions.check(session, call, resource_id, start, end)
    request = {
        "resource_id": str(resource_id),
        "from": span.start.isoformat(),
        "to": span.end.isoformat(),
        "reason": reason,
        "rounds": rounds,
        "seed": seed,
    }
    return jobs.ask(session, call, KIND, request, seconds)


def begin(session: Session, call: Call, request: Mapping[str, Any]) -> RepairJob:
    """Read everything, and find the repair that a request would find."""
    span = Span(datetime.fromisoformat(request["from"]), datetime.fromisoformat(request["to"]))
    resource_id, how = UUID(request["resource_id"]), {name: request.get(name, 0) for name in ("rounds", "seed")}
    search = disruptions.begin(session, call, resource_id, span, **how)
    session.expunge_all()  # the search goes on when this transaction is over, and only reads
    return RepairJob(resource_id, span, request["reason"], search)


@dataclass(frozen=True)
class RepairJob:
    """A repair that is made better."""

    resource_id: UUID
    span: Span
    reason: str
    search: disruptions.Search

    def steps(self) -> Iterator[tuple[float, str]]:
        """Search for as long as the job lasts."""
        return self.search.steps()

    def write(self, session: Session, call: Call) -> Mapping[str, Any]:
        """Keep it under a token, and say how good it is."""
        search = self.search
        offer = disruptions.keep(session, call, self.resource_id, self.span, self.reason, search.lines)
        count = {name: sum(line.outcome == name for line in search.lines) for name in ("kept", "moved", "broken")}
        return {
            "token": str(offer.token),
            **count,
            "total": _document(search.total),
            "one_by_one": _document(search.one_by_one),
            "alone": _document(search.alone),
            "rounds": search.made,
        }


def _document(total: disruptions.Total) -> dict[str, int]:
    return {"broken": total.lost, "moved": total.moved, "days": total.days}
