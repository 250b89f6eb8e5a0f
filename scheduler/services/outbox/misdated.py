"""What was written while a clock was ahead of the present one, so that nothing waits until that time has really come.

Leases end within one, and what waits counts from now what it was to wait since it was written. What leaves too early by
that is judged anew when it is claimed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, func, or_, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Job, Message, MessageAttempt, StaffAddress, WebhookDelivery

#: By so much clocks may differ without being wrong.
SLACK = timedelta(minutes=1)


def set_right(session: Session, call: Call, lease: timedelta) -> None:
    """Mend one organization's moments after the clock has gone back. `lease` is how long one may be.

    A holder that is alive loses nothing: it writes by its token, and a lease from now on is as good as a fresh one.
    """
    late = call.now + SLACK
    for model in (Message, Job, WebhookDelivery, StaffAddress):
        table = cast("Table", model.__table__)
        mine = table.c.organization_id == call.organization_id
        session.execute(
            update(table).where(mine, table.c.lease_until > late + lease).values(lease_until=call.now + lease)
        )
    _messages(session, call, late)
    for row in session.scalars(
        select(WebhookDelivery).where(
            WebhookDelivery.organization_id == call.organization_id,
            WebhookDelivery.status == "pending",
            WebhookDelivery.tried_at > late,
        )
    ):
        assert row.tried_at is not None  # noqa: S101 - asked for
        row.due_at -= row.tried_at - call.now
    session.flush()


def _messages(session: Session, call: Call, late: datetime) -> None:
    tried = func.max(func.coalesce(MessageAttempt.ended_at, MessageAttempt.began_at))
    whose = MessageAttempt.organization_id == Message.organization_id, MessageAttempt.message_id == Message.id
    waiting = (
        select(Message, tried)
        .outerjoin(MessageAttempt, whose[0] & whose[1])
        .where(Message.organization_id == call.organization_id, Message.status == "pending", Message.due_at > late)
        .group_by(*Message.__table__.primary_key)
        .having(or_(Message.created_at > late, tried > late))
        .execution_options(populate_existing=True)
    )
    found: list[tuple[Message, datetime | None]] = [(row, at) for row, at in session.execute(waiting)]
    for row, tried_at in found:
        if tried_at is not None:
            row.due_at -= max(tried_at - call.now, timedelta())
        elif row.context.get("side") == "now":  # others have a time of their own, whenever they were owed
            row.due_at -= row.created_at - call.now
