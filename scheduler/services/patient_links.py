"""Links that open one visit's page to its patient: made, opened, ended. What the page shows is `patient_visit`'s."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.models import Appointment, PatientLink, new_id
from scheduler.services import tokens

Scope = Literal["confirm", "cancel", "reschedule", "answer", "preferences"]

SCOPES: tuple[Scope, ...] = ("confirm", "cancel", "reschedule", "answer", "preferences")
#: A link outlives its visit by so much: the page says then what was, and how to call.
_LINGERS = timedelta(days=2)
#: So long after its end a link's row is thrown away.
_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Opened:
    """A link that was shown, with its visit. `moved`: the visit has another time by now, or is off."""

    link: PatientLink
    visit: Appointment
    moved: bool

    def call(self, now: datetime) -> Call:
        """What is done with the link is done by the patient."""
        return Call(now=now, organization_id=self.link.organization_id, actor="patient link")


def issue(session: Session, call: Call, visit: Appointment, scopes: Collection[Scope] = SCOPES) -> str:
    """A new link's token, shown once, for the visit at its present time."""
    token, secret_hash = tokens.issue_short(call.organization_id)
    session.add(
        PatientLink(
            organization_id=call.organization_id,
            id=new_id(),
            patient_id=visit.patient_id,
            appointment_id=visit.id,
            sequence=visit.sequence,
            scopes=sorted(scopes),
            secret_hash=secret_hash,
            created_at=call.now,
            expires_at=visit.ends_at + _LINGERS,
        )
    )
    return token


def opened(session: Session, token: str, now: datetime) -> Opened:
    """The link and its visit. Raises NotFound, alike whether it is malformed, unknown, expired or revoked."""
    shown = tokens.read_short(token)
    link = None
    if shown is not None:
        organization_id, digest = shown
        mine = PatientLink.organization_id == organization_id, PatientLink.secret_hash == digest
        link = session.scalars(select(PatientLink).where(*mine)).one_or_none()
    if link is None or link.revoked_at is not None or link.expires_at <= now:
        raise NotFound("This link has ended.")
    visit = session.get_one(Appointment, (link.organization_id, link.appointment_id))
    return Opened(link, visit, visit.sequence != link.sequence)


def revoke_all(session: Session, call: Call, visit: Appointment) -> None:
    """End every link of the visit at once."""
    mine = PatientLink.organization_id == call.organization_id, PatientLink.appointment_id == visit.id
    living = update(PatientLink).where(*mine, PatientLink.revoked_at.is_(None))
    session.execute(living.values(revoked_at=call.now))


def forget(session: Session, call: Call) -> bool:
    """Throw away links that ended long ago; whether more are left is never so."""
    over = PatientLink.organization_id == call.organization_id, PatientLink.expires_at < call.now - _KEPT
    session.execute(delete(PatientLink).where(*over))
    return False
