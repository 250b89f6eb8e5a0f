"""Messages: every visit ahead has its own, none speaks of another time, and none is held by a worker that is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, cast

from sqlalchemy import Table, and_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import Rule
from scheduler.models import Appointment, Job, Message, MessageRules, WebhookDelivery
from scheduler.services import message_rules, outbox
from scheduler.services.doctor.reading import batches, ids

_VISITS = cast("Table", Appointment.__table__)
_MESSAGES = cast("Table", Message.__table__)
_RULES = cast("Table", MessageRules.__table__)
_DELIVERIES = cast("Table", WebhookDelivery.__table__)
_JOBS = cast("Table", Job.__table__)
_visit, _message = _VISITS.c, _MESSAGES.c

#: A lease is a minute long; whoever holds one that ended so long ago is gone, and nobody has taken over.
GONE = timedelta(hours=1)
#: Within this time the daily review has brought what is owed in line with rules that were edited.
REVIEWED = timedelta(hours=26)


def reminders(session: Session, call: Call) -> Iterator[str]:
    """Booked visits ahead, and the rules by which they should have a message and have none."""
    near, far = _settled(session, call)
    ahead = select(_visit.id).where(
        _visit.organization_id == call.organization_id, _visit.status == "booked", _visit.starts_at > call.now
    )
    for keys in batches(session, ahead, _visit.id):
        rows = select(Appointment).where(Appointment.organization_id == call.organization_id, Appointment.id.in_(keys))
        visits = session.scalars(rows).all()
        soon = [visit for visit in visits if visit.starts_at <= call.now + outbox.AHEAD]
        later = [visit for visit in visits if visit.starts_at > call.now + outbox.AHEAD]
        for row in chain(outbox.missing(session, call, soon, near), outbox.missing(session, call, later, far)):
            yield f"{row['appointment_id']}: {row['rule']}"
        session.expunge_all()


def _settled(session: Session, call: Call) -> tuple[Sequence[Rule], Sequence[Rule]]:
    """The rules in force by which every visit has its messages: a near one, and one that no review has come to yet.

    Of those that were edited, the review brings near visits in line within the hour, the others when they come nearer.
    What depends on other visits of the course is left out: it changes with them.
    """
    versions = select(_RULES.c.id, _RULES.c.created_at).where(_RULES.c.organization_id == call.organization_id)
    rows = session.connection().execute(versions.order_by(_RULES.c.version)).all()
    if not rows:
        return (), ()
    every = [frozenset(message_rules.version(session, call, row.id)) for row in rows]
    last = max((place for place, row in enumerate(rows) if row.created_at <= call.now - REVIEWED), default=0)
    own = [rule for rule in every[-1] if rule.event == "visit" and not _looks_around(rule)]
    reviewed, always = every[last].intersection(*every[last:]), every[0].intersection(*every)
    return [rule for rule in own if rule in reviewed], [rule for rule in own if rule in always]


def _looks_around(rule: Rule) -> bool:
    return (
        rule.first_of_course is not None
        or rule.first_dose is not None
        or rule.when.anchor == "next_dose"
        or rule.least_gap_days > 0
    )


def outdated(session: Session, call: Call) -> Iterator[str]:
    """Messages that may still leave and were owed for another time of their visit than it has."""
    visit = and_(_visit.organization_id == _message.organization_id, _visit.id == _message.appointment_id)
    wanted = (
        select(_message.id)
        .select_from(_MESSAGES.join(_VISITS, visit))
        .where(
            _message.organization_id == call.organization_id,
            _message.status == "pending",
            _message.called_off_at.is_(None),
            _message.kind != outbox.DIGEST,
            _message.sequence != _visit.sequence,
        )
    )
    yield from ids(session, wanted)


def leases(session: Session, call: Call) -> Iterator[str]:
    """What a worker took and neither finished nor lost to another, long after its lease."""
    ended = call.now - GONE
    for table, held in ((_MESSAGES, "sending"), (_DELIVERIES, "sending"), (_JOBS, "running")):
        yield from (f"{table.name} {key}" for key in _held(session, call, table, held, ended))


def _held(session: Session, call: Call, table: Table, status: str, ended: datetime) -> Iterator[str]:
    held: Any = table.c.status == status, table.c.lease_until < ended
    yield from ids(session, select(table.c.id).where(table.c.organization_id == call.organization_id, *held))
