"""A worker process that kills itself, as the kernel would, at one named point of a message's way. No test lives here.

It watches the statements and commits of its own process, so that the product needs no trace of any of this.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from tests.worker.crew import NURSERY, Crew, work

Wanted = Callable[[str, Any], bool]


def _claims(statement: str, _said: Any) -> bool:
    return (
        statement.startswith("UPDATE messages SET status=") and ", token=" in statement and "sent_at" not in statement
    )


def _begins(statement: str, _said: Any) -> bool:
    return statement.startswith("UPDATE messages SET attempts=")


def _settles(statement: str, said: Any) -> bool:
    """On PostgreSQL one statement tells all: what it was told decides."""
    if "sent_to=" not in statement.replace(" ", ""):
        return False
    return not isinstance(said, dict) or said.get("accepted", "{}") != "{}"


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(wanted: Wanted) -> None:
    @event.listens_for(Engine, "before_cursor_execute")
    def look(_connection: Any, _cursor: Any, statement: str, said: Any, *_: Any) -> None:
        if wanted(statement, said):
            _die()


def _uncommitted(wanted: Wanted) -> None:
    @event.listens_for(Engine, "after_cursor_execute")
    def look(_connection: Any, _cursor: Any, statement: str, said: Any, *_: Any) -> None:
        if wanted(statement, said):
            event.listen(Engine, "commit", _die)


def _committed(wanted: Wanted) -> None:
    @event.listens_for(Engine, "after_cursor_execute")
    def look(_connection: Any, _cursor: Any, statement: str, said: Any, *_: Any) -> None:
        if wanted(statement, said):
            event.listen(Session, "after_commit", _die)


#: Where a process can die; by the last two, what it had on its way had been accepted and nobody had been told.
POINTS: Mapping[str, tuple[Callable[[Wanted], None], Wanted]] = {
    "between claim and its commit": (_uncommitted, _claims),
    "between claim and render": (_committed, _claims),
    "between render and begin": (_before, _begins),
    "between begin and deliver": (_committed, _begins),
    "between deliver and settle": (_before, _settles),
    "between settle and commit": (_uncommitted, _settles),
}


def die(crew: Crew, point: str) -> int | None:
    """Hire one who dies at that point, and wait for it; the exit code."""
    hand = NURSERY.Process(target=_work_until, args=(point, *crew.duties()))
    hand.start()
    crew.hands.append(hand)
    hand.join(60)
    crew.hands.remove(hand)
    return hand.exitcode


def _work_until(point: str, environ: Mapping[str, str], log: Path, step: Path) -> None:
    arm, wanted = POINTS[point]
    arm(wanted)
    work(environ, log, step)
