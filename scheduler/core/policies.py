"""An organization's own numbers for booking and for messages, with their defaults. Who obeys them lives elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast


@dataclass(frozen=True)
class Cutoffs:
    """How many minutes before a visit's start a change is last accepted; apart for patients and for staff."""

    patient: int = 0
    staff: int = 0


@dataclass(frozen=True)
class Policies:
    """When visits may be booked and changed. A visit starts `lead_minutes` to `horizon_days` from now."""

    lead_minutes: int = 0
    horizon_days: int = 365
    cancel_cutoff_minutes: Cutoffs = Cutoffs()
    reschedule_cutoff_minutes: Cutoffs = Cutoffs()

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Policies:
        """The policies of a stored document. What it leaves out has its default; keys of others are passed over."""
        said = document or {}
        return cls(
            lead_minutes=said.get("lead_minutes", cls.lead_minutes),
            horizon_days=said.get("horizon_days", cls.horizon_days),
            cancel_cutoff_minutes=Cutoffs(**said.get("cancel_cutoff_minutes", {})),
            reschedule_cutoff_minutes=Cutoffs(**said.get("reschedule_cutoff_minutes", {})),
        )

    def document(self) -> dict[str, Any]:
        """All of them, defaults too, as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Caps:
    """How many texts one patient gets at most; None is no cap."""

    per_day: int | None = 2
    per_week: int | None = None


#: 47 CFR 64.1200(a)(9)(iv): the law's caps on health care messages without consent, texts and calls together.
EXEMPTION = Caps(per_day=1, per_week=3)

Basis = Literal["consent", "exemption"]


@dataclass(frozen=True)
class Messaging:
    """How patients may be written to: peace from `quiet_from` to `quiet_to` by their own clock (HH:MM), and caps.

    `basis` is why they may be texted at all: their consent, or the exemption for health care messages. By default the
    day is 09:00 to 20:00, the hours that the strictest places allow; equal times mean no quiet hours.
    """

    quiet_from: str = "20:00"
    quiet_to: str = "09:00"
    basis: Basis = "consent"
    caps: Caps = Caps()

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Messaging:
        """The manners of a stored document, with defaults. Under the exemption the law's caps hold, or tighter ones."""
        said = document or {}
        quiet = said.get("quiet", {})
        basis = cast("Basis", said.get("basis", cls.basis))
        caps = Caps(**said.get("caps", {}))
        return cls(
            quiet_from=quiet.get("from", cls.quiet_from),
            quiet_to=quiet.get("to", cls.quiet_to),
            basis=basis,
            caps=caps if basis == "consent" else _tighter(caps, EXEMPTION),
        )

    def document(self) -> dict[str, Any]:
        """All of it, defaults too, as JSON."""
        quiet = {"from": self.quiet_from, "to": self.quiet_to}
        return {"quiet": quiet, "basis": self.basis, "caps": asdict(self.caps)}


def merged(document: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The document with a change laid over it: objects are merged, anything else is replaced."""
    found = dict(document)
    for key, value in change.items():
        held = found.get(key)
        found[key] = merged(held, value) if isinstance(held, Mapping) and isinstance(value, Mapping) else value
    return found


def _tighter(first: Caps, second: Caps) -> Caps:
    def least(*numbers: int | None) -> int | None:
        return min((number for number in numbers if number is not None), default=None)

    return Caps(least(first.per_day, second.per_day), least(first.per_week, second.per_week))
