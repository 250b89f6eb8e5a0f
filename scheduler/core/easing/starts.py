"""The starts of visits while rules are lifted. Who asks about many sets of rules works out once what these share.

A pool's part is the same whatever wish is lifted, and the law's part whoever is added to a pool. What follows from the
starts is `core/planner`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial

from scheduler.core.availability import Clinic, exact_starts, in_doubt, thread_starts
from scheduler.core.demand import Demand
from scheduler.core.easing.rules import Rule
from scheduler.core.gathering import joined_starts

#: What forbids starts whoever serves: lifting any of these changes nobody's calendar but the patient's.
_BARS = frozenset(
    {
        "weekdays",
        "hours",
        "blackout",
        "patient_busy",
        "lead_time",
        "location_closed",
        "horizon",
        "outside_hours",
        "location_not_certified",
        "dose_interval",
    }
)
#: What adds somebody to one pool; whatever else has a selector may change the calendar of one who serves in another.
_ADDING = frozenset({"no_resource", "not_qualified"})


class LiftedStarts:
    """The starts of a course's visits once rules are lifted, the same as `all_starts` finds; each part found once."""

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}
        self._parts: dict[frozenset[Rule], _Parts] = {}

    def of(self, code: str, demand: Demand, rules: frozenset[Rule], clinic: Callable[[], Clinic]) -> int:
        """The starts that can be booked of that kind of visit in the `clinic` without these rules."""
        parts = self._parts.get(rules)
        if parts is None:
            parts = self._parts[rules] = _Parts.of(rules)
        return self._once((code, parts.bars, parts.staff), lambda: self._all(code, demand, parts, clinic()))

    def _all(self, code: str, demand: Demand, parts: _Parts, clinic: Clinic) -> int:
        found = self._found(code, demand, parts, clinic)
        return found | joined_starts(demand, clinic) if clinic.groups else found

    def _found(self, code: str, demand: Demand, parts: _Parts, clinic: Clinic) -> int:
        found = self._once((code, parts.bars), lambda: clinic.open_for(demand.patient_slots))
        for thread, count in demand.counts.items():
            least = 1 if thread.present else count
            key = code, thread, least, parts.concerning(thread.selector)
            found &= self._once(key, partial(thread_starts, thread, clinic, least))
        doubtful = found & self._once((code, "in doubt", parts.staff), lambda: in_doubt(demand, clinic))
        return found & ~doubtful | (exact_starts(demand, clinic, doubtful) if doubtful else 0)

    def _once(self, key: Hashable, find: Callable[[], int]) -> int:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = find()
        return known


@dataclass(frozen=True)
class _Parts:
    """Lifted rules, by what they change: the law's starts, or somebody's calendar."""

    bars: frozenset[Rule]
    staff: frozenset[Rule]
    _concerning: dict[str, frozenset[Rule]] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: frozenset[Rule]) -> _Parts:
        """Whatever else there is changes limits, and no start."""
        return cls(
            frozenset(rule for rule in rules if rule.code in _BARS),
            frozenset(rule for rule in rules if rule.selector is not None),
        )

    def concerning(self, selector: str) -> frozenset[Rule]:
        """Those that may change the calendar of somebody in that pool."""
        if selector not in self._concerning:
            # Who is there when the location opens longer, or in spite of a closure, was not before.
            closing = (rule for rule in self.bars if rule.code in {"location_closed", "outside_hours"})
            own = (rule for rule in self.staff if rule.code not in _ADDING or rule.selector == selector)
            self._concerning[selector] = frozenset([*closing, *own])
        return self._concerning[selector]
