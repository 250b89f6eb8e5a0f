"""Each bound and each short cut of the search, broken by one comparison: some course that is tried shows it.

What breaks is cut out of the planner's own text, so that a line that was rewritten has to be rewritten here too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from textwrap import dedent
from typing import Any, NamedTuple

import pytest

from scheduler.core.planner import Preferences, Problem, Span, Weights, Window, clashes, plan
from scheduler.core.planner.dp import Chain
from scheduler.core.planner.leaves import Follow
from scheduler.core.planner.outline import Outline
from scheduler.core.planner.planes import Planes
from scheduler.core.planner.search import Search
from tests.core.planner import test_exactness as exactness
from tests.core.planner.enumeration import Best, enumerated
from tests.core.planner.handmade import DAY, at, each, leaf, main
from tests.core.planner.handmade import course as by_hand
from tests.core.planner.instances import course, leaving, narrow, ruled


def early(_: int) -> Problem:
    """The talk of the early dose is two days before its target, and three before that of the late one."""
    talk = leaf("talk", at((1, 10), (8, 10)), Window(DAY, 84 * 60, 6 * DAY, "start"))
    weights = Weights(leaf_delay=3_000, hours=7_500)
    return by_hand(
        main("dose", at((0, 9), (0, 20), (5, 7)), leaf=talk), weights=weights, preferences=Preferences(earliest=8 * 60)
    )


def one_day_short(_: int) -> Problem:
    """A first dose at a good hour leaves the last one a day short of its span, which the day after keeps."""
    days = main("b", each(range(10), 9), (2, 2, 9)), main("c", each(range(10), 9), (2, 2, 9))
    wish: Any = {"weights": Weights(hours=60), "preferences": Preferences(earliest=8 * 60)}
    return by_hand(main("a", at((0, 7), (3, 9))), *days, spans=(Span(0, 2, max_days=9, min_days=5),), **wish)


#: The courses, those that `test_exactness` tries, and their slow planner.
KINDS: dict[str, tuple[Callable[[int], Problem], Any, Callable[[int], Best | None]]] = {
    "small": (course, exactness.SMALL, exactness.slow_small),
    "ruled": (ruled, exactness.RULED, exactness.slow_ruled),
    "leaving": (leaving, exactness.LEAVING, exactness.slow_leaving),
    "narrow": (narrow, exactness.NARROW, exactness.slow_narrow),
    "early": (early, range(1), lambda seed: enumerated(early(seed))),
    "one day short": (one_day_short, range(1), lambda seed: enumerated(one_day_short(seed))),
}


class Sabotage(NamedTuple):
    """A part of the planner, what stands there, what is put in its place, and a course that shows it."""

    owner: Any
    name: str
    sound: str
    broken: str
    kind: str
    seed: int


SABOTAGES = [
    Sabotage(Search, "_most", "self._known.cost", "self._known.cost - 1", "small", 9),
    Sabotage(Search, "_solved", "outline.least > min", "outline.least >= min", "narrow", 472),
    Sabotage(Search, "_with_lanes", "limit >= self._most()", "True", "ruled", 91),
    Sabotage(Search, "_is_decided", "found.cost == node.cost", "True", "small", 119),
    Sabotage(Search, "_is_decided", 'self._problem.continuity != "required"', "True", "ruled", 119),
    Sabotage(Search, "_remember", '(lawful or self._problem.continuity != "required")', "True", "ruled", 119),
    Sabotage(Search, "_dive", "first_clash(self._planes, itinerary) is None", "True", "narrow", 557),
    Sabotage(Search, "run", "node.traced and branches is None", "node.traced", "small", 22),
    Sabotage(Search, "_smaller", "for more in branches", "for more in branches[:1]", "small", 41),
    Sabotage(Search, "_smaller", "for more in branches", "for more in branches[1:]", "small", 22),
    Sabotage(Search, "_by_person", "range(len(people))", "range(min(2, len(people)))", "narrow", 55),
    Sabotage(Outline, "days", "through <= limit", "through < limit", "small", 9),
    Sabotage(Outline, "_by_day", "sheet.cost.min(axis=(0, 2))", "sheet.cost.max(axis=(0, 2))", "small", 0),
    Sabotage(Outline, "_look_ahead", "np.minimum(part, price +", "np.minimum(part, 1 + price +", "small", 9),
    Sabotage(Outline, "_look_back", "np.minimum(part, price +", "np.minimum(part, 1 + price +", "small", 9),
    Sabotage(Outline, "_steps_from", "self._planes.gaps(place)", "self._planes.gaps(place)[:-1]", "small", 16),
    Sabotage(Outline, "_steps_from", "self._planes.gaps(place)", "self._planes.gaps(place)[1:]", "small", 0),
    Sabotage(Follow, "at_least", "- _points(above)", "- _points(base)", "small", 9),
    Sabotage(Follow, "at_least", "+ _points(base)", "+ _points(above)", "early", 0),
    Sabotage(Follow, "at_least", "self._leaf.before_next and not self._leaf.same_day", "True", "small", 9),
    Sabotage(Follow, "at_least", "first, past = start[0], end[1]", "first, past = start[1], end[0]", "small", 16),
    Sabotage(clashes, "_further", "midnight(pivot + 1 + days)", "midnight(pivot + 2 + days)", "one day short", 0),
    Sabotage(Chain, "_narrow", "first - most, last - least", "first - most + 1, last - least", "small", 16),
    Sabotage(Chain, "_narrow", "first - most, last - least", "first - most, last - least - 1", "small", 9),
    Sabotage(Chain, "_narrow", "low + least, high + most", "low + least + 1, high + most", "small", 0),
    Sabotage(Chain, "_narrow", "low + least, high + most", "low + least, high + most - 1", "small", 19),
    Sabotage(Chain, "_distances", "self._problem.judged(*ends)", "True", "small", 70),
    Sabotage(Chain, "_open_stages", "1 + max(last for _, last in days)", "max(last for _, last in days)", "small", 9),
    Sabotage(Chain, "_nearest", "after.min(axis=0, keepdims=True) + cap", "after + cap", "small", 41),
    Sabotage(Planes, "_missed", "np.minimum.reduce", "np.maximum.reduce", "leaving", 4),
    Sabotage(Planes, "_missed_by", "(serves & self.served", "(self.served", "leaving", 16),
    Sabotage(Chain, "_by_quarters", "weight * quarters <", "weight * quarters * 2 <", "narrow", 9),
]


def broken(sabotage: Sabotage) -> Any:
    """The part with that one change."""
    found = sabotage.owner.__dict__[sabotage.name]
    text = dedent(inspect.getsource(found))
    assert text.count(sabotage.sound) == 1, "the planner says it otherwise by now"
    made: dict[str, Any] = {}
    text = "from __future__ import annotations\n" + text.replace(sabotage.sound, sabotage.broken)
    exec(text, found.__globals__, made)  # noqa: S102 - the planner's own text
    return made[found.__name__]


def outcome(problem: Problem) -> Best | Exception | None:
    try:
        return exactness.best(problem, plan(problem))
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        return error


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: f"{each.name}: {each.broken}")
def test_a_broken_bound_is_seen(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    make, tried, slow = KINDS[sabotage.kind]
    assert sabotage.seed in tried
    monkeypatch.setattr(sabotage.owner, sabotage.name, broken(sabotage))
    assert outcome(make(sabotage.seed)) != slow(sabotage.seed)
