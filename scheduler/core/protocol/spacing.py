"""Contradictions of time within a protocol: rules that are missing, and rules that no calendar could ever satisfy.

Opening hours and people are not known here, so only what is impossible on an empty calendar is a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scheduler.core.document import FaultList, escape
from scheduler.core.protocol.values import GapRule, Phase, Protocol, Step, Window
from scheduler.core.visit import VisitType

DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class _Judge:
    """One protocol under judgment, with all that its rules are held against."""

    protocol: Protocol
    visit_types: Mapping[str, VisitType]
    faults: FaultList
    pointers: Mapping[str, str]
    cadences: Sequence[str | None]

    def judge(self) -> None:
        before: Step | None = None
        for _, step in self.protocol.main_steps():
            self._check_rules(step, before)
            before = step
            self._check_targets(step)
            self._check_leaf(step)
        for place, phase in enumerate(self.protocol.phases):
            self._check_span(phase, f"/phases/{place}/max_days")

    def _check_rules(self, step: Step, before: Step | None) -> None:
        """Every way from one main session to the next has a rule, of one day at least between two doses."""
        first = before is None
        pointer = self.pointers[step.key]
        rhythms = {cadence: self.protocol.rhythm(step, cadence) for cadence in self.cadences}
        lacking = [cadence for cadence, rhythm in rhythms.items() if rhythm.entry is None]
        if lacking and not first:
            detail = f"Nothing says how '{step.key}' follows the step before it{self._under(lacking)}."
            self.faults.add(f"{pointer}/entry", "required", detail)
        doses = before is not None and before.dosing and step.dosing
        if doses and any(rhythm.entry and rhythm.entry.minimum == 0 for rhythm in rhythms.values()):
            detail = "One day at least lies between two doses."
            self.faults.add(f"{pointer}/entry/min", "out_of_range", detail)
        lacking = [cadence for cadence, rhythm in rhythms.items() if rhythm.gap is None]
        if lacking and step.repeats:
            detail = f"Nothing says how far apart the sessions of '{step.key}' are{self._under(lacking)}."
            self.faults.add(f"{pointer}/gap", "required", detail)

    def _under(self, some: Sequence[str | None]) -> str:
        """Under which cadences, unless it is so under all."""
        return "" if len(some) == len(self.cadences) else " under " + ", ".join(f"'{cadence}'" for cadence in some)

    def _check_targets(self, step: Step) -> None:
        """A list of targets has one number for each gap; an entry is one gap."""
        if self.faults.mentions(f"{self.pointers[step.key]}/count"):
            return
        for where, rule, entry in self._rules_of(step):
            wanted = 1 if entry or step.most is None else step.most - 1
            if rule is not None and len(rule.targets) not in {1, wanted}:
                detail = f"{len(rule.targets)} targets for {wanted} gap(s) of '{step.key}'."
                self.faults.add(f"{where}/target", "target_length", detail)

    def _rules_of(self, step: Step) -> Iterator[tuple[str, GapRule | None, bool]]:
        """Each rule written for a step: its pointer, the rule, and whether it is an entry."""
        pointer = self.pointers[step.key]
        yield f"{pointer}/gap", step.gap, False
        yield f"{pointer}/entry", step.entry, True
        for cadence in self.protocol.cadences:
            for rhythm in cadence.rhythms:
                if rhythm.step == step.key:
                    where = f"/cadences/{escape(cadence.key)}/{escape(step.key)}"
                    yield f"{where}/gap", rhythm.gap, False
                    yield f"{where}/entry", rhythm.entry, True

    def _check_leaf(self, main: Step) -> None:
        """A leaf that must come before the next main session fits between, under some gap that is allowed."""
        found = self.protocol.leaf_of(main)
        if found is None or found[1].window is None or not found[1].before_next or found[1].same_day:
            return
        leaf, window = found[1], found[1].window
        visits = self.visit_types.get(main.visit_type), self.visit_types.get(leaf.visit_type)
        lengths = visits[0].minutes if visits[0] else 0, visits[1].minutes if visits[1] else 0
        tight: dict[tuple[str, int], list[str | None]] = {}
        for cadence in self.cadences:
            for follower, rule in self._followers(main, cadence):
                tight.setdefault((follower, rule.maximum), []).append(cadence)
        for (follower, days), cadences in tight.items():
            why = _no_room(window, days, *lengths)
            if why is not None:
                detail = (
                    f"'{leaf.key}' cannot come between '{main.key}' and '{follower}'{self._under(cadences)}: "
                    f"it starts {_hours(window.minimum)} to {_hours(window.maximum)} after the {window.edge} of "
                    f"'{main.key}', '{follower}' follows after at most {days} day(s), and {why}."
                )
                self.faults.add(f"{self.pointers[leaf.key]}/window", "leaf_never_fits", detail)

    def _followers(self, main: Step, cadence: str | None) -> Iterator[tuple[str, GapRule]]:
        """The ways from a session of a main step to the next session of the chain."""
        chain = [step for _, step in self.protocol.main_steps()]
        gap = self.protocol.rhythm(main, cadence).gap
        if main.repeats and gap is not None:
            yield main.key, gap
        place = chain.index(main) + 1
        entry = self.protocol.rhythm(chain[place], cadence).entry if place < len(chain) else None
        if entry is not None:
            yield chain[place].key, entry

    def _check_span(self, phase: Phase, where: str) -> None:
        """The shortest possible phase is not longer than the phase may be, under any cadence."""
        if phase.max_days is None:
            return
        least = {cadence: self._shortest(phase, cadence) for cadence in self.cadences}
        longer = [cadence for cadence, days in least.items() if days > phase.max_days]
        if longer:
            days = max(least[cadence] for cadence in longer)
            detail = f"The gaps sum to at least {days} days{self._under(longer)}; {phase.max_days} are allowed."
            self.faults.add(where, "span_too_short", detail)

    def _shortest(self, phase: Phase, cadence: str | None) -> int:
        """The least days from the first main session of a phase to its last."""
        days = 0
        for place, step in enumerate(step for step in phase.steps if not step.is_leaf):
            rhythm = self.protocol.rhythm(step, cadence)
            days += rhythm.entry.minimum if rhythm.entry and place > 0 else 0
            days += rhythm.gap.minimum * ((step.count or step.block or 1) - 1) if rhythm.gap else 0
        return days


def check_spacing(protocol: Protocol, visit_types: Mapping[str, VisitType], faults: FaultList) -> None:
    """Note missing rules, target lists of the wrong length, leaves that never fit, phases that are always too long."""
    pointers = {
        step.key: f"/phases/{i}/steps/{j}"
        for i, phase in enumerate(protocol.phases)
        for j, step in enumerate(phase.steps)
    }
    cadences: list[str | None] = [cadence.key for cadence in protocol.cadences]
    _Judge(protocol, visit_types, faults, pointers, cadences or [None]).judge()


def _no_room(window: Window, gap_days: int, main_minutes: int, leaf_minutes: int) -> str | None:
    """Why a leaf cannot start on a day strictly between two sessions `gap_days` apart; None when it can.

    The main visit may begin at any minute of its day: at midnight it leaves the most room before the next session,
    in the late evening the least time until the day after.
    """
    if gap_days <= 1:
        return "no day lies between"
    ended = main_minutes if window.edge == "end" else 0
    latest = gap_days * DAY_MINUTES - leaf_minutes - ended
    if window.minimum > latest:
        return f"on the days between it can start at most {_hours(latest)} after it"
    earliest = main_minutes - ended
    if window.maximum < earliest:
        return f"the window is over before the day after, which begins {_hours(earliest)} after it or later"
    return None


def _hours(minutes: int) -> str:
    whole, rest = divmod(minutes, 60)
    return f"{whole} h {rest} min" if rest else f"{whole} h"
