"""Ending e-mails from a link in one, and having them again: for each address of the patient, whoever shares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.policies import Messaging
from scheduler.models import Organization, Patient
from scheduler.services import audit, opt_outs, outbox
from scheduler.services.patient_links import Ending

Wish = Literal["kind", "all", "none"]


@dataclass(frozen=True)
class Standing:
    """What the page may say: which class of messages it is about, and what is stopped by now."""

    sender_name: str
    phone: str
    locales: tuple[str, ...]
    message_class: str
    stopped: Wish


def look(session: Session, call: Call, link: Ending) -> Standing:
    """How it stands. Writes nothing."""
    organization = session.get_one(Organization, call.organization_id)
    patient = session.get_one(Patient, (call.organization_id, link.patient_id))
    shut = opt_outs.closed(session, call.organization_id, _addresses(patient))
    closed = [shut.get(address, frozenset()) for address in _addresses(patient)]
    kind = bool(closed) and all(opt_outs.is_closed(each, link.message_class) for each in closed)
    everything = kind and all(opt_outs.ALL in each for each in closed)
    locales = tuple(filter(None, (patient.locale, organization.default_locale)))
    stopped: Wish = "all" if everything else "kind" if kind else "none"
    return Standing(organization.sender_name, organization.phone, locales, link.message_class, stopped)


def wish(session: Session, call: Call, link: Ending, wanted: Wish, source: str) -> None:
    """No more e-mails of the class, or none at all, or all of them again, from this transaction's end on.

    Asking twice changes nothing.
    """
    if look(session, call, link).stopped == wanted:
        return
    patient = session.get_one(Patient, (call.organization_id, link.patient_id))
    basis = Messaging.from_document(session.get_one(Organization, call.organization_id).messaging).basis
    for address in _addresses(patient):
        if wanted == "none":
            opt_outs.open_again(session, call, address, source)
            opt_outs.record_start(session, call, address, source)
            outbox.regain(session, call, opt_outs.sharing(session, call, address))
        else:
            opt_outs.close(session, call, address, opt_outs.ALL if wanted == "all" else link.message_class, source)
        if wanted == "all":
            opt_outs.record_stop(session, call, address, basis, source)
    what = {"email": wanted, "class": link.message_class, "source": source}
    audit.note(session, call, "patient.unsubscribe", "patient", link.patient_id, after=what)


def _addresses(patient: Patient) -> list[str]:
    return list(dict.fromkeys(each["value"] for each in patient.contacts if each["channel"] == "email"))
