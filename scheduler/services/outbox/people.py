"""What the rules must know of a recipient and an organization: zone, quiet hours, open channels, the rules in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, Text, bindparam, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.policies import Messaging
from scheduler.core.reminders import CHANNELS, Recipient, Rule, parse_rules
from scheduler.core.reminders.quiet import parse_clock
from scheduler.models import MessageRule, Organization, Patient

Columns = Row[*tuple[Any, ...]]

_RULES = cast("Table", MessageRule.__table__).c
_PATIENTS = cast("Table", Patient.__table__).c
_ORGANIZATIONS = cast("Table", Organization.__table__).c

# Made once: every booking asks both.
_IN_FORCE = (
    select(as_type(_RULES.definition, Text))
    .where(_RULES.organization_id == bindparam("organization"), _RULES.enabled)
    .order_by(_RULES.key)
)
_ADDRESSEE = (
    select(_PATIENTS.time_zone, _PATIENTS.contacts, _PATIENTS.consents, _ORGANIZATIONS.messaging)
    .join_from(Patient.__table__, Organization.__table__, _ORGANIZATIONS.id == _PATIENTS.organization_id)
    .where(_PATIENTS.organization_id == bindparam("organization"), _PATIENTS.id == bindparam("patient"))
)


def addressee(session: Session, call: Call, patient_id: UUID, site_zone: str) -> Recipient:
    """The patient of the organization as the rules see them, read in one statement."""
    row = session.execute(_ADDRESSEE, {"organization": call.organization_id, "patient": patient_id}).one()
    return recipient_of(row, row, site_zone, call.now)


def rules_in_force(session: Session, call: Call) -> tuple[Rule, ...]:
    """The organization's enabled rules."""
    definitions = session.scalars(_IN_FORCE, {"organization": call.organization_id})
    return _parsed(tuple(definitions))


@lru_cache(maxsize=256)
def _parsed(definitions: tuple[str, ...]) -> tuple[Rule, ...]:
    documents: list[Any] = [json.loads(definition) for definition in definitions]
    known = {document["key"] for document in documents}
    # A rule that was switched off can't be yielded to.
    for document in documents:
        if "yields" in document:
            document["yields"]["to"] = [key for key in document["yields"]["to"] if key in known]
    return parse_rules(documents)


def recipient_of(
    organization: Organization | Columns, patient: Patient | Columns, site_zone: str, now: datetime
) -> Recipient:
    """The patient as the rules see them; without a zone of their own they live where the site is."""
    manners = Messaging.from_document(organization.messaging)
    return Recipient(
        time_zone=patient.time_zone or site_zone,
        channels=frozenset(addresses_of(patient, now)),
        quiet_from=parse_clock(manners.quiet_from),
        quiet_to=parse_clock(manners.quiet_to),
    )


def addresses_of(patient: Patient | Columns, now: datetime) -> Mapping[str, str]:
    """The address by which each open channel reaches the patient: the first one given for it.

    Giving a number or address is the consent (clinical.md T1); a channel whose every consent was revoked is closed.
    """
    found: dict[str, str] = {}
    for contact in patient.contacts:
        channel = contact["channel"]
        if channel in CHANNELS and channel not in found and _is_open(patient, channel, now):
            found[channel] = contact["value"]
    return found


def _is_open(patient: Patient | Columns, channel: str, now: datetime) -> bool:
    consents = [consent for consent in patient.consents if consent["channel"] == channel]
    return not consents or any(not _is_revoked(consent, now) for consent in consents)


def _is_revoked(consent: Mapping[str, Any], now: datetime) -> bool:
    revoked_at = consent.get("revoked_at")
    return revoked_at is not None and datetime.fromisoformat(revoked_at) <= now
