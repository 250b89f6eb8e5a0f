"""The frozen explanations, re-plans, sick days and batches: what is said of them today is what was proven, or better.

Every run tries a few of each, `--all-frozen` all. That a wrong claim is found is tried on small ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.planner import frozen_batches, frozen_explanations, frozen_replans, frozen_sick_days
from tests.core.planner.frozen_sets import SETS, lines

#: Those that are tried in every run. That sick day can be accepted only with the same people for the same parts.
SAMPLES = {
    "explanations": slice(0, 40, 10),
    "replans": slice(0, 60, 5),
    "sick_days": slice(1),
    "batches": slice(1),
}
#: How many there are.
SIZES = {"explanations": 40, "replans": 60, "sick_days": 18, "batches": 24}

Line = dict[str, Any]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SETS)
def test_what_is_said_is_what_was_proven_or_better(name: str, request: pytest.FixtureRequest) -> None:
    some = lines(name) if request.config.getoption("--all-frozen") else lines(name)[SAMPLES[name]]
    wrong = {str(line): found for line in some if (found := SETS[name].faults(line))}
    assert wrong == {}


def test_the_sets_are_whole_and_not_one_sided() -> None:
    assert {name: len(lines(name)) for name in SETS} == SIZES
    moved = [line["moved"] for line in lines("replans")]
    assert None in moved
    assert max(each for each in moved if each is not None) >= 3
    helping = [len(line["single"]) for line in lines("explanations")]
    assert sum(not each for each in helping) >= 2
    assert sum(each > 1 for each in helping) >= 10
    sick = lines("sick_days")
    assert sum(line["lost"] == 0 and line["moved"] + line["others"] == line["least"] for line in sick) >= 7
    assert {line["away"][0] for line in sick} == {"nurse", "prescriber", "therapist", "infusion"}
    batches = lines("batches")
    assert sum(line["placed"] == line["at_most"] for line in batches) >= 10
    assert all(line["placed"] <= line["at_most"] for line in batches)


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [
        ("explanations", {"sha256": ""}, "the instance is no longer"),
        ("explanations", {"single": []}, "single"),
        ("explanations", {"blocking": ["patient"]}, "blocking"),
        ("replans", {"sha256": ""}, "the instance is no longer"),
        ("replans", {"cost": 1}, "cost"),
        ("replans", {"moved": 9}, "moved"),
    ],
)
def test_an_answer_that_is_not_the_frozen_one_is_told(name: str, changed: Line, told: str) -> None:
    [found] = SETS[name].faults(lines(name)[0] | changed)
    assert found.startswith(told)


@pytest.mark.slow
def test_worse_values_and_other_instances_of_batches_and_sick_days_are_told() -> None:
    batch, sick = lines("batches")[0], lines("sick_days")[0]
    assert batch["placed"] == 11
    assert frozen_batches.faults(batch | {"rounds": 2}) == ["9 placed, 11 were"]
    assert "more placed than can be" in frozen_batches.faults(batch | {"at_most": 0, "rounds": 2})
    [told] = frozen_batches.faults(batch | {"sha256": ""})
    assert told.startswith("the instance is no longer")
    told = frozen_sick_days.faults(sick | {"moved": 0, "others": 0})
    assert told == ["more are lost or moved than were"]
    [told] = frozen_sick_days.faults(sick | {"away": ["nurse", 1, 8, 1]})
    assert told.startswith("the instance is no longer")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "denied"),
    [
        (lambda line: {"blocking": line["blocking"][1:]}, "the set is in the way"),
        (lambda line: {"blocking": [*line["blocking"], "gap dose-0"]}, "gap dose-0 is needed in the way"),
        (lambda line: {"single": line["single"][1:]}, "patient helps or not"),
        (lambda _: {"together": ["patient", "pool nurse"]}, "pool nurse is needed to help"),
        (lambda _: {}, None),
    ],
)
def test_a_wrong_explanation_is_denied(changed: Callable[[Line], Line], denied: str | None) -> None:
    line = next(each for each in lines("explanations") if each["together"] == ["patient"] and each["single"][1:])
    assert line["single"][0] == "patient"
    assert "gap dose-0" not in line["blocking"]
    found = frozen_explanations.unproven(line | changed(line))
    assert denied in found if denied else found == []


def test_a_wrong_re_plan_is_denied_by_the_slow_searches() -> None:
    line = next(each for each in lines("replans") if each["moved"])
    assert frozen_replans.unproven(line) == []
    assert frozen_replans.unproven(line | {"cost": line["cost"] - 1}) == ["cost"]
    assert frozen_replans.unproven(line | {"moved": line["moved"] - 1}) == ["moved"]
    assert frozen_replans.unproven(line | {"cost": None, "moved": None}) == ["cost", "moved"]


def test_a_wrong_batch_is_denied_by_its_own_proofs() -> None:
    line = lines("batches")[0]
    assert frozen_batches.unproven(line) == []
    one = next(iter(line["plans"].values()))
    told = frozen_batches.unproven(line | {"placed": line["placed"] + 1})
    assert "as many plans as courses that have a place" in told
    assert frozen_batches.unproven(line | {"at_most": line["at_most"] - 1})
    [visit, *rest] = one
    moved = {**line["plans"], next(iter(line["plans"])): [[visit[0] + 1, *visit[1:]], *rest]}
    assert frozen_batches.unproven(line | {"plans": moved})
    long = [number for number, visits in line["plans"].items() if len(visits) == len(one)]
    twice = {**line["plans"], long[1]: one}
    assert frozen_batches.unproven(line | {"plans": twice}), "the same members at the same times"


@pytest.mark.parametrize(("units", "least"), [(0, 4), (1, 2), (2, 1), (3, 0)])
def test_as_many_visits_must_go_as_are_too_many_at_once(units: int, least: int) -> None:
    """Three at the same time, one of them twice, and one that follows them all."""
    hours = [(0, 2, "a"), (1, 3, "b"), (1, 2, "c"), (4, 5, "c"), (3, 6, "d")]
    rows = [frozen_sick_days.Row(who, "nurse", start, end, blocking=True) for start, end, who in hours]
    assert frozen_sick_days.least_removed(rows, units) == least
