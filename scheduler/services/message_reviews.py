"""The daily look at what visits are owed: it begins anew when something changes that decides when messages are due."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import MessageReview


def anew(session: Session, call: Call) -> None:
    """Have all visits ahead looked at by the workers, those too that were today."""
    session.execute(delete(MessageReview).where(MessageReview.organization_id == call.organization_id))
