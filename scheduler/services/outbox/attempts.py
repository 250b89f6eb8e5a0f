"""Each delivery is recorded before it starts and again when it has ended: what was tried, when, and what came of it.

All that a round has to say of its deliveries is one statement on PostgreSQL, where each costs more than its rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Message, MessageAttempt
from scheduler.models.among import among
from scheduler.models.base import UtcDateTime
from scheduler.services.given import as_text, given
from scheduler.services.outbox.letters import Letter, Outcome
from scheduler.services.ready import Ready

_messages, _attempts = cast("Table", Message.__table__), cast("Table", MessageAttempt.__table__)
_message, _attempt = _messages.c, _attempts.c

_BEGUN = ("message_id", "number", "channel")
_ENDED = ("outcome", "provider_id", "error")
_KEPT = ("provider_id", "sent_to", "body")
_SAYS_IT = _attempt.organization_id == bindparam("owner")
_HOLDS_IT = _message.organization_id == bindparam("owner"), _message.status == "sending"

# One by one, as SQLite likes it, and in its own words: to turn each row into them costs SQLAlchemy more than SQLite to
# write it. Ids are written out where they stand, with no call for each. A transaction whose commit went through though
# its answer was lost is done again, and has recorded already what begins.
_BEGIN_EACH = f"""
    INSERT INTO message_attempts (organization_id, began_at, {", ".join(_BEGUN)}) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""  # noqa: S608 - our own columns
_END_EACH = f"""
    UPDATE message_attempts SET ended_at = ?, {" = ?, ".join(_ENDED)} = ?
    WHERE organization_id = ? AND message_id = ? AND number = ?"""  # noqa: S608
_SEND_EACH = f"""
    UPDATE messages SET status = 'sent', reason = NULL, token = NULL, lease_until = NULL, sent_at = ?,
        {" = ?, ".join(_KEPT)} = ?
    WHERE organization_id = ? AND id = ? AND status = 'sending' AND token = ?"""  # noqa: S608


# All that is said of those that ended, in the statement once: it is long, and each place would be planned with it.
_TOLD = (
    select(as_type(bindparam("ended", type_=Text()), JSONB()).label("ended")).cte("told").prefix_with("MATERIALIZED")
)


def _said_of(key: ColumnElement[UUID], name: str) -> ColumnElement[str]:
    """What the parameter `ended` says by this name of the message with that id.

    Looked up row by row and not joined: that cannot be planned badly, however wrong the planner is about the tables.
    """
    of_it = select(_TOLD.c.ended).scalar_subquery().op("->", return_type=JSONB())(as_type(key, Text()))
    return of_it.op("->>", return_type=Text())(literal_column(f"'{name}'"))


def _all() -> Ready:
    """The same for all of them together."""
    begun = given("begun", {name: _attempt[name].type for name in _BEGUN})
    rows = select(bindparam("owner", type_=Uuid()), *(begun.c[name] for name in _BEGUN), bindparam("at"))
    begin = postgresql.insert(_attempts).from_select(["organization_id", *_BEGUN, "began_at"], rows)
    whose, sent = _attempt.message_id, _message.id
    end = (
        update(_attempts)
        .where(_SAYS_IT, among(whose, "whose"), _attempt.number == as_type(_said_of(whose, "number"), Integer()))
        .values({"ended_at": bindparam("at")} | {name: _said_of(whose, name) for name in _ENDED})
    )
    send = (
        update(_messages)
        .where(*_HOLDS_IT, among(sent, "accepted"), _message.token == as_type(_said_of(sent, "token"), Uuid()))
        .values(status="sent", reason=None, token=None, lease_until=None, sent_at=bindparam("at"))
        .values({name: as_type(_said_of(sent, name), _message[name].type) for name in _KEPT})
        .returning(sent)
        .cte("sending")
    )
    others = begin.on_conflict_do_nothing().cte("beginning"), end.cte("ending")
    return Ready(select(func.count()).select_from(send).add_cte(*others))


_ALL = _all()


def write_down(session: Session, call: Call, begun: Sequence[Letter], ended: Sequence[Outcome]) -> int:
    """These deliveries start now, and so those ended, whoever holds the messages by now.

    What was accepted has been sent, as far as the lease was still the sender's: returns how many are.
    """
    if not (begun or ended):
        return 0
    if session.get_bind().dialect.name != "postgresql":
        return _one_by_one(session.connection(), call, begun, ended)
    told = {
        "owner": call.organization_id,
        "at": call.now,
        "begun": as_text([_begin_as_text(letter) for letter in begun]),
        "ended": as_text({each.letter.id: _end_as_text(each) for each in ended}),
        "whose": [each.letter.id for each in ended],
        "accepted": [each.letter.id for each in ended if not each.error],
    }
    ((sent,),) = _ALL.rows(session, told)
    return int(sent)


def _one_by_one(connection: Connection, call: Call, begun: Sequence[Letter], ended: Sequence[Outcome]) -> int:
    owner, at = call.organization_id.hex, UtcDateTime().process_bind_param(call.now, connection.dialect)
    if begun:
        begins = [(owner, at, each.id.hex, each.attempts + 1, each.channel) for each in begun]
        connection.exec_driver_sql(_BEGIN_EACH, begins)
    ends: list[tuple[Any, ...]] = []
    sends: list[tuple[Any, ...]] = []
    for each in ended:
        letter, key = each.letter, each.letter.id.hex
        ends.append((at, *_end(each), owner, key, letter.attempts + 1))
        if not each.error:
            sends.append((at, each.provider_id, letter.to, as_text(_body(each)), owner, key, letter.token.hex))
    if ends:
        connection.exec_driver_sql(_END_EACH, ends)
    return connection.exec_driver_sql(_SEND_EACH, sends).rowcount if sends else 0


def under_way(session: Session, call: Call, ids: Collection[UUID]) -> set[UUID]:
    """Which of these messages have begun to leave, and nobody has said that it ended; the caller has locked them.

    A message in a worker's hands that is not among them is looked at once more before it begins.
    """
    asked = {"owner": call.organization_id, "ids": ids}
    open_ones = select(_attempt.message_id).where(
        _SAYS_IT, among(_attempt.message_id, "ids"), _attempt.ended_at.is_(None)
    )
    return set(session.connection().scalars(open_ones, asked)) if ids else set()


def may_have_left(session: Session, call: Call, ids: Collection[UUID]) -> set[UUID]:
    """Which of these messages began to leave at a time and nobody has said how that ended."""
    asked = {"owner": call.organization_id, "ids": ids}
    unsaid = select(_attempt.message_id).where(_SAYS_IT, among(_attempt.message_id, "ids"), _attempt.outcome.is_(None))
    return set(session.connection().scalars(unsaid, asked))


def of_message(session: Session, call: Call, message_id: UUID) -> list[MessageAttempt]:
    """All attempts at one message, the first one first."""
    mine = MessageAttempt.organization_id == call.organization_id, MessageAttempt.message_id == message_id
    return list(session.scalars(select(MessageAttempt).where(*mine).order_by(MessageAttempt.number)))


def _end(outcome: Outcome) -> tuple[str | None, str | None, str | None]:
    """What `_ENDED` names."""
    return outcome.end, outcome.provider_id, outcome.error[:300] or None


def _begin_as_text(letter: Letter) -> dict[str, Any]:
    return {"message_id": letter.id, "number": letter.attempts + 1, "channel": letter.channel}


def _end_as_text(outcome: Outcome) -> dict[str, Any]:
    letter, ended = outcome.letter, dict[str, Any](zip(_ENDED, _end(outcome), strict=True))
    ended["number"] = letter.attempts + 1
    if not outcome.error:
        ended["token"], ended["sent_to"], ended["body"] = letter.token, letter.to, _body(outcome)
    return ended


def _body(outcome: Outcome) -> dict[str, str]:
    if outcome.letter.link is None:
        return {"subject": outcome.subject, "body": outcome.body, "locale": outcome.locale}
    keeping = outcome.letter.for_keeping
    return {"subject": keeping(outcome.subject), "body": keeping(outcome.body), "locale": outcome.locale}
