"""What the rules must know of a recipient and an organization: zone, quiet hours, open channels, the rules in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.policies import Messaging
from scheduler.core.reminders import CHANNELS, Recipient, Rule, parse_rules
from scheduler.core.reminders.quiet import parse_clock
from scheduler.models import MessageRule, Organization, Patient


def rules_in_force(session: Session, call: Call) -> tuple[Rule, ...]:
    """The organization's enabled rules."""
    definitions = session.scalars(
        select(MessageRule.definition)
        .where(MessageRule.organization_id == call.organization_id, MessageRule.enabled)
        .order_by(MessageRule.key)
    ).all()
    return _parsed(json.dumps(definitions, sort_keys=True))


@lru_cache(maxsize=256)
def _parsed(definitions: str) -> tuple[Rule, ...]:
    documents: list[Any] = json.loads(definitions)
    known = {document["key"] for document in documents}
    # A rule that was switched off can't be yielded to.
    for document in documents:
        if "yields" in document:
            document["yields"]["to"] = [key for key in document["yields"]["to"] if key in known]
    return parse_rules(documents)


def recipient_of(organization: Organization, patient: Patient, site_zone: str, now: datetime) -> Recipient:
    """The patient as the rules see them; without a zone of their own they live where the site is."""
    manners = Messaging.from_document(organization.messaging)
    return Recipient(
        time_zone=patient.time_zone or site_zone,
        channels=frozenset(addresses_of(patient, now)),
        quiet_from=parse_clock(manners.quiet_from),
        quiet_to=parse_clock(manners.quiet_to),
    )


def addresses_of(patient: Patient, now: datetime) -> Mapping[str, str]:
    """The address by which each open channel reaches the patient: the first one given for it.

    Giving a number or address is the consent (clinical.md T1); a channel whose every consent was revoked is closed.
    """
    found: dict[str, str] = {}
    for contact in patient.contacts:
        channel = contact["channel"]
        if channel in CHANNELS and channel not in found and _is_open(patient, channel, now):
            found[channel] = contact["value"]
    return found


def _is_open(patient: Patient, channel: str, now: datetime) -> bool:
    consents = [consent for consent in patient.consents if consent["channel"] == channel]
    return not consents or any(not _is_revoked(consent, now) for consent in consents)


def _is_revoked(consent: Mapping[str, Any], now: datetime) -> bool:
    revoked_at = consent.get("revoked_at")
    return revoked_at is not None and datetime.fromisoformat(revoked_at) <= now
