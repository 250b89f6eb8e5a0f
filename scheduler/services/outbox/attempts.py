"""Each delivery is recorded before it starts and again when it has ended: what was tried, when, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import MessageAttempt
from scheduler.services.outbox.letters import Letter, Outcome

_table = cast("Table", MessageAttempt.__table__)
# A transaction whose commit went through though its answer was lost is done again, and has recorded it already.
_INSERT = {
    "postgresql": postgresql.insert(_table).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(_table).on_conflict_do_nothing(),
}
_CONCLUDE = (
    update(_table)
    .where(
        _table.c.organization_id == bindparam("owner"),
        _table.c.message_id == bindparam("message"),
        _table.c.number == bindparam("count"),
    )
    .values(
        ended_at=bindparam("at"), outcome=bindparam("end"), provider_id=bindparam("provider"), error=bindparam("why")
    )
)


def record(session: Session, call: Call, letters: Sequence[Letter]) -> None:
    """These deliveries start now."""
    if letters:
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
        session.execute(_INSERT[session.get_bind().dialect.name], rows)


def conclude(session: Session, call: Call, outcomes: Sequence[Outcome]) -> None:
    """So they ended, whoever holds the message by now."""
    if outcomes:
        session.execute(_CONCLUDE, [_end(call, outcome) for outcome in outcomes])


def of_message(session: Session, call: Call, message_id: UUID) -> list[MessageAttempt]:
    """All attempts at one message, the first one first."""
    mine = MessageAttempt.organization_id == call.organization_id, MessageAttempt.message_id == message_id
    return list(session.scalars(select(MessageAttempt).where(*mine).order_by(MessageAttempt.number)))


def _end(call: Call, outcome: Outcome) -> dict[str, Any]:
    return {
        "owner": outcome.letter.organization_id,
        "message": outcome.letter.id,
        "count": outcome.letter.attempts + 1,
        "at": call.now,
        "end": outcome.end,
        "provider": outcome.provider_id,
        "why": outcome.error[:300] or None,
    }
