"""Lifting a rule never takes a start away, and whoever is added can serve wherever the rule was in the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial, reduce
from itertools import combinations
from operator import or_
from random import Random
from typing import Any
from uuid import UUID

import pytest

from scheduler.core.availability import Calendar, exact_starts
from scheduler.core.bitmap import Timeline
from scheduler.core.civil import to_local
from scheduler.core.columns import Stays
from scheduler.core.course import SessionSpec, expand
from scheduler.core.demand import demand_of
from scheduler.core.easing import Rule, Scene, finer, granted, lifted, rules_of
from scheduler.core.easing.dated import limited
from scheduler.core.easing.lifting import eased_wishes
from scheduler.core.easing.rules import is_bound
from scheduler.core.easing.starts import LiftedStarts
from scheduler.core.preferences import CoursePreferences
from scheduler.core.rooms import RoomPool
from scheduler.core.site import Site
from scheduler.core.visit import VisitType, parse_visit_type
from tests.clinic import need, segment, visit_type
from tests.core.series import BOOSTER, TALK, VISITS
from tests.core.series import parsed as parsed_protocol

TIMELINE = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 3)
HOURS = sum(((1 << 96) - 1) << (288 * day + 108) for day in range(3))
NIGHT = ((1 << 12) - 1) << 204
ROOM = "room:bay"


def parsed(*segments: Any, **more: Any) -> VisitType:
    return parse_visit_type(visit_type("stay", *segments, **more), {})


def calendar(number: int, selector: str, kind: str, **more: Any) -> Calendar:
    known: dict[str, Any] = {"rostered": HOURS, "absent": 0, "taken": (0,)} | more
    return Calendar(resource_id=UUID(int=number << 20), kind=kind, units=1, serves={selector: -1}, **known)


def scene(visit: VisitType, *calendars: Calendar, **more: Any) -> Scene:
    pools = more.pop("pools", {})
    spec = SessionSpec(0, "phase", "stay", 1, "stay", "main", None, (0, 0, None))
    site = Site(
        TIMELINE, "UTC", HOURS, 0, (), {each.resource_id: each for each in calendars}, None, (),
        TIMELINE.origin, TIMELINE.end + timedelta(days=9), TIMELINE.origin, pools=pools,
    )  # fmt: skip
    return Scene((spec,), {"stay": demand_of(visit)}, site, CoursePreferences(**more))


def starts(visit: VisitType, seen: Scene) -> int:
    demand, site = seen.demands["stay"], seen.site
    wishes = seen.preferences.bars(TIMELINE, "UTC")
    site = replace(site, further=wishes, region=seen.preferences.patient_region)
    return exact_starts(demand, site.clinic(visit, demand, cleared=False))


def test_one_more_room_helps_where_rooms_are_bound_late() -> None:
    visit = parsed(segment("stay", 60, need(ROOM)))
    rooms = [calendar(number, ROOM, "room", taken=(HOURS,)) for number in (1, 2)]
    pool = RoomPool(tuple(room.resource_id for room in rooms), lambda: Stays.of(()), {})
    full = scene(visit, *rooms, pools={ROOM: pool})
    assert not starts(visit, full)
    assert starts(visit, lifted(full, [Rule("no_resource", "manager", selector=ROOM)]))


def test_one_more_therapist_is_licensed_where_the_patient_is() -> None:
    visit = parsed(segment("talk", 60, need("role:therapist")), video=True, psychotherapy=True)
    far = scene(visit, calendar(1, "role:therapist", "practitioner"), patient_region="US-NY")
    assert not starts(visit, far), "nobody here is licensed for New York"
    assert starts(visit, lifted(far, [Rule("no_resource", "manager", selector="role:therapist")]))


def test_lifting_more_rules_never_leaves_fewer_starts() -> None:
    """A nurse who is here at night sets up while the clinic is closed, which the hours of nobody else allow."""
    visit, seen, few = questions()
    found = [(lifting, starts(visit, lifted(seen, lifting))) for lifting in few]
    assert len({mask for _, mask in found}) > 10
    for lifting, mask in found:
        for more, wider in found:
            assert not lifting <= more or not mask & ~wider, (lifting, more)


def test_starts_that_are_found_in_parts_are_those_of_each_question() -> None:
    """One object answers all; a charge nurse is a nurse too, and rooms of a pool may change places."""
    visit, seen, few = questions()
    known, rng = LiftedStarts(), Random(1)
    many = [frozenset(rng.sample(sorted(set().union(*few), key=repr), rng.randrange(1, 7))) for _ in range(300)]
    for lifting in (*map(frozenset, few), *many):
        there = lifted(seen, lifting)
        wishes = there.preferences.bars(TIMELINE, "UTC")
        site, demand = replace(there.site, further=wishes), there.demands["stay"]
        clinic = partial(site.clinic, visit, demand, cleared=False)
        assert known.of("stay", demand, lifting, clinic) == starts(visit, there), lifting


def questions() -> tuple[VisitType, Scene, list[frozenset[Rule]]]:
    """A visit, a scene with something of everything, and every one and two of its rules."""
    setup = segment("setup", 30, need("role:nurse"), patient=False)
    visit = parsed(setup, segment("stay", 60, need("role:nurse"), need(ROOM)), segment("end", 15, need("role:charge")))
    nurse = calendar(1, "role:nurse", "practitioner", rostered=HOURS | NIGHT, absent=HOURS & ~(HOURS << 24))
    charge = replace(calendar(3, "role:charge", "practitioner"), serves={"role:charge": -1, "role:nurse": -1})
    charge = replace(charge, taken=(HOURS & (HOURS << 60),))
    room = calendar(2, ROOM, "room", taken=(HOURS & (HOURS << 40),))
    pools = {ROOM: RoomPool((room.resource_id,), lambda: Stays.of(()), {})}
    seen = scene(visit, nurse, charge, room, pools=pools, weekdays=frozenset({0, 2}),
                 earliest=540, latest=900)  # fmt: skip
    seen = replace(seen, site=replace(seen.site, closed=NIGHT | NIGHT >> 98, open=HOURS | NIGHT >> 98))
    coarse = rules_of(seen)
    rules = dict.fromkeys([*coarse, *(part for rule in coarse for part in finer(seen, rule, ()))])
    few = [frozenset[Rule](), *(frozenset({one}) for one in rules), *map(frozenset, combinations(rules, 2))]
    return visit, seen, few


GAP = "/cadences/thrice/dose/gap"
#: Where a longest time stands in the protocol, and how it reads there.
LONGEST: dict[str, tuple[str, dict[str, Any]]] = {
    "gap_max": (GAP, {"unit": "days", "min": 2, "target": 2, "max": 5}),
    "rest_max": (GAP, {"unit": "hours", "min": 40, "target": 48, "max": 90}),
    "window_max": (f"{TALK}/window", {"edge": "end", "unit": "hours", "min": 24, "target": 48, "max": 72}),
    "bound_max": (f"{BOOSTER}/entry", {"anchor": "evaluation", "unit": "days", "min": 7, "target": 28, "max": 56}),
    "entry": ("/phases/0/steps/0/entry", {"unit": "days", "min": 0, "target": 0, "max": 7}),
}


@pytest.mark.parametrize("code", LONGEST)
def test_whatever_anybody_may_grant_a_hard_longest_time_stays(code: str) -> None:
    """Made hard it has no one to ask, and lifting all that can be granted leaves it as it was; soft it gives way."""
    where, rule = LONGEST[code]
    for hard in (False, True):
        specs = expand(parsed_protocol((where, rule | {"hard_max": hard})))
        demands = {kind: demand_of(visit) for kind, visit in VISITS.items()}
        seen = replace(scene(VISITS["infusion"]), specs=specs, demands=demands)
        limits = [each for each in rules_of(seen) if each.code == code and each.hard == hard]
        assert limits
        assert all((each.who is None) == hard for each in limits)
        bound = [spec for spec in specs for each in limits if is_bound(spec, each)]
        assert bound
        granted = lifted(seen, [each for each in rules_of(seen) if each.who]).specs
        assert all((granted[spec.index] == spec) == hard for spec in bound)
        everything = lifted(seen, rules_of(seen)).specs
        assert all(everything[spec.index] != spec for spec in bound), "so it can be found to be to blame"
        assert [each.gap and each.gap[:2] for each in everything] == [each.gap and each.gap[:2] for each in specs]
        assert all(fine.hard == hard for each in limits for fine in finer(seen, each, ()))


#: Every kind of least time that a protocol can set, with a longest beside it, a phase's length and a limit of a week.
LEAST: tuple[tuple[str, Any], ...] = (
    (GAP, {"unit": "days", "min": 2, "target": 2, "max": 5, "min_hours": 40}),
    LONGEST["window_max"],
    LONGEST["bound_max"],
    ("/phases/1/max_days", 21),
    ("/phases/1/per_week", 3),
)


def least(specs: tuple[SessionSpec, ...]) -> list[tuple[Any, ...]]:
    """What each session keeps at least from those before it."""
    return [
        (
            spec.anchor,
            spec.gap and spec.gap[:2],
            spec.rest and (spec.rest.edge, spec.rest.minimum),
            spec.window and (spec.window.edge, spec.window.minimum),
            tuple((bound.anchor, bound.least) for bound in spec.bounds),
        )
        for spec in specs
    ]


@pytest.mark.parametrize("changes", [LEAST, (LONGEST["rest_max"], LONGEST["entry"])], ids=["days", "hours"])
def test_whatever_is_lifted_no_least_time_becomes_shorter(changes: tuple[tuple[str, Any], ...]) -> None:
    """Of no session, by no rule and not by all of them at once, not even by those that nobody can grant."""
    specs = expand(parsed_protocol(*changes))
    demands = {kind: demand_of(visit) for kind, visit in VISITS.items()}
    seen = replace(scene(VISITS["infusion"]), specs=specs, demands=demands)
    coarse = rules_of(seen)
    fine = [part for rule in coarse for part in finer(seen, rule, ())]
    for some in (*([rule] for rule in (*coarse, *fine)), coarse):
        assert least(lifted(seen, some).specs) == least(specs), some
    kept = [each for spec in least(specs) for each in spec[1:] if each]
    assert len(kept) > len(specs), "there was something to keep"
    assert lifted(seen, coarse).specs != specs, "though longest times do become longer"


@pytest.mark.parametrize("seed", range(20))
def test_a_wish_bends_on_the_days_that_it_was_granted_for_and_on_no_others(seed: int) -> None:
    """Slot by slot: what a booking is told, and what planning sees, is the wish, but for these days."""
    rng, timeline, zone = Random(seed), Timeline(datetime(2030, 3, 8, tzinfo=UTC), 6), "America/New_York"
    days = [date(2030, 3, 8) + timedelta(days=each) for each in range(5)]
    away = (days[1], days[3])
    wish = CoursePreferences(weekdays=frozenset({0, 4}), earliest=600, latest=900, blackouts=(away,))
    granted = {code: frozenset(rng.sample(days[1:4], rng.randint(1, 2))) for code in ("weekdays", "hours", "blackout")}
    rules = [Rule(code, "patient", dates=dates) for code, dates in granted.items()]
    eased = eased_wishes(wish, [*rules[:2], replace(rules[2], start=away[0], end=away[1])])
    barred = reduce(or_, (bar.starts for bar in eased.bars(timeline, zone)))
    for slot in range(288, 5 * 288):
        wall = to_local(timeline.instant(slot), zone)
        day, minute = wall.date(), 60 * wall.hour + wall.minute
        suits = day in granted["weekdays"] or wall.weekday() in {0, 4}
        suits &= day in granted["hours"] or 600 <= minute <= 900
        suits &= day in granted["blackout"] or not away[0] <= day <= away[1]
        assert (eased.against(wall) is None, not barred >> slot & 1) == (suits, suits), wall


@pytest.mark.parametrize("code", ["no_resource", "off_duty", "location_closed", "outside_hours", "resource_absent"])
def test_what_is_lifted_on_some_days_changes_no_others(code: str) -> None:
    """Nobody is there on any of three days; then somebody is on the second one alone."""
    visit = parsed(segment("stay", 60, need(ROOM)))
    gone = {"absent": HOURS} if code == "resource_absent" else {"rostered": 0 if code == "off_duty" else HOURS}
    gone |= {"taken": (HOURS,)} if code == "no_resource" else {}
    full = scene(visit, calendar(1, ROOM, "room", **gone))
    site = full.site
    if code in {"location_closed", "outside_hours"}:
        site = replace(site, open=0, closed=HOURS if code == "location_closed" else 0)
    full = replace(full, site=site)
    run = (108, 2 * 288 + 204) if code == "resource_absent" else None
    about = {"selector": ROOM} if code in {"no_resource", "off_duty", "resource_absent"} else {}
    rule = Rule(code, "manager", resource_id=UUID(int=1 << 20) if run else None, run=run, **about)
    second = ((1 << 288) - 1) << 288
    assert not starts(visit, full)
    whole, some = (
        starts(visit, lifted(full, [each])) for each in (rule, replace(rule, dates=frozenset({date(2030, 3, 5)})))
    )
    assert whole & ~second
    assert some
    assert some == whole & second


def test_what_a_course_was_granted_for_some_days_is_read_as_it_was_stored() -> None:
    rule = Rule("weekdays", "patient", dates=frozenset({date(2030, 3, 5), date(2030, 3, 7)}))
    assert granted.read(granted.stored([rule])) == (rule,)
    [document] = granted.stored([rule])
    del document["dates"]
    assert granted.read([document]) == (replace(rule, dates=frozenset()),), "as grants are that are older than days"


@pytest.mark.parametrize(("days", "is_whole"), [(3, False), (4, False), (5, True)])
def test_a_wish_is_lifted_as_a_whole_where_its_words_cannot_name_the_days(days: int, *, is_whole: bool) -> None:
    """Whoever is added to a pool is so on these days, however many they are."""
    dates = [date(2030, 3, 4) + timedelta(days=each) for each in range(days)]
    wish, pool, cap = Rule("hours", "patient"), Rule("no_resource", "manager", ROOM), Rule("cap", "prescriber", index=1)
    found = limited([wish, pool, cap], [(rule, day) for rule in (wish, pool) for day in dates])
    assert found == (
        wish if is_whole else replace(wish, dates=frozenset(dates)), replace(pool, dates=frozenset(dates)), cap,
    )  # fmt: skip
    assert limited([wish, cap], []) == (cap,)
