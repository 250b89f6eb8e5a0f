"""Rules as sentences that a clinician reads, in the way and as changes to be asked for. No patient is named in any."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from scheduler.core.course import SessionSpec
from scheduler.core.easing.rules import LIMITS, Rule, Scene

_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
HOUR = 60
#: What is in the way when nothing that anybody could lift is, by the planner's word for it.
BARE = {
    "no_start": "no start is free on any day that the sessions before it leave",
    "no_fit": "its least distance from the sessions around it leaves no room",
    "continuity": "it fits only with changing people",
    "span": "it fits only outside the days that its phase may take",
    "cap": "it fits only above the number of sessions that a week may have",
}
#: So many dates are written out.
MANY = 4


@dataclass(frozen=True)
class Spoken:
    """What the sentences need besides the rule: the scene, names of people and things, and how a plan uses the change.

    `exceeded` says by how much a plan goes beyond a limit (index of the session to days or hours); `dates` on which
    days it uses the change.
    """

    scene: Scene
    names: Mapping[UUID, str]
    exceeded: Mapping[int, int] = field(default_factory=dict)
    dates: Sequence[date] = ()


def days_in_words(first: date, last: date) -> str:
    """One day as "12 May", several with a dash between, the month once where it is the same."""
    if first == last:
        return f"{first.day} {first:%B}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {last:%B}"  # noqa: RUF001 - an en dash is meant
    return f"{first.day} {first:%B} – {last.day} {last:%B}"  # noqa: RUF001


def one_of(selector: str) -> str:
    """One of a pool: a nurse, an infusion room."""
    kind, _, code = selector.partition(":")
    return code.replace("_", " ") + (" room" if kind == "room" else "")


def said(rule: Rule, spoken: Spoken) -> tuple[str, str]:
    """The rule as it stands in the way, and the change that lifts it."""
    if rule.index is not None or rule.code in LIMITS:
        return _limit(rule, spoken)
    if rule.selector is not None:
        return _pool(rule, spoken)
    if rule.code == "location_closed":
        closed = f"closed {_spans(spoken.dates)}" if spoken.dates else "closed on some of the days"
        return f"the location is {closed}", f"open{_on(spoken.dates) or ' on a day'} though the location is closed"
    if rule.code == "outside_hours":
        return "the location's opening hours", f"open longer{_on(spoken.dates)}"
    if rule.code in _FIXED:
        return _FIXED[rule.code]
    return _wish(rule, spoken)


_FIXED = {
    "continuity": ("the same people throughout are required", "let the people change between visits"),
    "patient_busy": ("the patient has other visits here", "move another visit of the patient"),
    "lead_time": ("the clinic's lead time", "book sooner than the lead time allows"),
    "horizon": ("the clinic takes no bookings that far ahead", "book further ahead than the clinic usually does"),
    "location_not_certified": ("the location holds no valid certification on these days", ""),
    "dose_interval": ("the least time between the patient's doses", ""),
    "supply_expired": ("the days within which what came for this patient has to be given", ""),
}


def _wish(rule: Rule, spoken: Spoken) -> tuple[str, str]:
    wish, on = spoken.scene.preferences, _on(spoken.dates)
    if rule.code == "weekdays":
        days = [_WEEKDAYS[day] for day in sorted(wish.weekdays or ())]
        other = f"another weekday{on}" if on else "other weekdays too"
        return f"the patient comes on {listed(days)} only", f"the patient comes on {other}"
    if rule.code == "hours":
        bounds = [
            f"{word} {minutes // HOUR:02}:{minutes % HOUR:02}"
            for word, minutes in (("from", wish.earliest), ("until", wish.latest))
            if minutes is not None
        ]
        other = f"another hour{on}" if on else "other hours too"
        return f"the patient's visits start {' '.join(bounds)} only", f"the patient comes at {other}"
    assert rule.start is not None  # noqa: S101 - a blackout has its dates
    assert rule.end is not None  # noqa: S101
    away = days_in_words(rule.start, rule.end)
    return f"the patient is away {away}", f"the patient comes{on} in spite of being away {away}"


def _pool(rule: Rule, spoken: Spoken) -> tuple[str, str]:
    one, on = one_of(rule.selector or ""), _on(spoken.dates)
    if rule.code == "not_qualified":
        return f"there is no {one} here", f"have a {one} here{on}"
    if rule.code == "resource_absent" and rule.start is not None and rule.end is not None:
        name = spoken.names.get(rule.resource_id, one) if rule.resource_id else one
        away = days_in_words(rule.start, rule.end)
        return f"{name} is absent {away}", f"{name} is there{on or ' for some of'} in spite of the absence {away}"
    if rule.code == "off_duty":
        return f"the hours of every {one}", f"an extra shift of a {one}{on}"
    if rule.code == "resource_busy":
        return f"every {one} is taken by other visits", ""
    return f"no {one} is free", f"one more {one}{on}"


def _limit(rule: Rule, spoken: Spoken) -> tuple[str, str]:
    by_index = {spec.index: spec for spec in spoken.scene.specs}
    if rule.index is None:
        return f"the longest times between sessions{_hard(rule)}", _longer(rule, spoken, by_index)
    spec = by_index[rule.index]
    name = spec.name
    if rule.code == "entry" and spec.gap is not None:
        within = f"{name} within {spec.gap[2]} days of the first possible day{_hard(rule)}"
        return within, f"begin up to {rule.amount} days later"
    if rule.code == "phase_max" and spec.span is not None:
        phase = spec.phase.replace("_", " ")
        return f"{phase} within {spec.span[1]} days{_hard(rule)}", f"let {phase} take up to {rule.amount} days longer"
    if rule.code == "cap":
        return _cap(rule, spec)
    return _most(rule, spec, by_index) + _hard(rule), _longer(rule, spoken, by_index)


def _hard(rule: Rule) -> str:
    """Why nobody can grant more."""
    return ", which its protocol makes hard" if rule.hard else ""


def _most(rule: Rule, spec: SessionSpec, by_index: Mapping[int, SessionSpec]) -> str:
    """How far the session may be from another one."""
    name = spec.name
    before = "" if spec.anchor is None else by_index[spec.anchor].name
    if rule.code == "window_max" and spec.window is not None:
        return f"{name} at most {spec.window.maximum // HOUR} hours after {before}"
    if rule.code == "rest_max" and spec.rest is not None and spec.rest.maximum is not None:
        return f"{name} at most {spec.rest.maximum // HOUR} hours after {before}"
    if rule.code == "bound_max":
        return f"{name} at most {_counted(spec, by_index)}"
    return f"at most {spec.gap[2] if spec.gap else 0} {_days(spec)} between {before} and {name}"


def _days(spec: SessionSpec) -> str:
    """What the gap before the session counts."""
    return "clinic days" if spec.clinic_days else "days"


def _counted(spec: SessionSpec, by_index: Mapping[int, SessionSpec]) -> str:
    """The most days from the sessions further back."""
    some = [(bound.most, by_index[bound.anchor]) for bound in spec.bounds if bound.most is not None]
    return listed([f"{most} days after {anchor.name}" for most, anchor in some])


def _cap(rule: Rule, spec: SessionSpec) -> tuple[str, str]:
    """How many sessions of a phase some days may have, and that more of them may."""
    phase = spec.phase.replace("_", " ")
    spans = ["a week" if limit.days is None else f"{limit.days} days" for limit in spec.limits]
    most = [f"{limit.most} sessions in {span}" for limit, span in zip(spec.limits, spans, strict=True)]
    return f"{phase} with at most {listed(most)}", f"let {phase} have up to {rule.amount} more in {listed(spans)}"


def _longer(rule: Rule, spoken: Spoken, by_index: Mapping[int, SessionSpec]) -> str:
    """Which limits a plan exceeds, and by how much."""
    parts: list[str] = []
    gaps: list[_Apart] = []
    for index in sorted(spoken.exceeded.keys() & by_index.keys()):
        spec, more = by_index[index], spoken.exceeded[index]
        if spec.anchor is None or (rule.index not in (None, index)):
            continue
        if rule.code == "bound_max":
            parts.append(f"{spec.name} {more} days later than {_counted(spec, by_index)}")
            continue
        name = spec.name
        before = by_index[spec.anchor].name
        if rule.code == "gap_max" and spec.kind == "main" and spec.gap and spec.gap[2] is not None:
            gaps.append(_Apart(spec.gap[2] + more, spec.gap[2], _days(spec), before, name))
        if rule.code == "window_max" and spec.window is not None:
            most = spec.window.maximum // HOUR
            parts.append(f"{name} up to {most + more} hours after {before} instead of {most}")
        if rule.code == "rest_max" and spec.rest is not None and spec.rest.maximum is not None:
            most = spec.rest.maximum // HOUR
            parts.append(f"{name} up to {most + more} hours after {before} instead of {most}")
    unit = "hours" if rule.code in {"window_max", "rest_max"} else "days"
    return "; ".join([*_runs(gaps), *parts]) or f"up to {rule.amount} {unit} longer"


class _Apart(NamedTuple):
    """A plan's longest time between two sessions, and the protocol's."""

    days: int
    most: int
    unit: str
    before: str
    name: str


def _runs(gaps: Sequence[_Apart]) -> Iterator[str]:
    """What is alike from one session to the next is said once."""
    runs: list[list[_Apart]] = []
    for each in gaps:
        if runs and runs[-1][-1].name == each.before and runs[-1][-1][:3] == each[:3]:
            runs[-1].append(each)
        else:
            runs.append([each])
    for run in runs:
        first, last = run[0], run[-1]
        between = f"between {first.before} and {last.name}"
        if len(run) > 1:
            between = f"from each to the next between {first.before} and {last.name}"
        yield f"{first.days} {first.unit} {between} instead of at most {first.most}"


def _on(dates: Collection[date]) -> str:
    days = sorted(set(dates))
    if not days:
        return ""
    shown = [days_in_words(day, day) for day in days[:MANY]]
    return " on " + listed([*shown, "more days"] if len(days) > MANY else shown)


def _spans(dates: Collection[date]) -> str:
    """The days, those that follow each other as one."""
    spans: list[tuple[date, date]] = []
    for day in sorted(set(dates)):
        if spans and (day - spans[-1][1]).days == 1:
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    shown = [days_in_words(*span) for span in spans[:MANY]]
    return listed([*shown, "on more days"] if len(spans) > MANY else shown)


def listed(words: Iterable[str]) -> str:
    """The words with commas, and an "and" before the last."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
