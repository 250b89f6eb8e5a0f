"""Times between sessions that cannot all be kept are named in a circle; those that can be are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.core.course import Bound, SessionSpec
from scheduler.core.course_cycle import contradiction


def course(*gaps: tuple[int, int]) -> list[SessionSpec]:
    """Main sessions, each so many days after the one before."""
    found = [SessionSpec(0, "p", "s", 1, "v", "main", None)]
    for least, most in gaps:
        index = len(found)
        found.append(replace(found[0], index=index, anchor=index - 1, gap=(least, least, most)))
    return found


@pytest.mark.parametrize(
    ("most", "circle"),
    [(5, []), (4, [0, 1, 2]), (None, [])],
)
def test_a_bound_over_several_gaps(most: int | None, circle: list[int]) -> None:
    specs = course((2, 4), (3, 4), (1, 9))
    specs[2] = replace(specs[2], bounds=(Bound(0, 0, most),))
    assert [spec.index for spec in contradiction(specs)] == circle


def test_a_phase_and_a_later_bound() -> None:
    specs = course((2, 4), (2, 4))
    specs[2] = replace(specs[2], span=(0, 3))
    assert [spec.index for spec in contradiction(specs)] == [0, 1, 2]
    specs[2] = replace(specs[2], span=None, bounds=(Bound(0, 9, None),))
    assert [spec.index for spec in contradiction(specs)] == [0, 1, 2], "longest gaps of 8 days in all"
    specs[2] = replace(specs[2], bounds=(Bound(0, 8, None),))
    assert contradiction(specs) == ()
