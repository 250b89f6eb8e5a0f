"""Numbers and addresses that get no more messages, for all who share them; each patient's record is written beside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.names import folded
from scheduler.models import OptOut, Patient, PatientKey
from scheduler.models.among import among
from scheduler.services.ready import Ready

#: Every class of messages.
ALL = "*"

# Made once: it is asked just before every delivery.
_opt_out = cast("Table", OptOut.__table__).c
_IS_SHUT = (
    _opt_out.organization_id == bindparam("owner"),
    among(_opt_out.number, "numbers"),
    _opt_out.ended_at.is_(None),
)
_CLOSED = Ready(select(_opt_out.number, _opt_out.message_class).where(*_IS_SHUT))
#: For a statement that has the parameters `owner` and `numbers`: whether `closed` would find anything for these.
SOME_SHUT = select(_opt_out.id).where(*_IS_SHUT).correlate(None).exists()


def close(session: Session, call: Call, number: str, message_class: str, source: str) -> None:
    """No more messages of the class to this number or address, from this transaction's end on."""
    table = cast("Table", OptOut.__table__)
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    said = {"source": source, "since": call.now, "ended_at": None, "end_source": None}
    key = {"organization_id": call.organization_id, "number": number, "message_class": message_class}
    wanted = make(table).values(**key, **said)
    session.execute(wanted.on_conflict_do_update(index_elements=list(key), set_=said))


def open_again(session: Session, call: Call, number: str, source: str) -> None:
    """Messages of every class may go to this number or address again."""
    living = OptOut.organization_id == call.organization_id, OptOut.number == number, OptOut.ended_at.is_(None)
    session.execute(update(OptOut).where(*living).values(ended_at=call.now, end_source=source))


def closed(session: Session, organization_id: UUID, numbers: Collection[str]) -> Mapping[str, frozenset[str]]:
    """The classes that are closed for each of these numbers and addresses."""
    if not numbers:
        return {}
    found: dict[str, set[str]] = {}
    for number, message_class in _CLOSED.rows(session, {"owner": organization_id, "numbers": numbers}):
        found.setdefault(number, set()).add(message_class)
    return {number: frozenset(classes) for number, classes in found.items()}


def is_closed(classes: Collection[str], message_class: str) -> bool:
    """Whether what is closed takes in this class."""
    return ALL in classes or message_class in classes


def sharing(session: Session, call: Call, address: str, *, lock: bool = False) -> Sequence[Patient]:
    """Everybody who gave this number or e-mail address to be reached at, in order of id."""
    mine = PatientKey.organization_id == call.organization_id, PatientKey.patient_id == Patient.id
    kind, value = ("email", folded(address)) if "@" in address else ("phone", address)
    known = select(PatientKey.patient_id).where(*mine, PatientKey.kind == kind, PatientKey.value == value).exists()
    chosen = select(Patient).where(Patient.organization_id == call.organization_id, known).order_by(Patient.id)
    if lock:
        chosen = chosen.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.scalars(chosen).all()


def record_stop(session: Session, call: Call, address: str, basis: str, source: str) -> None:
    """Write at each patient of the number or address that their consent is revoked, when and how."""
    at, channels = call.now.isoformat(), _channels(address)
    for patient in sharing(session, call, address, lock=True):
        ours = [dict(each) for each in patient.consents]
        living = [each for each in ours if each["channel"] in channels and not each.get("revoked_at")]
        for each in living:
            each["revoked_at"] = at
        if not any(each["channel"] == channels[0] for each in living):
            ours.append(_entry(channels[0], basis, source, given_at=None, revoked_at=at))
        patient.consents = ours
    session.flush()


def record_start(session: Session, call: Call, address: str, source: str) -> None:
    """Write at each patient of the number or address that they consent, since when and how."""
    for patient in sharing(session, call, address, lock=True):
        given = _entry(_channels(address)[0], "consent", source, given_at=call.now.isoformat(), revoked_at=None)
        patient.consents = [*patient.consents, given]
    session.flush()


def _channels(address: str) -> tuple[str, ...]:
    """What goes to it, texts first. Whoever wants no texts is not called by a machine either."""
    return ("email",) if "@" in address else ("sms", "voice")


def _entry(channel: str, basis: str, source: str, *, given_at: str | None, revoked_at: str | None) -> dict[str, Any]:
    return {"channel": channel, "basis": basis, "source": source, "given_at": given_at, "revoked_at": revoked_at}
