"""The values of a visit: segments and what each needs, minutes relative to the visit's start.

Nothing is read or judged here: documents are read in `reading`, the legal floors stand in `floors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Mode = Literal["exclusive", "shared", "present"]
NeedKind = Literal["role", "room", "device"]
Kind = Literal["evaluation", "preparation", "dosing", "integration", "follow_up", "group"]
Anchor = Literal["last_device", "first_device"]
NoDriving = Literal["visit_day", "until_next_day", "24_hours"]
Effect = Literal["blocks", "warns"]
CheckPoint = Literal["check_in", "start", "discharge"]
AnswerKind = Literal["text", "number"]
GateEffect = Literal["blocks_booking", "blocks_checkin", "warns"]
TaskAnchor = Literal["start", "dose", "last_device", "discharge"]


@dataclass(frozen=True)
class Need:
    """What one segment needs: `count` different people or things of one kind.

    `exclusive` takes all units of each, `shared` takes `units` of each, `present` takes none but wants it on site.
    """

    kind: NeedKind
    code: str
    mode: Mode
    units: int = 1
    count: int = 1
    same_as: str | None = None

    @property
    def selector(self) -> str:
        """Kind and code in one word, such as `role:nurse`, `room:infusion`, `device:pump`."""
        return f"{self.kind}:{self.code}"

    @property
    def label(self) -> str:
        """The code alone, as people say it."""
        return self.code


@dataclass(frozen=True)
class Segment:
    """A part of a visit, `minutes` long; `patient` is false for setting up before and turning over after."""

    name: str
    minutes: int
    patient: bool
    needs: tuple[Need, ...]


@dataclass(frozen=True)
class Instructions:
    """What the patient is told: minutes before the visit's start, and how to get home. None says nothing."""

    solids_minutes: int | None = None
    clear_liquids_minutes: int | None = None
    nasal_products_minutes: int | None = None
    alcohol_minutes: int | None = None
    arrive_early_minutes: int = 0
    escort: bool = False
    no_driving: NoDriving | None = None


@dataclass(frozen=True)
class Observation:
    """At least `minutes` of watching, from the first or the last device given.

    The watch is planned in the segments `segment` to `through`; the patient's segment just before them is the dose.
    """

    minutes: int
    anchor: Anchor
    segment: str
    through: str


@dataclass(frozen=True)
class CheckItem:
    """One question that is asked at a point of the visit: `blocks` must be settled to go on, `warns` only shows.

    `value` says that the answer names something or states a number, which must lie in [`least`, `most`]. A `same_day`
    answer counts only when it was given on the visit's own local day. `asks` are (language, how the patient is asked):
    without any only the staff can answer.
    """

    key: str
    label: str
    effect: Effect
    at: CheckPoint
    value: AnswerKind | None = None
    least: int | None = None
    most: int | None = None
    unit: str | None = None
    same_day: bool = False
    asks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class VisitTask:
    """Something to be done in or after the visit: elapsed minutes, or local calendar days, from its anchor.

    The anchors are the visit's start, its (first) dose, the last device, and the discharge.
    """

    key: str
    label: str
    anchor: TaskAnchor
    offset_minutes: int | None = None
    offset_days: int | None = None
    #: Days after the anchor at which it becomes more urgent, while it is not done.
    remind_days: tuple[int, ...] = ()


@dataclass(frozen=True)
class SessionGate:
    """Something that must be in order for the visit: a clearance valid on its day, or an item of the checklist.

    It should be by `due_hours` before the start; from then on somebody is asked, more urgently at `remind_hours` before
    it. At `release_hours` before it the time may go to others, where the organization's policy says so.
    """

    key: str
    label: str
    effect: GateEffect
    due_hours: int
    clearance: str | None = None
    item: str | None = None
    remind_hours: tuple[int, ...] = ()
    release_hours: int | None = None
    #: In a step of a protocol: before the first of its sessions only.
    first_only: bool = False


def barring(gates: Sequence[SessionGate]) -> tuple[str, ...]:
    """The clearances without which nobody is booked."""
    return tuple(gate.clearance for gate in gates if gate.effect == "blocks_booking" and gate.clearance is not None)


@dataclass(frozen=True)
class DoseLimits:
    """How close one patient's doses may be: `hours` apart at least, and at most `most` on any `days` local days.

    Doses of `modalities` count, those of the visit's own when there are none; in whatever course and place. None is no
    limit.
    """

    hours: int | None = None
    most: int | None = None
    days: int | None = None
    modalities: tuple[str, ...] = ()

    def counts(self, visit: VisitType, other: VisitType) -> bool:
        """Whether the doses of the other visit count against this one."""
        return other.modality in (self.modalities or (visit.modality,))


@dataclass(frozen=True)
class GroupSize:
    """How many patients come to one visit. Whether they are enough is looked at `decide_hours` before its start.

    When they are not, the staff are given a task, or (`below_minimum` cancel) the visit is called off as well.
    """

    minimum: int
    maximum: int
    decide_hours: int = 24
    below_minimum: Literal["task", "cancel"] = "task"


@dataclass(frozen=True)
class VisitType:
    """One kind of visit. Its start and end are the span of the patient's presence.

    `equipment` is what should be at hand (information, never booked). `forms` is what the patient is to hand in before:
    each is in when there is a clearance of its name; unlike `clearances`, they bar nothing. One that is not `enabled`
    waits for a clinician.
    """

    code: str
    name: str
    public_name: str
    kind: Kind
    modality: str | None
    segments: tuple[Segment, ...]
    site_certifications: tuple[str, ...] = ()
    clearances: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    instructions: Instructions = Instructions()
    observation: Observation | None = None
    limits: DoseLimits = DoseLimits()
    equipment: tuple[str, ...] = ()
    enabled: bool = True
    checklist: tuple[CheckItem, ...] = ()
    tasks: tuple[VisitTask, ...] = ()
    #: It takes place by video: whoever serves must be licensed where the patient is.
    video: bool = False
    #: Only licensed people may hold it.
    psychotherapy: bool = False
    #: Several patients in one visit; None is one alone.
    group: GroupSize | None = None
    gates: tuple[SessionGate, ...] = ()
    #: `public_name` in other languages, by their tag.
    public_names: tuple[tuple[str, str], ...] = ()

    def called(self, locales: Sequence[str]) -> str:
        """What patients of these locales, the first one first, are told that it is."""
        return called(self.public_name, dict(self.public_names), locales)

    def gated(self, gates: Sequence[SessionGate]) -> VisitType:
        """The visit with these gates before it as well, such as those of its step of a protocol."""
        clearances = tuple(dict.fromkeys((*self.clearances, *barring(gates))))
        return replace(self, gates=(*self.gates, *gates), clearances=clearances) if gates else self

    @property
    def received_with(self) -> tuple[str, ...]:
        """The clearances without which nobody is checked in: those that booking asks for, and more."""
        more = [gate.clearance for gate in self.gates if gate.effect == "blocks_checkin" and gate.clearance is not None]
        return tuple(dict.fromkeys((*self.clearances, *more)))

    @property
    def lead_minutes(self) -> int:
        """Minutes of the segments before the patient comes."""
        first = next((i for i, segment in enumerate(self.segments) if segment.patient), len(self.segments))
        return sum(segment.minutes for segment in self.segments[:first])

    @property
    def minutes(self) -> int:
        """Minutes from the visit's start to its end: the patient's segments."""
        return sum(segment.minutes for segment in self.segments if segment.patient)

    @property
    def trail_minutes(self) -> int:
        """Minutes of the segments after the patient has gone."""
        return sum(segment.minutes for segment in self.segments) - self.lead_minutes - self.minutes

    def offsets(self) -> tuple[tuple[Segment, int, int], ...]:
        """Each segment with its start and end in minutes from the visit's start; setting up is negative."""
        found = []
        at = -self.lead_minutes
        for segment in self.segments:
            found.append((segment, at, at + segment.minutes))
            at += segment.minutes
        return tuple(found)

    def outline(self) -> list[dict[str, Any]]:
        """The segments as rows keep them: {name, start, end, needs}, in minutes from the visit's start."""
        return [
            {"name": segment.name, "start": start, "end": end, "needs": [need.selector for need in segment.needs]}
            for segment, start, end in self.offsets()
        ]

    def watched(self) -> tuple[Segment | None, tuple[Segment, ...]]:
        """The dose and the segments of the watch after it; no dose and nothing when there is no observation."""
        present = [segment for segment in self.segments if segment.patient]
        names = [segment.name for segment in present]
        seen = self.observation
        if seen is None or seen.segment not in names or seen.through not in names:
            return None, ()
        first = names.index(seen.segment)
        return present[first - 1] if first else None, tuple(present[first : names.index(seen.through) + 1])

    @property
    def observed_minutes(self) -> int:
        """Minutes of the planned watch from its anchor: with the dose itself when the first device starts it."""
        dose, watch = self.watched()
        planned = sum(segment.minutes for segment in watch)
        first_device = self.observation is not None and self.observation.anchor == "first_device"
        return planned + (dose.minutes if dose is not None and first_device else 0)


def called(name: str, names: Mapping[str, str], locales: Sequence[str]) -> str:
    """The name that a visit has in the language of the first of these locales, or else its own."""
    languages = [tag.replace("_", "-").partition("-")[0].lower() for tag in locales]
    return names.get(languages[0], name) if languages else name
