"""The two short transactions around a delivery: may it start, and how did it go. Only the lease's holder may say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, ScalarSelect, Table, bindparam, case, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message
from scheduler.services import opt_outs
from scheduler.services.given import as_text, given
from scheduler.services.outbox import attempts
from scheduler.services.outbox.asking import owe_task
from scheduler.services.outbox.falling import refused
from scheduler.services.outbox.judging import outdated_by
from scheduler.services.outbox.letters import Letter, Outcome
from scheduler.services.outbox.parting import part

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)


# Once before and once after each delivery: Core on the tables, which costs half of what the mapped classes do.
_message = cast("Table", Message.__table__).c
_visit = cast("Table", Appointment.__table__).c
_update = update(cast("Table", Message.__table__))


def _of_visit(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    mine = _visit.organization_id == _message.organization_id, _visit.id == _message.appointment_id
    return select(column).where(*mine).correlate(Message.__table__).scalar_subquery()


#: Of these letters of one organization, those whose lease is still that under which they were claimed.
_OURS = (
    _message.organization_id == bindparam("owner"),
    _message.id.in_(bindparam("ids", expanding=True)),
    _message.status == "sending",
    _message.token.in_(bindparam("tokens", expanding=True)),
)
# Made once: to make them costs more than to send them.
_BEGIN = (
    _update.where(*_OURS, _message.called_off_at.is_(None))
    .values(lease_until=bindparam("until"), attempts=_message.attempts + 1)
    .returning(
        _message.id,
        _message.appointment_id,
        _message.sequence,
        _message.kind,
        _message.context,
        *(_of_visit(column) for column in (_visit.sequence, _visit.status, _visit.outcome)),
    )
)
_RELEASE = _update.where(*_OURS, _message.called_off_at.is_(None)).values(
    status="pending", token=None, lease_until=None
)
_PUT_AWAY = _update.where(*_OURS, _message.called_off_at.is_not(None)).values(
    status="suppressed", token=None, lease_until=None
)


def begin_deliveries(session: Session, call: Call, letters: Sequence[Letter], lease: timedelta) -> tuple[Letter, ...]:
    """Those of one claim whose delivery may start now: the lease is still this worker's, the visit still as it was.

    Renews the lease and records an attempt. A cancellation that commits before this transaction prevents the delivery;
    one that commits after it finds the message on its way and owes a correction. So what may start must start at once:
    ask for no more letters than there are hands free.
    """
    if not letters:
        return ()
    held = {row.id: row for row in session.execute(_BEGIN, _ours(letters) | {"until": call.now + lease})}
    if len(held) < len(letters):
        # Called off while another worker had begun them; those of another's lease are let be.
        session.execute(_PUT_AWAY, _ours([letter for letter in letters if letter.id not in held]))
    shut = opt_outs.closed(session, call.organization_id, {letter.to for letter in letters})
    begun = tuple(
        letter for letter in letters if letter.id in held and _may_go(session, call, letter, held[letter.id], shut)
    )
    attempts.record(session, call, begun)
    return begun


def _may_go(session: Session, call: Call, letter: Letter, held: Any, shut: Mapping[str, Collection[str]]) -> bool:
    if call.now >= letter.expires_at:
        _write(session, letter, status="expired_unsent", reason="too_late")
        owe_task(session, call, session.get_one(Message, (letter.organization_id, letter.id)), "message_expired")
        part(session, letter.organization_id, [letter.id])
        return False
    # The number or address may have said since the claim that it wants no more of these.
    if opt_outs.is_closed(shut.get(letter.to, ()), held.context.get("class", "reminder")):
        # It may still go another way, or needs a person: whoever claims it next decides.
        _write(session, letter, status="pending", attempts=letter.attempts)
        return False
    visit = _Visit(*held[5:])
    of_one = held.appointment_id is not None and "visits" not in held.context
    reason = outdated_by(held.kind, held.context, held.sequence, visit) if of_one else None
    if reason is not None:
        _write(session, letter, status="suppressed", reason=reason)
        part(session, letter.organization_id, [letter.id])
    return reason is None


def settle(session: Session, call: Call, outcomes: Sequence[Outcome]) -> int:
    """Write down how they went. Returns of how many: the others' leases had passed to a worker who will say it instead.

    What failed for now is tried again after 1 minute, then twice that and so on to 6 hours, until it is of no use;
    what was refused for good goes the next way (`falling`); what was called off meanwhile is not tried again.
    """
    attempts.conclude(session, call, outcomes)
    accepted = [outcome for outcome in outcomes if not outcome.error]
    written = sum(_fail(session, call, outcome) for outcome in outcomes if outcome.error)
    if accepted:
        rows = [_sent(outcome) for outcome in accepted]
        shared = {"owner": accepted[0].letter.organization_id, "at": call.now}
        if session.get_bind().dialect.name == "postgresql":
            done = session.execute(_SENT_ALL, shared | {"sent": as_text(rows)})
        else:
            done = session.execute(_SENT, [shared | {f"its_{name}": row[name] for name in row} for row in rows])
        written += cast("CursorResult[Any]", done).rowcount
    return written


_KEPT = ("provider_id", "sent_to", "body")
_DONE: dict[str, Any] = {
    "status": "sent",
    "reason": None,
    "token": None,
    "lease_until": None,
    "sent_at": bindparam("at"),
}
_sent_rows = given("sent", {name: _message[name].type for name in ("id", "token", *_KEPT)})
_BEING_SENT = _message.organization_id == bindparam("owner"), _message.status == "sending"
_SENT = _update.where(
    *_BEING_SENT, _message.id == bindparam("its_id"), _message.token == bindparam("its_token")
).values(_DONE | {name: bindparam(f"its_{name}") for name in _KEPT})
_SENT_ALL = _update.where(*_BEING_SENT, _message.id == _sent_rows.c.id, _message.token == _sent_rows.c.token).values(
    _DONE | {name: _sent_rows.c[name] for name in _KEPT}
)


def _sent(outcome: Outcome) -> dict[str, Any]:
    letter = outcome.letter
    return {
        "id": letter.id,
        "token": letter.token,
        "provider_id": outcome.provider_id,
        "sent_to": letter.to,
        "body": {
            "subject": letter.for_keeping(outcome.subject),
            "body": letter.for_keeping(outcome.body),
            "locale": outcome.locale,
        },
    }


def _fail(session: Session, call: Call, outcome: Outcome) -> bool:
    letter = outcome.letter
    if outcome.permanent:
        return refused(session, call, letter, outcome.error)
    called_off = _message.called_off_at.is_not(None)
    pause = min(FIRST_PAUSE * 2 ** min(letter.attempts, 20), LONGEST_PAUSE)
    return _write(
        session,
        letter,
        status=case((called_off, "suppressed"), else_="pending"),
        reason=case((called_off, _message.reason), else_=outcome.error[:300]),
        due_at=min(call.now + pause, letter.expires_at),
    )


def release(session: Session, letters: Sequence[Letter]) -> None:
    """Give back what was claimed and not begun, for any worker to take at once."""
    if letters:
        session.execute(_RELEASE, _ours(letters))


class _Visit(NamedTuple):
    sequence: int
    status: str
    outcome: str | None


def _ours(letters: Sequence[Letter]) -> dict[str, Any]:
    return {
        "owner": letters[0].organization_id,
        "ids": [letter.id for letter in letters],
        "tokens": list({letter.token for letter in letters}),
    }


def _write(session: Session, letter: Letter, **values: Any) -> bool:
    ours = _update.where(*_OURS).values(token=None, lease_until=None, **values).returning(_message.id)
    return session.execute(ours, _ours([letter])).one_or_none() is not None
