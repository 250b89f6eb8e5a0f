"""Faults that schedulers are known for, and that no other test here asks about. docs/acceptance.md has them all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import BOOKING, WEEK, made, patient, staffed

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

DAY = {"from": "2030-03-05T00:00:00-05:00", "to": "2030-03-08T00:00:00-05:00"}


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


def wish(alice: Person, where: str, **more: Any) -> dict[str, Any]:
    return BOOKING | {"patient_id": patient(alice), "location_id": where} | more


def starts(alice: Person, where: str, **more: Any) -> list[str]:
    """Every start that is offered, page by page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        asked = {"visit_type": "talk", "location_id": where, **DAY, **more, **cursor}
        page = alice.get("/v1/availability", query_string=asked).json
        found += [each["start"] for each in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_small_pages_show_as_much_as_large_ones(alice: Person, where: str) -> None:
    """Elsewhere, what lay beyond the first page was silently free, or silently taken."""
    whole = starts(alice, where, limit=200)
    assert len(whole) > 50
    assert starts(alice, where, limit=7) == whole
    taken = alice.post("/v1/appointments", json=wish(alice, where, start=whole[-1])).json
    assert whole[-1] == taken["start"]
    assert starts(alice, where, limit=7) == [each for each in whole if each < _before(whole[-1], minutes=50)]


def _before(start: str, *, minutes: int) -> str:
    return (datetime.fromisoformat(start) - timedelta(minutes=minutes)).isoformat()


def test_one_instant_is_one_time_whatever_its_offset(alice: Person, where: str) -> None:
    """Elsewhere, double bookings appeared in every zone but UTC."""
    first = alice.post("/v1/appointments", json=wish(alice, where, start="2030-03-05T10:00:00-05:00"))
    assert (first.status_code, first.json["start"]) == (201, "2030-03-05T10:00:00-05:00")
    for same in ("2030-03-05T15:00:00Z", "2030-03-05T20:45:00+05:45", "2030-03-06T05:00:00+14:00"):
        again = alice.post("/v1/appointments", json=wish(alice, where, start=same))
        assert (again.status_code, again.json["code"]) == (409, "resource_busy"), same


def test_cancelled_and_booked_again_as_often_as_anybody_likes(alice: Person, where: str) -> None:
    """Elsewhere, the cancelled row stood in the way of the same patient's next one at that time."""
    wanted = wish(alice, where)
    for _ in range(3):
        visit = made(alice, "/v1/appointments", **wanted)
        gone = alice.post(f"/v1/appointments/{visit}/cancel", json={"reason": "Work.", "by": "patient"})
        assert gone.json["status"] == "cancelled"
    made(alice, "/v1/appointments", **wanted)
    assert alice.post(f"/v1/appointments/{visit}/undo", json={}).json["code"] in {"resource_busy", "patient_busy"}


def test_an_evening_keeps_its_weekday_though_it_is_tomorrow_in_utc(alice: Person, where: str) -> None:
    """Elsewhere, a series landed on the day after the one that was asked for."""
    late = [{**day, "location_id": where, "start": "18:00", "end": "23:00"} for day in WEEK]
    known = alice.get(f"/v1/locations/{where}")
    hours = [{**day, "start": "08:00", "end": "23:00"} for day in WEEK]
    changed = alice.patch(f"/v1/locations/{where}", json={"hours": hours}, headers={"If-Match": known.headers["ETag"]})
    assert changed.status_code == 200
    made(alice, "/v1/practitioners", name="Late", roles=[{"code": "therapist"}], hours=late)
    evenings = wish(alice, where, start="2030-03-04T20:00:00-05:00", rule="FREQ=WEEKLY;BYDAY=MO,WE;COUNT=6")
    told = alice.post("/v1/series", json=evenings).json["appointments"]
    assert [each["local_start"] for each in told] == [f"2030-03-{day:02}T20:00:00" for day in (4, 6, 11, 13, 18, 20)], (
        "across the change of the clocks on the tenth"
    )


def test_a_webhook_hears_of_what_it_asked_for_alone(alice: Person, where: str) -> None:
    """Elsewhere, whoever asked for one event heard of those whose names are a part of it."""
    hook = made(alice, "/v1/webhooks", url="https://desk.example.org/told", events=["appointment.cancelled"])
    visit = made(alice, "/v1/appointments", **wish(alice, where))
    told = f"/v1/webhooks/{hook}/deliveries"
    assert alice.get(told).json["items"] == []
    alice.post(f"/v1/appointments/{visit}/cancel", json={"reason": "Work.", "by": "patient"})
    assert [each["event"] for each in alice.get(told).json["items"]] == ["appointment.cancelled"]
