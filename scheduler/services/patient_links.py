"""Links that open one visit's page to its patient: made, opened, ended. What the page shows is `patient_visit`'s.

A link in a message is derived from the message and a key that is not in the database, so that a message that is tried
again carries the same one, and only its digest is ever stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self, cast
from uuid import UUID

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.calendar_entry import OFF
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.models import Appointment, Organization, PatientLink, new_id
from scheduler.services import tokens

Scope = Literal["confirm", "cancel", "reschedule", "answer", "preferences"]

SCOPES: tuple[Scope, ...] = ("confirm", "cancel", "reschedule", "answer", "preferences")
#: A link that stands in an e-mail also ends the messages of its class: `stop:reminder`.
STOP = "stop:"
#: A link outlives its visit by so much: the page says then what was, and how to call.
_LINGERS = timedelta(days=2)
#: So long after its end a link's row is thrown away. Until then it still ends messages.
_KEPT = timedelta(days=30)

_TABLE = cast("Table", PatientLink.__table__)
_INSERT = {
    "postgresql": postgresql.insert(_TABLE).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(_TABLE).on_conflict_do_nothing(),
}


@dataclass(frozen=True)
class Link:
    """A link in a message, before its row is written. `page` is its address, `token` what nobody else may know."""

    token: str = field(repr=False)
    page: str = field(repr=False)
    secret_hash: str
    scopes: tuple[str, ...]
    patient_id: UUID
    appointment_id: UUID
    sequence: int
    starts_at: datetime
    expires_at: datetime

    @property
    def stop(self) -> str:
        """Where the messages of its class are ended."""
        return f"{self.page}/stop"


@dataclass(frozen=True)
class Links:
    """How an installation writes links: its public address, and the key from which tokens are derived."""

    base_url: str
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, public_url: str, key: str) -> Self | None:
        """None without an address. Without a key one is made up: then each process writes links of its own."""
        return cls(public_url.rstrip("/"), key.encode() or secrets.token_bytes(32)) if public_url else None

    def link(self, code: str, visit: Appointment, about: str, scopes: Collection[str]) -> Link:
        """The link of that matter (a message and its channel) to the visit at its present time; not yet written."""
        matter = f"{about} {visit.id} {visit.sequence}"
        token, secret_hash = tokens.derive_short(code, self.key, matter)
        return Link(
            token=token,
            page=f"{self.base_url}/p/{token}",
            secret_hash=secret_hash,
            scopes=tuple(sorted(scopes)),
            patient_id=visit.patient_id,
            appointment_id=visit.id,
            sequence=visit.sequence,
            starts_at=visit.starts_at,
            expires_at=visit.ends_at + _LINGERS,
        )


@dataclass(frozen=True)
class Opened:
    """A link that was shown, with its visit. `moved`: the visit has another time by now, or is off."""

    link: PatientLink
    visit: Appointment
    moved: bool

    def call(self, call: Call) -> Call:
        """What is done with the link is done by the patient, in the organization of the link."""
        return Call(call.now, self.link.organization_id, "patient link", last_try=call.last_try)


@dataclass(frozen=True)
class Ending:
    """A link that was shown to end a patient's messages of one class."""

    organization_id: UUID
    patient_id: UUID
    message_class: str

    def call(self, call: Call) -> Call:
        """What is done with it is done by the patient."""
        return Call(call.now, self.organization_id, "patient link", last_try=call.last_try)


def keep(session: Session, call: Call, links: Sequence[Link]) -> None:
    """Let these links open their visits, by one statement; one that does already is let be."""
    if links:
        session.execute(_INSERT[session.get_bind().dialect.name], [_row(call, link) for link in links])


def issue(session: Session, call: Call, visit: Appointment, scopes: Collection[Scope] = SCOPES) -> str:
    """A new link's token, shown once, for the visit at its present time."""
    code = session.get_one(Organization, call.organization_id).code
    link = Links("", secrets.token_bytes(32)).link(code, visit, "", scopes)
    keep(session, call, [link])
    return link.token


def opened(session: Session, token: str, now: datetime) -> Opened:
    """The link and its visit. Raises NotFound, alike whether it is malformed, unknown, expired or revoked."""
    link = _found(session, token)
    if link is None or link.expires_at <= now:
        raise NotFound("This link has ended.")
    visit = session.get_one(Appointment, (link.organization_id, link.appointment_id))
    return Opened(link, visit, _has_moved(link, visit))


def follow(session: Session, visit: Appointment, before: datetime) -> None:
    """Links to the visit at the instant `before` open it at its new one: the clocks moved, and its wall time stays.

    One that spoke of the new instant was of another wall time, and stays over.
    """
    mine = PatientLink.organization_id == visit.organization_id, PatientLink.appointment_id == visit.id
    wanted = select(PatientLink).where(*mine, PatientLink.starts_at.in_([before, visit.starts_at]))
    for link in session.scalars(wanted.order_by(PatientLink.id).with_for_update()):
        if link.starts_at == before:
            link.starts_at, link.expires_at = visit.starts_at, visit.ends_at + _LINGERS
        else:
            link.starts_at = None
    session.flush()


def opened_to_stop(session: Session, token: str) -> Ending:
    """What the link ends, whatever became of the visit. Raises NotFound."""
    link = _found(session, token)
    classes = [scope.removeprefix(STOP) for scope in link.scopes if scope.startswith(STOP)] if link else []
    if link is None or not classes:
        raise NotFound("This link has ended.")
    return Ending(link.organization_id, link.patient_id, classes[0])


def forget(session: Session, call: Call) -> bool:
    """Throw away links that ended long ago; whether more are left is never so."""
    over = PatientLink.organization_id == call.organization_id, PatientLink.expires_at < call.now - _KEPT
    session.execute(delete(PatientLink).where(*over))
    return False


def _has_moved(link: PatientLink, visit: Appointment) -> bool:
    """Whether the link speaks of another time than the visit's, or the visit was called off after it.

    The sequence alone does not say so: it rises too when messages are owed anew, and when a move is undone.
    """
    return visit.sequence != link.sequence and (visit.starts_at != link.starts_at or visit.status in OFF)


def _found(session: Session, token: str) -> PatientLink | None:
    shown = tokens.read_short(token)
    if shown is None:
        return None
    code, digest = shown
    mine = PatientLink.organization_id == Organization.id, Organization.code == code
    wanted = select(PatientLink).join(Organization, mine[0]).where(mine[1], PatientLink.secret_hash == digest)
    return session.scalars(wanted.where(PatientLink.revoked_at.is_(None))).one_or_none()


def _row(call: Call, link: Link) -> dict[str, object]:
    return {
        "organization_id": call.organization_id,
        "id": new_id(),
        "patient_id": link.patient_id,
        "appointment_id": link.appointment_id,
        "sequence": link.sequence,
        "starts_at": link.starts_at,
        "scopes": list(link.scopes),
        "secret_hash": link.secret_hash,
        "created_at": call.now,
        "expires_at": link.expires_at,
        "revoked_at": None,
    }
