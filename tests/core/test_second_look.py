"""The second look before a plan is committed: each rule, tampered with by itself, is seen."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from scheduler.core import second_look
from scheduler.core.bitmap import Timeline
from scheduler.core.course import SessionSpec, expand, supplied
from scheduler.core.opendays import OpenDays
from scheduler.core.second_look import broken
from scheduler.core.spacing import Booked, session_rules
from tests.core.series import DOSE, TALK, parsed

GAP = {"unit": "days", "min": 2, "target": 2, "max": 5, "min_hours": 47}
WORKDAYS = OpenDays(lambda day: day.weekday() < 5)
DAYS = {0: 0, 1: 3, 2: 4, 3: 5, 4: 6, 5: 8, 6: 9, 7: 10, 8: 11, 9: 12, 10: 13, 11: 15, 12: 16}


def place(day: int, hour: float = 9, minutes: int = 60) -> Booked:
    starts = datetime(2030, 3, 4, tzinfo=UTC) + timedelta(days=day, hours=hour)
    return Booked(starts.date(), starts, starts + timedelta(minutes=minutes))


def series(*changes: tuple[str, object]) -> tuple[SessionSpec, ...]:
    sound = (("/cadences/thrice/dose/gap", GAP), ("/phases/1/max_days", 14), ("/phases/1/per_week", 3))
    return expand(parsed(*sound, *changes))[:13]


def judged(specs: tuple[SessionSpec, ...], tampered: Mapping[int, Booked], *, fresh: range = range(13)) -> list[str]:
    stands = {index: place(day, 10 if specs[index].kind == "leaf" else 9) for index, day in DAYS.items()}
    return broken(specs, {**stands, **tampered}, fresh, WORKDAYS)


def test_a_sound_plan_passes() -> None:
    assert judged(series(), {}) == []


@pytest.mark.parametrize(
    ("tampered", "said"),
    [
        ({3: place(4)}, "is 1 days after"),  # a gap too short
        ({5: place(11, 9), 7: place(13, 9)}, "is 6 days after"),  # one too long
        ({3: place(5, 7.5)}, "46.5 hours after"),  # a rest
        ({2: place(3, 11)}, "1.0 hours after"),  # a window, too soon
        ({12: place(19)}, "95.0 hours after"),  # and too late
        ({4: place(8, 7)}, "is not before session 6"),  # the talk on the day of the next dose
        ({11: place(18)}, "days into a phase of at most 14"),
        ({11: place(13)}, "4 sessions fall within 7 days"),  # a fourth one in the week from Monday 11 March
        ({1: place(8), 5: place(3)}, "starts before session 4 is over"),  # the order
        ({2: place(4, 9.5), 1: place(4, 9)}, "overlap"),
    ],
)
def test_a_tampered_plan_is_seen(tampered: dict[int, Booked], said: str) -> None:
    found = judged(series(), tampered)
    assert any(said in each for each in found), found


def test_days_counted_from_afar_and_supplies_are_seen() -> None:
    offsets = {"anchor": "first_dose", "days": [0, 2, 5, 7, 9, 12], "early": 0, "late": 0}
    specs = series((f"{DOSE}/offsets", offsets))
    assert judged(specs, {}) == []
    assert any("from which its days are counted" in each for each in judged(specs, {11: place(16)}))
    assert any("from which its days are counted" in each for each in judged(specs, {11: place(14)}))
    timed = supplied(specs, {5: date(2030, 3, 11)})
    assert any("is after 2030-03-11" in each for each in judged(timed, {}))


def test_a_rest_has_its_edge_and_its_longest() -> None:
    hours = {"unit": "hours", "edge": "end", "min": 47, "target": 48, "max": 71}
    specs = series(("/cadences/thrice/dose/gap", hours))
    assert judged(specs, {}) == []
    assert any("46.0 hours after session 2" in each for each in judged(specs, {3: place(5, 8)}))
    assert any("72.0 hours after session 4" in each for each in judged(specs, {5: place(8, 10)}))


@pytest.mark.parametrize("days", [{3: 6}, {1: 2, 3: 4, 5: 6}])
def test_weeks_begin_on_monday_and_hold_sessions_of_one_phase(days: Mapping[int, int]) -> None:
    # Four doses from a Sunday on, two of them of the week before; three doses in the week of the evaluation.
    found = judged(series(), {index: place(day) for index, day in days.items()})
    assert not any("fall within" in each for each in found), found


@pytest.mark.parametrize(("hour", "told"), [(7.5, False), (8.5, True)])
def test_a_talk_on_the_day_of_the_next_dose_is_over_before_it(hour: float, told: bool) -> None:  # noqa: FBT001
    found = judged(series((f"{TALK}/same_day", True)), {4: place(8, hour)})
    assert any("is not before session 6" in each for each in found) == told


def test_what_concerns_other_sessions_only_is_not_judged() -> None:
    assert judged(series(), {3: place(4)}, fresh=range(7, 13)) == []


def test_clinic_days_are_counted_as_such() -> None:
    # Of the days 3, 5, 8, 10, 12 and 15 of the course two pairs span a weekend: those are one clinic day apart.
    def gap(least: int, most: int) -> tuple[str, object]:
        return "/cadences/thrice/dose/gap", {"unit": "clinic_days", "min": least, "target": 2, "max": most}

    assert judged(series(gap(1, 2)), {}) == []
    few = judged(series(gap(2, 5)), {})
    assert few == ["session 6 is 1 clinic days after session 4", "session 12 is 1 clinic days after session 10"]


def test_it_shares_no_line_with_the_planner() -> None:
    """Neither it nor anything that it imports."""
    seen, left = set[str](), {second_look.__name__}
    while left:
        name = left.pop()
        seen.add(name)
        tree = ast.parse(Path(inspect.getfile(import_module(name))).read_text())
        plain = {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
        imported = plain | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        left |= {each for each in imported if each.startswith("scheduler")} - seen
    assert {"scheduler.core.course", "scheduler.core.spacing"} <= seen
    assert [name for name in sorted(seen) if "planner" in name or "planning" in name] == []


class TestHardLimits:
    """The same limits when one visit is booked or moved by itself."""

    def _days(self, specs: tuple[SessionSpec, ...], index: int, stands: Mapping[int, Booked]) -> list[int]:
        timeline = Timeline.covering(place(0).starts_at, place(14).starts_at)
        bars = session_rules(specs, index, stands, {"review"}, 60).bars(timeline, "UTC")
        far = [bar.starts for bar in bars if bar.code == "gap_too_long"]
        return [day for day in range(14) if any(each >> timeline.slot(place(day).starts_at) & 1 for each in far)]

    def test_a_longest_gap_bars_from_both_sides(self) -> None:
        hard = series(("/cadences/thrice/dose/gap", {**GAP, "hard_max": True}))
        assert self._days(hard, 3, {1: place(3)}) == [9, 10, 11, 12, 13]
        assert self._days(hard, 3, {5: place(11)}) == [0, 1, 2, 3, 4, 5]
        assert self._days(series(), 3, {1: place(3), 5: place(11)}) == []

    def test_the_length_of_a_phase_bars_from_both_sides(self) -> None:
        length = ("/phases/1/max_days", 11)
        hard = series(length, ("/phases/1/hard_max", True))
        assert self._days(hard, 11, {1: place(1)}) == [13]
        assert self._days(hard, 1, {9: place(11), 11: place(13)}) == [0, 1]
        assert self._days(series(length), 11, {1: place(1)}) == []

    def test_a_window_bars_to_the_hour(self) -> None:
        window = {"edge": "end", "unit": "hours", "min": 24, "target": 48, "max": 71, "hard_max": True}
        hard = series((f"{TALK}/window", window))
        assert self._days(hard, 2, {1: place(3)}) == [7, 8, 9, 10, 11, 12, 13], "day 6 at nine is 71 hours on"
        assert self._days(hard, 1, {2: place(6)}) == [0, 1, 2]
