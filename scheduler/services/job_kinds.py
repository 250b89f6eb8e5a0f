"""The kinds of jobs there are. Each reads in one transaction, thinks with none open, and writes in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from sqlalchemy.orm import Session

from scheduler.core.call import Call


class Step(NamedTuple):
    """How far the work is, from 0 to 1, and the word for what it does now."""

    progress: float
    word: str


class Work(Protocol):
    """Work that has read what it needs."""

    def steps(self) -> Iterator[Step]:
        """Think, in steps of a second at most. May be left at any step: what is best so far counts."""

    def write(self, session: Session, call: Call) -> Mapping[str, Any]:
        """Write what came of it, and say it in a document: the job's result."""


#: Their names.
NAMES = ("disruption", "plan_batch")

#: Kind to how it begins: `(session, call, request)` reads what the work needs.
KINDS: dict[str, Callable[[Session, Call, Mapping[str, Any]], Work]] = {}
