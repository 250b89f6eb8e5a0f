"""Calendar feeds over HTTP: who may look, what is seen, and that nothing is seen any more once it is revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import vobject

from tests.api.examples import BOOKING, VISIT_TYPE, made, patient, staffed
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from scheduler.config import Settings
    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


def feed(person: Person, resource_id: str, **more: Any) -> str:
    """A new feed's address, without the host."""
    answer = person.post("/v1/calendar-feeds", json={"resource_id": resource_id, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json["url"]).removeprefix("http://localhost")


def events(answer: TestResponse) -> list[Any]:
    assert (answer.status_code, answer.mimetype) == (200, "text/calendar")
    return list(getattr(vobject.readOne(answer.text), "vevent_list", []))


def visit(alice: Person, where: str, **more: Any) -> Any:
    ids = {"patient_id": patient(alice), "location_id": where}
    answer = alice.post("/v1/appointments", json=BOOKING | ids | more)
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_visit_through_its_life(alice: Person, client: FlaskClient, where: str) -> None:
    booked = visit(alice, where)
    (therapist,) = {each["resource_id"] for each in booked["participants"] if each["kind"] == "practitioner"}
    addresses = feed(alice, booked["patient_id"]), feed(alice, therapist)
    for address in addresses:
        (event,) = events(client.get(address))
        assert event.uid.value == f"{booked['id']}@regimen"
        assert (event.summary.value, event.status.value) == ("Visit", "CONFIRMED")
        assert "Robin" not in client.get(address).text, "no event names the patient"
    path = f"/v1/appointments/{booked['id']}"
    alice.post(f"{path}/reschedule", json={"start": "2030-03-06T15:00:00+00:00"})
    (moved,) = events(client.get(address))
    assert (moved.uid.value, moved.sequence.value) == (event.uid.value, "1")
    assert moved.dtstart.value.isoformat() == "2030-03-06T10:00:00-05:00"
    alice.post(f"{path}/cancel", json={"reason": "ill", "by": "patient"})
    for address in addresses:
        (off,) = events(client.get(address))
        assert (off.uid.value, off.sequence.value, off.status.value) == (event.uid.value, "2", "CANCELLED")


def test_a_patients_own_is_in_their_language(alice: Person, client: FlaskClient) -> None:
    booked = visit(alice, staffed(alice))
    (kind,) = alice.get("/v1/visit-types").json["items"]
    known = alice.get(f"/v1/visit-types/{kind['id']}")
    named = alice.patch(
        known.request.path, json={"public_names": {"es": "Cita"}}, headers={"If-Match": known.headers["ETag"]}
    )
    assert named.status_code == 200, named.text
    read = alice.get(f"/v1/patients/{booked['patient_id']}")
    spanish = alice.patch(read.request.path, json={"locale": "es-MX"}, headers={"If-Match": read.headers["ETag"]})
    assert spanish.status_code == 200, spanish.text
    (therapist,) = {each["resource_id"] for each in booked["participants"] if each["kind"] == "practitioner"}
    titles = [events(client.get(feed(alice, each)))[0].summary.value for each in (booked["patient_id"], therapist)]
    assert titles == ["Cita", "Visit"]


def test_only_what_concerns_the_resource_is_shown(alice: Person, client: FlaskClient, where: str) -> None:
    booked = visit(alice, where)
    another = made(alice, "/v1/practitioners", name="Another")
    assert events(client.get(feed(alice, another))) == []
    assert events(client.get(feed(alice, patient(alice)))) == []
    inner = feed(alice, booked["participants"][0]["resource_id"], titles="visit_type")
    assert [event.summary.value for event in events(client.get(inner))] == ["Talk"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_room_shows_what_takes_place_in_it_and_another_like_it_nothing(
    alice: Person, client: FlaskClient, where: str
) -> None:
    seen = {"name": "look", "minutes": 30, "needs": [{"room_type": "talk", "mode": "exclusive"}]}
    made(alice, "/v1/visit-types", **VISIT_TYPE | {"code": "seen", "segments": [seen]})
    rooms = [made(alice, "/v1/rooms", name=name, location_id=where, room_type="talk") for name in ("One", "Two")]
    booked = visit(alice, where, visit_type="seen")
    (room,) = {each["resource_id"] for each in booked["participants"] if each["kind"] == "room"}
    (event,) = events(client.get(feed(alice, room)))
    assert event.uid.value == f"{booked['id']}@regimen"
    (other,) = set(rooms) - {room}
    assert events(client.get(feed(alice, other))) == []


def test_nothing_new_is_not_sent_again(alice: Person, client: FlaskClient, where: str, clock: Clock) -> None:
    booked = visit(alice, where)
    address = feed(alice, booked["patient_id"])
    first = client.get(address)
    assert first.headers["Cache-Control"] == "private, no-cache"
    clock.move(timedelta(hours=1))
    again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    alice.post(f"/v1/appointments/{booked['id']}/cancel", json={"reason": "ill", "by": "patient"})
    assert client.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_revoked_or_tampered_address_opens_nothing(
    alice: Person, charlie: Person, client: FlaskClient, where: str
) -> None:
    made_feed = alice.post("/v1/calendar-feeds", json={"resource_id": patient(alice)}).json
    address = made_feed["url"].removeprefix("http://localhost")
    assert client.get(address).status_code == 200
    for wrong in (address.replace(".ics", "x.ics"), f"{address[:-5]}{'A' if address[-5] != 'A' else 'B'}.ics"):
        assert_problem(client.get(wrong), 404, "not_found")
    assert charlie.post(f"/v1/calendar-feeds/{made_feed['id']}/revoke").status_code == 404
    assert client.get(address).status_code == 200
    assert alice.post(f"/v1/calendar-feeds/{made_feed['id']}/revoke").json["revoked_at"] is not None
    assert_problem(client.get(address), 404, "not_found")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_who_asks_for_a_calendar_too_often_waits(
    settings: Settings, alice: Person, client: FlaskClient, where: str, clock: Clock
) -> None:
    one, other = (feed(alice, patient(alice)) for _ in range(2))
    most = settings.page_limit_per_minute
    assert [client.get(one).status_code for _ in range(most)] == [200] * most
    refused = client.get(one)
    assert_problem(refused, 429, "too_many_requests")
    assert (refused.headers["Retry-After"], refused.headers["RateLimit"]) == ("1", '"link";r=0;t=1')
    assert client.get(other).status_code == 200, "another has its own share"
    clock.move(timedelta(seconds=1))
    assert client.get(one).status_code == 200
    here = {"REMOTE_ADDR": "203.0.113.9"}
    tried = [client.get(f"/calendars/{name}.ics", environ_base=here).status_code for name in range(601)]
    assert set(tried[:-1]) == {404}
    assert tried[-1] == 429, "nor are addresses guessed"


def test_looks_are_written_down_once_a_day(alice: Person, client: FlaskClient, where: str, clock: Clock) -> None:
    made_feed = alice.post("/v1/calendar-feeds", json={"resource_id": patient(alice)}).json
    address = made_feed["url"].removeprefix("http://localhost")
    for hours in (0, 1, 22, 2):
        clock.move(timedelta(hours=hours))
        client.get(address)
    looks = alice.get(f"/v1/audit-events?subject_id={made_feed['id']}&action=calendar_feed.read").json["items"]
    assert len(looks) == 2


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_its_address_is_the_installations_own(alice: Person) -> None:
    """Not what a proxy or a caller says of the host."""
    settings = alice.app.extensions["settings"]
    alice.app.extensions["settings"] = replace(settings, public_url="https://visits.example.org/")
    patient_id = patient(alice)
    headers = {"Host": "evil.example.com"}
    answer = alice.post("/v1/calendar-feeds", json={"resource_id": patient_id}, headers=headers)
    assert answer.json["url"].startswith("https://visits.example.org/calendars/")
