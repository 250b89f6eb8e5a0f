"""A cadence of one patient's own: within the protocol's bounds, followed by plans, bookings, re-plans and windows."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_course_terms import Ward, ward
from tests.coursework import protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ward"]


def paced() -> dict[str, Any]:
    """Twice weekly to weekly, as the protocol has it."""
    document = protocol(4, gap=(2, 2, 5))
    document["cadences"] = {
        "thrice": {"dose": {"gap": {"unit": "days", "min": 2, "target": 2, "max": 5}}},
        "weekly": {"dose": {"gap": {"unit": "days", "min": 5, "target": 7, "max": 9}}},
    }
    document["default_cadence"] = "thrice"
    return document


def gap(least: int, target: int, most: int) -> dict[str, Any]:
    return {"dose": {"gap": {"min": least, "target": target, "max": most}}}


def paces(it: Ward, steps: Mapping[str, Any], **more: Any) -> Any:
    return it.desk.put(f"{it.path}/cadence", json={"steps": steps, "by": "Dr. Able", "note": "Tires easily"} | more)


def between(starts: list[Any]) -> list[int]:
    return [(later.date() - first.date()).days for first, later in pairwise(starts)]


def test_a_running_course_goes_on_at_the_patients_own_pace(ward: Any) -> None:
    it = ward(paced())
    it.book(it.plan(through="all"))
    assert max(between(it.starts("dose"))) <= 5
    told = paces(it, gap(6, 7, 8))
    assert told.status_code == 200, told.text
    assert told.json["own_cadence"]["steps"] == gap(6, 7, 8)
    assert (told.json["own_cadence"]["by"], told.json["own_cadence"]["note"]) == ("Dr. Able", "Tires easily")
    assert {each["code"] for each in told.json["broken"]} == {"gap_too_short"}, "what stands is shown as it is"
    doses = [each for each in told.json["sessions"] if each["step"] == "dose"]
    second = next(each for each in told.json["sessions"] if each["step"] == "dose" and each["sequence"] == 4)
    visit = it.desk.get(f"/v1/appointments/{second['appointment_id']}").json
    assert second["window"]["target"] == visit["start"][:10], "where it stands is from where the others count"
    planned = it.replan()
    assert len(planned["diff"]["moved"]) >= len(doses) - 1
    assert planned["diff"]["broken"] == []
    it.book(planned)
    assert all(6 <= days <= 8 for days in between(it.starts("dose")))
    assert it.course["broken"] == []
    third = [each for each in it.course["sessions"] if each["step"] == "dose"][2]
    day = it.starts("dose")[1]
    early = {"start": day.replace(day=day.day + 5).isoformat()}
    refused = it.desk.post(f"/v1/appointments/{third['appointment_id']}/reschedule", json=early)
    assert "gap_too_short" in {each["code"] for each in refused.json["reasons"]}, "single visits follow it too"
    [event] = it.audited("course.cadence")
    assert (event["before"]["own_cadence"], event["reason"]) == (None, "Tires easily")
    assert event["after"]["own_cadence"]["steps"] == gap(6, 7, 8)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_first_plan_follows_it_and_going_back_is_a_call_as_well(ward: Any) -> None:
    it = ward(paced())
    assert paces(it, gap(4, 4, 4)).status_code == 200
    second = [each for each in it.course["sessions"] if each["step"] == "dose"][1]
    assert second["window"]["earliest"] == "2030-03-09", "of 4 March: a day, and four"
    plan = it.plan(through="all")
    doses = [each["start"] for each in plan["sessions"] if each["step"] == "dose"]
    assert [int(each[8:10]) for each in doses] == [int(doses[0][8:10]) + 4 * place for place in range(4)]
    weekly = paces(it, {}, cadence="weekly").json
    assert (weekly["cadence"], weekly["own_cadence"]) == ("weekly", None)
    doses = [each["start"] for each in it.plan(through="all")["sessions"] if each["step"] == "dose"]
    assert all(5 <= days <= 9 for days in between([_day(each) for each in doses]))
    assert it.desk.post(f"{it.path}/bookings", json={"plan_token": plan["token"]}).json["code"] == "plan_stale"


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_nothing_outside_the_protocol_or_against_itself_is_set(ward: Any) -> None:
    document = paced()
    document["phases"][1]["max_days"] = 15
    it = ward(document)

    def faults(steps: Mapping[str, Any], **more: Any) -> list[tuple[str, str]]:
        told = paces(it, steps, **more)
        assert told.status_code == 422, told.text
        return [(each["pointer"], each["code"]) for each in told.json["errors"]]

    assert faults(gap(1, 4, 10)) == [
        ("/steps/dose/gap/min", "out_of_range"),
        ("/steps/dose/gap/max", "out_of_range"),
    ], "shorter than any cadence's, longer than any"
    assert faults(gap(5, 4, 6)) == [("/steps/dose/gap/target", "target_outside")]
    assert faults(gap(5, 5, 4)) == [("/steps/dose/gap/min", "min_above_max")]
    assert faults({"talk": gap(2, 2, 2)["dose"]}) == [("/steps/talk", "unknown_step")]
    assert faults({}, cadence="daily") == [("/cadence", "unknown_cadence")]
    told = paces(it, gap(6, 6, 6))
    [fault] = told.json["errors"]
    assert (fault["code"], fault["pointer"]) == ("span_too_short", "/steps")
    assert "18 days" in fault["detail"]
    assert it.course["own_cadence"] is None
    assert paces(it, gap(2, 2, 2)).status_code == 200, "a talk still fits between"


def boosted() -> dict[str, Any]:
    """With one more dose in the end, at most twelve days after the first."""
    document = protocol(4, gap=(2, 2, 5))
    booster = {"key": "booster", "visit_type": "dose", "count": 1, "dosing": True}
    entry = {"anchor": "first_dose", "unit": "days", "min": 7, "target": 8, "max": 12}
    document["phases"].append({"key": "after", "steps": [booster | {"entry": entry}]})
    return document


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_circle_of_times_that_cannot_be_kept_is_named(ward: Any) -> None:
    """Four doses at least five days apart take fifteen days, and the booster comes at most twelve after the first."""
    it = ward(boosted())
    it.book(it.plan(through="all"))
    before, tag = it.course, it.desk.get(it.path).headers["ETag"]
    told = paces(it, gap(5, 5, 5))
    assert told.status_code == 422, told.text
    assert told.headers["Content-Type"] == "application/problem+json"
    [fault] = told.json["errors"]
    assert (fault["pointer"], fault["code"]) == ("/steps", "contradictory_rules")
    for place in (2, 3, 4):
        assert f"dose {place} is at least 5 day(s) after dose {place - 1}" in fault["detail"]
    assert "booster 1 is at most 12 day(s) after dose 1" in fault["detail"]
    assert (it.course, it.desk.get(it.path).headers["ETag"]) == (before, tag), "nothing was changed"
    assert it.audited("course.cadence") == []
    assert paces(it, gap(2, 3, 3)).status_code == 200


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_protocol_whose_cadence_contradicts_itself_is_refused_with_the_circle(ward: Any) -> None:
    it = ward(protocol(1))
    slow = {"dose": {"gap": {"unit": "days", "min": 5, "target": 7, "max": 9}}}
    document = boosted() | {"code": "circle", "cadences": {"usual": {}, "slow": slow}, "default_cadence": "usual"}
    drafts = it.desk.get("/v1/protocols").json["items"]
    told = it.desk.post("/v1/protocols", json=document)
    assert told.status_code == 422, told.text
    assert told.headers["Content-Type"] == "application/problem+json"
    [fault] = told.json["errors"]
    assert (fault["code"], fault["pointer"]) == ("contradictory_rules", "/phases")
    for words in ("under 'slow'", "dose 4 is at least 5 day(s) after dose 3", "booster 1 is at most 12 day(s) after"):
        assert words in fault["detail"]
    assert it.desk.get("/v1/protocols").json["items"] == drafts, "nothing was changed"
