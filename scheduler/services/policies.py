"""The organization's own numbers as they are now. What they mean is the core's, and so are their defaults."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.policies import Policies
from scheduler.models import Organization


def current(session: Session, call: Call) -> Policies:
    """The policies in force."""
    document = session.scalars(select(Organization.policies).where(Organization.id == call.organization_id)).one()
    return Policies.from_document(document)
