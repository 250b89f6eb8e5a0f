"""What a worker is handed: everything that a message may speak of, as plain values, read when it was claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from scheduler.core.calendar_entry import Entry, Method
from scheduler.core.visit import Instructions
from scheduler.services.patient_links import Link

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Stop:
    """One visit of an overview. `starts_at` is aware UTC, `time_zone` that of the visit's site."""

    starts_at: datetime
    visit: str
    time_zone: str


@dataclass(frozen=True)
class Turn:
    """One visit that changed. Instants are aware UTC; `was` is None for a new visit, `now` for a cancelled one.

    `time_zone` is that of the visit's site: one message may speak of several sites.
    """

    was: datetime | None
    now: datetime | None
    visit: str
    time_zone: str


class Letter(NamedTuple):
    """One claimed message, held by `token` until its lease runs out. A tuple: of as many fields, far cheaper to make.

    Instants are aware UTC, `time_zone` is the site's. `about` is the time of which it speaks, and before which `told`
    tells what is to be done. `locales` are the recipient's and the organization's. `also` are other
    visits whose reminders it takes along, `turns` what changed, `own` the organization's texts for its kind by locale;
    with `one_sms` a text must fit into one. `link` opens the visit's page, which the text names when `shows_page`;
    `calendar` are the visits for the patient's calendar, which takes them by `method`. `owed_at` is the sequence of the
    one visit that it is about, `context` what the rule said of the message. It holds while the patient's record is of
    that revision, and while the visits in `beside`, of which it speaks as well, stand so (sequence, status, outcome).
    """

    id: UUID
    organization_id: UUID
    token: UUID
    kind: str
    channel: str
    to: str
    due_at: datetime
    expires_at: datetime
    attempts: int
    locales: tuple[str, ...]
    sender_name: str
    phone: str
    recipient_zone: str
    time_zone: str
    about: datetime
    previous: datetime | None
    visit: str
    location: str
    address: str
    told: Instructions
    stops: tuple[Stop, ...] = ()
    also: tuple[Stop, ...] = ()
    turns: tuple[Turn, ...] = ()
    own: Mapping[str, Mapping[str, str]] = _NOTHING
    one_sms: bool = False
    link: Link | None = None
    shows_page: bool = False
    owed_at: int | None = None
    context: Mapping[str, Any] = _NOTHING
    calendar: tuple[Entry, ...] = ()
    method: Method = "PUBLISH"
    patient_revision: int | None = None
    beside: Mapping[UUID, tuple[int, str, str | None]] = _NOTHING

    @property
    def page(self) -> str:
        """The address of the page that the text names; empty when it names none."""
        return self.link.page if self.link is not None and self.shows_page else ""

    def for_keeping(self, text: str) -> str:
        """The text as it is kept: what opens a patient's page is nobody else's."""
        return text.replace(self.link.token, "…") if self.link is not None else text


class Outcome(NamedTuple):
    """How one delivery went. `error` is empty when it was accepted; `permanent` says that trying again is of no use.

    `down` says that it is the whole channel which is, and not this message's fault; `unsure`, that it may have left.
    """

    letter: Letter
    error: str = ""
    permanent: bool = False
    down: bool = False
    unsure: bool = False
    provider_id: str | None = None
    subject: str = ""
    body: str = ""
    locale: str = ""

    @property
    def end(self) -> str | None:
        """`accepted` by the channel, `refused` for good, `failed` for now; None where nobody knows whether it left."""
        if self.unsure:
            return None
        if self.error:
            return "refused" if self.permanent else "failed"
        return "accepted"
