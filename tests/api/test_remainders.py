"""Pieces of a day that a plan leaves useless, over HTTP: what they cost the organization says, and plans show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import PROTOCOL, VISIT_TYPE, WEEK, made
from tests.api.test_level_loading import planned, weigh

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

ROOM, THERAPIST = {"room_type": "bay"}, {"role": "therapist"}
CASES = pytest.mark.parametrize(
    ("name", "kind", "need"),
    [("room_remainders", "dosing", ROOM), ("therapist_remainders", "integration", THERAPIST)],
)


def place(person: Person, kind: str, need: dict[str, str], end: str = "17:00") -> tuple[str, str]:
    """A location for courses of one visit of 50 minutes, and the room or the therapist that it needs."""
    segments = [{"name": "all", "minutes": 50, "needs": [{**need, "mode": "exclusive"}]}]
    made(person, "/v1/visit-types", **VISIT_TYPE | {"code": "talk", "kind": kind, "segments": segments})
    draft = made(person, "/v1/protocols", **PROTOCOL | {"code": "course", "continuity": ["therapist"]})
    person.post(f"/v1/protocols/{draft}/publish", json={"approved_by": "Dr. Example", "note": "Test."})
    hours = [{"weekday": day["weekday"], "start": "09:00", "end": end} for day in WEEK]
    where = made(person, "/v1/locations", name="Main", time_zone="America/New_York", hours=hours)
    return where, another(person, where, need, hours)


def another(person: Person, where: str, need: dict[str, str], hours: list[dict[str, Any]]) -> str:
    if need == ROOM:
        return made(person, "/v1/rooms", name="Bay", location_id=where, room_type="bay")
    shifts = [{**day, "location_id": where} for day in hours]
    return made(person, "/v1/practitioners", name="Somebody", roles=[{"code": "therapist"}], hours=shifts)


def start_of(person: Person, where: str) -> str:
    return str(planned(person, where)[1]["sessions"][0]["start"])


@CASES
def test_a_plan_keeps_off_starts_that_leave_a_useless_piece(
    alice: Person, name: str, kind: str, need: dict[str, str]
) -> None:
    where, resource = place(alice, kind, need)
    # From 9:00 and from 9:15 a quarter of an hour is left over, from 12:00 nothing is.
    away = {"start": "2030-03-04T10:05:00-05:00", "end": "2030-03-04T12:00:00-05:00"}
    made(alice, "/v1/absences", resource_id=resource, **away)
    assert start_of(alice, where) == "2030-03-04T09:00:00-05:00"
    weigh(alice, name, 1)
    assert start_of(alice, where) == "2030-03-04T12:00:00-05:00"
    # A visit type as short as that makes use of the quarter.
    chat = [{"name": "all", "minutes": 15, "needs": [{**need, "mode": "exclusive"}]}]
    made(alice, "/v1/visit-types", **VISIT_TYPE | {"code": "chat", "segments": chat})
    assert start_of(alice, where) == "2030-03-04T09:00:00-05:00"


@CASES
def test_what_cannot_be_avoided_is_shown_in_the_score(
    alice: Person, name: str, kind: str, need: dict[str, str]
) -> None:
    where, _ = place(alice, kind, need, end="10:00")
    free = planned(alice, where)[1]
    assert free["score_parts"][name] == 0
    weigh(alice, name, 7)
    best = planned(alice, where)[1]
    assert (best["score_parts"][name], best["score"]) == (7, free["score"] + 7)
    assert best["score"] == sum(best["score_parts"].values())
    # Of two rooms the one is free that is left whole; a second therapist is asked for who is.
    other = another(alice, where, need, [{"weekday": day["weekday"], "start": "09:00", "end": "10:00"} for day in WEEK])
    away = {"start": "2030-03-04T09:50:00-05:00", "end": "2030-03-04T12:00:00-05:00"}
    made(alice, "/v1/absences", resource_id=other, **away)
    best = planned(alice, where)[1]
    assert (best["score_parts"][name], best["score"]) == (0, free["score"])
    if need == THERAPIST:
        assert [each["resource_id"] for each in best["sessions"][0]["participants"]] == [other]


@pytest.mark.parametrize("weight", [-1, 10_001, 1.5, "8"])
def test_a_weight_is_a_whole_number_within_limits(alice: Person, weight: object) -> None:
    etag = alice.get("/v1/organization").headers["ETag"]
    told = {"policies": {"planning_weights": {"room_remainders": weight}}}
    answer = alice.patch("/v1/organization", json=told, headers={"If-Match": etag})
    assert answer.status_code == 422, answer.text
