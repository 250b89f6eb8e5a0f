"""The organization itself: its name, its policies, its manners toward patients, and how it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound, together
from scheduler.core.policies import Messaging, Policies, merged
from scheduler.core.reminders import LAW_FROM, LAW_TO, is_too_little
from scheduler.core.reminders.quiet import parse_clock
from scheduler.models import Organization
from scheduler.services import (
    audit,
    contacts,
    disclosing,
    message_reviews,
    message_rules,
    protocols,
    records,
    shipped,
    visit_types,
)

#: What patients read as the sender until the organization chooses: it gives nothing away.
NEUTRAL_SENDER = "Your clinic"


@dataclass(frozen=True)
class OrganizationView:
    """The organization as clients see it; policies and messaging complete, defaults too."""

    id: UUID
    name: str
    sender_name: str
    phone: str
    default_locale: str
    policies: dict[str, Any]
    messaging: dict[str, Any]
    demonstration: bool
    revision: int
    created_at: datetime


def _view(row: Organization) -> OrganizationView:
    return OrganizationView(
        row.id,
        row.name,
        row.sender_name,
        row.phone,
        row.default_locale,
        Policies.from_document(row.policies).document(),
        Messaging.from_document(row.messaging).document(),
        row.demonstration,
        row.revision,
        row.created_at,
    )


def create(
    session: Session,
    call: Call,
    *,
    name: str,
    sender_name: str = NEUTRAL_SENDER,
    default_locale: str = "en",
    demonstration: bool = False,
) -> OrganizationView:
    """Begin the organization `call.organization_id`, with copies of all that is shipped: its own from here on.

    Protocols come as drafts, for a clinician of the organization to approve. Raises Invalid for a telling sender.
    """
    disclosing.refuse({"sender_name": sender_name}, "sender_name")
    row = Organization(
        id=call.organization_id,
        name=name,
        sender_name=sender_name,
        phone="",
        default_locale=default_locale,
        policies={},
        messaging={},
        demonstration=demonstration,
        created_at=call.now,
    )
    session.add(row)
    session.flush()
    view = _view(row)
    audit.note(session, call, "organization.create", "organization", row.id, after=vars(view))
    for definition in shipped.visit_types():
        visit_types.create(session, call, definition)
    for definition in shipped.protocols():
        protocols.create(session, call, definition)
    message_rules.begin(session, call)
    session.flush()
    return view


def get(session: Session, call: Call) -> OrganizationView:
    """The caller's organization."""
    return _view(_find(session, call))


def change(session: Session, call: Call, revision: int, values: Mapping[str, Any]) -> OrganizationView:
    """Change some fields; within `policies` and `messaging` only what is named. Raises StaleRevision, Invalid.

    What is in force already, a default say, is no change.
    """
    row = _find(session, call)
    records.expect(row, revision)
    spelled = dict(values)

    def spell() -> None:
        if values.get("phone"):
            spelled["phone"] = contacts.phone(values["phone"], "/phone")

    together(lambda: disclosing.refuse(values, "sender_name"), spell, lambda: _leave_peace(row, values))
    values = spelled
    before = vars(_view(row))
    for key, value in values.items():
        new = merged(getattr(row, key), value) if isinstance(value, Mapping) else value
        if new != getattr(row, key):
            setattr(row, key, new)
    if vars(_view(row)) == before:
        session.expire(row)
    with records.written("This already exists."):
        session.flush()
    view = _view(row)
    changed = [key for key, value in vars(view).items() if before[key] != value and key != "revision"]
    if changed:
        old, new = ({key: side[key] for key in changed} for side in (before, vars(view)))
        audit.note(session, call, "organization.update", "organization", row.id, before=old, after=new)
    if "messaging" in changed:
        message_reviews.anew(session, call)
    return view


def _leave_peace(row: Organization, values: Mapping[str, Any]) -> None:
    """Raises Invalid (`below_the_law`) when new quiet hours do not hold all those that the law demands."""
    change = values.get("messaging", {})
    if "quiet" in change and _is_too_loud(merged(row.messaging, change)):
        least = f"{LAW_FROM.isoformat('minutes')} to {LAW_TO.isoformat('minutes')}"
        detail = f"Quiet hours may be longer, but last from {least} by the patient's clock at the least."
        raise Invalid([Fault("/messaging/quiet", "below_the_law", detail)])


def is_too_loud(session: Session, call: Call) -> bool:
    """Whether the quiet hours in force are less than the law's: they are from before there was a floor."""
    return _is_too_loud(_find(session, call).messaging)


def _is_too_loud(messaging: Mapping[str, Any]) -> bool:
    manners = Messaging.from_document(messaging)
    return is_too_little(parse_clock(manners.quiet_from), parse_clock(manners.quiet_to))


def _find(session: Session, call: Call) -> Organization:
    row = session.get(Organization, call.organization_id, populate_existing=True)
    if row is None:
        raise NotFound("There is no such organization.")
    return row
