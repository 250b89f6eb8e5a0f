"""A change that an explanation offered is granted to the course: the plan that it promised is made, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from scheduler.services import absences
from tests.api.test_course_terms import Ward, ward
from tests.coursework import protocol

if TYPE_CHECKING:
    from tests.api.conftest import Person

__all__ = ["ward"]


def explained(it: Ward) -> dict[str, Any]:
    refused = it.desk.post(f"{it.path}/plans", json={"through": "all"})
    assert (refused.status_code, refused.json["code"]) == (422, "no_feasible_plan"), refused.text
    return dict(refused.json)


def granted(it: Ward, change: str, person: Person | None = None, **more: Any) -> Any:
    body = {"change": change, "through": "all", "by": "Dr. Able", "reason": "The patient is stable"} | more
    return (person or it.desk).post(f"{it.path}/relaxations", json=body)


def withdrawn(it: Ward, key: str) -> Any:
    etag = it.desk.get(it.path).headers["ETag"]
    return it.desk.delete(f"{it.path}/relaxations/{key}", headers={"If-Match": etag})


def somebody(it: Ward, name: str) -> UUID:
    items = it.desk.get("/v1/practitioners").json["items"]
    return next(UUID(each["id"]) for each in items if each["name"] == name)


def test_each_that_is_offered_to_the_course_leads_to_the_plan_that_was_promised(ward: Any) -> None:
    """Mondays only, with a talk at most three days after a dose: the patient or the prescriber may give way."""
    document = protocol(2)
    document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": 7}
    it = ward(document, weekdays=["mon", "tue"])
    first = it.desk.post(f"{it.path}/plans", json={"through": "all"})
    offers = explained(it)["relaxations"] if first.status_code == 422 else []
    assert {each["who"] for each in offers} >= {"patient", "prescriber"}
    for offer in offers:
        if not offer["grantable"]:
            continue
        told = granted(it, offer["change"])
        assert told.status_code == 200, told.text
        [kept] = told.json["relaxations"]
        assert (kept["change"], kept["who"], kept["by"]) == (offer["change"], offer["who"], "Dr. Able")
        plan = it.plan(through="all")
        assert (plan["completes_on"], plan["score"]) == (offer["completes_on"], offer["cost"]), offer["change"]
        assert withdrawn(it, kept["id"]).status_code == 204
        assert explained(it)["relaxations"] == offers, "without it, all is as it was"
    assert len(it.audited("course.relax")) == len(it.audited("course.withdraw")) >= 2


def test_what_is_booked_by_it_holds_it(ward: Any) -> None:
    it = ward(protocol(2), weekdays=["mon", "tue"])
    offer = next(each for each in explained(it)["relaxations"] if each["who"] == "prescriber")
    assert granted(it, offer["change"]).status_code == 200
    it.book(it.plan(through="all"))
    assert it.course["broken"] == [], "it is the course's own rule now"
    [kept] = it.course["relaxations"]
    refused = withdrawn(it, kept["id"])
    assert (refused.status_code, refused.json["code"]) == (409, "in_use")
    assert it.replan()["diff"]["moved"] == []
    assert withdrawn(it, it.course["id"]).json["code"] == "not_found"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_no_other_limit_is_granted_with_the_one_that_the_words_name(ward: Any) -> None:
    """The nurse is away before the third dose: it alone may come later, and the second one keeps its distance."""
    document = protocol(3)
    document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": 2}
    document["phases"][1]["steps"][0]["entry"]["max"] = 3
    it = ward(document)
    times = {"start": it.clinic.at("2030-03-11 00:00"), "end": it.clinic.at("2030-03-16 00:00")}
    gone = it.clinic.do(lambda s, c: absences.create(s, c, resource_id=somebody(it, "nurse"), **times)).id
    [change] = [each["change"] for each in explained(it)["relaxations"] if each["who"] == "prescriber"]
    assert change == "10 days between dose 2 and dose 3 instead of at most 5"
    assert granted(it, change).status_code == 200
    it.book(it.plan(through="all"))
    it.clinic.do(lambda s, c: absences.remove(s, c, gone, 1))
    first, second, third = it.starts("dose")
    assert ((second - first).days, (third.date() - second.date()).days) == (2, 10)
    by_sequence = {each["sequence"]: each for each in it.course["sessions"]}
    change = {"appointment_id": by_sequence[4]["appointment_id"], "action": "move"}
    change["start"] = it.clinic.at("2030-03-13 09:00").isoformat()
    told = it.desk.post(f"{it.path}/replans", json={"changes": [change], "pinned": [by_sequence[2]["id"]]}).json
    assert {each["code"] for each in told["diff"]["broken"]} == {"gap_too_long"}, "nobody has granted that"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_nobody_grants_more_than_was_offered_or_is_theirs(ward: Any) -> None:
    it = ward(protocol(2), weekdays=["mon", "tue"])
    offers = explained(it)["relaxations"]
    theirs = {each["who"]: each["change"] for each in offers if each["grantable"]}
    front_desk = it.person("front_desk")
    assert granted(it, theirs["prescriber"], front_desk).status_code == 403, "it takes the scope of overrides"
    unknown = granted(it, "doses on consecutive days")
    assert (unknown.status_code, unknown.json["errors"][0]["code"]) == (422, "not_offered")
    assert theirs["patient"] in unknown.json["errors"][0]["detail"], "and says what is"
    assert it.course["relaxations"] == []
    rehearsed = it.desk.post(
        f"{it.path}/relaxations?dry_run=true",
        json={"change": theirs["patient"], "through": "all", "by": "the patient", "reason": "asked"},
    )
    assert rehearsed.json["relaxations"]
    assert granted(it, theirs["patient"], front_desk).status_code == 200, "the patient's own word"
    assert granted(it, theirs["patient"]).json["code"] == "illegal_transition", "there is a plan now"
    told = it.change(preferences={"weekdays": ["wed", "thu", "fri"]})
    assert told["relaxations"] == [], "what the patient says anew takes its place"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_people_and_hours_are_not_one_courses_to_grant(ward: Any) -> None:
    document = protocol(1)
    document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": 7}
    it = ward(document)
    times = {"start": it.clinic.at("2030-03-04 00:00"), "end": it.clinic.at("2030-04-30 00:00")}
    it.clinic.do(lambda s, c: absences.create(s, c, resource_id=somebody(it, "nurse"), **times))
    offers = explained(it)["relaxations"]
    managers = next(each for each in offers if each["who"] == "manager")
    assert not managers["grantable"]
    refused = granted(it, managers["change"])
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (422, "not_grantable")
