"""The two short transactions around a delivery: may it start, and how did it go. Only the lease's holder may say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, ScalarSelect, Table, case, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message
from scheduler.services.outbox.asking import owe_task
from scheduler.services.outbox.judging import outdated_by
from scheduler.services.outbox.letters import Letter
from scheduler.services.outbox.parting import part

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)


@dataclass(frozen=True)
class Outcome:
    """How one delivery went. `error` is empty when it was accepted; `permanent` says that trying again is of no use."""

    letter: Letter
    error: str = ""
    permanent: bool = False
    provider_id: str | None = None
    subject: str = ""
    body: str = ""
    locale: str = ""


# Once before and once after each delivery: Core on the tables, which costs half of what the mapped classes do.
_message = cast("Table", Message.__table__).c
_visit = cast("Table", Appointment.__table__).c
_update = update(cast("Table", Message.__table__))


def begin_delivery(session: Session, call: Call, letter: Letter, lease: timedelta) -> bool:
    """Whether the delivery may start now: the lease is still this worker's, and the visit still as it was.

    Renews the lease. A cancellation that commits before this transaction prevents the delivery; one that commits
    after it finds the message on its way and owes a correction.
    """
    held = session.execute(
        _update.where(*_mine(letter), _message.called_off_at.is_(None))
        .values(lease_until=call.now + lease, attempts=_message.attempts + 1)
        .returning(
            _message.appointment_id,
            _message.sequence,
            _message.kind,
            _message.context,
            *(_of_visit(column) for column in (_visit.sequence, _visit.status, _visit.outcome)),
        )
    ).one_or_none()
    if held is None:
        _put_away(session, letter)
        return False
    if call.now >= letter.expires_at:
        _write(session, letter, status="expired_unsent", reason="too_late")
        owe_task(session, call, session.get_one(Message, (letter.organization_id, letter.id)), "message_expired")
        part(session, letter.organization_id, [letter.id])
        return False
    visit = _Visit(*held[4:])
    reason = None if held.appointment_id is None else outdated_by(held.kind, held.context, held.sequence, visit)
    if reason is not None:
        _write(session, letter, status="suppressed", reason=reason)
        part(session, letter.organization_id, [letter.id])
    return reason is None


def settle(session: Session, call: Call, outcome: Outcome) -> bool:
    """Write down how it went. False when the lease had passed to another worker, who will say it instead.

    What failed for now is tried again after 1 minute, then twice that and so on to 6 hours, until it is of no use;
    what was called off meanwhile is not tried again.
    """
    letter = outcome.letter
    if not outcome.error:
        return _write(
            session,
            letter,
            status="sent",
            reason=None,
            sent_at=call.now,
            provider_id=outcome.provider_id,
            sent_to=letter.to,
            body={"subject": outcome.subject, "body": outcome.body, "locale": outcome.locale},
        )
    if outcome.permanent:
        part(session, letter.organization_id, [letter.id])
    called_off = _message.called_off_at.is_not(None)
    pause = min(FIRST_PAUSE * 2 ** min(letter.attempts, 20), LONGEST_PAUSE)
    return _write(
        session,
        letter,
        status=case((called_off, "suppressed"), else_="failed" if outcome.permanent else "pending"),
        reason=case((called_off, _message.reason), else_=outcome.error[:300]),
        due_at=_message.due_at if outcome.permanent else min(call.now + pause, letter.expires_at),
    )


def release(session: Session, letters: Sequence[Letter]) -> None:
    """Give back what was claimed and not begun, for any worker to take at once."""
    for letter in letters:
        session.execute(
            _update.where(*_mine(letter), _message.called_off_at.is_(None)).values(
                status="pending", token=None, lease_until=None
            )
        )


class _Visit(NamedTuple):
    sequence: int
    status: str
    outcome: str | None


def _of_visit(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    mine = _visit.organization_id == _message.organization_id, _visit.id == _message.appointment_id
    return select(column).where(*mine).correlate(Message.__table__).scalar_subquery()


def _mine(letter: Letter) -> tuple[ColumnElement[bool], ...]:
    return (
        _message.organization_id == letter.organization_id,
        _message.id == letter.id,
        _message.status == "sending",
        _message.token == letter.token,
    )


def _write(session: Session, letter: Letter, **values: Any) -> bool:
    done = session.execute(
        _update.where(*_mine(letter)).values(token=None, lease_until=None, **values).returning(_message.id)
    )
    return done.one_or_none() is not None


def _put_away(session: Session, letter: Letter) -> None:
    """A message that was called off while another worker had begun it ends here; one of another's lease is let be."""
    session.execute(
        _update.where(*_mine(letter), _message.called_off_at.is_not(None)).values(
            status="suppressed", token=None, lease_until=None
        )
    )
