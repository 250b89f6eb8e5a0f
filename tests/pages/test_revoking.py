"""Links that the staff end by hand open nothing any more: a visit's, or all of a patient's with their calendar feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pages.conftest import Sent

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
WHY = {"reason": "The mail went to somebody else"}


def actions(person: Person, noun: str) -> list[tuple[str, str | None]]:
    found = person.get(f"/v1/audit-events?action={noun}.revoke_links").json["items"]
    return [(each["reason"], each["actor"]) for each in found]


def test_a_visits_links_are_ended_at_once_and_once(client: FlaskClient, sent: Sent, alice: Person) -> None:
    second, path = sent.again(), f"/v1/appointments/{sent.visit['id']}/revoke-links"
    assert alice.post(path, json={}).status_code == 422, "without a reason"
    foreseen = alice.post(f"{path}?dry_run=true", json=WHY)
    assert (foreseen.status_code, foreseen.json) == (200, {"links": 2, "calendar_feeds": 0})
    assert client.get(second).status_code == 200
    assert alice.post(path, json=WHY).json == foreseen.json
    for gone in (sent.path, second):
        assert client.get(gone).status_code == 404
        assert client.post(f"{gone}/confirm").status_code == 404
    assert alice.post(path, json=WHY).json == {"links": 0, "calendar_feeds": 0}
    assert [reason for reason, _ in actions(alice, "appointment")] == [WHY["reason"]] * 2
    assert client.get(sent.again()).status_code == 200, "a later message has a link of its own"


def test_a_patients_links_and_calendar_are_ended_together(client: FlaskClient, sent: Sent, alice: Person) -> None:
    patient = sent.visit["patient_id"]
    feed = alice.post("/v1/calendar-feeds", json={"resource_id": patient}).json
    other = alice.post("/v1/calendar-feeds", json={"resource_id": sent.visit["participants"][0]["resource_id"]}).json
    ended = alice.post(f"/v1/patients/{patient}/revoke-links", json=WHY)
    assert ended.json == {"links": 1, "calendar_feeds": 1}
    assert [client.get(url["url"]).status_code for url in (feed, other)] == [404, 200]
    assert client.get(sent.path).status_code == 404
    assert len(actions(alice, "patient")) == 1
