"""Each delivery is recorded before it starts and again when it has ended: what was tried, when, and what came of it.

All that a round has to say of its deliveries is one statement on PostgreSQL, where each costs more than its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Integer,
    Table,
    Text,
    Uuid,
    bindparam,
    literal_column,
    select,
    update,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Message, MessageAttempt
from scheduler.models.among import among
from scheduler.services.given import as_text, given
from scheduler.services.outbox.letters import Letter, Outcome

_messages, _attempts = cast("Table", Message.__table__), cast("Table", MessageAttempt.__table__)
_message, _attempt = _messages.c, _attempts.c

_BEGUN = ("message_id", "number", "channel")
_ENDED = ("outcome", "provider_id", "error")
_KEPT = ("provider_id", "sent_to", "body")
_SAYS_IT = _attempt.organization_id == bindparam("owner")
_HOLDS_IT = _message.organization_id == bindparam("owner"), _message.status == "sending"
_SENT: dict[str, Any] = {
    "status": "sent", "reason": None, "token": None, "lease_until": None, "sent_at": bindparam("at"),
}  # fmt: skip

# One by one, as SQLite likes it. A transaction whose commit went through though its answer was lost is done again, and
# has recorded already what begins.
_BEGIN_EACH = sqlite.insert(_attempts).on_conflict_do_nothing()
_END_EACH = (
    update(_attempts)
    .where(_SAYS_IT, _attempt.message_id == bindparam("its_message_id"), _attempt.number == bindparam("its_number"))
    .values({"ended_at": bindparam("at")} | {name: bindparam(f"its_{name}") for name in _ENDED})
)
_SEND_EACH = (
    update(_messages)
    .where(*_HOLDS_IT, _message.id == bindparam("its_id"), _message.token == bindparam("its_token"))
    .values(_SENT | {name: bindparam(f"its_{name}") for name in _KEPT})
)


# All that is said of those that ended, in the statement once: it is long, and each place would be planned with it.
_TOLD = select(bindparam("ended", type_=JSONB()).label("ended")).cte("told").prefix_with("MATERIALIZED")


def _said_of(key: ColumnElement[UUID], name: str) -> ColumnElement[str]:
    """What the parameter `ended` says by this name of the message with that id.

    Looked up row by row and not joined: that cannot be planned badly, however wrong the planner is about the tables.
    """
    of_it = select(_TOLD.c.ended).scalar_subquery().op("->", return_type=JSONB())(as_type(key, Text()))
    return of_it.op("->>", return_type=Text())(literal_column(f"'{name}'"))


def _all() -> Any:
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
    return (
        update(_messages)
        .where(*_HOLDS_IT, among(sent, "accepted"), _message.token == as_type(_said_of(sent, "token"), Uuid()))
        .values(_SENT | {name: as_type(_said_of(sent, name), _message[name].type) for name in _KEPT})
        .add_cte(begin.on_conflict_do_nothing().cte("beginning"), end.cte("ending"))
    )


_ALL = _all()


def write_down(session: Session, call: Call, begun: Sequence[Letter], ended: Sequence[Outcome]) -> int:
    """These deliveries start now, and so those ended, whoever holds the messages by now.

    What was accepted has been sent, as far as the lease was still the sender's: returns how many are.
    """
    if not (begun or ended):
        return 0
    shared = {"owner": call.organization_id, "at": call.now}
    begins = list(map(_begin, begun))
    accepted = [outcome for outcome in ended if not outcome.error]
    if session.get_bind().dialect.name == "postgresql":
        told = {
            "begun": as_text(begins),
            "ended": {str(each.letter.id): _end(each) | _sent_as_text(each) for each in ended},
            "whose": [each.letter.id for each in ended],
            "accepted": [each.letter.id for each in accepted],
        }
        return cast("CursorResult[Any]", session.connection().execute(_ALL, shared | told)).rowcount
    ends = [{"message_id": each.letter.id, **_end(each)} for each in ended]
    sends = [{"id": each.letter.id, **_sent(each)} for each in accepted]
    if begins:
        of = {"organization_id": call.organization_id, "began_at": call.now}
        session.connection().execute(_BEGIN_EACH, [of | row for row in begins])
    if ends:
        session.connection().execute(_END_EACH, list(_its(shared, ends)))
    if not sends:
        return 0
    return cast("CursorResult[Any]", session.connection().execute(_SEND_EACH, list(_its(shared, sends)))).rowcount


def of_message(session: Session, call: Call, message_id: UUID) -> list[MessageAttempt]:
    """All attempts at one message, the first one first."""
    mine = MessageAttempt.organization_id == call.organization_id, MessageAttempt.message_id == message_id
    return list(session.scalars(select(MessageAttempt).where(*mine).order_by(MessageAttempt.number)))


def _its(shared: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    return ({**shared, **{f"its_{name}": value for name, value in row.items()}} for row in rows)


def _begin(letter: Letter) -> dict[str, Any]:
    return {"message_id": letter.id, "number": letter.attempts + 1, "channel": letter.channel}


def _end(outcome: Outcome) -> dict[str, Any]:
    return {
        "number": outcome.letter.attempts + 1,
        "outcome": outcome.end,
        "provider_id": outcome.provider_id,
        "error": outcome.error[:300] or None,
    }


def _sent_as_text(outcome: Outcome) -> dict[str, Any]:
    return {} if outcome.error else _sent(outcome) | {"token": outcome.letter.token.hex}


def _sent(outcome: Outcome) -> dict[str, Any]:
    letter = outcome.letter
    return {
        "token": letter.token,
        "provider_id": outcome.provider_id,
        "sent_to": letter.to,
        "body": {
            "subject": letter.for_keeping(outcome.subject),
            "body": letter.for_keeping(outcome.body),
            "locale": outcome.locale,
        },
    }
