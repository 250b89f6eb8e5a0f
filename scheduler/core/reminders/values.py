"""The values of messages: rules, the visit they look at, the recipient, and what is owed. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Literal

from scheduler.core.value import lightweight

Class = Literal["reminder", "instruction", "change", "check_in", "staff_task"]
Anchor = Literal["start", "end", "booked", "fast_start", "next_dose"]
Event = Literal["visit", "booked", "rescheduled", "cancelled", "correction", "course", "course_changed"]
Side = Literal["before", "after", "now"]
Quiet = Literal["move", "skip", "urgent"]

#: What a message can be about. For each of them there are texts to render.
KINDS = (
    "booked",
    "series_overview",
    "forms_due",
    "remind_72h",
    "remind_24h",
    "night_before",
    "day_of",
    "eske_nasal",
    "d_instructions",
    "evening_check",
    "next_day_scale",
    "integration_prompt",
    "gap_nudge",
    "rescheduled",
    "cancelled",
    "course_changed",
    "correction",
)

#: What a rule of class `staff_task` can ask a person to do. No text leaves the house for it.
TASK_KINDS = ("arrival_no_show", "confirm_by_call")

#: A condition as rules write it, and what may come about until the message is due and then makes it pointless.
PASSING = {
    "no_integration_booked": "integration_booked",
    "unconfirmed": "confirmed",
    "forms_missing": "forms_complete",
    "no_dose_booked": "dose_booked",
}

#: The ways by which a patient can be reached.
VOICE = "voice"
CHANNELS = ("email", "sms", VOICE)

#: What there are words for in a call; the rest is too much for one, or about more than one visit.
SPOKEN_KINDS = frozenset(
    {"booked", "remind_72h", "remind_24h", "night_before", "day_of", "rescheduled", "cancelled", "correction"}
)

#: Where a staff task goes in place of a channel.
TASK = "task"

#: By all of these a message may be owed.
WAYS = (*CHANNELS, "webhook", TASK)


@dataclass(frozen=True)
class Window:
    """From `opens` to `closes` on the site's wall clock. `gap_minutes` (elapsed) is kept from the anchor."""

    opens: time
    closes: time
    gap_minutes: int = 0


@dataclass(frozen=True)
class When:
    """A moment told from an anchor: elapsed `minutes`, or calendar `days` of the site, or a window of such a day.

    `days` alone keeps the anchor's wall time. A window without `days` is the last one that is over by the anchor.
    """

    anchor: Anchor
    minutes: int = 0
    days: int | None = None
    window: Window | None = None


@dataclass(frozen=True)
class Rule:
    """One message of a plan. Conditions that are None or empty do not matter.

    `event` `visit` means each time a visit gets its time; `booked` and `rescheduled` mean the first and the later ones.
    `quiet` says what becomes of a message that falls into quiet hours: it moves, is skipped, or (urgent) goes
    all the same where waiting would be too late, which is after `arrive_by` when the rule has one. `catch_up` sends at
    once what was due before it was owed. One that `merges` may be said in a line of another within half a day.
    `unless` holds what would make it pointless by then, of PASSING. `exempt` may be texted without consent, under the
    exemption for health care messages. With `escalate_minutes`, a visit that nobody has confirmed so long after is told
    of over the next channel, and so on; so long after the last a person is to call. With `escalate_fasting` only one is
    for which to fast.
    """

    key: str
    kind: str
    cls: Class
    event: Event
    channels: tuple[str, ...]
    side: Side
    when: When
    expires: When
    quiet: Quiet = "move"
    catch_up: bool = False
    arrive_by: When | None = None
    fast_lead_minutes: int = 0
    evening: Window | None = None
    kinds: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    visit_types: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    first_of_course: bool | None = None
    first_dose: bool | None = None
    fast_starts_in_night: bool | None = None
    least_gap_days: int = 0
    unless: frozenset[str] = frozenset()
    yields_to: frozenset[str] = frozenset()
    yields_minutes: int = 0
    merges: bool = False
    exempt: bool = False
    escalate_minutes: int = 0
    escalate_fasting: bool = False
    enabled: bool = True


@dataclass(frozen=True)
class Visit:
    """What the rules see of a visit: aware UTC instants, the site's zone, minutes of fasting before the start.

    `previous_starts_at` is the time that a rescheduled visit had before; `held` means a clinical hold freezes it.
    `step` is that of its course's protocol, `gap_days` how long after it the next dose is meant to be. `passed` holds
    what of PASSING is so already.
    """

    starts_at: datetime
    ends_at: datetime
    time_zone: str
    kind: str
    modality: str | None = None
    solids_minutes: int | None = None
    clear_liquids_minutes: int | None = None
    escort: bool = False
    has_forms: bool = False
    visit_type: str = ""
    step: str | None = None
    first_of_course: bool = False
    first_dose: bool = False
    gap_days: int | None = None
    passed: frozenset[str] = frozenset()
    held: bool = False
    previous_starts_at: datetime | None = None

    @cached_property
    def fast_start(self) -> datetime | None:
        """When the patient must begin to fast, aware UTC; None without a fast."""
        longest = max(self.solids_minutes or 0, self.clear_liquids_minutes or 0)
        return self.starts_at - timedelta(minutes=longest) if longest else None


@dataclass(frozen=True)
class Recipient:
    """Who is told: the zone they live in, the channels open to them, and when they want peace, by their own clock.

    Equal `quiet_from` and `quiet_to` mean no quiet hours. `prefers` is the channel that they want to be told by first.
    """

    time_zone: str
    channels: frozenset[str]
    quiet_from: time = time(20)
    quiet_to: time = time(9)
    prefers: str | None = None


@lightweight
class Owed:
    """One message: due at, useless from `expires_at` on, best there by `arrive_by`.

    `suppressed` says why it is not sent, `note` why it moved. It may go by any of `channels`, in that order. `of` is
    the rule that it follows when nobody has confirmed; `unless` what makes it pointless by then, of PASSING. One that
    `instructs` says what is to be done, such as when to stop eating.
    """

    rule: str
    kind: str
    cls: Class
    channel: str
    due_at: datetime
    expires_at: datetime
    suppressed: str | None = None
    note: str = ""
    urgent: bool = False
    arrive_by: datetime | None = None
    merges: bool = False
    channels: tuple[str, ...] = ()
    unless: frozenset[str] = frozenset()
    of: str = ""
    instructs: bool = False
