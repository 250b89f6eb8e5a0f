"""Who, what, when: each filter of `GET /v1/availability` leaves just what it names. One database."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.examples import BOOKING, VISIT_TYPE, WEEK, made, patient, staffed
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

DAYS = {"from": "2030-03-05T00:00:00-05:00", "to": "2030-03-08T00:00:00-05:00"}
DRIP = VISIT_TYPE | {
    "code": "drip",
    "segments": [{"name": "drip", "minutes": 60, "needs": [{"device_type": "pump", "mode": "exclusive"}]}],
}


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


def offers(alice: Person, where: str, code: str = "talk", **more: Any) -> list[dict[str, Any]]:
    asked = {"visit_type": code, "location_id": where, "limit": 200, **DAYS, **more}
    page = alice.get("/v1/availability", query_string=asked).json
    assert page["next_cursor"] is None
    return page["items"]


def serves(offer: dict[str, Any], *ids: str) -> bool:
    return any(each["resource_id"] in ids for each in offer["participants"])


def wall(offer: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(offer["start"])


KEPT: list[tuple[dict[str, Any], Callable[[datetime], bool]]] = [
    ({"weekdays": "wed"}, lambda start: start.isoweekday() == 3),
    ({"weekdays": "tue,thu"}, lambda start: start.isoweekday() in (2, 4)),
    ({"earliest": "14:30"}, lambda start: f"{start:%H:%M}" >= "14:30"),
    ({"latest": "10:15"}, lambda start: f"{start:%H:%M}" <= "10:15"),
    (
        {"weekdays": "tue", "earliest": "09:00", "latest": "09:45"},
        lambda start: start.isoweekday() == 2 and "09:00" <= f"{start:%H:%M}" <= "09:45",
    ),
]


@pytest.mark.parametrize(("asked", "kept"), KEPT)
def test_days_and_hours_leave_what_they_name(
    alice: Person, where: str, asked: dict[str, Any], kept: Callable[[datetime], bool]
) -> None:
    whole = offers(alice, where)
    mine = [each for each in whole if kept(wall(each))]
    assert 0 < len(mine) < len(whole)
    assert offers(alice, where, **asked) == mine


def test_who_is_asked_for_by_name_serves_and_of_several_any_will_do(alice: Person, where: str) -> None:
    """Each keeps other hours, so that what one of them leaves is what the whole list has at theirs."""
    [somebody] = [each["id"] for each in alice.get("/v1/practitioners").json["items"]]
    ids = []
    for start, end in (("18:00", "19:00"), ("19:00", "20:00")):
        shifts = [{"weekday": "wed", "start": start, "end": end, "location_id": where}]
        ids.append(made(alice, "/v1/practitioners", name=start, roles=[{"code": "therapist"}], hours=shifts))
    site = alice.get(f"/v1/locations/{where}")
    longer = [entry | {"end": "20:00"} for entry in WEEK]
    changed = alice.patch(f"/v1/locations/{where}", json={"hours": longer}, headers={"If-Match": site.headers["ETag"]})
    assert changed.status_code == 200
    whole = offers(alice, where)
    for names in ([somebody], ids[:1], ids[1:], ids, [somebody, ids[0]]):
        mine = [each for each in whole if serves(each, *names)]
        assert 0 < len(mine) < len(whole)
        assert offers(alice, where, practitioner_id=names) == mine


def test_a_group_is_joined_where_any_of_those_asked_for_leads_it(alice: Person, where: str) -> None:
    shifts = [{**day, "location_id": where} for day in WEEK]
    made(alice, "/v1/practitioners", name="Other", roles=[{"code": "therapist"}], hours=shifts)
    made(alice, "/v1/visit-types", **VISIT_TYPE | {"code": "circle", "kind": "group", "group": {"maximum": 3}})
    begun = BOOKING | {"patient_id": patient(alice), "location_id": where, "visit_type": "circle"}
    made(alice, "/v1/appointments", **begun)
    both = [each["id"] for each in alice.get("/v1/practitioners").json["items"]]
    whole, asked = offers(alice, where, "circle"), offers(alice, where, "circle", practitioner_id=both)
    assert asked == whole
    assert sum(each["group"] is not None for each in asked) == 1


def test_a_device_asked_for_by_name_is_explained_and_refused_alike(alice: Person, where: str) -> None:
    made(alice, "/v1/visit-types", **DRIP)
    pumps = [
        made(alice, "/v1/devices", name=name, location_id=where, device_type="pump", units=1) for name in ("one", "two")
    ]
    away = {"start": "2030-03-05T10:00:00-05:00", "end": "2030-03-05T11:00:00-05:00"}
    made(alice, "/v1/absences", resource_id=pumps[0], **away)
    ids = {"visit_type": "drip", "location_id": where}

    def book(pump: str, clock: str) -> Any:
        pins = [{"device_type": "pump", "resource_id": pump}]
        more = {"patient_id": patient(alice), "start": f"2030-03-05T{clock}:00-05:00", "pins": pins}
        return alice.post("/v1/appointments", json=BOOKING | ids | more)

    assert book(pumps[0], "13:00").status_code == 201
    for clock, code in (("10:30", "resource_absent"), ("13:30", "resource_busy")):
        asked = ids | {"start": f"2030-03-05T{clock}:00-05:00"}
        told = alice.get("/v1/availability/explain", query_string=asked | {"device_id": pumps[0]}).json
        refused = assert_problem(book(pumps[0], clock), 409, code)
        assert told == {"bookable": False, "reasons": refused["reasons"]}
        assert [each["resource_id"] for each in told["reasons"]] == [pumps[0]]
        for free in (asked, asked | {"device_id": pumps[1]}):
            assert alice.get("/v1/availability/explain", query_string=free).json["bookable"] is True
    whole = {each["start"] for each in offers(alice, where, "drip")}
    for pump in pumps:
        mine = offers(alice, where, "drip", device_id=pump)
        assert all(serves(each, pump) for each in mine)
        busy = {each for each in whole if pump == pumps[0] and _meets(each, "09:00", "11:00", "12:00", "14:00")}
        assert {each["start"] for each in mine} == whole - busy


def _meets(start: str, *edges: str) -> bool:
    """Whether an hour from then meets what the first pump has on that day."""
    clock = start[11:16]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return start.startswith("2030-03-05") and any(first < clock < last for first, last in pairs)


def test_who_is_only_to_be_present_is_asked_for_by_name_too(alice: Person, where: str) -> None:
    """As a booking pins them: esketamine needs its prescriber for nothing but being there."""
    needs = [{"role": "therapist", "mode": "exclusive"}, {"role": "prescriber", "mode": "present"}]
    segments = [{"name": "dose", "minutes": 60, "needs": needs}]
    made(alice, "/v1/visit-types", **VISIT_TYPE | {"code": "watched", "segments": segments})
    ids = []
    for start, end in (("09:00", "12:00"), ("11:00", "15:00")):
        shifts = [{"weekday": "wed", "start": start, "end": end, "location_id": where}]
        ids.append(made(alice, "/v1/practitioners", name=start, roles=[{"code": "prescriber"}], hours=shifts))
    for who, first, last in ((ids[0], "09:00", "11:00"), (ids[1], "11:00", "14:00")):
        found = offers(alice, where, "watched", practitioner_id=who)
        assert (found[0]["start"][11:16], found[-1]["start"][11:16]) == (first, last)
        assert all(serves(each, who) for each in found)
        body = BOOKING | {"visit_type": "watched", "location_id": where, "patient_id": patient(alice)}
        body |= {"start": found[-1]["start"], "pins": [{"role": "prescriber", "resource_id": who}]}
        assert alice.post("/v1/appointments?dry_run=true", json=body).status_code == 201


def test_who_was_asked_for_by_name_stays_when_the_visit_moves(alice: Person, where: str) -> None:
    """A move keeps whoever it does not name anew, and so does the look for it."""
    [mine] = [each["id"] for each in alice.get("/v1/practitioners").json["items"]]
    shifts = [{**day, "location_id": where} for day in WEEK]
    other = made(alice, "/v1/practitioners", name="Other", roles=[{"code": "therapist"}], hours=shifts)
    pins = [{"role": "therapist", "resource_id": mine}]
    who = patient(alice)
    visit = made(alice, "/v1/appointments", **BOOKING | {"location_id": where, "patient_id": who, "pins": pins})
    away = {"start": "2030-03-05T13:00:00-05:00", "end": "2030-03-05T15:00:00-05:00"}
    made(alice, "/v1/absences", resource_id=mine, **away)
    moving = {"exclude_appointment": visit, "patient_id": who}
    start = "2030-03-05T13:30:00-05:00"
    refused = alice.post(f"/v1/appointments/{visit}/reschedule", json={"start": start})
    asked = {"visit_type": "talk", "location_id": where, "start": start, **moving}
    told = alice.get("/v1/availability/explain", query_string=asked).json
    assert told == {"bookable": False, "reasons": assert_problem(refused, 409, "resource_absent")["reasons"]}
    assert all(serves(each, mine) for each in offers(alice, where, **moving))
    assert start not in {each["start"] for each in offers(alice, where, **moving)}
    assert start in {each["start"] for each in offers(alice, where, **moving, practitioner_id=other)}
    renamed = {"start": start, "pins": [{"role": "therapist", "resource_id": other}]}
    assert alice.post(f"/v1/appointments/{visit}/reschedule", json=renamed).status_code == 200


def test_whom_a_visit_keeps_by_name_without_need_is_told_where_it_was_asked(alice: Person, where: str) -> None:
    """The move names nobody, and the look names the visit alone: neither sent any `pins/0`."""
    [mine] = [each["id"] for each in alice.get("/v1/practitioners").json["items"]]
    pins, who = [{"role": "therapist", "resource_id": mine}], patient(alice)
    visit = made(alice, "/v1/appointments", **BOOKING | {"location_id": where, "patient_id": who, "pins": pins})
    [talk] = alice.get("/v1/visit-types").json["items"]
    path, needs = f"/v1/visit-types/{talk['id']}", [{"room_type": "consult", "mode": "exclusive"}]
    headers = {"If-Match": alice.get(path).headers["ETag"]}
    segments = {"segments": [{"name": "talk", "minutes": 50, "needs": needs}]}
    assert alice.patch(path, json=segments, headers=headers).status_code == 200
    moved = alice.post(f"/v1/appointments/{visit}/reschedule", json={"start": "2030-03-05T13:30:00-05:00"})
    assert faults(moved) == {("/pins", "no_such_need")}
    assert mine in moved.text
    asked = {"visit_type": "talk", "location_id": where, "exclude_appointment": visit, "patient_id": who, **DAYS}
    assert faults(alice.get("/v1/availability", query_string=asked)) == {("/exclude_appointment", "no_such_need")}


def test_what_is_no_device_of_the_visit_is_told(alice: Person, where: str) -> None:
    asked = {"visit_type": "talk", "location_id": where, **DAYS}
    pump = made(alice, "/v1/devices", name="one", location_id=where, device_type="pump", units=1)
    answer = alice.get("/v1/availability", query_string=asked | {"device_id": pump})
    assert faults(answer) == {("/device_id", "no_such_need")}
    nobody = alice.get("/v1/availability", query_string=asked | {"device_id": str(uuid4())})
    assert_problem(nobody, 404, "not_found")
