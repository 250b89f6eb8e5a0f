"""What still stands: edges, midnights, zones, and presence in turns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from scheduler.core.duty import Duty, Place, Roster, covered, roster_holds, site_holds
from scheduler.core.intervals import Span

HERE, THERE = UUID(int=1), UUID(int=2)
ANN, BEN = UUID(int=11), UUID(int=12)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hours(start: str, end: str, **more: Any) -> list[dict[str, Any]]:
    return [{"weekday": day, "start": start, "end": end, **more} for day in DAYS]


def span(start: str, end: str) -> Span:
    return Span(*(datetime.fromisoformat(f"2030-03-{text}").replace(tzinfo=UTC) for text in (start, end)))


def duty(start: str = "05T09:00", end: str = "05T10:00", **more: Any) -> Duty:
    defaults = {"appointment_id": UUID(int=7), "resource_id": ANN, "location_id": HERE, "selector": "role:nurse"}
    return Duty(span=span(start, end), **defaults | more)


def place(**more: Any) -> Place:
    return Place(**{"id": HERE, "time_zone": "UTC", "hours": hours("08:00", "18:00"), "closures": [],
                    "certifications": []} | more)  # fmt: skip


def roster(who: UUID = ANN, start: str = "08:00", end: str = "18:00", **role: Any) -> Roster:
    return Roster(who, "practitioner", [{"code": "nurse", **role}], hours(start, end, location_id=str(HERE)))


@pytest.mark.parametrize(
    ("facts", "bound", "unbound"),
    [
        ({}, True, True),
        ({"hours": hours("09:00", "10:00")}, True, True),
        ({"hours": hours("09:01", "18:00")}, False, True),
        ({"hours": []}, False, True),
        ({"closures": [{"from": "2030-03-05T10:00", "to": "2030-03-05T11:00"}]}, True, True),
        ({"closures": [{"from": "2030-03-05T09:59", "to": "2030-03-05T11:00"}]}, False, False),
        ({"closures": [{"from": "2030-03-05", "to": "2030-03-05"}]}, False, False),
        ({"time_zone": "America/New_York", "hours": hours("04:00", "05:00")}, True, True),
        ({"time_zone": "America/New_York"}, False, True),
    ],
)
def test_what_a_site_allows(facts: dict[str, Any], bound: bool, unbound: bool) -> None:  # noqa: FBT001
    patient, nurse = duty(keeps_site_hours=True), duty()
    expected = {each for each, stands in ((patient, bound), (nurse, unbound)) if stands}
    assert site_holds(place(**facts), [patient, nurse]) == expected


@pytest.mark.parametrize(
    ("certification", "stands"),
    [
        ({"code": "rems"}, True),
        ({"code": "other"}, False),
        ({"code": "rems", "valid_to": "2030-03-05"}, True),
        ({"code": "rems", "valid_to": "2030-03-04"}, False),
        ({"code": "rems", "valid_from": "2030-03-06"}, False),
    ],
)
def test_what_a_site_must_be_certified_for(certification: dict[str, Any], stands: bool) -> None:  # noqa: FBT001
    wanted = duty(certifications=("rems",))
    assert (wanted in site_holds(place(certifications=[certification]), [wanted])) == stands


@pytest.mark.parametrize(
    ("who", "stands"),
    [
        (roster(), True),
        (roster(start="09:00", end="10:00"), True),
        (roster(end="09:59"), False),
        (roster(location_id=str(HERE)), True),
        (roster(location_id=str(THERE)), False),
        (roster(code="therapist"), False),
        (roster(valid_to="2030-03-05"), True),
        (roster(valid_to="2030-03-04"), False),
        (Roster(ANN, "practitioner", [{"code": "nurse"}], hours("08:00", "18:00", location_id=str(THERE))), False),
        (Roster(ANN, "room", [], None), True),
        (Roster(ANN, "room", [], hours("09:30", "18:00")), False),
    ],
)
def test_what_a_roster_allows(who: Roster, stands: bool) -> None:  # noqa: FBT001
    assert (roster_holds(who, {HERE: place()}, [duty()]) == {duty()}) == stands


def test_a_visit_over_midnight_needs_the_role_on_both_days() -> None:
    night = duty("05T23:00", "06T01:00")
    always = {"start": "00:00", "end": "24:00"}
    assert roster_holds(roster(**always), {HERE: place()}, [night]) == {night}
    assert roster_holds(roster(**always, valid_to="2030-03-05"), {HERE: place()}, [night]) == set()
    until_midnight = duty("05T23:00", "06T00:00")
    assert roster_holds(roster(**always, valid_to="2030-03-05"), {HERE: place()}, [until_midnight])


@pytest.mark.parametrize(
    ("rosters", "absences", "stands"),
    [
        ([], {}, False),
        ([roster()], {}, True),
        ([roster()], {ANN: [span("05T10:00", "05T11:00")]}, True),
        ([roster()], {ANN: [span("05T09:10", "05T09:15")]}, False),
        ([roster()], {BEN: [span("05T09:00", "05T10:00")]}, True),
        ([roster(end="09:30"), roster(BEN, start="09:30")], {}, True),
        ([roster(end="09:30"), roster(BEN, start="09:31")], {}, False),
        ([roster(end="09:30"), roster(BEN, start="09:20")], {BEN: [span("05T09:20", "05T09:30")]}, True),
        ([roster(), roster(BEN)], {ANN: [span("05T09:10", "05T09:15")], BEN: [span("05T09:14", "05T09:20")]}, False),
        ([roster(code="therapist")], {}, False),
    ],
)
def test_presence_is_kept_in_turns(
    rosters: list[Roster],
    absences: dict[UUID, list[Span]],
    stands: bool,  # noqa: FBT001
) -> None:
    assert covered(duty(), place(), rosters, absences) == stands


def test_no_duties_need_nothing() -> None:
    assert site_holds(place(), []) == roster_holds(roster(), {HERE: place()}, []) == set()
