"""What the rules must know of a recipient and an organization: zone, quiet hours, open channels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.policies import Basis, Messaging
from scheduler.core.reminders import CHANNELS, Recipient
from scheduler.core.reminders.quiet import parse_clock
from scheduler.models import Organization, Patient
from scheduler.services.message_rules import IN_FORCE
from scheduler.services.premises import Addressee

_PATIENTS = cast("Table", Patient.__table__).c
_ORGANIZATIONS = cast("Table", Organization.__table__).c

# Made once: every booking asks it.
_ADDRESSEES = (
    select(
        _PATIENTS.id,
        _PATIENTS.time_zone,
        _PATIENTS.contacts,
        _PATIENTS.consents,
        _PATIENTS.preferences,
        _ORGANIZATIONS.messaging,
        IN_FORCE.label("rules_id"),
    )
    .join_from(Patient.__table__, Organization.__table__, _ORGANIZATIONS.id == _PATIENTS.organization_id)
    .where(
        _PATIENTS.organization_id == bindparam("organization"), _PATIENTS.id.in_(bindparam("patients", expanding=True))
    )
)


def addressees(session: Session, call: Call, patient_ids: Collection[UUID]) -> dict[UUID, Addressee]:
    """Patients of the organization by id, with its manners and rules in force, for `recipient_of`: in one statement."""
    asked = {"organization": call.organization_id, "patients": list(patient_ids)}
    return {row.id: Addressee(*row) for row in session.execute(_ADDRESSEES, asked)}


def recipient_of(
    organization: Organization | Addressee, patient: Patient | Addressee, site_zone: str, now: datetime
) -> Recipient:
    """The patient as the rules see them; without a zone of their own they live where the site is."""
    manners = Messaging.from_document(organization.messaging)
    return Recipient(
        time_zone=patient.time_zone or site_zone,
        channels=frozenset(addresses_of(patient, now)),
        quiet_from=parse_clock(manners.quiet_from),
        quiet_to=parse_clock(manners.quiet_to),
        prefers=patient.preferences.get("channel"),
    )


def addresses_of(patient: Patient | Addressee, now: datetime) -> Mapping[str, str]:
    """The address by which each open channel reaches the patient: the first one given for it.

    Giving a number or address is the consent (clinical.md T1); a channel whose every consent was revoked is closed.
    """
    found: dict[str, str] = {}
    consents = patient.consents
    for contact in patient.contacts:
        channel = contact["channel"]
        if channel in CHANNELS and channel not in found and (not consents or _is_open(consents, channel, now)):
            found[channel] = contact["value"]
    return found


def basis_of(patient: Patient | Addressee, now: datetime) -> Basis | None:
    """On what texts to this patient rest, as last recorded and not revoked; None when nothing was recorded."""
    if not patient.consents:
        return None
    said = [each for each in patient.consents if each["channel"] == "sms" and not _is_revoked(each, now)]
    return cast("Basis", said[-1]["basis"]) if said else None


def _is_open(consents: Iterable[Mapping[str, Any]], channel: str, now: datetime) -> bool:
    its = [consent for consent in consents if consent["channel"] == channel]
    return not its or any(not _is_revoked(consent, now) for consent in its)


def _is_revoked(consent: Mapping[str, Any], now: datetime) -> bool:
    revoked_at = consent.get("revoked_at")
    return revoked_at is not None and datetime.fromisoformat(revoked_at) <= now
