"""The texts that a clinic wrote itself, by kind and language, in versions of which the newest is in force.

What may stand in one is known to messaging/custom; what it says of a visit is filled in when it is sent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, NotFound, StaleRevision, refuse
from scheduler.core.reminders import KINDS
from scheduler.messaging.custom import PARTS, faults_in, placeholders
from scheduler.messaging.longest import Real, Seen, seen
from scheduler.messaging.render import neutral, shipped_locales
from scheduler.models import Location, MessageTemplate, Organization, new_id
from scheduler.models.among import among
from scheduler.services import audit, tokens
from scheduler.services.catalog import visit_kinds
from scheduler.services.ready import Ready

_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?", flags=re.ASCII)


@dataclass(frozen=True)
class TextView:
    """The texts of a kind in a language. A part that is None is said as shipped; `revision` 0 is no version yet.

    `shipped` says that the product comes with texts in that language; `preview` shows the own ones with the longest
    values that are real.
    """

    kind: str
    locale: str
    revision: int
    subject: str | None
    body: str | None
    sms: str | None
    placeholders: dict[str, list[str]]
    shipped: bool
    preview: dict[str, Seen]
    created_at: datetime | None
    created_by: str


def get(session: Session, call: Call, kind: str, locale: str, *, public_url: str = "") -> TextView:
    """The version in force; with a `public_url` its preview has links as long as they are. Raises NotFound."""
    _known(kind, locale)
    row = session.scalars(
        select(MessageTemplate)
        .where(
            MessageTemplate.organization_id == call.organization_id,
            MessageTemplate.kind == kind,
            MessageTemplate.locale == locale,
        )
        .order_by(MessageTemplate.version.desc())
        .limit(1)
    ).one_or_none()
    parts = {part: getattr(row, part) if row is not None else None for part in PARTS}
    mine = {name: text for name, text in parts.items() if text}
    organization = session.get_one(Organization, call.organization_id)
    return TextView(
        kind=kind,
        locale=locale,
        revision=row.version if row is not None else 0,
        placeholders={part: placeholders(kind, part) for part in PARTS},
        shipped=locale.partition("-")[0] in shipped_locales(),
        preview=seen(kind, locale, mine, _real(session, call, organization, locale, public_url)) if mine else {},
        created_at=row.created_at if row is not None else None,
        created_by=row.created_by if row is not None else "",
        **parts,
    )


def change(
    session: Session,
    call: Call,
    kind: str,
    locale: str,
    parts: Mapping[str, str | None],
    revision: int | None = None,
    *,
    public_url: str = "",
) -> TextView:
    """Put a new version of the texts in force. Raises NotFound, StaleRevision, and Invalid with every fault."""
    _known(kind, locale)
    locked = select(Organization).where(Organization.id == call.organization_id).with_for_update(key_share=True)
    organization = session.scalars(locked).one()
    held = get(session, call, kind, locale, public_url=public_url)
    if revision is not None and revision != held.revision:
        detail = f"The texts are at revision {held.revision}, not {revision}."
        raise StaleRevision(detail)
    new = {part: parts.get(part) for part in PARTS}
    faults = _faults(kind, new, organization)
    refuse(faults)
    if new == {part: getattr(held, part) for part in PARTS}:
        return held
    session.add(
        MessageTemplate(
            organization_id=call.organization_id,
            id=new_id(),
            kind=kind,
            locale=locale,
            version=held.revision + 1,
            created_at=call.now,
            created_by=call.actor[:200],
            **new,
        )
    )
    session.flush()
    before, after = {"version": held.revision}, {"version": held.revision + 1, "kind": kind, "locale": locale}
    audit.note(
        session, call, "message_template.update", "message_template", organization.id, before=before, after=after
    )
    return get(session, call, kind, locale, public_url=public_url)


def _real(session: Session, call: Call, organization: Organization, locale: str, public_url: str) -> Real:
    """What this clinic's messages may have to name."""
    mine = Location.organization_id == call.organization_id, Location.deleted_at.is_(None)
    sites = session.execute(select(Location.name, Location.address, Location.time_zone).where(*mine)).all()
    kinds = visit_kinds(session, call).values()
    token, _ = tokens.derive_short(organization.code, bytes(32), "")
    return Real(
        sender_name=organization.sender_name,
        phone=organization.phone,
        visits=tuple(sorted({neutral(kind.visit.called((locale,)), (locale,)) for kind in kinds})),
        places=tuple((site.name, site.address) for site in sites),
        zones=tuple(sorted({site.time_zone for site in sites})),
        link=f"{public_url.rstrip('/')}/p/{token}" if public_url else "",
    )


# Made once: every claim of a worker asks it.
_text = cast("Table", MessageTemplate.__table__)
_newer = _text.alias()
_OWN = Ready(
    select(_text.c.kind, _text.c.locale, *(_text.c[part] for part in PARTS)).where(
        _text.c.organization_id == bindparam("owner"),
        among(_text.c.kind, "kinds"),
        ~select(_newer.c.id)
        .where(
            *(_newer.c[name] == _text.c[name] for name in ("organization_id", "kind", "locale")),
            _newer.c.version > _text.c.version,
        )
        .exists(),
    )
)


def own(session: Session, call: Call, kinds: Collection[str]) -> dict[str, dict[str, dict[str, str]]]:
    """The organization's own texts in force: kind to locale to part."""
    rows = _OWN.rows(session, {"owner": call.organization_id, "kinds": kinds})
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        kind, locale, *parts = row
        found[kind][locale] = {part: said for part, said in zip(PARTS, parts, strict=True) if said}
    return dict(found)


def _known(kind: str, locale: str) -> None:
    if kind not in KINDS:
        raise NotFound("There is no such kind of message.")
    if not _LOCALE.fullmatch(locale):
        raise NotFound("There is no such language: its tag is one like es or es-MX.")


def _faults(kind: str, parts: Mapping[str, str | None], organization: Organization) -> list[Fault]:
    telling = organization.name if organization.name != organization.sender_name else ""
    faults = [
        Fault(f"/{part}", code, detail)
        for part, text in parts.items()
        if text is not None
        for code, detail in faults_in(part, text, kind=kind, telling_name=telling)
    ]
    if (parts["subject"] is None) != (parts["body"] is None):
        missing = "subject" if parts["subject"] is None else "body"
        faults.append(Fault(f"/{missing}", "required", "An e-mail has a subject and a body: give both or neither."))
    return faults
