"""What one pair of hands at a busy front desk does, at random: every kind of change, over HTTP. Judges nothing.

What they are told they share with the others, so that all reach for the same visits, holds, courses and people.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.race.arena import Arena
from tests.race.caller import Answer, Caller
from tests.race.jobs import Did, entry

NOBODY = "00000000-0000-0000-0000-000000000001"
CODES = ("talk", "talk", "watch", "sitting", "infusion", "circle", "circle")


@dataclass
class Desk:
    """What everybody at the desk knows."""

    arena: Arena
    staff: list[str]
    rooms: list[str]
    types: dict[str, str]
    known: dict[str, list[Any]] = field(default_factory=dict)

    def note(self, kind: str, key: Any) -> None:
        self.known.setdefault(kind, []).append(key)


class Hands:
    """One client; `did` is what came of each request, as a ledger reads it."""

    def __init__(self, desk: Desk, caller: Caller, seed: int) -> None:
        self.desk, self.caller, self.rng = desk, caller, random.Random(seed)
        self.did: Did = []
        self.where = str(desk.arena.clinic.location_id)

    def work(self, turns: int) -> Did:
        acts = list(ACTS)
        for _ in range(turns):
            self.rng.choice(acts)(self)
        return self.did

    def ask(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> Answer:
        answer = self.caller.call(method, f"/v1/{path}", body, **headers)
        made = entry(f"{method} {path}", answer)
        self.did.append(made)
        for each in made["seen"]:
            self.desk.note("visit", each["id"])
        return answer

    def made(self, kind: str, answer: Answer) -> str | None:
        if answer.is_good:
            self.desk.note(kind, answer.body["id"])
        return answer.body["id"] if answer.is_good else None

    def some(self, kind: str) -> Any:
        """One of the latest, so that several reach for it."""
        return self.rng.choice(self.desk.known.get(kind, [NOBODY])[-12:])

    def start(self) -> str:
        clock = self.rng.choice(("09:00", "09:30", "10:00", "11:00", "13:00", "14:30"))
        return self.desk.arena.at(self.rng.randrange(4), clock).isoformat()

    def span(self, hours: int = 2) -> dict[str, str]:
        begins = self.desk.arena.at(self.rng.randrange(4), self.rng.choice(("09:00", "13:00")))
        return {"start": begins.isoformat(), "end": (begins + timedelta(hours=hours)).isoformat()}

    def wish(self, **more: Any) -> dict[str, Any]:
        patient = str(self.rng.choice(self.desk.arena.patient_ids))
        visit = {"patient_id": patient, "visit_type": self.rng.choice(CODES), "location_id": self.where}
        return visit | {"start": self.start()} | more

    def change(self, path: str, body: dict[str, Any]) -> None:
        """Under the revision that was seen."""
        seen = self.caller.get(f"/v1/{path}")
        if seen.is_good:
            self.ask(path, body, "PATCH", if_match=seen.headers["ETag"])

    def remove(self, path: str) -> None:
        seen = self.caller.get(f"/v1/{path}")
        if seen.is_good:
            self.ask(path, None, "DELETE", if_match=seen.headers["ETag"])


def _book(it: Hands) -> None:
    it.ask("appointments", it.wish())


def _push(it: Hands) -> None:
    rule = it.rng.choice(("resource_busy", "outside_hours", "resource_absent"))
    it.ask("appointments", it.wish(override={"rules": [rule], "reason": "no other way"}))


def _hold(it: Hands) -> None:
    wanted = it.wish()
    held = it.ask("holds", wanted)
    if held.is_good:
        it.desk.note("hold", (held.body["id"], held.body["token"], wanted))


def _held(act: Callable[[Hands, str, str, dict[str, Any]], None]) -> Callable[[Hands], None]:
    def do(it: Hands) -> None:
        found = it.some("hold")
        if found != NOBODY:
            act(it, *found)

    return do


_use = _held(
    lambda it, key, token, wanted: void(it.ask("appointments", wanted | {"hold_id": key, "hold_token": token}))
)
_extend = _held(lambda it, key, token, _wanted: void(it.ask(f"holds/{key}/extend", {"token": token})))
_give_back = _held(lambda it, key, _token, _wanted: it.remove(f"holds/{key}"))


def void(_answer: Answer) -> None:
    """Nothing more is made of it."""


def _on(kind: str, path: str, **body: Any) -> Callable[[Hands], None]:
    return lambda it: void(it.ask(path.format(it.some(kind)), body))


def _move(it: Hands) -> None:
    it.ask(f"appointments/{it.some('visit')}/reschedule", {"start": it.start()})


def _move_series(it: Hands) -> None:
    scope = it.rng.choice(("this", "following", "all"))
    it.ask(f"appointments/{it.some('visit')}/reschedule-series", {"start": it.start(), "scope": scope})


def _repeat(it: Hands) -> None:
    it.ask("series", it.wish(visit_type="talk", rule="FREQ=DAILY;COUNT=2"))


def _leave(it: Hands) -> None:
    who = it.rng.choice((*it.desk.staff, *it.desk.rooms))
    it.made("absence", it.ask("absences", {"resource_id": who, "reason": "ill"} | it.span()))


def _close(it: Hands) -> None:
    day = it.desk.arena.at(it.rng.randrange(4), "12:00").date().isoformat()
    it.change(f"locations/{it.where}", {"closures": it.rng.choice(([], [], [{"from": day, "to": day}]))})


def _unskill(it: Hands) -> None:
    who = it.rng.choice(it.desk.staff)
    seen = it.caller.get(f"/v1/practitioners/{who}")
    roles = [{"code": seen.body["name"]}]
    it.change(f"practitioners/{who}", {"roles": it.rng.choice((roles, roles, []))})


def _rewrite(it: Hands) -> None:
    code = it.rng.choice(("talk", "watch", "circle"))
    seen = it.caller.get(f"/v1/visit-types/{it.desk.types[code]}").body["segments"]
    seen[0]["minutes"] = it.rng.choice((50, 60))
    it.change(f"visit-types/{it.desk.types[code]}", {"segments": seen})


def _freeze(it: Hands) -> None:
    patient = it.rng.choice(it.desk.arena.patient_ids)
    deadline = it.desk.arena.at(5, "12:00").isoformat()
    held = it.ask(f"patients/{patient}/holds", {"reason": "illness", "deadline": deadline})
    if held.is_good:
        it.desk.note("frozen", f"{patient}/holds/{held.body['id']}")


def _wait(it: Hands) -> None:
    it.made("entry", it.ask("waitlist-entries", {k: v for k, v in it.wish().items() if k != "start"}))


def _answer(it: Hands) -> None:
    seen = it.caller.get(f"/v1/waitlist-entries/{it.some('entry')}")
    for offer in seen.body.get("offers", [])[-1:]:
        verb = it.rng.choice(("accept", "accept", "decline"))
        it.ask(f"waitlist-entries/{seen.body['id']}/{verb}", {"offer_id": offer["id"]})


def _course(it: Hands) -> None:
    wanted = {"patient_id": str(it.rng.choice(it.desk.arena.patient_ids)), "location_id": it.where}
    first = it.desk.arena.monday.isoformat()
    made = it.made("course", it.ask("courses", wanted | {"protocol": "trial", "start_after": first}))
    if made is not None:
        _plan(it, made)


def _plan(it: Hands, course: str) -> None:
    found = it.ask(f"courses/{course}/plans", {"through": "all"})
    if found.is_good:
        it.ask(f"courses/{course}/bookings", {"plan_token": found.body["plans"][0]["token"]})


def _replan(it: Hands) -> None:
    course = it.some("course")
    seen = it.caller.get(f"/v1/courses/{course}")
    visits = [each["appointment_id"] for each in seen.body.get("sessions", ()) if each.get("appointment_id")]
    if not visits:
        return
    change = {"appointment_id": it.rng.choice(visits), "action": it.rng.choice(("cancel", "move"))}
    if change["action"] == "move":
        change["start"] = it.start()
    found = it.ask(f"courses/{course}/replans", {"changes": [change]})
    if found.is_good:
        it.ask(f"courses/{course}/bookings", {"plan_token": found.body["token"]})


def _repair(it: Hands) -> None:
    span = it.span()
    away = {"resource_id": it.rng.choice((*it.desk.staff, *it.desk.rooms)), "from": span["start"], "to": span["end"]}
    found = it.ask("disruptions", away)
    if found.is_good:
        it.ask(f"disruptions/{found.body['token']}/accept", {"all": True})


_CANCEL = {"reason": "ill", "by": "patient"}
#: Each is as likely as the others; what is listed twice, twice.
ACTS: tuple[Callable[[Hands], None], ...] = (
    _book, _book, _book, _push, _hold, _hold, _use, _use, _extend, _give_back, _move, _move, _move_series, _repeat,
    _leave, _close, _unskill, _rewrite, _freeze, _wait, _answer, _course, _replan, _replan, _repair,
    _on("visit", "appointments/{}/cancel", **_CANCEL),
    _on("visit", "appointments/{}/cancel-series", **_CANCEL, scope="following"),
    _on("visit", "appointments/{}/undo"),
    _on("visit", "appointments/{}/undo"),
    _on("visit", "appointments/{}/entered-in-error", reason="the wrong patient"),
    _on("frozen", "patients/{}/release", by="Dr. Able", note="Well again."),
    _on("course", "courses/{}/hold", reason="travels"),
    _on("course", "courses/{}/resume"),
    _on("course", "courses/{}/discontinue", reason="moved away"),
    lambda it: it.remove(f"absences/{it.some('absence')}"),
    lambda it: it.remove(f"absences/{it.some('absence')}"),
    lambda it: it.remove(f"waitlist-entries/{it.some('entry')}"),
)  # fmt: skip
