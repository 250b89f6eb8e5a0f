"""One Idempotency-Key in many hands at once, and after the server was killed: one effect, one answer."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.plumbing.servers import Server
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults
from tests.race.crowd import at_once, crowd

CLIENTS = 8
#: How often the whole server is killed; each time it lives a little longer.
KILLS = 6
KEY = {"idempotency_key": "the-same"}


def together(desk: Caller, path: str, *bodies: Any) -> list[dict[str, Any]]:
    """Everybody sends one of the bodies under the one key."""
    orders = [{"path": path, "body": bodies[place % len(bodies)], "headers": KEY} for place in range(CLIENTS)]
    return at_once(desk, "post", orders)


def assert_one_effect(did: list[dict[str, Any]], status: int) -> None:
    assert {each["status"] for each in did} == {status}, did
    assert sum(not each["replayed"] for each in did) == 1
    assert len({(str(each["body"]), each["etag"]) for each in did}) == 1, "every answer is the first one"


@pytest.mark.slow
def test_one_key_books_once(arena: Arena, server: Server, desk: Caller) -> None:
    did = together(desk, "/v1/appointments", arena.wish(0, "talk", 0, "09:00"))
    assert_one_effect(did, 201)
    booked = did[0]["body"]["id"]
    for action, body in (
        ("reschedule", {"start": arena.at(1, "10:00").isoformat()}),
        ("cancel", {"reason": "asked for", "by": "patient"}),
    ):
        path = f"/v1/appointments/{booked}/{action}"
        orders = [{"path": path, "body": body, "headers": {"idempotency_key": action}} for _ in range(CLIENTS)]
        assert_one_effect(at_once(desk, "post", orders), 200)
    tables = Tables(arena.engine, arena.clinic.call.organization_id)
    assert [row.sequence for row in tables.appointments.values()] == [2]
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_one_key_makes_and_books_one_course(arena: Arena, server: Server, desk: Caller) -> None:
    wanted = {
        "patient_id": str(arena.patient_ids[0]),
        "protocol": "trial",
        "location_id": str(arena.clinic.location_id),
        "start_after": arena.monday.isoformat(),
    }
    did = together(desk, "/v1/courses", wanted)
    assert_one_effect(did, 201)
    path = f"/v1/courses/{did[0]['body']['id']}"
    token = desk.post(f"{path}/plans", {}).body["plans"][0]["token"]
    orders = [
        {"path": f"{path}/bookings", "body": {"plan_token": token}, "headers": {"idempotency_key": "book"}}
        for _ in range(CLIENTS)
    ]
    did = at_once(desk, "post", orders)
    assert_one_effect(did, 201)
    assert len(did[0]["seen"]) == 5
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_one_key_with_two_bodies_has_one_effect(arena: Arena, server: Server, desk: Caller) -> None:
    bodies = [arena.wish(0, "talk", 0, "09:00"), arena.wish(1, "talk", 0, "11:00")]
    did = together(desk, "/v1/appointments", *bodies)
    codes = Counter(each["code"] for each in did)
    assert codes == {"201": 4, "idempotency_key_reused": 4}
    assert len({each["body"]["id"] for each in did if each["status"] == 201}) == 1
    assert len(Tables(arena.engine, arena.clinic.call.organization_id).appointments) == 1


@pytest.mark.slow
def test_a_refusal_keeps_no_key(arena: Arena, server: Server, desk: Caller) -> None:
    assert desk.post("/v1/appointments", arena.wish(0, "talk", 0, "09:00")).status == 201
    did = together(desk, "/v1/appointments", arena.wish(0, "talk", 0, "09:30"))
    assert Counter((each["status"], each["replayed"]) for each in did) == {(409, False): CLIENTS}
    assert desk.post("/v1/appointments", arena.wish(0, "talk", 0, "11:00"), **KEY).status == 201


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_key_that_is_sent_again_after_the_server_died_has_one_effect(
    arena: Arena, server: Server, desk: Caller
) -> None:
    """Everything is killed, master and workers, while clients book; they repeat each request until it is answered."""
    starts = arena.starts(range(10), ["09:00", "10:30", "13:00", "14:30"])
    orders = [
        {"name": f"client-{client}", "wishes": [
            {"path": "/v1/appointments", "body": arena.wish(client, "talk", 0, "09:00") | {"start": start}}
            for start in starts[client::2]
        ]}
        for client in range(CLIENTS)
    ]  # fmt: skip
    kills = 0
    with crowd(desk, "persist", orders) as clients:
        clients.go()
        while kills < KILLS and clients.is_busy():
            time.sleep(0.2 + 0.3 * kills)
            server.kill()
            kills += 1
            server.start()
        did = clients.results()
    by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in did:
        by_key[each["key"]].append(each)
    unanswered = sum(each["status"] == 0 for each in did)
    print(f"\n{kills} kills, {len(did)} requests, {unanswered} without an answer, {len(by_key)} keys")  # noqa: T201
    assert unanswered > 0, "nobody was hit: that was no attack"
    acknowledged = {answers[-1]["body"]["id"] for answers in by_key.values() if answers[-1]["status"] == 201}
    assert {answers[-1]["status"] for answers in by_key.values()} <= {201, 409}
    tables = Tables(arena.engine, arena.clinic.call.organization_id)
    assert {str(key) for key in tables.appointments} == acknowledged, "one effect for each key that was answered 201"
    assert faults(arena.engine, arena.clinic.call.organization_id) == []
    for order in orders:  # and the answer is the same for ever
        for turn, wish in enumerate(order["wishes"]):
            first = by_key[f"{order['name']}-{turn}"][-1]
            if first["status"] == 201:
                again = desk.post(wish["path"], wish["body"], idempotency_key=first["key"])
                assert (again.status, again.body) == (201, first["body"])
                assert again.headers["Idempotency-Replayed"] == "true"
