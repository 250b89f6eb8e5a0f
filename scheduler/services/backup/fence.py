"""The fence around what a restored house would send or conclude: since the backup was made much may have happened.

It is held for a person to look at, in the transaction that fills the tables: no worker ever sees it waiting.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, cast

from sqlalchemy import Table, func, or_, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.visit_day.sweeping import LONG_REST, LOOKBACK
from scheduler.models import Appointment, Job, Message, Task, WebhookDelivery
from scheduler.services import audit, policies, tasks

_MESSAGES = cast("Table", Message.__table__)
_DELIVERIES = cast("Table", WebhookDelivery.__table__)
_JOBS = cast("Table", Job.__table__)

#: The reason of a message that is held so.
HELD = "restored_from_backup"
#: The task that visits wait for whose time has passed.
VISITS: Final = "restored_visits"
_SOON = timedelta(hours=1)


def hold_back(session: Session, now: datetime, *, covered: timedelta = timedelta(0)) -> int:
    """Let nothing that is due leave by itself, of all organizations; returns how many messages are held.

    `covered` is how long providers drop what they were given before under the same id: what fell due within it may
    leave again. What a webhook is owed leaves again under the id by which its reader knows it. Nobody holds a lease.
    """
    free = {"token": None, "lease_until": None}
    waits = or_(_MESSAGES.c.status == "sending", _MESSAGES.c.status == "pending")
    due = _MESSAGES.c.due_at <= now - covered
    held = update(_MESSAGES).where(waits, due).values(status="failed", reason=HELD, **free)
    count: int = session.execute(held).rowcount  # type: ignore[attr-defined]
    session.execute(update(_MESSAGES).where(_MESSAGES.c.status == "sending").values(status="pending", **free))
    session.execute(update(_DELIVERIES).where(_DELIVERIES.c.status == "sending").values(status="pending", **free))
    session.execute(update(_JOBS).where(_JOBS.c.status == "running").values(status="queued", **free))
    return count


def owe_reviews(session: Session, call: Call) -> int:
    """Owe the organization's staff a task for all messages that are held, and one for visits; how many messages."""
    _owe_visits(session, call)
    mine = _MESSAGES.c.organization_id == call.organization_id, _MESSAGES.c.reason == HELD
    count: int = session.execute(select(func.count()).where(*mine, _MESSAGES.c.status == "failed")).scalar_one()
    if count:
        tasks.owe(
            session,
            call,
            kind="restored_messages",
            key=call.now.isoformat(),
            title="Messages wait for a look: a backup was restored",
            detail=f"{count} that were due may have been sent since the backup was made: GET /v1/messages?dead=true."
            " Send again what nobody got, by POST /v1/messages/{id}/retry; leave the rest.",
            due_at=call.now + _SOON,
        )
        audit.note(session, call, "message.hold-back", "organization", call.organization_id, after={"held": count})
    return count


def waiting(session: Session, call: Call) -> datetime | None:
    """Until which moment nothing is concluded of visits, since nobody has said yet that what happened is entered."""
    asked = select(func.max(Task.created_at)).where(
        Task.organization_id == call.organization_id, Task.kind == VISITS, Task.status == "open"
    )
    until: datetime | None = session.execute(asked).scalar()
    return until


def _owe_visits(session: Session, call: Call) -> None:
    """Owe a task where visits stand whose time has passed: whether their patients came is not known here.

    Where gates let visits go, those ahead are as unknown: what cleared them may have been recorded since the backup.
    """
    ungated = policies.current(session, call).release_ungated
    recent = Appointment.starts_at > call.now - LOOKBACK
    unknown = select(func.count()).where(
        Appointment.organization_id == call.organization_id,
        Appointment.status.in_(("pending", "booked")),
        *([] if ungated else [Appointment.starts_at <= call.now]),
        Appointment.starts_at > call.now - LONG_REST,
        or_(recent, Appointment.status == "pending"),
    )
    count: int = session.execute(unknown).scalar_one()
    if count:
        tasks.owe(
            session,
            call,
            kind=VISITS,
            key=call.now.isoformat(),
            title="Visits wait for a look: a backup was restored",
            detail=f"{count} visits of the last days{' and ahead' if ungated else ''} are booked here, and what became"
            " of them since the backup was made is not known. Enter who came and what was cleared; none of them is"
            " called missed or let go before this task is done.",
            due_at=call.now + _SOON,
        )
