"""A second opinion on a plan: every hard rule and the whole cost, from first principles and minute by minute.

It shares nothing with the planner but the values of the problem: no grid, no arrays, no bitmaps beyond reading a bit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise

from scheduler.core.bitmap import SLOT
from scheduler.core.civil import to_instant, to_local
from scheduler.core.errors import LocalTimeFault
from scheduler.core.planner.problem import Cap, Leaf, Main, Plan, Problem, Visit

MINUTE = timedelta(minutes=1)


def verify(problem: Problem, plan: Plan) -> list[str]:
    """What is wrong with a plan, in sentences; empty when it obeys every hard rule and its cost is right."""
    ids = sorted(session_id for session_id, _ in plan.starts)
    if ids != sorted(visit.session_id for visit in problem.visits()):
        return ["the plan does not hold each session exactly once"]
    check = _Check(problem, dict(plan.starts), plan.primaries)
    faults = [
        *check.order(plan.starts),
        *(fault for visit in problem.visits() for fault in check.start(visit)),
        *check.chain(),
        *check.caps(),
        *check.discords(),
        *(fault for place in range(len(problem.mains)) for fault in check.leaf(place)),
        *check.overlaps(),
        *check.persons(),
    ]
    # Points for persons who are not even named cannot be counted.
    return faults or list(check.points(plan))


class _Check:
    """One plan held against one problem."""

    def __init__(self, problem: Problem, slots: Mapping[str, int], primaries: Mapping[str, Hashable]) -> None:
        self._problem, self._slots, self._primaries = problem, slots, primaries
        self._zone = problem.grid.zone

    def order(self, starts: tuple[tuple[str, int], ...]) -> Iterator[str]:
        if any(later[1] < earlier[1] for earlier, later in pairwise(starts)):
            yield "the starts are not in chronological order"

    def start(self, visit: Visit) -> Iterator[str]:
        """The start itself: pinned, or offered by the bitmap at a plain wall time on a row."""
        slot, grid, name = self._slots[visit.session_id], self._problem.grid, visit.session_id
        if name in self._problem.pinned:
            if slot != self._problem.pinned[name]:
                yield f"{name} left the slot at which it is pinned"
            return
        if not 0 <= slot < grid.slots or not visit.starts >> slot & 1:
            yield f"{name} starts where it may not"
        wall = self._wall(name)
        if self._minute(visit) % grid.row_minutes:
            yield f"{name} starts between two rows"
        try:
            to_instant(wall, self._zone)
        except LocalTimeFault:
            yield f"{name} starts at a wall time that is not unique"
        if not 0 <= (wall.date() - grid.first_day).days < grid.days:
            yield f"{name} is outside the days of the grid"

    def chain(self) -> Iterator[str]:
        """Gaps between neighbors, and spans."""
        for before, main in pairwise(self._problem.mains):
            if not self._free(before, main):
                continue
            days = self._apart(before, main)
            if main.gap is None or not main.gap.min <= days <= main.gap.max:
                yield f"{main.session_id} follows {before.session_id} after {days} days"
            if self._instant(main) < self._end(before):
                yield f"{main.session_id} starts before {before.session_id} is over"
            yield from self._rest(before, main)
        for span in self._problem.spans:
            first, last = self._problem.mains[span.first], self._problem.mains[span.last]
            days = (self._day(last) - self._day(first)).days
            if not span.min_days <= days <= span.max_days and self._free(first, last):
                yield f"{days} days from {first.session_id} to {last.session_id}"

    def _rest(self, before: Main, main: Main) -> Iterator[str]:
        """The elapsed time from one main session to the next."""
        rest = main.gap.rest if main.gap is not None else None
        if rest is not None:
            since = self._instant(before) if rest.edge == "start" else self._end(before)
            elapsed = (self._instant(main) - since) / MINUTE
            if elapsed < rest.min or (rest.max is not None and elapsed > rest.max):
                yield f"{main.session_id} starts {elapsed:.0f} minutes after the {rest.edge} of {before.session_id}"

    def caps(self) -> Iterator[str]:
        """How many sessions fall within some days, looked at from each session's day and from each week."""
        for cap in self._problem.caps:
            counted = self._problem.mains[cap.first : cap.last + 1]
            for opening in {self._opening(cap, self._day(main)) for main in counted}:
                length = 7 if cap.days is None else cap.days
                inside = [main for main in counted if 0 <= (self._day(main) - opening).days < length]
                movable = any(main.session_id not in self._problem.pinned for main in inside)
                if len(inside) > cap.most and movable:
                    yield f"{len(inside)} sessions within {length} days from {opening}, not {cap.most}"

    def _opening(self, cap: Cap, day: date) -> date:
        return day - timedelta(days=day.weekday()) if cap.days is None else day

    def discords(self) -> Iterator[str]:
        """Starts that exclude each other."""
        for discord in self._problem.discords:
            names = sorted(session_id for session_id, _ in discord)
            movable = not self._problem.pinned.keys() >= set(names)
            if movable and all(self._slots[session_id] == slot for session_id, slot in discord):
                yield f"{' and '.join(names)} cannot all start there"

    def leaf(self, place: int) -> Iterator[str]:
        """What binds a leaf to its own main session, to the next one, and to the days of all."""
        main, *later = self._problem.mains[place : place + 2]
        leaf = main.leaf
        if leaf is None:
            return
        if self._free(main, leaf):
            yield from self._behind(main, leaf)
        if later and leaf.before_next and self._free(leaf, later[0]):
            if self._instant(later[0]) < self._end(leaf):
                yield f"{leaf.session_id} is not over when {later[0].session_id} starts"
            if not leaf.same_day and self._day(later[0]) <= self._day(leaf):
                yield f"{leaf.session_id} is not on an earlier day than {later[0].session_id}"
        for other in self._problem.mains:
            if not leaf.same_day and self._day(other) == self._day(leaf) and self._free(leaf, other):
                yield f"{leaf.session_id} is on the day of {other.session_id}"

    def _behind(self, main: Main, leaf: Leaf) -> Iterator[str]:
        edge = self._instant(main) if leaf.window.edge == "start" else self._end(main)
        elapsed = (self._instant(leaf) - edge) / MINUTE
        if not leaf.window.min <= elapsed <= leaf.window.max:
            yield f"{leaf.session_id} starts {elapsed:.0f} minutes after the {leaf.window.edge} of its session"
        if self._instant(leaf) < self._end(main):
            yield f"{leaf.session_id} starts before {main.session_id} is over"
        if not leaf.same_day and self._day(leaf) <= self._day(main):
            yield f"{leaf.session_id} is not on a later day than {main.session_id}"

    def overlaps(self) -> Iterator[str]:
        """The patient is one person."""
        for one, other in combinations(self._problem.visits(), 2):
            shared = min(self._end(one), self._end(other)) - max(self._instant(one), self._instant(other))
            if shared > timedelta(0) and self._free(one, other):
                yield f"{one.session_id} and {other.session_id} share {shared // MINUTE} minutes"

    def persons(self) -> Iterator[str]:
        """Each role has a primary person, who serves every session where that is required."""
        roles = self._problem.roles()
        if set(self._primaries) != {role for role in roles if self._problem.candidates[role]}:
            yield "the primary persons are not one for each role that needs one"
        for role in roles:
            person = self._primaries.get(role)
            if role in self._primaries and person not in self._problem.candidates[role]:
                yield f"{person} is not a candidate for {role}"
            if self._problem.continuity == "required":
                for visit in self._unserved(role, person):
                    if not self._in_other_hands(visit, role):
                        yield f"{visit.session_id} is not served by the {role} of the course"

    def points(self, plan: Plan) -> Iterator[str]:
        """The cost, wish by wish."""
        expected = self._chain_points() | self._visit_points() | {"moved": self._points_for_moves()}
        expected["persons"] = 0
        if self._problem.continuity == "preferred":
            for role, person in plan.primaries.items():
                expected["persons"] += self._problem.weights.person(role) * len(list(self._unserved(role, person)))
        for part in sorted(expected.keys() | plan.parts.keys()):
            if expected.get(part, 0) != plan.parts.get(part, 0):
                yield f"{part} costs {expected.get(part, 0)}, not {plan.parts.get(part, 0)}"
        if sum(expected.values()) != plan.cost:
            yield f"the plan costs {sum(expected.values())}, not {plan.cost}"

    def _chain_points(self) -> dict[str, int]:
        mains, weights, first_day = self._problem.mains, self._problem.weights, self._problem.grid.first_day
        points = {
            "finish": weights.finish * (self._day(mains[-1]) - first_day).days,
            "begin": weights.begin * (self._day(mains[0]) - first_day).days,
            "gap": 0,
            "time_of_day": 0,
        }
        for before, main in pairwise(mains):
            if main.gap is not None:
                points["gap"] += weights.gap * abs(self._apart(before, main) - main.gap.target)
            if before.dosing and main.dosing:
                quarters = abs(self._minute(main) - self._minute(before)) // 15
                points["time_of_day"] += min(weights.time_of_day * quarters, weights.time_of_day_cap)
        return points

    def _visit_points(self) -> dict[str, int]:
        weights, liked = self._problem.weights, self._problem.preferences.weekdays
        points = {"weekday": 0, "hours": 0, "leaf_delay": 0, "leaf_hours": 0}
        counted = {
            "start_profile": weights.start_profile,
            "nurse_peak": weights.nurse_peak,
            "room_remainders": weights.room_remainders,
            "therapist_remainders": weights.therapist_remainders,
            "dropped": weights.dropped,
        }
        for name, worth in counted.items():
            levels = [(visit, level) for visit in self._problem.visits() for level in visit.levels.get(name, ())]
            points[name] = worth * sum(self._holds(level, visit) for visit, level in levels)
        points["therapist_remainders"] += weights.therapist_remainders * self._pieces_of_the_therapist()
        for main in self._problem.mains:
            points["hours"] += weights.hours * self._at_bad_hours(main)
            points["weekday"] += weights.weekday * (liked is not None and self._day(main).weekday() not in liked)
            if main.leaf is not None:
                points["leaf_hours"] += weights.leaf_hours * self._at_bad_hours(main.leaf)
                points["leaf_delay"] += weights.leaf_delay * self._days_from_target(main, main.leaf)
        return points

    def _pieces_of_the_therapist(self) -> int:
        """How many the course's own therapist leaves in the visits that it serves, beyond what anybody would."""
        person = self._primaries.get("therapist")
        if person is None:
            return 0
        visits = [visit for visit in self._problem.visits() if "therapist" in visit.by]
        served = [visit for visit in visits if self._holds(visit.by["therapist"].get(person, 0), visit)]
        return sum(self._holds(level, visit) for visit in served for level in visit.own_levels.get(person, ()))

    def _holds(self, bitmap: int, visit: Visit) -> bool:
        slot = self._slots[visit.session_id]
        return slot >= 0 and bool(bitmap >> slot & 1)

    def _points_for_moves(self) -> int:
        weights, points = self._problem.weights, 0
        for session_id, slot in self._problem.booked.items():
            if self._slots[session_id] != slot:
                was = to_local(self._problem.grid.origin + slot * SLOT, self._zone)
                wall = self._wall(session_id)
                days = abs((wall.date() - was.date()).days)
                minutes = abs((wall.hour - was.hour) * 60 + wall.minute - was.minute)
                points += weights.moved + weights.moved_day * min(days, weights.moved_days_cap)
                points += weights.moved_quarter * (minutes // 15)
        return points

    def _apart(self, before: Main, main: Main) -> int:
        """Days from one main session to the next, or clinic days where the gap counts those."""
        day, end, first_day = self._day(before), self._day(main), self._problem.grid.first_day
        if main.gap is None or not main.gap.clinic_days or end < day:
            return (end - day).days
        counted = 0
        while day < end:
            place = (day - first_day).days
            counted += not 0 <= place < self._problem.grid.days or self._problem.open_days >> place & 1
            day += timedelta(days=1)
        return counted

    def _days_from_target(self, main: Main, leaf: Leaf) -> int:
        edge = self._instant(main) if leaf.window.edge == "start" else self._end(main)
        target = to_local(edge + leaf.window.target * MINUTE, self._zone).date()
        return abs((self._day(leaf) - target).days)

    def _at_bad_hours(self, visit: Visit) -> bool:
        wish, minute = self._problem.preferences, self._minute(visit)
        return (wish.earliest is not None and minute < wish.earliest) or (
            wish.latest is not None and minute + visit.minutes > wish.latest
        )

    def _unserved(self, role: str, person: Hashable) -> Iterator[Visit]:
        for visit in self._problem.visits():
            slot = self._slots[visit.session_id]
            if role in visit.by and not (slot >= 0 and visit.by[role].get(person, 0) >> slot & 1):
                yield visit

    def _in_other_hands(self, visit: Visit, role: str) -> bool:
        """Whether the visit stands already and none of the candidates serves it: then it binds nobody."""
        candidates = self._problem.candidates[role]
        return visit.session_id in self._problem.pinned and all(
            visit in list(self._unserved(role, candidate)) for candidate in candidates
        )

    def _free(self, one: Visit, other: Visit) -> bool:
        """Whether a rule between the two counts: what stands already is not judged."""
        return one.session_id not in self._problem.pinned or other.session_id not in self._problem.pinned

    def _instant(self, visit: Visit) -> datetime:
        return self._problem.grid.origin + self._slots[visit.session_id] * SLOT

    def _end(self, visit: Visit) -> datetime:
        return self._instant(visit) + visit.minutes * MINUTE

    def _wall(self, session_id: str) -> datetime:
        return to_local(self._problem.grid.origin + self._slots[session_id] * SLOT, self._zone)

    def _day(self, visit: Visit) -> date:
        return self._wall(visit.session_id).date()

    def _minute(self, visit: Visit) -> int:
        wall = self._wall(visit.session_id)
        return wall.hour * 60 + wall.minute
