"""What one client of a crowd does: each job calls the API and writes down what it was told. Judges nothing.

An entry is {op, status, code, seconds, at_fault?, seen: [appointments as they were shown], ...}.
"""

from __future__ import annotations

import random
import time
from typing import Any

from tests.race.caller import Answer, Caller
from tests.race.crowd import Memory

_SHOWN = ("id", "version", "status", "start", "sequence", "course_id", "patient_id", "visit_type")
#: How many of the latest appointments a client chooses from when it moves or cancels one.
_RECENT = 24

Did = list[dict[str, Any]]


def entry(op: str, answer: Answer, **more: Any) -> dict[str, Any]:
    """What is written down of an answer."""
    body = answer.body if isinstance(answer.body, dict) else {}
    shown = body.get("appointments", [body] if "sequence" in body else []) if answer.is_good else []
    found = {
        "op": op,
        "status": answer.status,
        "code": answer.code,
        "seconds": answer.seconds,
        "replayed": answer.headers.get("Idempotency-Replayed") == "true",
        "seen": [{name: each[name] for name in _SHOWN} for each in shown],
    }
    if not answer.is_good:
        found["detail"] = body.get("detail")
        found["reasons"] = [reason.get("code") for reason in body.get("reasons", [])]
    return found | more


def storm(caller: Caller, order: dict[str, Any], memory: Memory) -> Did:
    """Book, move, cancel, and book whole courses, all for the same few times."""
    rng = random.Random(order["seed"])
    did: Did = []
    for turn in range(order["tries"]):
        act = rng.choices((_book, _move, _cancel, _course), order.get("mix", (45, 27, 18, 10)))[0]
        key = f"{order['seed']}-{turn}" if rng.random() < 0.5 else None
        did += act(caller, order, memory, rng, {"idempotency_key": key} if key else {})
    return did


def _book(caller: Caller, order: dict[str, Any], memory: Memory, rng: random.Random, headers: dict[str, str]) -> Did:
    wanted = {
        "patient_id": rng.choice(order["patients"]),
        "visit_type": rng.choice(order["visit_types"]),
        "location_id": order["location_id"],
        "start": rng.choice(order["starts"]),
    }
    found = entry("book", caller.post("/v1/appointments", wanted, **headers))
    with memory.lock:
        memory.known += found["seen"]
    return [found]


def _known(memory: Memory, rng: random.Random) -> dict[str, Any] | None:
    with memory.lock:
        return rng.choice(memory.known[-_RECENT:]) if memory.known else None


def _move(caller: Caller, order: dict[str, Any], memory: Memory, rng: random.Random, headers: dict[str, str]) -> Did:
    chosen = _known(memory, rng)
    if chosen is None:
        return _book(caller, order, memory, rng, headers)
    sent = headers | ({"if_match": f'"{chosen["version"]}"'} if rng.random() < 0.3 else {})
    path = f"/v1/appointments/{chosen['id']}/reschedule"
    return [entry("move", caller.post(path, {"start": rng.choice(order["starts"])}, **sent))]


def _cancel(caller: Caller, order: dict[str, Any], memory: Memory, rng: random.Random, headers: dict[str, str]) -> Did:
    chosen = _known(memory, rng)
    if chosen is None:
        return _book(caller, order, memory, rng, headers)
    wanted = {"reason": "asked for", "by": "patient"}
    return [entry("cancel", caller.post(f"/v1/appointments/{chosen['id']}/cancel", wanted, **headers))]


def _course(caller: Caller, order: dict[str, Any], memory: Memory, rng: random.Random, headers: dict[str, str]) -> Did:
    did = course(caller, order | {"patients": [rng.choice(order["patients"])]}, memory, **headers)
    with memory.lock:
        memory.known += did[-1]["seen"]
    return did


def course(caller: Caller, order: dict[str, Any], memory: Memory, **headers: str) -> Did:
    """Make a course for the first patient, plan it and book the plan; a stale one is booked again as refreshed."""
    patient_id = order["patients"][0]
    wanted = {
        "patient_id": patient_id,
        "protocol": order["protocol"],
        "location_id": order["location_id"],
        "start_after": order["start_after"],
    }
    made = caller.post("/v1/courses", wanted, **{name: f"{value}-make" for name, value in headers.items()})
    did = [entry("course", made)]
    if not made.is_good:
        return did
    did[-1]["course_id"] = made.body["id"]
    path = f"/v1/courses/{made.body['id']}"
    planned = caller.post(f"{path}/plans", {})
    did.append(entry("plan", planned, course_id=made.body["id"]))
    token = planned.body["plans"][0]["token"] if planned.is_good else None
    for turn in range(order.get("patience", 3)):
        if token is None:
            break
        sent = {name: f"{value}-{turn}" for name, value in headers.items()}
        booked = caller.post(f"{path}/bookings", {"plan_token": token}, **sent)
        did.append(entry("book_course", booked, course_id=made.body["id"], sessions=len(made.body["sessions"])))
        if booked.is_good or booked.code != "plan_stale":
            break
        token = (booked.body.get("plan") or {}).get("token")
        did[-1]["fresh"] = token is not None
    return did


def courses(caller: Caller, order: dict[str, Any], memory: Memory) -> Did:
    """One whole course after the other, for each patient in turn."""
    did: Did = []
    for patient_id in order["patients"]:
        did += course(caller, order | {"patients": [patient_id]}, memory)
    return did


def beside(caller: Caller, order: dict[str, Any], memory: Memory) -> Did:
    """What the order says: whole courses, or single visits beside them."""
    return (courses if order["job"] == "courses" else storm)(caller, order, memory)


def post(caller: Caller, order: dict[str, Any], memory: Memory) -> Did:
    """The same request so many times; the whole answer is kept."""
    did: Did = []
    for _ in range(order.get("times", 1)):
        answer = caller.call(order.get("method", "POST"), order["path"], order["body"], **order.get("headers", {}))
        kept = {"path": order["path"], "sent": order["body"], "etag": answer.headers.get("ETag")}
        did.append(entry("post", answer, body=answer.body, **kept))
    return did


def persist(caller: Caller, order: dict[str, Any], memory: Memory) -> Did:
    """Bookings, each under a key of its own and repeated under it until an answer comes, as a careful client does."""
    did: Did = []
    for turn, wanted in enumerate(order["wishes"]):
        while True:
            sent = {"idempotency_key": f"{order['name']}-{turn}"}
            answer = caller.post(wanted["path"], wanted["body"], **sent)
            did.append(entry("persist", answer, key=sent["idempotency_key"], body=answer.body))
            if answer.status not in {0, 503}:
                break
            time.sleep(0.05)
    return did
