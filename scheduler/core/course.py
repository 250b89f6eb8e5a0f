"""A course as its protocol lays it out: every session in planning order, and the dates between which each may fall.

Hours, people and rooms do not live here (the planner knows them), nor what became of a session (the database does).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, NamedTuple

from scheduler.core.errors import Fault, Invalid
from scheduler.core.opendays import EVERY_DAY, OpenDays
from scheduler.core.protocol import GapRule, Gate, Limit, Phase, Protocol, Rest, Step, Window
from scheduler.core.protocol.values import FIRST_DOSE, PHASE_START
from scheduler.core.session_names import named
from scheduler.core.visit import SessionGate, barring

DAY_MINUTES = 24 * 60


class Bound(NamedTuple):
    """Local days from the main session with that index, at least and (None: without limit) at most."""

    anchor: int
    least: int
    most: int | None
    #: Whether nothing at all is booked beyond the most.
    hard: bool = False


@dataclass(frozen=True)
class SessionSpec:
    """One session of a course before it has a time.

    `index` counts from 0 in planning order, `ordinal` from 1 within the step, and `sequence` from 1 overall. `anchor`
    is the index of the session before in the chain, or of the main session on which a leaf hangs. `gap` is minimum,
    target and maximum of local calendar days since the anchor (for the first session: since the course may start;
    None sets no limit). `window` says in elapsed minutes when a leaf starts. `gates` are the hard gates that keep it
    back, in their order. `span` is the index of its phase's first main session, and the days from that one within
    which every main session of the phase must fall.
    """

    index: int
    phase: str
    step: str
    ordinal: int
    visit_type: str
    kind: Literal["main", "leaf"]
    anchor: int | None
    gap: tuple[int, int, int | None] | None = None
    window: Window | None = None
    dosing: bool = False
    before_next: bool = False
    gates: tuple[str, ...] = ()
    span: tuple[int, int] | None = None
    #: Whether nothing at all is booked beyond the days of the span.
    span_hard: bool = False
    clinic_days: bool = False
    rest: Rest | None = None
    bounds: tuple[Bound, ...] = ()
    limits: tuple[Limit, ...] = ()
    same_day: bool = False
    #: Days after its receipt within which a supply for this patient alone is given, and the last day of the one here.
    use_within_days: int | None = None
    use_by: date | None = None
    #: Whether nothing at all is booked beyond the longest gap.
    hard: bool = False
    #: What is to be in order before this session alone, besides what its visit type asks.
    own_gates: tuple[SessionGate, ...] = ()
    #: How sentences call it.
    name: str = ""

    @property
    def sequence(self) -> int:
        """The number of the session in its course, from 1."""
        return self.index + 1

    @property
    def asked(self) -> tuple[str, ...]:
        """The clearances without which it is not booked, besides those of its visit type."""
        return barring(self.own_gates)


class Dates(NamedTuple):
    """The local dates between which a session may fall; `latest` is None when nothing limits it."""

    earliest: date
    target: date
    latest: date | None


def expand(
    protocol: Protocol,
    cadence: str | None = None,
    *,
    blocks: int = 1,
    optional: Collection[str] = (),
    counts: Mapping[str, int] | None = None,
) -> tuple[SessionSpec, ...]:
    """Every session of a course, each leaf right after its main session.

    `cadence` None is the protocol's default; an unknown one raises `Invalid` at `/cadence`. An open-ended step has its
    first `blocks` authorized blocks. Of the optional steps there are those named; `counts` says how many sessions a
    course has of a step instead of the protocol's number.
    """
    if cadence is not None and cadence not in [known.key for known in protocol.cadences]:
        raise Invalid([Fault("/cadence", "unknown_cadence", f"The protocol has no cadence '{cadence}'.")])
    protocol = protocol.with_only(optional).with_counts(counts or {})
    specs: list[SessionSpec] = []
    previous: int | None = None
    firsts: dict[str, int] = {}
    for phase, step in protocol.main_steps():
        rhythm = protocol.rhythm(step, cadence)
        leaf = protocol.leaf_of(step)
        sessions = step.count if step.count is not None else (step.block or 1) * blocks
        began = firsts.setdefault(phase.key, len(specs))
        span = None if phase.max_days is None else (began, phase.max_days)
        main = SessionSpec(0, phase.key, step.key, 1, step.visit_type, "main", None, dosing=step.dosing, span=span)
        main = replace(main, limits=phase.limits, use_within_days=step.use_within_days, span_hard=phase.hard)
        for ordinal in range(1, sessions + 1):
            rule, place = (rhythm.entry, 0) if ordinal == 1 else (rhythm.gap, ordinal - 2)
            spec = replace(main, index=len(specs), ordinal=ordinal, anchor=previous, own_gates=_own(step, ordinal))
            specs.append(_bounded(_spaced(spec, rule, place, specs), step, specs))
            previous = len(specs) - 1
            if leaf is not None:
                specs.append(_leaf(*leaf, ordinal, previous))
    return named(_gated(protocol, specs))


def windows(
    specs: Sequence[SessionSpec],
    start_after: date,
    given: Mapping[int, date] | None = None,
    opened: OpenDays = EVERY_DAY,
) -> tuple[Dates, ...]:
    """The dates of each session, by chaining the gaps from `start_after` (the first day that is allowed).

    `opened` are the days that a gap counts where it counts clinic days. `given` maps the index of a session to its real
    local date; those that follow count from it. A leaf that must come before the next main session is bounded by it.
    """
    given = given or {}
    found: dict[int, Dates] = {}
    for spec in specs:
        if spec.kind == "main":
            found[spec.index] = _main_dates(spec, found, start_after, given, opened)
    following = {spec.anchor: found[spec.index] for spec in specs if spec.kind == "main" and spec.anchor is not None}
    for spec in specs:
        if spec.kind == "leaf" and spec.anchor is not None:
            day = given.get(spec.index)
            dates = _leaf_dates(spec, found[spec.anchor], following.get(spec.anchor))
            found[spec.index] = Dates(day, day, day) if day else dates
    return tuple(found[spec.index] for spec in specs)


def supplied(specs: Sequence[SessionSpec], use_by: Mapping[int, date | None]) -> tuple[SessionSpec, ...]:
    """The sessions with the last days, by index, on which what was received for them may be given."""
    return tuple(replace(spec, use_by=use_by.get(spec.index)) for spec in specs)


def through_gate(specs: Sequence[SessionSpec], passed: Collection[str] = ()) -> tuple[SessionSpec, ...]:
    """The sessions before the first hard gate that is not among those `passed`; all of them when there is none."""
    kept = []
    for spec in specs:
        if any(gate not in passed for gate in spec.gates):
            break
        kept.append(spec)
    return tuple(kept)


def _spaced(spec: SessionSpec, rule: GapRule | None, place: int, before: Sequence[SessionSpec]) -> SessionSpec:
    """The session with the rule that leads to it: a gap from the one before, or a bound from one further back."""
    if rule is None:
        return spec
    anchor = _anchor(rule.anchor, spec.phase, before) if rule.anchor is not None else spec.anchor
    if anchor is None or anchor == spec.anchor:
        return replace(spec, gap=rule.days(place), clinic_days=rule.clinic_days, rest=rule.rest, hard=rule.hard)
    least, target, most = rule.days(place)
    between = [each for each in before if each.kind == "main" and each.index > anchor]
    since = sum(each.gap[1] for each in between if each.gap)
    apart = int(spec.dosing and before[spec.anchor or 0].dosing)
    return replace(spec, gap=(apart, max(apart, target - since), None), bounds=(Bound(anchor, least, most, rule.hard),))


def _bounded(spec: SessionSpec, step: Step, before: Sequence[SessionSpec]) -> SessionSpec:
    """The session with its step's offset from the anchor, unless it is the anchor."""
    if step.offsets is None:
        return spec
    anchor = _anchor(step.offsets.anchor, spec.phase, (*before, spec))
    if anchor is None or anchor == spec.index:
        return spec
    day = step.offsets.days[spec.ordinal - 1]
    bound = Bound(anchor, max(0, day - step.offsets.early), day + step.offsets.late)
    return replace(spec, bounds=(*spec.bounds, bound))


def _anchor(name: str, phase: str, before: Sequence[SessionSpec]) -> int | None:
    """The index of the main session that an anchor means, among those before; None when it is not there."""
    main = [each for each in before if each.kind == "main"]
    named = next((each.index for each in reversed(main) if each.step == name), None)
    if named is not None or name not in {FIRST_DOSE, PHASE_START}:
        return named
    return next((each.index for each in main if (each.dosing if name == FIRST_DOSE else each.phase == phase)), None)


def _leaf(phase: Phase, step: Step, ordinal: int, anchor: int) -> SessionSpec:
    return SessionSpec(
        index=anchor + 1,
        phase=phase.key,
        step=step.key,
        ordinal=ordinal,
        visit_type=step.visit_type,
        kind="leaf",
        anchor=anchor,
        window=step.window,
        dosing=step.dosing,
        before_next=step.before_next,
        same_day=step.same_day,
        own_gates=_own(step, ordinal),
    )


def _own(step: Step, ordinal: int) -> tuple[SessionGate, ...]:
    return tuple(gate for gate in step.gates if ordinal == 1 or not gate.first_only)


def _gated(protocol: Protocol, specs: list[SessionSpec]) -> tuple[SessionSpec, ...]:
    """The sessions with the hard gates before each, nearest last."""
    cuts = [(cut, gate.key) for gate in protocol.gates if (cut := _cut(protocol, gate, specs)) is not None]
    found = []
    for spec in specs:
        at = spec.index if spec.kind == "main" or spec.anchor is None else spec.anchor
        keys = tuple(key for cut, key in sorted(cuts, key=lambda pair: pair[0]) if cut <= at)
        found.append(replace(spec, gates=keys))
    return tuple(found)


def _cut(protocol: Protocol, gate: Gate, specs: Sequence[SessionSpec]) -> int | None:
    """The index of the first main session that a hard gate keeps back; None when it keeps back nothing."""
    steps = {step.key: step for _, step in protocol.steps()}
    if gate.step not in steps:
        return None
    step = steps[gate.step].each or gate.step
    main = [spec for spec in specs if spec.kind == "main"]
    after = next((spec.index for spec in main if (spec.step, spec.ordinal) == (step, gate.count)), None)
    if gate.kind == "soft" or after is None:
        return None
    return next((spec.index for spec in main if spec.index > after and gate.blocks in {None, spec.phase}), None)


def _main_dates(
    spec: SessionSpec, found: Mapping[int, Dates], start_after: date, given: Mapping[int, date], opened: OpenDays
) -> Dates:
    if spec.index in given:
        day = given[spec.index]
        return Dates(day, day, day)
    if spec.anchor is None:
        least, target, most = spec.gap or (0, 0, None)
        anchor = Dates(start_after, start_after, start_after)
    else:
        least, target, most = spec.gap or (1, 1, None)
        anchor = found[spec.anchor]
    counted = spec.clinic_days and spec.anchor is not None
    latest = None
    if most is not None and anchor.latest is not None:
        latest = opened.within(anchor.latest, most, clinic_days=counted)
    if spec.span is not None and spec.span[0] != spec.index:
        end = _later(found[spec.span[0]].latest, spec.span[1])
        latest = end if latest is None else min(latest, end or latest)
    earliest = opened.after(anchor.earliest, least, clinic_days=counted)
    for bound in spec.bounds:
        earliest = max(earliest, found[bound.anchor].earliest + timedelta(bound.least))
        end = None if bound.most is None else _later(found[bound.anchor].latest, bound.most)
        latest = end if latest is None else min(latest, end or latest)
    target_day = max(earliest, opened.after(anchor.target, target, clinic_days=counted))
    if counted:
        earliest, target_day = opened.opening(earliest), opened.opening(target_day)
    return Dates(earliest, target_day, latest)


def _leaf_dates(spec: SessionSpec, main: Dates, after: Dates | None) -> Dates:
    """A leaf's dates from its main session's, and, when it must come before, from those of the next one."""
    window = spec.window or Window("end", 0, 0, 0)
    least = max(window.minimum // DAY_MINUTES, 1 if spec.before_next and not spec.same_day else 0)
    wanted = (window.target + DAY_MINUTES // 2) // DAY_MINUTES
    target = main.target + timedelta(wanted)
    latest = _later(main.latest, -(-window.maximum // DAY_MINUTES))
    if spec.before_next and after is not None:
        target = min(target, after.target - timedelta(1))
        latest = latest if latest is None or after.latest is None else min(latest, after.latest - timedelta(1))
    return Dates(main.earliest + timedelta(least), max(target, main.target + timedelta(least)), latest)


def _later(day: date | None, days: int) -> date | None:
    return None if day is None else day + timedelta(days)
