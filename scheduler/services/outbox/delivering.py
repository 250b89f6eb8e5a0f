"""The two short transactions around a delivery: may it start, and how did it go. Only the lease's holder may say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Table, Text, bindparam, case, literal_column, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.pauses import DELIVERIES
from scheduler.models import Appointment, Message
from scheduler.models.among import among
from scheduler.services import opt_outs
from scheduler.services.outbox import attempts
from scheduler.services.outbox.asking import ask
from scheduler.services.outbox.falling import refused
from scheduler.services.outbox.judging import SUPERSEDED, outdated_by
from scheduler.services.outbox.letters import Letter, Outcome
from scheduler.services.outbox.parting import part
from scheduler.services.ready import Ready

# Once before and once after each delivery: Core on the tables, which costs half of what the mapped classes do.
_message = cast("Table", Message.__table__).c
_update = update(cast("Table", Message.__table__))


#: So long a claim's judgement holds: by then quiet hours may have begun, or a place have moved.
JUDGED_FOR = timedelta(minutes=1)

#: The visit as it stands, looked up once: `3/booked/`, or nothing for a message that is not about one visit. Written
#: out: among what SQLite is to return, SQLAlchemy says no column's table, and a visit would be looked for among all.
_STANDING: ColumnElement[str | None] = literal_column(
    "(SELECT visit.sequence || '/' || visit.status || '/' || coalesce(visit.outcome, '') FROM appointments AS visit"
    " WHERE visit.organization_id = messages.organization_id AND visit.id = messages.appointment_id)",
    Text(),
)
#: Of what revision the patient is: who may be written to, where and in which language stands there.
_PATIENT: ColumnElement[int | None] = literal_column(
    "(SELECT patient.revision FROM patients AS patient"
    " WHERE patient.organization_id = messages.organization_id AND patient.id = messages.patient_id)",
    Integer(),
)
_visit = cast("Table", Appointment.__table__).c
_BESIDE = Ready(
    select(_visit.id, _visit.sequence, _visit.status, _visit.outcome).where(
        _visit.organization_id == bindparam("owner"), among(_visit.id, "visits")
    )
)


class _Standing(NamedTuple):
    """How a visit stands."""

    sequence: int
    status: str
    outcome: str | None


#: Of these letters of one organization, those whose lease is still that under which they were claimed.
_OURS = (
    _message.organization_id == bindparam("owner"),
    among(_message.id, "ids"),
    _message.status == "sending",
    among(_message.token, "tokens"),
)
_ONE_MORE = case((among(_message.id, "again"), literal_column("0")), else_=literal_column("1"))
# Made once: to make them costs more than to send them.
_BEGIN = Ready(
    _update.where(*_OURS, _message.called_off_at.is_(None), _message.lease_until > bindparam("since"))
    .values(lease_until=bindparam("until"), attempts=_message.attempts + _ONE_MORE)
    .returning(
        _message.id,
        _STANDING,
        _PATIENT,
        opt_outs.SOME_SHUT,
    )
)
_RELEASE = _update.where(*_OURS, _message.called_off_at.is_(None)).values(
    status="pending", token=None, lease_until=None
)
_PUT_AWAY = _update.where(*_OURS, _message.called_off_at.is_not(None)).values(
    status="suppressed", token=None, lease_until=None
)


def turn(
    session: Session,
    call: Call,
    ended: Sequence[Outcome],
    unwanted: Sequence[Letter],
    wanted: Sequence[Letter],
    lease: timedelta,
    again: Collection[UUID] = (),
) -> tuple[Letter, ...]:
    """What a round does between deliveries: write down what ended, give back, and say who of the wanted may begin.

    May begin: the lease still runs, and what the letter speaks of is still as it was. What was judged longer ago than
    `JUDGED_FOR` is judged anew, and so is what was written for a patient's record or for other visits that have changed
    meanwhile: it is given back, for the next claim to take.

    Renews the lease and records an attempt; those that begin `again`, for they have not left since they last began
    under this claim, are at the same one. A cancellation that commits before this transaction prevents the delivery;
    one that commits after it finds the message on its way and owes a correction. So what may start must start at once:
    ask for no more letters than there are hands free.
    """
    _release(session, unwanted)
    begun = _begun(session, call, wanted, lease, again)
    attempts.write_down(session, call, begun, ended)
    for outcome in ended:
        if outcome.error:
            _fail(session, call, outcome)
    return begun


def settle(session: Session, call: Call, outcomes: Sequence[Outcome]) -> int:
    """Write down how they went. Returns of how many: the others' leases had passed to a worker who will say it instead.

    What failed for now is tried again after 1 minute, then twice that and so on to 6 hours, until it is of no use;
    what was refused for good goes the next way (`falling`); what was called off meanwhile is not tried again.
    """
    written = attempts.write_down(session, call, (), outcomes)
    return written + sum(_fail(session, call, outcome) for outcome in outcomes if outcome.error)


def _begun(
    session: Session, call: Call, letters: Sequence[Letter], lease: timedelta, again: Collection[UUID]
) -> tuple[Letter, ...]:
    if not letters:
        return ()
    numbers = {letter.to for letter in letters}
    until = call.now + lease
    ours = _ours(letters) | {"since": until - JUDGED_FOR, "until": until, "numbers": numbers, "again": again}
    rows = _BEGIN.rows(session, ours)
    held = {key: (standing, revision) for key, standing, revision, _ in rows}
    if len(held) < len(letters):
        # Called off while another worker had begun them, or claimed too long ago; those of another's lease are let be.
        lost = [letter for letter in letters if letter.id not in held]
        session.execute(_PUT_AWAY, _ours(lost))
        _release(session, lost)
    stands = _beside(session, call, letters)
    shut: Mapping[str, Collection[str]] = {}
    if any(some_shut for *_, some_shut in rows):
        shut = opt_outs.closed(session, call.organization_id, numbers)
    may_go = [
        letter
        for letter in letters
        if (found := held.get(letter.id)) is not None
        and _may_go(session, call, letter, found[0], shut, is_stale=_is_stale(letter, found[1], stands))
    ]
    return tuple(may_go)


def _beside(session: Session, call: Call, letters: Sequence[Letter]) -> Mapping[UUID, tuple[Any, ...]]:
    """How the other visits stand of which they speak."""
    wanted = {key for letter in letters for key in letter.beside}
    if not wanted:
        return {}
    asked = {"owner": call.organization_id, "visits": wanted}
    return {key: tuple(rest) for key, *rest in _BESIDE.rows(session, asked)}


def _is_stale(letter: Letter, revision: int | None, stands: Mapping[UUID, tuple[Any, ...]]) -> bool:
    """Whether it was written for a patient or for other visits that are not any more as they were."""
    if revision != letter.patient_revision:
        return True
    return bool(letter.beside) and any(stands.get(key) != stood for key, stood in letter.beside.items())


def _may_go(
    session: Session,
    call: Call,
    letter: Letter,
    standing: str | None,
    shut: Mapping[str, Collection[str]],
    *,
    is_stale: bool,
) -> bool:
    if call.now >= letter.expires_at:
        _write(session, letter, status="expired_unsent", reason="too_late")
        ask(session, call, session.get_one(Message, (letter.organization_id, letter.id)), "message_expired")
        part(session, letter.organization_id, [letter.id])
        return False
    reason = None
    if letter.owed_at is not None and standing is not None:
        reason = outdated_by(letter.kind, letter.context, letter.owed_at, _standing(standing))
    # The number or address may have said since the claim that it wants no more of these.
    is_shut = shut and opt_outs.is_closed(shut.get(letter.to, ()), letter.context.get("class", "reminder"))
    if is_stale or is_shut or reason == SUPERSEDED:
        # It may still go another way, belong to another sequence by now (`owing`), or need a person: whoever claims it
        # next decides.
        _write(session, letter, status="pending", attempts=letter.attempts)
        return False
    if reason is not None:
        _write(session, letter, status="suppressed", reason=reason)
        part(session, letter.organization_id, [letter.id])
    return reason is None


@lru_cache(maxsize=256)
def _standing(said: str) -> _Standing:
    sequence, status, outcome = said.split("/")
    return _Standing(int(sequence), status, outcome or None)


def _fail(session: Session, call: Call, outcome: Outcome) -> bool:
    letter = outcome.letter
    if outcome.permanent:
        return refused(session, call, letter, outcome.error)
    called_off = _message.called_off_at.is_not(None)
    pause = DELIVERIES.after(letter.attempts)
    return _write(
        session,
        letter,
        status=case((called_off, "suppressed"), else_="pending"),
        reason=case((called_off, _message.reason), else_=outcome.error[:300]),
        due_at=min(call.now + pause, letter.expires_at),
    )


def _release(session: Session, letters: Sequence[Letter]) -> None:
    """Give back what was claimed and not begun, for any worker to take at once."""
    if letters:
        session.execute(_RELEASE, _ours(letters))


def _ours(letters: Sequence[Letter]) -> dict[str, Any]:
    return {
        "owner": letters[0].organization_id,
        "ids": [letter.id for letter in letters],
        "tokens": [token for token, _ in groupby(letters, attrgetter("token"))],  # of a claim they share one
    }


def _write(session: Session, letter: Letter, **values: Any) -> bool:
    ours = _update.where(*_OURS).values(token=None, lease_until=None, **values).returning(_message.id)
    return session.execute(ours, _ours([letter])).one_or_none() is not None
