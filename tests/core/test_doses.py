"""Limits between doses against a naive reading of the same rule, start by start; and the faults of their documents."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest

from scheduler.core.bitmap import Timeline
from scheduler.core.civil import to_instant, to_local
from scheduler.core.doses import Dose, dose_bars, dose_of
from scheduler.core.errors import Invalid
from scheduler.core.visit import DoseLimits, VisitType, parse_visit_type

ZONE = "America/New_York"
#: New York's clocks go forward on 10 March 2030.
TIMELINE = Timeline(datetime(2030, 3, 1, tzinfo=UTC), 21)


def document(**more: Any) -> dict[str, Any]:
    needs = [{"role": "nurse", "mode": "exclusive"}]
    return {
        "code": "infusion",
        "name": "Infusion",
        "public_name": "Visit",
        "kind": "dosing",
        "modality": "iv",
        "segments": [
            {"name": "prep", "minutes": 20, "needs": needs},
            {"name": "dose", "minutes": 40, "needs": needs},
        ],
        **more,
    }


def visit(modality: str = "iv", kind: str = "dosing", **limits: Any) -> VisitType:
    more = {"limits": limits} if limits else {}
    return parse_visit_type(document(modality=modality, kind=kind, **more), {})


def dose(local: str, other: VisitType | None = None) -> Dose:
    wall = datetime.fromisoformat(local)
    return dose_of(other or visit(), to_instant(wall, ZONE), wall.date())


def barred(wanted: VisitType, doses: list[Dose], local: str) -> bool:
    slot = TIMELINE.slot(to_instant(datetime.fromisoformat(local), ZONE))
    bars = dose_bars(wanted, doses, TIMELINE, ZONE)
    assert {bar.code for bar in bars} <= {"dose_interval"}
    return any(bar.starts >> slot & 1 for bar in bars)


class TestHours:
    @pytest.mark.parametrize(
        ("start", "refused"),
        [
            ("2030-03-04T09:00", False),
            ("2030-03-04T09:05", True),
            ("2030-03-05T09:00", True),
            ("2030-03-06T08:55", True),
            ("2030-03-06T09:00", False),
        ],
    )
    def test_exactly_so_many_hours_on_either_side(self, start: str, *, refused: bool) -> None:
        assert barred(visit(min_hours_between_doses=24), [dose("2030-03-05T09:00")], start) is refused

    def test_they_are_elapsed_hours_whatever_the_clocks_do(self) -> None:
        wanted = visit(min_hours_between_doses=24)
        assert barred(wanted, [dose("2030-03-09T09:00")], "2030-03-10T09:00"), "an hour is missing"
        assert not barred(wanted, [dose("2030-03-09T09:00")], "2030-03-10T10:00")

    def test_what_was_given_counts_from_when_it_was_given(self) -> None:
        late = dose_of(
            visit(), to_instant(datetime(2030, 3, 5, 9), ZONE), date(2030, 3, 5),  # noqa: DTZ001
            given_at=to_instant(datetime(2030, 3, 5, 10), ZONE),  # noqa: DTZ001
        )  # fmt: skip
        wanted = visit(min_hours_between_doses=24)
        assert barred(wanted, [late], "2030-03-06T09:35"), "its dose comes 20 minutes after its start"
        assert not barred(wanted, [late], "2030-03-06T09:40")

    def test_the_stricter_of_two_kinds_of_visit_holds(self) -> None:
        strict = visit("im", min_hours_between_doses=72, modalities=["im", "iv"])
        mild = visit(min_hours_between_doses=24)
        for wanted, other in ((mild, strict), (strict, mild)):
            assert barred(wanted, [dose("2030-03-05T09:00", other)], "2030-03-07T09:00")
        assert not barred(mild, [dose("2030-03-05T09:00", mild)], "2030-03-07T09:00")

    def test_another_modality_counts_only_when_named(self) -> None:
        spray = dose("2030-03-05T09:00", visit("esketamine"))
        assert not barred(visit(min_hours_between_doses=24), [spray], "2030-03-05T12:00")
        named = visit(min_hours_between_doses=24, modalities=["iv", "esketamine"])
        assert barred(named, [spray], "2030-03-05T12:00")


class TestWindows:
    def test_the_same_hour_every_week_stays_the_same_when_clocks_change(self) -> None:
        wanted = visit(max_per_days={"count": 2, "days": 7})
        doses = [dose("2030-03-04T09:00"), dose("2030-03-07T09:00")]
        assert barred(wanted, doses, "2030-03-10T20:00")
        assert not barred(wanted, doses, "2030-03-11T09:00")
        assert barred(wanted, doses, "2030-03-05T15:00"), "between them too"
        assert not barred(wanted, doses[:1], "2030-03-10T20:00")

    def test_a_naive_count_agrees(self) -> None:
        rng = random.Random(7)
        for _ in range(150):
            most, days = rng.randint(1, 3), rng.randint(1, 6)
            wanted = visit(max_per_days={"count": most, "days": days})
            doses = [
                dose(f"2030-03-{rng.randint(2, 18):02}T{rng.randint(8, 17):02}:00") for _ in range(rng.randint(0, 6))
            ]
            known = [each.day.toordinal() for each in doses]
            for day in range(3, 19):
                start = datetime(2030, 3, day, 12).toordinal()  # noqa: DTZ001
                # A window that was too full before is not the newcomer's doing, but it may not join it.
                crowded = any(
                    sum(first <= other < first + days for other in known) >= most
                    for first in range(start - days + 1, start + 1)
                )
                assert barred(wanted, doses, f"2030-03-{day:02}T12:00") is crowded, (most, days, known, day)


def test_an_hour_of_talk_minds_no_dose() -> None:
    assert dose_bars(visit(kind="integration"), [dose("2030-03-05T09:00")], TIMELINE, ZONE) == ()


def test_days_are_those_of_the_place() -> None:
    wanted = visit(max_per_days={"count": 1, "days": 1})
    late = dose("2030-03-05T22:00")
    assert to_local(late.at, "UTC").date() == date(2030, 3, 6)
    assert barred(wanted, [late], "2030-03-05T08:00")
    assert not barred(wanted, [late], "2030-03-06T08:00")


def test_a_document_becomes_limits() -> None:
    limits = {"min_hours_between_doses": 48, "max_per_days": {"count": 2, "days": 7}, "modalities": ["iv", "im"]}
    assert visit(**limits).limits == DoseLimits(48, 2, 7, ("iv", "im"))
    assert visit().limits == DoseLimits()


@pytest.mark.parametrize(
    ("more", "pointer", "code"),
    [
        ({"limits": {"min_hours_between_doses": 0}}, "/limits/min_hours_between_doses", "out_of_range"),
        ({"limits": {"max_per_days": {"count": 2}}}, "/limits/max_per_days/days", "required"),
        ({"limits": {"max_per_days": {"count": 2, "days": 400}}}, "/limits/max_per_days/days", "out_of_range"),
        ({"limits": {"per_week": 2}}, "/limits/per_week", "unknown_field"),
        ({"limits": {"modalities": [1]}}, "/limits/modalities/0", "not_a_code"),
        ({"kind": "integration", "limits": {"min_hours_between_doses": 2}}, "/limits", "no_dose"),
    ],
)
def test_each_fault_of_limits_is_named(more: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_visit_type(document(**more), {})
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [(pointer, code)]
