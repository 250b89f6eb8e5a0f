"""What the parts of a search take, in points of work: the same on every machine, so that a search can be given an end.

They were fitted to the clock of one machine, where a point was about 25 ns: a start of a main session with a leaf, seen
from one gap and with one choice of persons. What Python does around its arrays is most of a short search.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from scheduler.core.planner.planes import Planes

#: A gap from one main session to the next, besides its cells.
STEP = 2_200
#: A pass of the dynamic program, laying out the days for new bars or persons, and following a plan through one session:
#: each without leaves, and with them.
PASS = 20_000, 120_000
LAYOUT = 130_000, 190_000
TRACE = 2_100, 6_300
#: The sheets of one choice of persons, where several are looked at, for a day.
SHEET_DAY = 100
#: Of the starts of main sessions without a leaf so many take as long as one with a leaf.
PLAIN = 8


def of_pass(planes: Planes, widths: Sequence[int], days: Sequence[tuple[int, int]], lanes: int) -> int:
    """A pass with so many choices of persons, when each main session has these days at most, and so many states."""
    cells = (planes.rows.stop - planes.rows.start) * lanes
    points = PASS[has_leaves(planes)]
    if lanes > 1:
        points += SHEET_DAY * lanes * (1 + max(last for _, last in days) - min(first for first, _ in days))
    for place, ((first, last), (soonest, latest)) in enumerate(pairwise(days)):
        # Only the gaps that lead from one of the days to one of the next main session's.
        some = (min(last, latest - gap) - max(first, soonest - gap) + 1 for gap in planes.gaps(place))
        counts = [each for each in some if each > 0]
        seen = cells * widths[place] * sum(counts)
        points += STEP * len(counts) + (seen if planes.problem.mains[place].leaf else seen // PLAIN)
    return points


def has_leaves(planes: Planes) -> bool:
    """Whether any main session has a leaf."""
    return any(main.leaf is not None for main in planes.problem.mains)
