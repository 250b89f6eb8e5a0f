"""One patient as the messages of a batch see them: what is asked message after message is found out once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from scheduler.core.civil import to_local
from scheduler.core.policies import Messaging
from scheduler.core.reminders import Recipient, is_night, resting
from scheduler.core.reminders.quiet import parse_clock
from scheduler.models import Organization, Patient
from scheduler.services import opt_outs
from scheduler.services.outbox.people import addresses_of, basis_of

#: What was due before quiet hours began may leave a little into them, though not into the law's: a worker is never
#: quite punctual.
GRACE = timedelta(minutes=15)


@dataclass(frozen=True)
class Now:
    """The present moment in one zone: whether it `is_quiet` there, and so for a while that it `rests`.

    Of `anybody` there only the clock and the quiet hours are told.
    """

    anybody: Recipient
    today: date
    is_quiet: bool
    rests: bool


class Clocks:
    """One moment by the clocks of all zones, and whether an organization has quiet hours there."""

    def __init__(self, manners: Messaging, now: datetime) -> None:
        self._quiet = parse_clock(manners.quiet_from), parse_clock(manners.quiet_to)
        self._now, self._places = now, dict[str, Now]()

    def at(self, time_zone: str) -> Now:
        """The present there."""
        known = self._places.get(time_zone)
        if known is None:
            anybody, now = Recipient(time_zone, frozenset(), *self._quiet), self._now
            is_quiet, today = resting(anybody, now), to_local(now, time_zone).date()
            rests = is_quiet and (resting(anybody, now - GRACE) or is_night(anybody, now))
            known = self._places[time_zone] = Now(anybody, today, is_quiet, rests)
        return known


class Person:
    """A patient at the moment of `clocks`, by an organization's manners; `shut` are the classes closed by address."""

    def __init__(
        self,
        organization: Organization,
        manners: Messaging,
        patient: Patient,
        shut: Mapping[str, Collection[str]],
        now: datetime,
        clocks: Clocks,
    ) -> None:
        self.patient, self._shut, self._clocks = patient, shut, clocks
        self.locales = tuple(filter(None, (patient.locale, organization.default_locale)))
        self.basis, self.caps = manners.of_patient(basis_of(patient, now))
        self.prefers: str | None = patient.preferences.get("channel")
        self._reached = addresses_of(patient, now)
        self._addresses: dict[str, Mapping[str, str]] = {}

    def addresses(self, message_class: str) -> Mapping[str, str]:
        """The channels that are open for messages of the class, and the address of each."""
        if not self._shut:
            return self._reached
        known = self._addresses.get(message_class)
        if known is None:
            known = self._addresses[message_class] = {
                channel: address
                for channel, address in self._reached.items()
                if not opt_outs.is_closed(self._shut.get(address, ()), message_class)
            }
        return known

    def now_at(self, site_zone: str) -> Now:
        """The present for one who visits a site of that zone; without a zone of their own they live there."""
        return self._clocks.at(self.patient.time_zone or site_zone)
