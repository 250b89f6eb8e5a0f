"""A refusal over HTTP helps: what is in the way and until when, five starts instead, and nothing about anybody else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.api.examples import BOOKING, KEPT, patient, staffed
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from tests.api.conftest import Person


@pytest.mark.parametrize("ask", ["book", "move", "hold"])
def test_who_is_busy_until_when_and_what_instead_but_not_with_whom(alice: Person, bob: Person, ask: str) -> None:
    where = staffed(alice)
    theirs = bob.post("/v1/appointments", json=BOOKING | {"location_id": where, "patient_id": patient(bob)})
    assert theirs.status_code == 201, theirs.text
    start, taken = datetime.fromisoformat(BOOKING["start"]), theirs.json
    [therapist] = [each for each in taken["participants"] if each["role"] == "therapist"]
    wish = BOOKING | {"location_id": where, "start": (start + timedelta(minutes=25)).isoformat()}
    mine = wish | {"patient_id": patient(bob)}
    path, body = "/v1/appointments", mine
    if ask == "move":
        own = bob.post("/v1/appointments", json=mine | {"start": (start + timedelta(hours=2)).isoformat()})
        path, body = f"/v1/appointments/{own.json['id']}/reschedule", {"start": wish["start"]}
    if ask == "hold":
        path, body = "/v1/holds", KEPT | {"location_id": where, "start": wish["start"]}
    answer = bob.post(path, json=body)
    told = assert_problem(answer, 409, "resource_busy")
    [reason] = told["reasons"]
    assert (reason["role"], reason["resource_id"]) == ("therapist", therapist["resource_id"])
    busy = [datetime.fromisoformat(reason[edge]) for edge in ("from", "to")]
    assert busy == [datetime.fromisoformat(taken[edge]) for edge in ("start", "end")]
    assert not [secret for secret in (taken["id"], taken["patient_id"]) if secret in answer.text]
    assert len(told["alternatives"]) == 5
    for instead in told["alternatives"]:
        again = bob.post(f"{path}?dry_run=true", json=body | {"start": instead})
        assert again.status_code < 300, again.text
