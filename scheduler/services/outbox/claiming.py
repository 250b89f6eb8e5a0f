"""Claiming due messages under a lease: one organization at a time, and whoever else is claiming is passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, bindparam, exists, func, or_, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message, Organization
from scheduler.services.outbox.judging import Drop, Judgement, PutOff, Send, judge
from scheduler.services.outbox.letters import Letter, Stop
from scheduler.services.outbox.scene import Scene

SET_ASIDE = timedelta(minutes=10)

#: The partial index holds these and no others.
_OPEN = Message.status.in_(("pending", "sending"))


@dataclass(frozen=True)
class Claimed:
    """`letters` are to be delivered; `taken` counts all that were due, the dropped ones too."""

    letters: tuple[Letter, ...]
    taken: int
    broken: tuple[tuple[UUID, str], ...] = ()


def organizations_due(session: Session, now: datetime) -> list[UUID]:
    """The organizations that have due messages: a look, which locks nothing."""
    due = exists().where(Message.organization_id == Organization.id, _OPEN, Message.due_at <= now, _is_free(now))
    return list(session.scalars(select(Organization.id).where(due).order_by(Organization.id)))


def next_due(session: Session, now: datetime) -> datetime | None:
    """When the next message after `now` falls due, of any organization."""
    # One probe of the index per organization, whatever the number of messages.
    first = (
        select(func.min(Message.due_at))
        .where(Message.organization_id == Organization.id, _OPEN, Message.due_at > now)
        .correlate(Organization)
        .scalar_subquery()
    )
    each = select(first.label("due_at")).select_from(Organization).subquery()
    found: datetime | None = session.scalar(select(func.min(each.c.due_at)))
    return found


def claim(session: Session, call: Call, *, limit: int, lease: timedelta, token: UUID) -> Claimed:
    """Take up to `limit` due messages of the organization for `lease`, those of dead workers among them.

    Each is judged by the state of things now; what is not to be sent is settled at once, with its reason.
    """
    messages = session.scalars(
        select(Message)
        .where(Message.organization_id == call.organization_id, _OPEN, Message.due_at <= call.now, _is_free(call.now))
        .order_by(Message.due_at, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    if not messages:
        return Claimed((), 0)
    scene = Scene.of(session, call, messages)
    letters: list[Letter] = []
    changes: list[dict[str, Any]] = []
    broken: list[tuple[UUID, str]] = []
    for message in messages:
        try:
            judgement = judge(scene, message)
            if isinstance(judgement, Send):
                letters.append(_letter(scene, message, judgement, token))
        except Exception as error:  # noqa: BLE001 - one bad message must not hold up the others
            judgement = _set_aside(message, call.now, error)
            broken.append((message.id, type(error).__name__))
        changes.append({"key": message.id} | _change(message, judgement, call.now + lease, token))
    table = cast("Table", Message.__table__)
    session.execute(
        update(table)
        .where(table.c.organization_id == call.organization_id, table.c.id == bindparam("key"))
        .values({name: bindparam(f"new_{name}") for name in _CHANGED}),
        [{"key": change["key"]} | {f"new_{name}": change[name] for name in _CHANGED} for change in changes],
    )
    return Claimed(tuple(letters), len(messages), tuple(broken))


def _set_aside(message: Message, now: datetime, error: Exception) -> Judgement:
    """What cannot be prepared is looked at again in a while: somebody may have mended what it stumbles over."""
    why = f"It could not be prepared: {type(error).__name__}."
    if now >= message.expires_at:
        return Drop("expired_unsent", why)
    return PutOff(min(now + SET_ASIDE, message.expires_at), why)


_CHANGED = ("status", "reason", "channel", "due_at", "token", "lease_until")


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Nobody holds it, or nobody alive."""
    return or_(Message.status == "pending", Message.lease_until <= now)


def _change(message: Message, judgement: Judgement, lease_until: datetime, token: UUID) -> dict[str, Any]:
    kept = {
        "status": message.status,
        "reason": message.reason,
        "channel": message.channel,
        "due_at": message.due_at,
        "token": None,
        "lease_until": None,
    }
    match judgement:
        case Send(channel=channel):
            return kept | {"status": "sending", "channel": channel, "token": token, "lease_until": lease_until}
        case PutOff(until=until, reason=reason):
            return kept | {"status": "pending", "due_at": until, "reason": reason or message.reason}
        case Drop(status=status, reason=reason):
            return kept | {"status": status, "reason": reason[:300]}


def _letter(scene: Scene, message: Message, judgement: Send, token: UUID) -> Letter:
    visit = scene.visit_of(message)
    assert visit is not None  # noqa: S101 - judged before
    patient, organization = scene.patients[message.patient_id], scene.organization
    kind, location = scene.kind_of(visit), scene.locations[visit.location_id]
    context = message.context
    told = kind.instructions
    return Letter(
        id=message.id,
        organization_id=message.organization_id,
        token=token,
        kind=message.kind,
        channel=judgement.channel,
        to=judgement.to,
        expires_at=message.expires_at,
        attempts=message.attempts,
        locales=tuple(filter(None, (patient.locale, organization.default_locale))),
        sender_name=organization.sender_name,
        phone=organization.phone,
        recipient_zone=patient.time_zone or visit.time_zone,
        time_zone=visit.time_zone,
        about=datetime.fromisoformat(context["about"]) if message.kind == "correction" else visit.starts_at,
        previous=datetime.fromisoformat(context["previous"]) if context.get("previous") else None,
        visit=kind.public_name,
        location=location.name,
        address=location.address,
        arrive_early_minutes=told.arrive_early_minutes,
        solids_minutes=told.solids_minutes,
        clear_liquids_minutes=told.clear_liquids_minutes,
        alcohol_minutes=told.alcohol_minutes,
        escort=told.escort,
        stops=_stops(scene, message),
    )


def _stops(scene: Scene, message: Message) -> tuple[Stop, ...]:
    visits: Sequence[Appointment] = scene.stops.get(message.course_id, ()) if message.course_id else ()
    return tuple(Stop(visit.starts_at, scene.kind_of(visit).public_name) for visit in visits)
