"""Claiming due messages under a lease: one organization at a time, and whoever else is claiming is passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, bindparam, exists, func, literal_column, or_, select, true, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import WAYS
from scheduler.models import Message, Organization
from scheduler.models.among import among
from scheduler.models.base import UtcDateTime
from scheduler.services import patient_links
from scheduler.services.outbox.asking import raise_tasks
from scheduler.services.outbox.composing import letter_of
from scheduler.services.outbox.due import COLUMNS, Due, read
from scheduler.services.outbox.falling import say_once
from scheduler.services.outbox.judging import Ask, Drop, Judgement, PutOff, Send, judge
from scheduler.services.outbox.letters import Letter
from scheduler.services.outbox.mailbox import MAIL, owe_copies
from scheduler.services.outbox.parting import part
from scheduler.services.outbox.scene import Scene
from scheduler.services.patient_links import Links
from scheduler.services.ready import Ready

SET_ASIDE = timedelta(minutes=10)
#: What would leave by a channel that is shut or busy is looked at again so soon.
NO_ROOM = timedelta(seconds=30)


_table = cast("Table", Message.__table__)
_KEPT = ("status", "reason", "channel", "due_at", "merged_into")
_FREE: dict[str, Any] = {"token": None, "lease_until": None, "sent_at": None}
_CHANGED = (*_KEPT, *_FREE)
# Most of what is due leaves as it is: one statement for all of that, and one for each of the rest.
_TAKE = Ready(
    update(_table)
    .where(_table.c.organization_id == bindparam("owner"), among(_table.c.id, "keys"))
    .values(status="sending", token=bindparam("held"), lease_until=bindparam("until"))
)
_MERGE = (
    update(_table)
    .where(_table.c.organization_id == bindparam("owner"), _table.c.id == bindparam("key"))
    .values(status="suppressed", reason="merged", merged_into=bindparam("host"))
)
_CHANGE = (
    update(_table)
    .where(_table.c.organization_id == bindparam("owner"), _table.c.id == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)

#: The partial indexes hold these and no others: written out, for of a parameter no database knows that it is so.
_OPEN = _table.c.status.in_((literal_column("'pending'"), literal_column("'sending'")))


def _is_free(now: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Nobody holds it, or nobody alive."""
    return or_(_table.c.status == "pending", _table.c.lease_until <= now)


_NOW = bindparam("now", type_=UtcDateTime())
_organization = cast("Table", Organization.__table__).c
# Made once: it is asked before every claim.
_ORGANIZATIONS_DUE = Ready(
    select(_organization.id)
    .where(
        exists()
        .where(_table.c.organization_id == _organization.id, _OPEN, _table.c.due_at <= _NOW, _is_free(_NOW))
        .correlate(Organization.__table__)
    )
    .order_by(_organization.id)
)


@dataclass(frozen=True)
class Claimed:
    """`letters` are to be delivered; `taken` counts all that were due, the dropped ones too."""

    letters: tuple[Letter, ...]
    taken: int
    broken: tuple[tuple[UUID, str], ...] = ()


def organizations_due(session: Session, now: datetime) -> list[UUID]:
    """The organizations that have due messages: a look, which locks nothing."""
    return [row.id for row in _ORGANIZATIONS_DUE.rows(session, {"now": now})]


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


def claim(
    session: Session,
    call: Call,
    *,
    limit: int,
    lease: timedelta,
    token: UUID,
    takes_over: bool = True,
    rooms: Mapping[str, int] | None = None,
    links: Links | None = None,
) -> Claimed:
    """Take up to `limit` due messages of the organization for `lease`; when it `takes_over`, also of dead workers.

    Each is judged by the state of things now; what is not to be sent is settled at once, with its reason. Of a channel
    in `rooms` no more are taken than may leave by it now. With `links` the letters lead to the patients' pages.
    """
    left = dict(rooms or {})
    if left:
        # One channel after the other: what waits for one that is shut must not have to be looked through each time.
        rooms = {channel: min(left.get(channel, limit), limit) for channel in WAYS}
        messages = [row for way, room in rooms.items() for row in _take(session, call, takes_over, room, way)]
    else:
        messages = _take(session, call, takes_over, limit)
    if not messages:
        return Claimed((), 0)
    # Of what is due at one moment the news goes first: where one text is left, it tells of the move.
    messages.sort(key=lambda one: (one.due_at, one.context["class"] != "change"))
    scene = Scene.of(session, call, messages, links)
    letters: list[Letter] = []
    judged: list[tuple[Message, Judgement]] = []
    broken: list[tuple[UUID, str]] = []
    for message in messages:
        if message.merged_into is not None:  # another of this batch says it
            continue
        try:
            judgement = _within(left, judge(scene, message), message, call.now)
            if isinstance(judgement, Send):
                letters.append(letter_of(scene, message, judgement, token))
                if judgement.channel != message.channel:
                    _say_once(session, message, judgement.channel, messages)
        except Exception as error:  # noqa: BLE001 - one bad message must not hold up the others
            judgement = _set_aside(message, call.now, error)
            broken.append((message.id, type(error).__name__))
        if not isinstance(judgement, Send):
            raise_tasks(session, call, scene, message, judgement)
        judged.append((message, judgement))
    _merge(session, call, scene)
    patient_links.keep(session, call, [letter.link for letter in letters if letter.link is not None])
    _write(session, judged, call.now + lease, token)
    elsewhere = [one for one, judged_so in judged if isinstance(judged_so, Send) and judged_so.channel != MAIL]
    owe_copies(session, call, scene, elsewhere)
    # What a host that is dropped was to say for others, they say themselves.
    dropped = [message.id for message, judgement in judged if isinstance(judgement, Drop)]
    if any(scene.merged.get(key) for key in dropped):
        part(session, call.organization_id, dropped)
    return Claimed(tuple(letters), len(messages), tuple(broken))


def _say_once(session: Session, message: Message, channel: str, batch: Sequence[Message]) -> None:
    """It goes by a way by which it was to be said again later: that is said by now, in this batch as elsewhere."""
    say_once(session, message, channel)
    place = message.appointment_id, message.sequence, f"{message.rule}+{channel}"
    for other in batch:
        if (other.appointment_id, other.sequence, other.rule) == place:
            other.merged_into = message.id


def _merge(session: Session, call: Call, scene: Scene) -> None:
    told = [message for message in scene.taken_along if message.merged_into is not None]
    if told:
        rows = [{"owner": call.organization_id, "key": one.id, "host": one.merged_into} for one in told]
        session.connection().execute(_MERGE, rows)


def _write(session: Session, judged: Sequence[tuple[Message, Judgement]], lease_until: datetime, token: UUID) -> None:
    taken: list[Message] = []
    changes: list[dict[str, Any]] = []
    for message, judgement in judged:
        if isinstance(judgement, Send) and judgement.channel == message.channel:
            taken.append(message)
        else:
            changes.append(_change(message, judgement, lease_until, token))
    if taken:
        keys = [message.id for message in taken]
        asked = {"owner": taken[0].organization_id, "keys": keys, "held": token, "until": lease_until}
        _TAKE.rows(session, asked)
    if changes:
        session.connection().execute(_CHANGE, changes)


def _take(session: Session, call: Call, takes_over: bool, limit: int, way: str | None = None) -> list[Message]:  # noqa: FBT001 - of this module
    if limit <= 0:
        return []
    asked = {"owner": call.organization_id, "now": call.now, "room": limit, "way": way}
    return read(_due(takes_over, one_way=way is not None), session, asked)


@cache
def _due(takes_over: bool, *, one_way: bool) -> Ready:  # noqa: FBT001 - of this module
    """What is due, locked: made once each."""
    due = _table.c.organization_id == bindparam("owner"), _OPEN, _table.c.due_at <= _NOW
    return Ready(
        select(*COLUMNS)
        .where(*due, _is_free(_NOW) if takes_over else _table.c.status == "pending")
        .where(_table.c.channel == bindparam("way") if one_way else true())
        .order_by(_table.c.due_at, _table.c.id)
        .limit(bindparam("room"))
        .with_for_update(skip_locked=True, key_share=True),
        into=Due,
    )


def _within(left: dict[str, int], judgement: Judgement, message: Message, now: datetime) -> Judgement:
    """The judgement, or a little patience: it is to go by another channel than it was owed for, which has no room."""
    if not isinstance(judgement, Send) or judgement.channel not in left:
        return judgement
    left[judgement.channel] -= 1
    if left[judgement.channel] >= 0:
        return judgement
    return PutOff(min(now + NO_ROOM, message.expires_at))


def _set_aside(message: Message, now: datetime, error: Exception) -> Judgement:
    """What cannot be prepared is looked at again in a while: somebody may have mended what it stumbles over."""
    why = f"It could not be prepared: {type(error).__name__}."
    if now >= message.expires_at:
        return Drop("expired_unsent", why)
    return PutOff(min(now + SET_ASIDE, message.expires_at), why)


def _change(message: Message, judgement: Judgement, lease_until: datetime, token: UUID) -> dict[str, Any]:
    kept = {name: getattr(message, name) for name in _KEPT} | _FREE
    match judgement:
        case Send(channel=channel):
            new = {"status": "sending", "channel": channel, "token": token, "lease_until": lease_until}
        case Ask():
            new = {"status": "sent", "sent_at": message.due_at, "reason": None}
        case PutOff(until=until, reason=reason):
            new = {"status": "pending", "due_at": until, "reason": reason or message.reason}
        case Drop(status=status, reason=reason):
            new = {"status": status, "reason": reason[:300]}
    named = {f"new_{name}": value for name, value in (kept | new).items()}
    return named | {"owner": message.organization_id, "key": message.id}
