"""An organization's own numbers for booking and for messages, with their defaults. Who obeys them lives elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal, cast

Initiator = Literal["patient", "staff", "clinic"]

#: What a cancellation or a move may be put down to until the organization says otherwise.
REASONS = (
    "patient_ill", "patient_unwilling", "no_escort", "not_fasted", "other_plans", "cost", "clinical_decision",
    "staff_absent", "equipment", "site_closed", "weather", "other",
)  # fmt: skip


@dataclass(frozen=True)
class Cutoffs:
    """How many minutes before a visit's start a change is last accepted; apart for patients and for staff; 0 is none.

    The clinic itself is bound by none: it must be able to call off what it cannot hold.
    """

    patient: int = 0
    staff: int = 0

    def of(self, by: Initiator) -> timedelta:
        """The cut-off of that initiator."""
        return timedelta(minutes={"patient": self.patient, "staff": self.staff, "clinic": 0}[by])


@dataclass(frozen=True)
class MostMoves:
    """How often one visit may be moved by its patient and by staff; None is no limit. The clinic has none."""

    patient: int | None = None
    staff: int | None = None

    def of(self, by: Initiator) -> int | None:
        """The limit of that initiator."""
        return {"patient": self.patient, "staff": self.staff, "clinic": None}[by]


@dataclass(frozen=True)
class Allowed:
    """So many `starts` of visits up to `minutes` long in each quarter of an hour that begins in [start, end).

    Wall times (HH:MM) of the location, every day unless `weekdays` says which. It is shown beside the load, and forbids
    nothing.
    """

    minutes: int
    starts: int
    start: str
    end: str
    weekdays: tuple[str, ...] = ()
    location_id: str | None = None


@dataclass(frozen=True)
class Policies:
    """When visits may be booked and changed. A visit starts `lead_minutes` to `horizon_days` from now.

    The numbers for patients are those for staff where they are None. `max_holds` is how many holds one key has at
    once, `offer_minutes` how long a time is kept for somebody on the waitlist.
    """

    lead_minutes: int = 0
    horizon_days: int = 365
    patient_lead_minutes: int | None = None
    patient_horizon_days: int | None = None
    cancel_cutoff_minutes: Cutoffs = Cutoffs()
    reschedule_cutoff_minutes: Cutoffs = Cutoffs()
    max_moves: MostMoves = MostMoves()
    reasons: tuple[str, ...] = REASONS
    max_holds: int = 20
    offer_minutes: int = 60
    #: From the start of a visit that nobody came to; None leaves it to people.
    no_show_after_minutes: int | None = None
    #: How long before its start a visit may be checked in; None is its local day.
    check_in_minutes: int | None = None
    #: Before the start of a visit that was never confirmed, when it is let go; None leaves it to people.
    release_pending_minutes: int | None = None
    #: How many visits of each length the clinic means to start in a quarter of an hour.
    starts_template: tuple[Allowed, ...] = ()
    #: Whether a visit is let go whose safety gate is not passed when its document says so.
    release_ungated: bool = False
    #: What the planner's wishes are worth, by the names of `core/planner`'s weights; the others have their defaults.
    planning_weights: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Policies:
        """The policies of a stored document. What it leaves out has its default; keys of others are passed over."""
        said = dict(document or {})
        for name, kind in (
            ("cancel_cutoff_minutes", Cutoffs),
            ("reschedule_cutoff_minutes", Cutoffs),
            ("max_moves", MostMoves),
            ("reasons", tuple),
        ):
            if name in said:
                said[name] = tuple(said[name]) if kind is tuple else kind(**said[name])
        if "starts_template" in said:
            said["starts_template"] = tuple(
                Allowed(**entry | {"weekdays": tuple(entry.get("weekdays") or ())}) for entry in said["starts_template"]
            )
        return cls(**{known.name: said[known.name] for known in fields(cls) if known.name in said})

    def document(self) -> dict[str, Any]:
        """All of them, defaults too, as JSON."""
        allowed = [asdict(each) | {"weekdays": list(each.weekdays)} for each in self.starts_template]
        return asdict(self) | {"reasons": list(self.reasons), "starts_template": allowed}

    def starts(self, now: datetime, by: Initiator) -> tuple[datetime, datetime]:
        """The earliest and the latest start of a visit that this initiator books now."""
        lead, horizon = self.lead_minutes, self.horizon_days
        if by == "patient":
            lead = lead if self.patient_lead_minutes is None else self.patient_lead_minutes
            horizon = horizon if self.patient_horizon_days is None else self.patient_horizon_days
        return now + timedelta(minutes=lead), now + timedelta(days=horizon)


@dataclass(frozen=True)
class Caps:
    """How many texts one patient gets at most; None is no cap."""

    per_day: int | None = 2
    per_week: int | None = None

    @property
    def are_set(self) -> bool:
        """Whether there is any."""
        return self.per_day is not None or self.per_week is not None


#: 47 CFR 64.1200(a)(9)(iv): the law's caps on health care messages without consent, texts and calls together.
EXEMPTION = Caps(per_day=1, per_week=3)

Basis = Literal["consent", "exemption"]
OptOutScope = Literal["all", "class"]


@dataclass(frozen=True)
class Messaging:
    """How patients may be written to: peace from `quiet_from` to `quiet_to` by their own clock (HH:MM), and caps.

    `basis` is why they may be texted at all: their consent, or the exemption for health care messages. By default the
    day is 09:00 to 20:00, the hours that the strictest places allow; equal times mean no quiet hours. What an
    organization may choose has a floor (`reminders.quiet`).
    """

    quiet_from: str = "20:00"
    quiet_to: str = "09:00"
    basis: Basis = "consent"
    caps: Caps = Caps()
    #: What a STOP ends: every message to the number, or those of the class that it answers.
    opt_out: OptOutScope = "all"

    def of_patient(self, recorded: Basis | None) -> tuple[Basis, Caps]:
        """The basis for one patient, whose own record (if any) goes before the organization's, and its caps."""
        basis = recorded or self.basis
        return basis, _tighter(self.caps, EXEMPTION) if basis == "exemption" else self.caps

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Messaging:
        """The manners of a stored document, with defaults. Whose caps are tighter is known only for a patient."""
        said = document or {}
        quiet = said.get("quiet", {})
        basis = cast("Basis", said.get("basis", cls.basis))
        caps = Caps(**said.get("caps", {}))
        return cls(
            quiet_from=quiet.get("from", cls.quiet_from),
            quiet_to=quiet.get("to", cls.quiet_to),
            basis=basis,
            caps=caps,
            opt_out=cast("OptOutScope", said.get("opt_out", cls.opt_out)),
        )

    def document(self) -> dict[str, Any]:
        """All of it, defaults too, as JSON."""
        quiet = {"from": self.quiet_from, "to": self.quiet_to}
        return {"quiet": quiet, "basis": self.basis, "caps": asdict(self.of_patient(None)[1]), "opt_out": self.opt_out}


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
