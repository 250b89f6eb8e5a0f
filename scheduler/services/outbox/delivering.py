"""The two short transactions around a delivery: may it start, and how did it go. Only the lease's holder may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message
from scheduler.services.outbox.judging import outdated_by
from scheduler.services.outbox.letters import Letter

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


def begin_delivery(session: Session, call: Call, letter: Letter, lease: timedelta) -> bool:
    """Whether the delivery may start now: the lease is still this worker's, and the visit still as it was.

    Renews the lease. A cancellation that commits before this transaction prevents the delivery; one that commits
    after it finds the message on its way and owes a correction.
    """
    held = session.execute(
        update(Message)
        .where(*_mine(letter), Message.called_off_at.is_(None))
        .values(lease_until=call.now + lease, attempts=Message.attempts + 1)
        .returning(Message.appointment_id, Message.sequence, Message.kind, Message.context)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if held is None:
        _put_away(session, letter)
        return False
    reason = None
    if call.now >= letter.expires_at:
        _write(session, letter, status="expired_unsent", reason="too_late")
        return False
    if held.appointment_id is not None:
        reason = _changed(session, call, held)
    if reason is not None:
        _write(session, letter, status="suppressed", reason=reason)
    return reason is None


def settle(session: Session, call: Call, outcome: Outcome) -> bool:
    """Write down how it went. False when the lease had passed to another worker, who will say it instead.

    What failed for now is tried again after 1 minute, then twice that and so on to 6 hours, until it is of no use.
    """
    letter = outcome.letter
    if not outcome.error:
        text = {"subject": outcome.subject, "body": outcome.body, "locale": outcome.locale}
        return _write(
            session,
            letter,
            status="sent",
            reason=None,
            sent_at=call.now,
            provider_id=outcome.provider_id,
            sent_to=letter.to,
            body=text,
        )
    called_off = session.scalar(select(Message.called_off_at).where(*_mine(letter)))
    if called_off is not None:
        return _write(session, letter, status="suppressed")  # its reason says why it was called off
    if outcome.permanent:
        return _write(session, letter, status="failed", reason=outcome.error[:300])
    pause = min(FIRST_PAUSE * 2 ** min(letter.attempts, 20), LONGEST_PAUSE)
    due_at = min(call.now + pause, letter.expires_at)
    return _write(session, letter, status="pending", reason=outcome.error[:300], due_at=due_at)


def release(session: Session, call: Call, letters: list[Letter]) -> None:
    """Give back what was claimed and not begun, for any worker to take at once."""
    for letter in letters:
        session.execute(
            update(Message)
            .where(*_mine(letter), Message.called_off_at.is_(None), Message.organization_id == call.organization_id)
            .values(status="pending", token=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )


def _mine(letter: Letter) -> tuple[Any, ...]:
    return (
        Message.organization_id == letter.organization_id,
        Message.id == letter.id,
        Message.status == "sending",
        Message.token == letter.token,
    )


def _write(session: Session, letter: Letter, **values: Any) -> bool:
    done = session.execute(
        update(Message)
        .where(*_mine(letter))
        .values(token=None, lease_until=None, **values)
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return done.one_or_none() is not None


def _put_away(session: Session, letter: Letter) -> None:
    """A message that was called off while another worker had begun it ends here; one of another's lease is let be."""
    session.execute(
        update(Message)
        .where(*_mine(letter), Message.called_off_at.is_not(None))
        .values(status="suppressed", token=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )


def _changed(session: Session, call: Call, held: Any) -> str | None:
    visit = session.execute(
        select(Appointment.status, Appointment.outcome, Appointment.sequence).where(
            Appointment.organization_id == call.organization_id, Appointment.id == held.appointment_id
        )
    ).one_or_none()
    return "no_visit" if visit is None else outdated_by(held.kind, held.context, held.sequence, visit)
