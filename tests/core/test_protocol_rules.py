"""Rules of time beyond plain gaps: hours, clinic days, far anchors, offsets, limits, optional steps, contradictions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from scheduler.core.bitmap import Timeline
from scheduler.core.coherence import check_coherent, contradiction
from scheduler.core.course import Bound, SessionSpec, expand, supplied, windows
from scheduler.core.errors import Invalid
from scheduler.core.protocol import Limit, Rest
from scheduler.core.spacing import Booked, session_rules
from scheduler.core.standing import broken
from tests.core.series import BOOSTER, DOSE, TALK, parsed

Changes = tuple[tuple[str, object], ...]
START = date(2030, 3, 4)


def doses(*changes: tuple[str, object], cadence: str | None = None, **more: Any) -> list[SessionSpec]:
    return [spec for spec in expand(parsed(*changes), cadence, **more) if spec.step == "dose"]


def booked(day: int, hour: int = 9, minutes: int = 60) -> Booked:
    starts = datetime(2030, 3, 4, hour, tzinfo=UTC) + timedelta(days=day)
    return Booked(starts.date(), starts, starts + timedelta(minutes=minutes))


def test_hours_are_kept_as_hours_on_the_days_that_they_may_span() -> None:
    gap = {"unit": "hours", "min": 48, "target": 60, "max": 119, "edge": "end"}
    spec = doses(("/cadences/thrice/dose/gap", gap))[1]
    assert (spec.gap, spec.rest) == ((1, 3, 6), Rest("end", 2880, 7140))
    days = {"min": 2, "target": 2, "max": 5, "min_hours": 48}
    spec = doses(("/cadences/thrice/dose/gap", days))[1]
    assert (spec.gap, spec.rest) == ((2, 2, 5), Rest("start", 2880, None))


def test_clinic_days_are_told_apart() -> None:
    gap = {"unit": "clinic_days", "min": 2, "target": 2, "max": 4}
    assert [spec.clinic_days for spec in doses(("/cadences/thrice/dose/gap", gap))] == [False, *[True] * 5]


def test_a_far_anchor_becomes_a_bound() -> None:
    entry = {"anchor": "evaluation", "min": 20, "target": 30, "max": 50}
    specs = expand(parsed((f"{BOOSTER}/entry", entry)))
    first = next(spec for spec in specs if spec.step == "booster")
    assert first.bounds == (Bound(0, 20, 50),)
    assert first.gap == (1, 30 - 3 - 11, None), "the wanted day is the same"
    entry["anchor"] = "first_dose"
    specs = expand(parsed((f"{BOOSTER}/entry", entry)))
    assert next(spec for spec in specs if spec.step == "booster").bounds == (Bound(1, 20, 50),)
    found = windows(specs, START)[next(spec.index for spec in specs if spec.step == "booster")]
    assert (found.earliest, found.latest) == (START + timedelta(21), None), "nothing limits the evaluation either"


def test_offsets_hold_each_session_to_its_day() -> None:
    offsets = {"anchor": "phase_start", "days": [0, 2, 4, 7, 9, 11], "early": 1, "late": 2}
    found = doses((f"{DOSE}/offsets", offsets))
    assert [spec.bounds for spec in found] == [
        (), (Bound(1, 1, 4),), (Bound(1, 3, 6),), (Bound(1, 6, 9),), (Bound(1, 8, 11),), (Bound(1, 10, 13),)
    ]  # fmt: skip


def test_an_optional_step_is_there_when_it_is_wanted() -> None:
    extra = {
        "key": "preparation",
        "visit_type": "integration",
        "optional": True,
        "entry": {"min": 0, "target": 0, "max": 7},
    }
    protocol = parsed(("/phases/0/steps/1", extra))
    assert [spec.step for spec in expand(protocol)][:2] == ["evaluation", "dose"]
    wanted = expand(protocol, optional=("preparation",))
    assert [(spec.step, spec.anchor, spec.gap) for spec in wanted[:3]] == [
        ("evaluation", None, None),
        ("preparation", 0, (0, 0, 7)),
        ("dose", 1, (0, 3, None)),
    ]
    assert wanted[2].bounds == (Bound(0, 1, 14),), "the dose still counts from the evaluation"


LIMITED: Changes = (("/phases/1/per_week", 2), ("/phases/1/limits", [{"most": 3, "days": 9}]))


def test_limits_belong_to_the_phase() -> None:
    specs = expand(parsed(*LIMITED))
    assert {spec.limits for spec in specs if spec.step == "dose"} == {(Limit(2, None), Limit(3, 9))}
    assert {spec.limits for spec in specs if spec.step != "dose"} == {()}


@pytest.mark.parametrize(
    ("others", "full"),
    [
        ({1: 0}, ()),
        ({1: 0, 3: 2}, ((0, 6),)),
        ({1: 0, 5: 8}, ()),
        ({1: 0, 3: 4, 5: 8}, ((0, 6), (0, 8))),
        ({1: 5, 3: 7}, ()),
    ],
)
def test_a_booking_above_a_limit_is_barred(others: dict[int, int], full: tuple[tuple[int, int], ...]) -> None:
    specs = expand(parsed(*LIMITED))
    rules = session_rules(specs, 7, {index: booked(day) for index, day in others.items()}, ())
    assert rules.full == tuple((START + timedelta(first), START + timedelta(last)) for first, last in full)


def test_a_single_booking_obeys_hours_order_and_far_anchors() -> None:
    gap = {"min": 1, "target": 2, "max": 5, "min_hours": 48}
    offsets = {"anchor": "first_dose", "days": [0, 2, 4, 7, 9, 11], "early": 1, "late": 2}
    specs = expand(parsed(("/cadences/thrice/dose/gap", gap), (f"{DOSE}/offsets", offsets)))
    places = {1: booked(0), 5: booked(6)}
    rules = session_rules(specs, 3, places, (), 115)
    assert rules.not_before == places[1].starts_at + timedelta(hours=48)
    assert rules.not_after == places[5].starts_at - timedelta(hours=48)
    assert session_rules(specs, 9, places, ()).first_day == START + timedelta(8), (
        "nine days after the first, or one less"
    )
    assert session_rules(specs, 1, {9: booked(9)}, ()).last_day == START + timedelta(1)


def test_visits_of_one_day_keep_their_order() -> None:
    entry = {"anchor": "evaluation", "min": 0, "target": 0, "max": 3}
    talk = {"edge": "end", "unit": "hours", "min": 0, "target": 1, "max": 5}
    specs = expand(parsed((f"{DOSE}/entry", entry), (f"{TALK}/window", talk), (f"{TALK}/same_day", True)))
    assert session_rules(specs, 1, {0: booked(0)}, ()).not_before == booked(0).ends_at
    assert session_rules(specs, 0, {1: booked(0)}, (), 30).not_after == booked(0).starts_at - timedelta(minutes=30)
    rules = session_rules(specs, 2, {1: booked(0, 9), 3: booked(0, 15)}, (), 60)
    assert (rules.first_day, rules.last_day) == (START, START)
    assert rules.not_after == booked(0, 14).starts_at


@pytest.mark.parametrize("changes", [(), ((f"{TALK}/same_day", True), (f"{TALK}/window/min", 1))])
def test_a_talk_and_its_doses_keep_from_each_other_whichever_is_moved(changes: Changes) -> None:
    specs = expand(parsed(*changes))
    before, after = booked(3, 9, 80), booked(5, 9, 80)
    seen = set()
    for talk in [booked(day, hour) for day in range(2, 7) for hour in range(24)]:
        for dose, place in ((before, 1), (after, 3)):
            allowed = session_rules(specs, 2, {place: dose}, (), 60).leave(talk)
            assert session_rules(specs, place, {2: talk}, (), 80).leave(dose) == allowed, (talk, dose)
            seen.add((place, allowed))
    assert len(seen) == 4, "each is refused somewhere and allowed somewhere"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (((f"{DOSE}/offsets", {"anchor": "phase_start", "days": [0, 2, 4, 7, 9, 40]}),), ["dose 6", "dose 5"]),
        ((("/phases/1/max_days", 10), ("/phases/1/limits", [{"most": 2, "days": 7}])), ["'induction'", "at most 2"]),
        (((f"{BOOSTER}/entry", {"anchor": "first_dose", "min": 3, "target": 4, "max": 8}),), ["booster 1", "dose 1"]),
        ((("/cadences/thrice/dose/gap", {"unit": "hours", "min": 24, "target": 24, "max": 25}),), None),
    ],
)  # fmt: skip
def test_rules_that_no_dates_satisfy_are_named(changes: Changes, named: list[str] | None) -> None:
    protocol = parsed(*changes)
    if named is None:
        check_coherent(protocol)
        return
    with pytest.raises(Invalid) as refused:
        check_coherent(protocol)
    fault = refused.value.faults[0]
    assert (fault.pointer, fault.code) == ("/phases", "contradictory_rules")
    for words in named:
        assert words in fault.detail


def test_a_sound_protocol_contradicts_nothing() -> None:
    check_coherent(parsed())
    assert contradiction(expand(parsed(), "twice")) is None


def test_a_course_chooses_how_many_sessions_it_has_within_bounds() -> None:
    protocol = parsed((f"{DOSE}/sessions", {"min": 2, "max": 6}))
    assert expand(protocol) == expand(parsed()), "without a choice it has the protocol's number"
    fewer = expand(protocol, counts={"dose": 2})
    assert [spec.step for spec in fewer][:6] == ["evaluation", "dose", "talk", "dose", "talk", "booster"]
    booster = next(spec for spec in fewer if spec.step == "booster")
    assert booster.anchor == 3
    assert booster.gates == ("review",), "the judgment after dose 6 comes after the last dose there is"
    boosters = [spec for spec in expand(protocol, counts={"booster": 7}) if spec.step == "booster"]
    assert len(boosters) == 7, "an open-ended step goes on for as long as is wanted"


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        (((f"{DOSE}/sessions", {"min": 2, "max": 5}),), f"{DOSE}/sessions", "count_outside"),
        (((f"{DOSE}/sessions", {"min": 0, "max": 6}),), f"{DOSE}/sessions/min", "out_of_range"),
        (((f"{BOOSTER}/sessions", {"min": 1, "max": 6}),), f"{BOOSTER}/sessions", "sessions_without_count"),
        (
            ((f"{DOSE}/sessions", {"min": 2, "max": 8}),),
            "/cadences/thrice/dose/gap/target",
            "target_length",
        ),
        (((f"{DOSE}/supply", {"mode": "patient_specific"}),), f"{DOSE}/supply/use_within_days", "required"),
        (
            ((f"{DOSE}/supply", {"mode": "bulk", "use_within_days": 9}),),
            f"{DOSE}/supply/use_within_days",
            "bulk_has_no_clock",
        ),
        (
            (("/phases/0/steps/0/supply", {"mode": "patient_specific", "use_within_days": 9}),),
            "/phases/0/steps/0/supply",
            "supply_without_dose",
        ),
        (
            (("/modality", "esketamine"), (f"{DOSE}/supply", {"mode": "patient_specific", "use_within_days": 46})),
            f"{DOSE}/supply/use_within_days",
            "below_floor",
        ),
    ],
)
def test_bounds_and_supplies_that_say_nothing_are_named(changes: Changes, pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parsed(*changes)
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in refused.value.faults]


def test_bounds_are_coherent_at_both_ends() -> None:
    """Six doses fit into the phase, eight do not: the most is judged, not only the protocol's own number."""
    longer = {"min": 2, "target": 2, "max": 5}
    changes: Changes = (
        ("/phases/1/max_days", 12),
        ("/cadences/thrice/dose/gap", longer),
        ("/cadences/twice/dose/gap", longer),
        (f"{DOSE}/gap", longer),
    )
    check_coherent(parsed(*changes, (f"{DOSE}/sessions", {"min": 2, "max": 6})))
    with pytest.raises(Invalid) as refused:
        check_coherent(parsed(*changes, (f"{DOSE}/sessions", {"min": 2, "max": 8})))
    assert refused.value.faults[0].code == "contradictory_rules"


def test_a_supply_is_given_by_its_last_day() -> None:
    supply = {"mode": "patient_specific", "use_within_days": 3}
    specs = expand(parsed((f"{DOSE}/supply", supply)))
    assert {spec.step for spec in specs if spec.use_within_days == 3} == {"dose"}
    specs = supplied(specs, {3: START + timedelta(2)})
    rules = session_rules(specs, 3, {1: booked(0)}, ())
    timeline = Timeline.covering(booked(0).starts_at, booked(6).starts_at)
    bar = next(bar for bar in rules.bars(timeline, "UTC") if bar.code == "supply_expired")
    free = [day for day in range(7) if not bar.starts >> timeline.slot(booked(day).starts_at) & 1]
    assert free == [0, 1, 2], "the last day is within"

    def late(day: int, *done: int) -> bool:
        found = broken(specs, {0: booked(-3), 1: booked(0), 3: booked(day)}, done)
        return "supply_expired" in [each.code for each in found if each.index == 3]

    assert late(3)
    assert not late(2)
    assert not late(3, 3), "what is over is not to be mended"
    assert session_rules(specs, 5, {}, ()).use_by is None
