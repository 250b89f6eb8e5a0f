"""A running course over HTTP: planned anew, accepted by its token, stale with a fresh plan, held and given up."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import vobject

from tests.api.examples import COURSE, course, patient, staffed

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.api.conftest import Person


def running(person: Person) -> tuple[str, dict[str, Any]]:
    """The path of a course of one talk, and its visit."""
    course(person)  # its protocol is there from now on
    body = COURSE | {"patient_id": patient(person), "location_id": staffed(person)}
    path = f"/v1/courses/{person.post('/v1/courses', json=body).json['id']}"
    token = person.post(f"{path}/plans", json={}).json["plans"][0]["token"]
    booked = person.post(f"{path}/bookings", json={"plan_token": token})
    assert booked.status_code == 201, booked.text
    return path, booked.json["appointments"][0]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_calendars_and_webhooks_follow_a_change_of_the_course(alice: Person, client: FlaskClient) -> None:
    path, visit = running(alice)
    hook = alice.post("/v1/webhooks", json={"url": "https://example.org/hook"}).json["id"]
    feed = (
        alice.post("/v1/calendar-feeds", json={"resource_id": visit["patient_id"]})
        .json["url"]
        .removeprefix("http://localhost")
    )
    [before] = vobject.readOne(client.get(feed).text).vevent_list
    told = alice.post(f"{path}/replans", json={"changes": [{"appointment_id": visit["id"], "action": "move"}]}).json
    [moved] = told["diff"]["moved"]
    alice.post(f"{path}/bookings", json={"plan_token": told["token"]})
    start = datetime.fromisoformat(moved["to"])
    [after] = vobject.readOne(client.get(feed).text).vevent_list
    assert (after.uid.value, after.dtstart.value) == (before.uid.value, start)
    assert int(after.sequence.value) > int(before.sequence.value)
    delivered = alice.get(f"/v1/webhooks/{hook}/deliveries").json["items"]
    told_of = {each["event"] for each in delivered}
    assert "appointment.rescheduled" in told_of


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_plan_is_drawn_as_it_would_stand(alice: Person) -> None:
    path, visit = running(alice)
    changes = [{"appointment_id": visit["id"], "action": "cancel"}]
    told = alice.post(f"{path}/replans", json={"changes": changes}).json
    [moved] = told["diff"]["moved"]
    picture = alice.get(f"{path}/plans/{told['token']}/timeline.svg")
    assert (picture.status_code, picture.mimetype) == (200, "image/svg+xml")
    assert f"planned on {datetime.fromisoformat(moved['to']):%a %d %b %Y at %H:%M}" in picture.text
    assert "planned on" not in alice.get(f"{path}/timeline.svg").text


def test_a_cancelled_visit_is_planned_anew_and_accepted_by_its_token(alice: Person) -> None:
    path, visit = running(alice)
    changes = [{"appointment_id": visit["id"], "action": "cancel"}]
    told = alice.post(f"{path}/replans", json={"changes": changes})
    assert told.status_code == 200, told.text
    [moved] = told.json["diff"]["moved"]
    assert (moved["from"], moved["why"]) == (visit["start"], "its visit is cancelled")
    assert moved["to"][:10] != visit["start"][:10]
    assert (told.json["diff"]["kept"], told.json["diff"]["broken"]) == ([], [])
    rehearsed = alice.post(f"{path}/bookings?dry_run=true", json={"plan_token": told.json["token"]})
    assert rehearsed.status_code == 201
    assert alice.get(f"/v1/appointments/{visit['id']}").json["status"] == "booked"
    accepted = alice.post(f"{path}/bookings", json={"plan_token": told.json["token"]})
    assert [each["start"] for each in accepted.json["appointments"]] == [moved["to"]]
    assert alice.get(f"/v1/appointments/{visit['id']}").json["status"] == "cancelled"


def test_a_stale_one_comes_with_a_fresh_one_for_the_same_changes(alice: Person) -> None:
    path, visit = running(alice)
    changes = [{"appointment_id": visit["id"], "action": "move"}]
    told = alice.post(f"{path}/replans", json={"changes": changes}).json
    alice.post(f"/v1/appointments/{visit['id']}/reschedule", json={"start": told["diff"]["moved"][0]["to"]})
    stale = alice.post(f"{path}/bookings", json={"plan_token": told["token"]})
    assert (stale.status_code, stale.json["code"]) == (409, "plan_stale")
    fresh = stale.json["plan"]
    assert fresh["diff"]["moved"][0]["from"] == told["diff"]["moved"][0]["to"]
    assert alice.post(f"{path}/bookings", json={"plan_token": fresh["token"]}).status_code == 201


def test_a_course_is_held_resumed_and_given_up(alice: Person) -> None:
    path, visit = running(alice)
    assert alice.post(f"{path}/hold", json={"reason": "unwell"}).json["status"] == "on-hold"
    refused = alice.post(f"{path}/replans", json={})
    assert (refused.status_code, refused.json["code"]) == (409, "on_hold")
    assert alice.post(f"{path}/resume", json={}).json["status"] == "active"
    assert alice.post(f"{path}/discontinue", json={"reason": "asked for"}).json["status"] == "revoked"
    assert alice.get(f"/v1/appointments/{visit['id']}").json["status"] == "cancelled"
    assert alice.post(f"{path}/plans", json={}).json["code"] == "illegal_transition"
