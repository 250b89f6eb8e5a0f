"""Primary persons: required, preferred, or nobody's business."""

from __future__ import annotations

from dataclasses import replace

from scheduler.core.planner import Weights, Window, plan, verify
from tests.core.planner.handmade import DAY, course, each, leaf, main, people, read

DAYS = range(10)
ALL = each(DAYS, 9)
#: P serves on days 0 and 5, Q on days 1 and 3.
BY = people("prescriber", {"P": each([0, 5], 9), "Q": each([1, 3], 9)})
TWO = course(
    main("a", ALL, by=BY),
    main("b", ALL, (2, 2, 5), by=BY),
    candidates={"prescriber": ("P", "Q")},
    continuity="required",
)


def test_a_required_person_serves_throughout() -> None:
    found = plan(TWO)
    assert read(TWO, found) == {"a": "1 09:00", "b": "3 09:00"}
    assert found is not None
    assert found.primaries == {"prescriber": "Q"}
    assert verify(TWO, found) == []


def test_a_preferred_person_is_left_when_waiting_costs_more() -> None:
    problem = replace(TWO, continuity="preferred")
    found = plan(problem)
    assert found is not None
    # Q on days 1 and 3: 11 + 20 points more than days 0 and 2, where P serves one and nobody the other (60).
    assert read(problem, found) == {"a": "1 09:00", "b": "3 09:00"}
    cheap = replace(problem, weights=replace(problem.weights, prescriber=5))
    found = plan(cheap)
    assert found is not None
    assert read(cheap, found) == {"a": "0 09:00", "b": "2 09:00"}
    assert (found.parts["persons"], found.primaries) == (5, {"prescriber": "P"})


def test_without_continuity_nobody_is_primary() -> None:
    found = plan(replace(TWO, continuity="none"))
    assert found is not None
    assert (found.primaries, found.parts["persons"]) == ({}, 0)
    assert read(TWO, found) == {"a": "0 09:00", "b": "2 09:00"}


def test_only_candidates_can_be_primary() -> None:
    problem = replace(TWO, candidates={"prescriber": ("P",)})
    assert read(problem, plan(problem)) == {"a": "0 09:00", "b": "5 09:00"}
    assert plan(replace(TWO, candidates={"prescriber": ()})) is None
    assert (
        plan(replace(TWO, candidates={"prescriber": ("P",)}, mains=(TWO.mains[0], main("b", ALL, (2, 2, 4), by=BY))))
        is None
    )


def test_of_equal_persons_the_most_wanted_is_primary() -> None:
    anybody = people("prescriber", {"P": ALL, "Q": ALL, "R": ALL})
    for first, *others in (("P", "Q", "R"), ("R", "P", "Q"), ("Q", "R", "P")):
        problem = course(
            main("a", ALL, by=anybody), candidates={"prescriber": (first, *others)}, continuity="preferred"
        )
        found = plan(problem)
        assert found is not None
        assert found.primaries == {"prescriber": first}


def test_a_role_concerns_only_the_sessions_that_list_it() -> None:
    talk = leaf(
        "talk",
        each([1, 2], 9),
        Window(0, 0, 3 * DAY, "end"),
        by=people("therapist", {"T": each([2], 9), "U": each([1], 9)}),
    )
    problem = course(
        main("a", each([0], 9), by=people("prescriber", {"P": each([0], 9)}), leaf=talk),
        main("b", each([4], 9), (4, 4, 4), by=people("therapist", {"T": each([4], 9)})),
        candidates={"therapist": ("U", "T"), "prescriber": ("P",)},
        continuity="required",
    )
    found = plan(problem)
    assert found is not None
    assert read(problem, found) == {"a": "0 09:00", "talk": "2 09:00", "b": "4 09:00"}
    assert found.primaries == {"therapist": "T", "prescriber": "P"}


def test_roles_have_their_prices() -> None:
    for role, price in (("prescriber", 60), ("therapist", 80), ("nurse", 60)):
        problem = course(main("a", ALL, by=people(role, {"X": 0})), candidates={role: ("X",)}, continuity="preferred")
        found = plan(problem)
        assert found is not None
        assert found.parts["persons"] == price


def test_a_team_is_found_though_each_favourite_fails_with_the_other() -> None:
    by = {
        "prescriber": {"P": each([0, 3], 9), "Q": each([1, 4], 9)},
        "therapist": {"T": each([0, 4], 9), "U": each([1, 4], 9)},
    }
    problem = course(
        main("a", ALL, by=by),
        main("b", ALL, (3, 3, 4), by=by),
        candidates={"prescriber": ("P", "Q"), "therapist": ("T", "U")},
        continuity="required",
    )
    found = plan(problem)
    assert found is not None
    assert found.primaries == {"prescriber": "Q", "therapist": "U"}
    assert read(problem, found) == {"a": "1 09:00", "b": "4 09:00"}


def test_whoever_leaves_less_of_its_day_is_the_primary_one() -> None:
    by, own = people("therapist", {"T": ALL, "U": ALL}), {"T": (ALL, ALL), "U": (ALL,)}
    dear = Weights(therapist_remainders=5)
    talk = main("a", ALL, by=by, own_levels=own)
    for continuity in ("required", "preferred"):
        problem = course(talk, candidates={"therapist": ("T", "U")}, continuity=continuity, weights=dear)
        found = plan(problem)
        assert found is not None
        assert (found.primaries, found.parts["therapist_remainders"], found.cost) == ({"therapist": "U"}, 5, 5)
        assert verify(problem, found) == []


def test_visits_are_told_apart_by_what_their_people_leave() -> None:
    by = people("therapist", {"T": ALL})
    problem = course(
        main("a", ALL, by=by, own_levels={"T": (each([0, 1], 9),)}),
        main("b", ALL, (2, 2, 5), by=by, own_levels={"T": (each([4], 9),)}),
        candidates={"therapist": ("T",)},
        continuity="preferred",
        weights=Weights(therapist_remainders=500),
    )
    assert read(problem, plan(problem)) == {"a": "3 09:00", "b": "5 09:00"}
