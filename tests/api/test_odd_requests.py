"""Odd combinations as a front desk would ask for them over HTTP: anything at any moment, wrong ids among it.

What must hold of the calendar whatever comes is said in `tests.services.test_odd_combinations`, and what of every
answer in `tests.api.attacker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.services import waitlist
from tests.api.attacker import ACTS, Attacker
from tests.plumbing.effort import at_length
from tests.services.test_odd_combinations import CODES, Desk

if TYPE_CHECKING:
    from flask import Flask

    from tests.plumbing.clock import Clock

SEEDS = range(100 if at_length() else 1)
VISIT_ACTS = ACTS | {"cancel-series": {"scope": "following", "reason": "ill", "by": "staff"}}


class Counter(Desk):
    """A desk that has nothing but addresses."""

    def __init__(self, app: Flask, engine: Engine, clock: Clock, seed: int) -> None:
        super().__init__(engine, seed)
        clock.set(self.now)
        self.attacker = Attacker(app, self.clinic, clock, self.rng)
        self.ask, self.person, self.ids = self.attacker.ask, self.attacker.person, self.attacker.ids
        self.said = self.attacker.said
        self.ids += [str(each) for each in (*self.people, *self.patients)]
        self.kept: list[tuple[dict[str, Any], str]] = []
        self.waiting: list[str] = []
        self.off: list[str] = []

    def some(self, keys: Sequence[Any]) -> str:
        return self.attacker.some([str(each) for each in keys])

    def wished(self, **more: Any) -> dict[str, Any]:
        place = str(self.clinic.location_id) if self.rng.random() < 0.97 else self.some([])
        return {
            "patient_id": self.some(self.patients),
            "visit_type": self.rng.choice(CODES),
            "location_id": place,
            "start": self.start().isoformat(),
        } | more

    def learn(self, made: Any) -> None:
        """Remember the visits of an answer."""
        for each in (made or {}).get("appointments", [made] if made else []):
            if UUID(each["id"]) not in self.visits:
                self.visits.append(UUID(each["id"]))
            self.ids.append(each["id"])

    def book(self) -> None:
        """By the law: what `explain` calls bookable is booked, all else refused for its first reason."""
        body = self.wished()
        why = self.person.get("/v1/availability/explain", query_string=body)
        assert why.status_code < 500, why.text
        before = self.said.total()
        made = self.ask("appointments", body)
        assert self.said.total() == before + 1
        if why.status_code == 200 and made is not None:
            assert why.json["bookable"], body
        self.learn(made)

    def push(self) -> None:
        lifted = {"rules": ["resource_busy", "outside_hours"], "reason": "no other way"}
        self.learn(self.ask("appointments", self.wished(override=lifted)))

    def repeat(self) -> None:
        self.learn(self.ask("series", self.wished(rule="FREQ=DAILY;COUNT=2")))

    def move(self) -> None:
        self.learn(self.ask(f"appointments/{self.some(self.visits)}/reschedule", {"start": self.start().isoformat()}))

    def move_series(self) -> None:
        body = {"start": self.start().isoformat(), "scope": self.rng.choice(("this", "following", "all"))}
        self.learn(self.ask(f"appointments/{self.some(self.visits)}/reschedule-series", body))

    def act(self) -> None:
        name = self.rng.choice(list(VISIT_ACTS))
        self.ask(f"appointments/{self.some(self.visits)}/{name}", VISIT_ACTS[name])

    def hold(self) -> None:
        body = self.wished()
        if made := self.ask("holds", body):
            self.ids.append(made["id"])
            self.kept.append((body, made["id"]))

    def use(self) -> None:
        if self.kept:
            body, key = self.kept.pop(self.rng.randrange(len(self.kept)))
            self.learn(self.ask("appointments", body | {"hold_id": key}))

    def let_go(self) -> None:
        if self.kept:
            key = self.kept.pop()[1]
            tag = {"If-Match": self.rng.choice(('"1"', '"7"', "*"))}
            self.ask(f"holds/{key}", method="DELETE", headers=tag)

    def wait(self) -> None:
        body = {name: value for name, value in self.wished().items() if name != "start"}
        if made := self.ask("waitlist-entries", body):
            self.waiting.append(made["id"])
            self.ids.append(made["id"])

    def answer(self) -> None:
        while self.do(waitlist.sweep):
            pass
        key = self.some(self.waiting)
        shown = self.person.get(f"/v1/waitlist-entries/{key}")
        for offer in shown.json.get("offers", []):
            verb = self.rng.choice(("accept", "accept", "decline"))
            made = self.ask(f"waitlist-entries/{key}/{verb}", {"offer_id": offer["id"]})
            self.learn(made if verb == "accept" else None)

    def leave(self) -> None:
        start = self.start()
        body = {"resource_id": self.some(self.people), "start": start.isoformat(), "reason": "x",
                "end": (start + timedelta(hours=2)).isoformat()}  # fmt: skip
        if made := self.ask("absences", body):
            self.off.append(made["id"])

    def come_back(self) -> None:
        if self.off:
            self.ask(f"absences/{self.off.pop()}", method="DELETE", headers={"If-Match": '"1"'})

    def close(self) -> None:
        day = self.rng.choice(("2030-03-09", "2030-03-11"))
        path = f"locations/{self.clinic.location_id}"
        tag = self.person.get(f"/v1/{path}").headers["ETag"]
        body = {"closures": self.rng.choice(([], [{"from": day, "to": day}]))}
        self.ask(path, body, "PATCH", headers={"If-Match": tag})

    def call_off(self) -> None:
        found = self.person.get("/v1/groups").json["items"]
        self.ask(f"groups/{self.some([each['id'] for each in found])}/cancel", {"reason": "x"})

    def later(self) -> None:
        super().later()
        self.attacker.move_on(self.now)

    def step(self) -> None:
        act = self.rng.choices(
            [self.book, self.push, self.repeat, self.move, self.move_series, self.act, self.hold, self.use,
             self.let_go, self.wait, self.answer, self.leave, self.come_back, self.close, self.call_off, self.later],
            [12, 2, 3, 6, 3, 14, 4, 4, 1, 3, 4, 2, 2, 1, 1, 3],
        )[0]  # fmt: skip
        act()
        self.check(act.__name__)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_asked_for_the_calendar_holds_and_refusals_change_nothing(
    app: Flask, engine: Engine, clock: Clock, seed: int
) -> None:
    desk = Counter(app, engine, clock, seed)
    with desk.attacker:
        for _ in range(90):
            desk.step()
    assert len({each for each in desk.said if " " not in each.partition(" ")[2]}) > 6, "most succeed now and then"
    assert sum(count for each, count in desk.said.items() if len(each.split()) == 3) > 10, "and are refused"
