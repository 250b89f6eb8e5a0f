"""The kinds of jobs there are. Each reads in one transaction, thinks with none open, and writes in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services import disruption_jobs, plan_batches


class Work(Protocol):
    """Work that has read what it needs."""

    def steps(self) -> Iterator[tuple[float, str]]:
        """Think, in steps of a second at most, each saying how far it is (0 to 1) and what it does now.

        May be left at any step: what is best so far counts.
        """

    def write(self, session: Session, call: Call) -> Mapping[str, Any]:
        """Write what came of it, and say it in a document: the job's result."""


#: Kind to how it begins: `(session, call, request)` reads what the work needs.
KINDS: dict[str, Callable[[Session, Call, Mapping[str, Any]], Work]] = {
    disruption_jobs.KIND: disruption_jobs.begin,
    plan_batches.KIND: plan_batches.begin,
}
