"""A letter as a claim makes it, made without one. No test lives here."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from scheduler.core.visit import Instructions
from scheduler.services.outbox import Letter


def letter(key: UUID, organization_id: UUID, token: UUID, due_at: datetime) -> Letter:
    return Letter(
        id=key,
        organization_id=organization_id,
        token=token,
        kind="remind_24h",
        channel="sms",
        to="+12125550100",
        due_at=due_at,
        expires_at=due_at + timedelta(days=1),
        attempts=0,
        locales=("en",),
        sender_name="Clinic",
        phone="+12125550142",
        recipient_zone="America/New_York",
        time_zone="America/New_York",
        about=due_at + timedelta(days=1),
        previous=None,
        visit="Visit",
        location="Main",
        address="1 Main Street",
        told=Instructions(),
        patient_revision=1,
    )
