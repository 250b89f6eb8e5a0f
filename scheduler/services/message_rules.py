"""The rules that say which messages are owed: an organization's own, in versions, of which the newest is in force.

What a rule means is the core's; what is owed by one is the outbox's.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, Text, bindparam, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound, StaleRevision, refuse
from scheduler.core.reminders import Rule, parse_rules
from scheduler.models import MessageRules, Organization, new_id
from scheduler.services import audit, message_reviews, shipped
from scheduler.services.catalog import visit_kinds


@dataclass(frozen=True)
class RuleSet:
    """One version of the rules, as documents. `revision` is the version; 0 are the shipped drafts."""

    revision: int
    items: list[dict[str, Any]]
    created_at: datetime | None
    created_by: str


_RULES = cast("Table", MessageRules.__table__).c
#: The id of the version in force, as a column of whatever else is asked: none without one.
IN_FORCE = (
    select(_RULES.id)
    .where(_RULES.organization_id == bindparam("organization"))
    .order_by(_RULES.version.desc())
    .limit(1)
    .scalar_subquery()
)
_NEWEST = select(IN_FORCE)
_BY_ID = select(as_type(_RULES.rules, Text)).where(
    _RULES.organization_id == bindparam("organization"), _RULES.id == bindparam("id")
)

#: Versions by their id, which never change once stored; parsed once per process.
_known: dict[UUID, tuple[Rule, ...]] = {}
_KNOWN_AT_MOST = 256


def begin(session: Session, call: Call) -> None:
    """Give a new organization a copy of the shipped drafts, its own from here on."""
    _add(session, call, 1, shipped.message_rules())


def current(session: Session, call: Call) -> RuleSet:
    """The version in force."""
    row = session.scalars(
        select(MessageRules)
        .where(MessageRules.organization_id == call.organization_id)
        .order_by(MessageRules.version.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return RuleSet(0, [], None, "")
    return RuleSet(row.version, row.rules, row.created_at, row.created_by)


def in_force(session: Session, call: Call) -> tuple[Rule, ...]:
    """The rules that are in force and enabled."""
    return version(session, call, session.scalars(_NEWEST, {"organization": call.organization_id}).one())


def version(session: Session, call: Call, version_id: UUID | None) -> tuple[Rule, ...]:
    """The enabled rules of one version, as `IN_FORCE` names it."""
    if version_id is None:
        return ()
    rules = _known.get(version_id)
    if rules is None:
        text = session.scalars(_BY_ID, {"organization": call.organization_id, "id": version_id}).one()
        if len(_known) >= _KNOWN_AT_MOST:
            _known.clear()
        rules = _known[version_id] = tuple(rule for rule in parse_rules(json.loads(text)) if rule.enabled)
    return rules


def change(session: Session, call: Call, items: Any, revision: int | None = None) -> RuleSet:
    """Put a whole new version in force. Visits that are booked follow it when they are next looked at, within the hour.

    Raises Invalid with every fault, StaleRevision.
    """
    # Whoever changes the rules waits here for whoever else does.
    locked = select(Organization.id).where(Organization.id == call.organization_id).with_for_update(key_share=True)
    if session.scalars(locked).one_or_none() is None:
        raise NotFound("There is no such organization.")
    held = current(session, call)
    if revision is not None and revision != held.revision:
        detail = f"The rules are at revision {held.revision}, not {revision}."
        raise StaleRevision(detail)
    checked(session, call, items)
    documents = [dict(item) for item in items]
    if documents == held.items:
        return held
    _add(session, call, held.revision + 1, documents)
    message_reviews.anew(session, call)
    audit.note(
        session,
        call,
        "message_rules.update",
        "message_rules",
        call.organization_id,
        before={"version": held.revision, "rules": [rule["key"] for rule in held.items]},
        after={"version": held.revision + 1, "rules": [rule["key"] for rule in documents]},
    )
    return current(session, call)


def checked(session: Session, call: Call, items: Any) -> tuple[Rule, ...]:
    """The enabled rules of documents that a client wrote. Raises Invalid with every fault, under `/rules`."""
    if not isinstance(items, list):
        code = "required" if items is None else "wrong_type"
        raise Invalid([Fault("/rules", code, "A list of rules is expected here.")])
    faults: list[Fault] = []
    rules: tuple[Rule, ...] = ()
    try:
        rules = parse_rules(items)
    except Invalid as error:
        faults += [replace(fault, pointer=f"/rules{fault.pointer}") for fault in error.faults]
    known = set(visit_kinds(session, call)) if any(rule.visit_types for rule in rules) else set()
    for index, rule in enumerate(rules):
        unknown = sorted(rule.visit_types - known)
        pointer = f"/rules/{index}/only/visit_types"
        faults += [Fault(pointer, "unknown_visit_type", f"There is no visit type '{code}'.") for code in unknown]
    refuse(faults)
    return tuple(rule for rule in rules if rule.enabled)


@dataclass(frozen=True)
class News:
    """How the shipped draft of a rule differs from the one in force: `new`, `changed`, or `gone`, with no draft.

    `edited`: the clinic has changed its own since it began, or taken it out.
    """

    key: str
    change: str
    edited: bool
    shipped: dict[str, Any] | None


def news(session: Session, call: Call, held: RuleSet) -> list[News]:
    """Where the product ships other rules by now than these, in its own order."""
    mine, drafts = _by_key(held.items), _by_key(shipped.message_rules())
    began = _by_key(_first(session, call))
    found = []
    for key in [*drafts, *(key for key in mine if key not in drafts)]:
        draft, own = drafts.get(key), mine.get(key)
        if own == draft:
            continue
        change = "new" if own is None else "gone" if draft is None else "changed"
        if draft is None and key not in began:
            continue  # it never was anybody's but the clinic's
        found.append(News(key, change, began.get(key) != own, draft))
    return found


def adopt(session: Session, call: Call, keys: Collection[str] | None = None, revision: int | None = None) -> RuleSet:
    """Put the shipped drafts in force: of these rules, or of all that the clinic has not edited. Its others stay.

    Raises Invalid for a rule of which there is no news, StaleRevision.
    """
    held = current(session, call)
    told = {each.key: each for each in news(session, call, held)}
    unknown = [key for key in keys or () if key not in told]
    if unknown:
        detail = "The rule in force is as it is shipped, or never was."
        raise Invalid(
            [Fault(f"/keys/{place}", "no_news", detail) for place, key in enumerate(keys or ()) if key in unknown]
        )
    chosen = set(keys) if keys is not None else {key for key, each in told.items() if not each.edited}
    kept = [told[rule["key"]].shipped if rule["key"] in chosen else rule for rule in held.items]
    added = [each.shipped for each in told.values() if each.change == "new" and each.key in chosen]
    return change(session, call, [rule for rule in [*kept, *added] if rule is not None], revision)


def _by_key(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["key"]: item for item in items}


def _first(session: Session, call: Call) -> list[dict[str, Any]]:
    """With which the organization began: the drafts of that day."""
    oldest = select(MessageRules.rules).where(MessageRules.organization_id == call.organization_id)
    return session.scalars(oldest.order_by(MessageRules.version).limit(1)).one_or_none() or []


def _add(session: Session, call: Call, version: int, items: list[dict[str, Any]]) -> None:
    session.add(
        MessageRules(
            organization_id=call.organization_id,
            id=new_id(),
            version=version,
            rules=items,
            created_at=call.now,
            created_by=call.actor[:200],
        )
    )
    session.flush()
