"""Each delivery is recorded before it starts and again when it has ended: what was tried, when, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import MessageAttempt
from scheduler.services.given import as_text, given
from scheduler.services.outbox.letters import Letter, Outcome
from scheduler.services.sheet import Sheet

_table = cast("Table", MessageAttempt.__table__)
_END = ("ended_at", "outcome", "provider_id", "error")
_CONCLUDE = (
    update(_table)
    .where(
        _table.c.organization_id == bindparam("owner"),
        _table.c.message_id == bindparam("message"),
        _table.c.number == bindparam("count"),
    )
    .values({name: bindparam(f"new_{name}") for name in _END})
)
_ended = given("ended", {name: _table.c[name].type for name in ("message_id", "number", *_END)})
_CONCLUDE_ALL = (
    update(_table)
    .where(
        _table.c.organization_id == bindparam("owner"),
        _table.c.message_id == _ended.c.message_id,
        _table.c.number == _ended.c.number,
    )
    .values({name: _ended.c[name] for name in _END})
)


def record(session: Session, call: Call, letters: Sequence[Letter]) -> None:
    """These deliveries start now."""
    rows = [
        {
            "organization_id": letter.organization_id,
            "message_id": letter.id,
            "number": letter.attempts + 1,
            "channel": letter.channel,
            "began_at": call.now,
        }
        for letter in letters
    ]
    sheet = Sheet()
    # A transaction whose commit went through though its answer was lost is done again, and has recorded it already.
    sheet.add(_table, rows, once=True)
    sheet.put_down(session)


def conclude(session: Session, call: Call, outcomes: Sequence[Outcome]) -> None:
    """So they ended, whoever holds the message by now."""
    if not outcomes:
        return
    rows = [_end(call, outcome) for outcome in outcomes]
    if session.get_bind().dialect.name == "postgresql":
        asked = {"owner": outcomes[0].letter.organization_id, "ended": as_text(rows)}
        session.execute(_CONCLUDE_ALL, asked)
        return
    session.execute(
        _CONCLUDE,
        [
            {"owner": outcome.letter.organization_id, "message": row["message_id"], "count": row["number"]}
            | {f"new_{name}": row[name] for name in _END}
            for outcome, row in zip(outcomes, rows, strict=True)
        ],
    )


def of_message(session: Session, call: Call, message_id: UUID) -> list[MessageAttempt]:
    """All attempts at one message, the first one first."""
    mine = MessageAttempt.organization_id == call.organization_id, MessageAttempt.message_id == message_id
    return list(session.scalars(select(MessageAttempt).where(*mine).order_by(MessageAttempt.number)))


def _end(call: Call, outcome: Outcome) -> dict[str, Any]:
    return {
        "message_id": outcome.letter.id,
        "number": outcome.letter.attempts + 1,
        "ended_at": call.now,
        "outcome": outcome.end,
        "provider_id": outcome.provider_id,
        "error": outcome.error[:300] or None,
    }
