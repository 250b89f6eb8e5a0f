"""From rules and visits to rows of messages: planned by the core, written by one statement. When is decided above."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import Event, Owed, Recipient, Rule, plan_messages, resting
from scheduler.models import Appointment, Course, Message, Series, new_id
from scheduler.services import message_rules
from scheduler.services.catalog import Kind
from scheduler.services.outbox.facts import Kinds
from scheduler.services.outbox.people import addressees, recipient_of
from scheduler.services.premises import Addressee
from scheduler.services.sheet import Sheet

_PATIENT = "patient"
#: Events of which a patient must hear, by whatever way.
_NEWS = frozenset({"rescheduled", "cancelled", "course_changed"})

_MESSAGES = cast("Table", Message.__table__)
_INSERT = {
    "postgresql": postgresql.insert(_MESSAGES).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(_MESSAGES).on_conflict_do_nothing(),
}


class Batch:
    """Some visits with everything that the rules must know of them, read once."""

    def __init__(
        self,
        session: Session,
        call: Call,
        visits: Sequence[Appointment],
        *,
        kind: Kind | None = None,
        to: Addressee | None = None,
    ) -> None:
        """`kind` and `to` are the visit type and the patient of a single visit, when they have been read before."""
        self.session, self.call, self.visits = session, call, visits
        self.kinds = Kinds.of(session, call, visits, kind)
        known = {} if to is None else {to.id: to}
        self._people = known or addressees(session, call, {visit.patient_id for visit in visits})

    def rules(self, events: Collection[Event]) -> list[Rule]:
        """The rules in force that speak of one of these events."""
        in_force = next((row.rules_id for row in self._people.values()), None)
        found = message_rules.version(self.session, self.call, in_force)
        return [rule for rule in found if rule.event in events]

    def recipient(self, visit: Appointment) -> Recipient:
        """The patient as the rules see them."""
        row = self._people[visit.patient_id]
        return recipient_of(row, row, visit.time_zone, self.call.now)


def write(
    batch: Batch,
    rules: Sequence[Rule],
    event: Event,
    *,
    owner: Course | Series | None = None,
    sequence: int | None = None,
    previous: datetime | None = None,
    about: str | None = None,
    more: dict[str, Any] | None = None,
    sheet: Sheet | None = None,
    elsewhere: Event | None = None,
) -> None:
    """Plan by these rules and write down what is owed, leaving out what is there already.

    With an `owner` the message is about all of it, not about the one visit. `about` is the time of which it speaks
    (ISO), `previous` the one told before, `more` goes into its context. With `sheet` it waits on that for other rows.
    What rules of the event `elsewhere` owe counts for the others and is written down by somebody else.
    """
    rows = [
        row
        for visit in batch.visits
        for row in rows_of(
            batch,
            visit,
            rules,
            event,
            owner=owner,
            sequence=sequence,
            previous=previous,
            about=about,
            more=more,
            elsewhere=elsewhere,
        )
    ]
    if sheet is not None:
        sheet.add(_MESSAGES, rows, once=True)
    elif rows:
        insert(batch.session, rows)


def rows_of(
    batch: Batch,
    visit: Appointment,
    rules: Sequence[Rule],
    event: Event,
    *,
    owner: Course | Series | None = None,
    sequence: int | None = None,
    previous: datetime | None = None,
    about: str | None = None,
    more: dict[str, Any] | None = None,
    elsewhere: Event | None = None,
) -> list[dict[str, Any]]:
    """The rows that one visit owes by these rules."""
    call, recipient = batch.call, batch.recipient(visit)
    by_key = {rule.key: rule for rule in rules}
    shared = {
        "organization_id": call.organization_id,
        "patient_id": visit.patient_id,
        "appointment_id": None if owner else visit.id,
        "course_id": owner.id if isinstance(owner, Course) else None,
        "series_id": owner.id if isinstance(owner, Series) else None,
        "sequence": visit.sequence if sequence is None else sequence,
        "attempts": 0,
        "created_at": call.now,
    }
    facts = {"about": about or visit.starts_at.isoformat(), "previous": previous and previous.isoformat()}
    found = []
    for owed in plan_messages(rules, batch.kinds.seen(visit, previous=previous), recipient, call.now, event):
        rule, at_night = by_key[owed.of or owed.rule], {"at_night": resting(recipient, owed.due_at)}
        if rule.event != elsewhere:
            found.append(shared | _row(owed, rule, facts | at_night | (more or {})))
    return found


def _row(owed: Owed, rule: Rule, facts: dict[str, Any]) -> dict[str, Any]:
    # News of a change, and what is for after a visit, is judged when it is due: by then there is a way to tell it, or a
    # task to call.
    waits = owed.suppressed == "no_channel" and (rule.event in _NEWS or rule.side == "after")
    suppressed = None if waits else owed.suppressed
    return {
        "id": new_id(),
        "rule": owed.rule,
        "kind": owed.kind,
        "recipient": "staff" if owed.cls == "staff_task" else _PATIENT,
        "channel": owed.channel,
        "due_at": owed.due_at,
        "expires_at": owed.expires_at,
        "status": "suppressed" if suppressed else "pending",
        "reason": suppressed,
        "context": facts
        | {
            "class": owed.cls,
            "side": rule.side,
            "urgent": owed.urgent,
            "arrive_by": owed.arrive_by and owed.arrive_by.isoformat(),
            "channels": list(owed.channels),
            "unless": sorted(owed.unless),
            "merges": owed.merges,
            "instructs": owed.instructs,
            "exempt": rule.exempt,
            "gap_minutes": rule.when.window.gap_minutes if rule.when.window else 0,
            "note": owed.note,
        },
    }


def insert(session: Session, rows: list[dict[str, Any]]) -> None:
    """Insert, leaving out what is there already under the same (visit, rule, recipient, channel, sequence)."""
    session.execute(_INSERT[session.get_bind().dialect.name], rows)
