"""The values of a protocol: phases, their steps, how far apart sessions are, and the gates between them.

A *main* step's sessions form one chain through the whole protocol; a *leaf* step has one session for each session of a
main step (`each`) and hangs on it. What contradicts itself is found in `checks`; documents are read in `reading`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from scheduler.core.visit import SessionGate

MOST_SESSIONS = 100

#: Anchors that are no step: the first session with a dose, and the first session of the step's own phase.
FIRST_DOSE, PHASE_START = "first_dose", "phase_start"

Edge = Literal["start", "end"]
GateKind = Literal["hard", "soft"]


@dataclass(frozen=True)
class Rest:
    """Elapsed minutes from an edge of the main visit before; None sets no upper limit."""

    edge: Edge
    minimum: int
    maximum: int | None


@dataclass(frozen=True)
class GapRule:
    """Local calendar days from one main session to the next, or, `clinic_days`, only those on which the clinic is open.

    `anchor` is the key of an earlier main step (its last session), FIRST_DOSE or PHASE_START; None is the step before.
    `targets` holds one number for every gap, or one for each gap of the step in turn. `rest` adds elapsed hours.
    """

    minimum: int
    targets: tuple[int, ...]
    maximum: int
    anchor: str | None = None
    clinic_days: bool = False
    rest: Rest | None = None
    #: Whether nothing at all is booked beyond the maximum; else it is planned within, and shown where it is exceeded.
    hard: bool = False

    def target(self, place: int) -> int:
        """The wanted days of the gap number `place` of its step, from 0."""
        return self.targets[place] if place < len(self.targets) else self.targets[-1]

    def days(self, place: int) -> tuple[int, int, int]:
        """Minimum, target and maximum of the gap number `place` of its step, from 0."""
        return self.minimum, self.target(place), self.maximum


@dataclass(frozen=True)
class Offsets:
    """The days of a step's sessions counted from its anchor's, each with so many days of grace before and after."""

    anchor: str
    days: tuple[int, ...]
    early: int
    late: int


@dataclass(frozen=True)
class Limit:
    """At most `most` sessions within any `days` local days; None: within one week, from Monday."""

    most: int
    days: int | None


@dataclass(frozen=True)
class Window:
    """When a leaf may start: elapsed minutes after the start or the end of the main visit. A day is 24 hours here."""

    edge: Edge
    minimum: int
    target: int
    maximum: int
    hard: bool = False


@dataclass(frozen=True)
class Step:
    """Some sessions of one visit type. `count` is None when a step is open ended: then it goes on by `block`s.

    `each` makes it a leaf; `entry` leads to its first session, `gap` from one of its sessions to the next. A leaf that
    is `same_day` may fall on the day of a main session. An `optional` step is left out unless a course wants it.
    `sessions` are the least and the most of them that a course may have instead of `count`. What is received for one
    patient alone is given within `use_within_days` of that day; None: it has no such clock. `gates` stand before its
    sessions besides those of the visit type.
    """

    key: str
    visit_type: str
    count: int | None = 1
    block: int | None = None
    each: str | None = None
    entry: GapRule | None = None
    gap: GapRule | None = None
    window: Window | None = None
    before_next: bool = False
    dosing: bool = False
    same_day: bool = False
    optional: bool = False
    offsets: Offsets | None = None
    sessions: tuple[int, int] | None = None
    use_within_days: int | None = None
    gates: tuple[SessionGate, ...] = ()

    @property
    def most(self) -> int | None:
        """The most sessions that a course may have of it; None when it is open ended."""
        return self.sessions[1] if self.sessions is not None else self.count

    @property
    def is_leaf(self) -> bool:
        """Whether its sessions hang on those of another step."""
        return self.each is not None

    @property
    def repeats(self) -> bool:
        """Whether one session of a main step is followed by another of the same step."""
        return not self.is_leaf and (self.most is None or self.most > 1)


@dataclass(frozen=True)
class Phase:
    """Steps under one name; `max_days` limits the days from its first main session to its last, `limits` how many.

    When it is `hard`, nothing at all is booked beyond those days.
    """

    key: str
    steps: tuple[Step, ...]
    max_days: int | None = None
    limits: tuple[Limit, ...] = ()
    hard: bool = False


@dataclass(frozen=True)
class Rhythm:
    """What one cadence says about one main step; None leaves the step's own rule."""

    step: str
    entry: GapRule | None = None
    gap: GapRule | None = None


@dataclass(frozen=True)
class Cadence:
    """A named variant of the gaps."""

    key: str
    rhythms: tuple[Rhythm, ...]


@dataclass(frozen=True)
class Gate:
    """A judgment after session number `count` of `step`.

    A hard gate keeps back the phase `blocks` and all that follows it, or all that follows the session when that is
    None. A soft one keeps back nothing. Pencilled visits behind it expire `deadline_days` after the session.
    """

    key: str
    step: str
    count: int
    kind: GateKind
    blocks: str | None = None
    rule: str = ""
    deadline_days: int | None = None


@dataclass(frozen=True)
class Missed:
    """What the protocol's practice suggests after a missed dose, by when it was missed; nothing is ever applied."""

    during_induction: str | None = None
    maintenance_and_worse: str | None = None


@dataclass(frozen=True)
class Protocol:
    """The template of a course. `continuity` names the roles for which one person is wanted throughout."""

    code: str
    name: str
    modality: str | None
    continuity: tuple[str, ...]
    phases: tuple[Phase, ...]
    cadences: tuple[Cadence, ...] = ()
    default_cadence: str | None = None
    gates: tuple[Gate, ...] = ()
    enabled: bool = True
    missed: Missed = Missed()

    def steps(self) -> Iterator[tuple[Phase, Step]]:
        """Every step with its phase, in the order of the document."""
        for phase in self.phases:
            for step in phase.steps:
                yield phase, step

    def main_steps(self) -> list[tuple[Phase, Step]]:
        """The steps of the chain, in its order."""
        return [(phase, step) for phase, step in self.steps() if not step.is_leaf]

    def with_only(self, optional: Collection[str]) -> Protocol:
        """The protocol without the optional steps that are not named, and without the leaves that hang on those."""
        out = {step.key for _, step in self.steps() if step.optional and step.key not in optional}
        phases = (
            replace(phase, steps=tuple(s for s in phase.steps if s.key not in out and s.each not in out))
            for phase in self.phases
        )
        return replace(self, phases=tuple(phases)) if out else self

    def with_counts(self, counts: Mapping[str, int]) -> Protocol:
        """The protocol with so many sessions of the steps named: those whose number a course may choose, and open ones.

        A gate after a session that such a step does not have stands after the step's last one.
        """
        free = [s for _, s in self.steps() if s.sessions is not None or s.block is not None]
        numbers = {s.key: counts.get(s.key, s.count) for s in free}
        if not numbers:
            return self
        phases = (
            replace(phase, steps=tuple(replace(s, count=numbers.get(s.key, s.count)) for s in phase.steps))
            for phase in self.phases
        )
        counted = {step.key: numbers.get(step.each or step.key) for _, step in self.steps()}
        gates = (replace(gate, count=min(gate.count, counted.get(gate.step) or gate.count)) for gate in self.gates)
        return replace(self, phases=tuple(phases), gates=tuple(gates))

    def with_rhythms(self, own: Collection[Rhythm]) -> Protocol:
        """The protocol with these rules of its main steps under every cadence, as one patient's course has them."""
        mine = {rhythm.step: rhythm for rhythm in own}
        if not mine:
            return self

        def ruled(step: Step) -> Step:
            rhythm = mine.get(step.key, Rhythm(step.key))
            return replace(step, entry=rhythm.entry or step.entry, gap=rhythm.gap or step.gap)

        def left(rhythm: Rhythm) -> Rhythm:
            own = mine.get(rhythm.step, Rhythm(rhythm.step))
            return replace(rhythm, entry=None if own.entry else rhythm.entry, gap=None if own.gap else rhythm.gap)

        phases = (replace(phase, steps=tuple(map(ruled, phase.steps))) for phase in self.phases)
        cadences = (replace(each, rhythms=tuple(map(left, each.rhythms))) for each in self.cadences)
        return replace(self, phases=tuple(phases), cadences=tuple(cadences))

    def under(self, cadence: str | None) -> Protocol:
        """The protocol as that cadence (None is the default one) has it, and no other."""
        own = [self.rhythm(step, cadence) for _, step in self.main_steps()]
        return replace(self.with_rhythms(own), cadences=(), default_cadence=None)

    def leaf_of(self, main: Step) -> tuple[Phase, Step] | None:
        """The leaf step that hangs on a main step."""
        return next(((phase, step) for phase, step in self.steps() if step.each == main.key), None)

    def rhythm(self, step: Step, cadence: str | None) -> Rhythm:
        """The rules of a main step under a cadence (None is the default one): the cadence's own, else the step's."""
        wanted = cadence or self.default_cadence
        own = (rhythm for named in self.cadences if named.key == wanted for rhythm in named.rhythms)
        found = next((rhythm for rhythm in own if rhythm.step == step.key), Rhythm(step.key))
        return replace(found, entry=found.entry or step.entry, gap=found.gap or step.gap)
