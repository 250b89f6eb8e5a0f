"""Courses under anything at any moment over HTTP: planned, booked, held, moved, missed, repaired, in any order.

What of every answer must hold is in `tests.api.attacker`. Of the calendar: nobody is in two places, each visit of a
course is one session's, doses keep their distance, and whatever is still to be sent is about a visit as it now stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.lifecycle import GONE
from scheduler.models import Appointment, CourseSession, Message, Resource
from scheduler.services import visit_day
from tests.api.attacker import ACTS, Attacker
from tests.api.examples import CLINICAL_HOLD
from tests.coursework import approve, open_course_clinic, protocol
from tests.desk import overlaps
from tests.plumbing.effort import at_length

if TYPE_CHECKING:
    from flask import Flask

    from tests.plumbing.clock import Clock

SEEDS = range(60 if at_length() else 1)
STEPS = 100
#: What the course's doses keep from each other, in local days.
APART = 2
BY = {"by": "A Clinician", "note": "as seen"}


class Ward(Attacker):
    """A clinic for one course at a time and two patients; the clock follows what is booked."""

    def __init__(self, app: Flask, engine: Engine, clock: Clock, seed: int) -> None:
        self.clinic = open_course_clinic(engine)
        clock.set(self.clinic.call.now)
        super().__init__(app, self.clinic, clock, random.Random(seed))
        approve(self.clinic, protocol(3, gap=(APART, 2, 6), gate=2))
        self.patients = [str(self.clinic.patient()) for _ in range(2)]
        with Session(engine) as session:
            others = select(Resource.id).where(Resource.kind != "patient")
            self.resources = [str(key) for key in session.scalars(others)]
        self.courses: list[str] = []
        self.tokens: list[tuple[str, str]] = []
        self.repairs: list[dict[str, Any]] = []
        while len(self.courses) < 2:
            self.begin()

    def shown(self) -> tuple[str, dict[str, Any]]:
        """A course and what it looks like."""
        key = self.some(self.courses)
        answer = self.person.get(f"/v1/courses/{key}")
        return key, answer.json if answer.status_code == 200 else {"sessions": [], "gates": []}

    def visits(self, course: dict[str, Any] | None = None) -> list[str]:
        found = (course or self.shown()[1])["sessions"]
        return [each["appointment_id"] for each in found if each["appointment_id"]]

    def day(self) -> str:
        return (self.clock() + timedelta(days=self.rng.randrange(-1, 12))).date().isoformat()

    def start(self) -> str:
        day = (self.clock() + timedelta(days=self.rng.randrange(9))).date()
        return self.clinic.at(f"{day} {self.rng.randrange(8, 18):02}:{self.rng.choice((0, 15, 30)):02}").isoformat()

    def begin(self) -> None:
        wishes: dict[str, Any] = self.rng.choice(
            ({}, {"weekdays": ["mon", "wed", "thu", "fri"]}, {"earliest": "10:00"}, {"continuity": "required"})
        )
        body = {"patient_id": self.some(self.patients), "protocol": "trial", "start_after": self.day(),
                "location_id": str(self.clinic.location_id), "preferences": wishes}  # fmt: skip
        if made := self.ask("courses", body):
            self.courses.append(made["id"])
            self.ids += [made["id"], *(each["id"] for each in made["sessions"])]

    def plan(self) -> None:
        key = self.some(self.courses)
        body = {"alternatives": self.rng.choice((1, 2)), "through": self.rng.choice(("next_gate", "all"))}
        for each in (self.ask(f"courses/{key}/plans", body) or {}).get("plans", []):
            self.tokens.append((key, each["token"]))

    def accept(self) -> None:
        if self.tokens:
            key, token = self.rng.choice(self.tokens[-2:])
            self.ask(f"courses/{key if self.rng.random() < 0.95 else self.some([])}/bookings", {"plan_token": token})

    def replan(self) -> None:
        key, course = self.shown()
        changes = [
            {"appointment_id": visit, "action": action}
            | ({"start": self.start()} if action == "move" and self.rng.random() < 0.5 else {})
            for visit in self.rng.sample(self.visits(course), min(self.rng.randrange(3), len(self.visits(course))))
            for action in [self.rng.choice(("cancel", "move", "noshow", "not_dosed"))]
        ]
        pinned = [each["id"] for each in course["sessions"] if self.rng.random() < 0.1]
        made = self.ask(f"courses/{key}/replans", {"changes": changes, "pinned": pinned})
        if made is not None:
            self.tokens.append((key, made["token"]))

    def decide(self) -> None:
        body = {"outcome": self.rng.choice(("passed", "passed", "failed", "waived"))} | BY
        self.ask(f"courses/{self.some(self.courses)}/gates/{self.rng.choice(('review', 'none'))}", body, "PUT")

    def live(self) -> None:
        acts = {"hold": {"reason": "flu"}, "resume": {}, "discontinue": {"reason": "x"}, "complete": BY, "extend": BY}
        act, body = self.rng.choice(list(acts.items()))
        if act != "discontinue" or self.rng.random() < 0.3:
            self.ask(f"courses/{self.some(self.courses)}/{act}", body)

    def visit(self) -> None:
        act = self.rng.choice(list(ACTS))
        self.ask(f"appointments/{self.some(self.visits())}/{act}", ACTS[act])

    def give(self) -> None:
        """The next visit, from the door to the discharge."""
        with Session(self.clinic.engine) as session:
            due = select(Appointment).where(Appointment.status == "booked").order_by(Appointment.starts_at).limit(1)
            row = session.scalars(due).one_or_none()
        if row is None or row.starts_at < self.clock():
            return
        self.move_on(row.starts_at)
        for act in ("arrive", "check-in", "start"):
            self.ask(f"appointments/{row.id}/{act}", {})
        self.move_on(row.ends_at)
        end = self.rng.choice(("fulfill", "fulfill", "not-dosed"))
        self.ask(f"appointments/{row.id}/{end}", ACTS[end])

    def move(self) -> None:
        self.ask(f"appointments/{self.some(self.visits())}/reschedule", {"start": self.start()})

    def fall_ill(self) -> None:
        """Somebody or something is not there, usually just when it is needed; often the repair is taken at once."""
        start = datetime.fromisoformat(self.start())
        with Session(self.clinic.engine) as session:
            booked = list(session.scalars(select(Appointment.starts_at).where(Appointment.status == "booked")))
        if booked and self.rng.random() < 0.8:
            start = self.rng.choice(sorted(booked))
        hours = self.rng.choice((2, 8, 48))
        times = {"from": start.isoformat(), "to": (start + timedelta(hours=hours)).isoformat()}
        made = self.ask("disruptions", {"resource_id": self.some(self.resources), "reason": "x"} | times)
        if made and "token" in made:
            self.repairs.append(made)
            if self.rng.random() < 0.7:
                self.repair()

    def repair(self) -> None:
        if self.repairs:
            offer = self.rng.choice(self.repairs[-3:])
            lines = [each for kind in ("kept", "moved", "broken") for each in offer["diff"][kind]]
            some = [each["appointment_id"] for each in lines if self.rng.random() < 0.5]
            chosen: dict[str, Any] = self.rng.choice(({"all": True}, {"appointment_ids": some}))
            self.ask(f"disruptions/{offer['token']}/accept", chosen)

    def bar(self) -> None:
        """A clinical hold of the patient, or its end."""
        patient = self.some(self.patients)
        held = self.person.get(f"/v1/patients/{patient}/holds")
        standing = [each["id"] for each in (held.json or {}).get("items", []) if not each.get("released_at")]
        if standing and self.rng.random() < 0.8:
            self.ask(f"patients/{patient}/holds/{standing[0]}/release", BY)
        elif self.rng.random() < 0.4:
            self.ask(f"patients/{patient}/holds", CLINICAL_HOLD)

    def draw(self) -> None:
        answer = self.person.get(f"/v1/courses/{self.some(self.courses)}/timeline.svg")
        assert answer.status_code in {200, 404}, answer.text

    def later(self) -> None:
        self.move_on(self.clock() + timedelta(hours=self.rng.choice((1, 5, 24, 60))))
        self.clinic.do(visit_day.sweep, now=self.clock())

    def step(self) -> None:
        acts: dict[Callable[[], None], int] = {
            self.begin: 3, self.plan: 10, self.accept: 10, self.replan: 8, self.decide: 4, self.live: 3, self.visit: 6,
            self.give: 6, self.move: 4, self.fall_ill: 3, self.repair: 3, self.bar: 2, self.draw: 1, self.later: 3,
        }  # fmt: skip
        act = self.rng.choices(list(acts), list(acts.values()))[0]
        act()
        self.check(act.__name__)

    def check(self, act: str) -> None:
        assert overlaps(self.clinic.engine) == 0, act
        with Session(self.clinic.engine) as session:
            sessions = {row.id: row for row in session.scalars(select(CourseSession))}
            rows = {row.id: row for row in session.scalars(select(Appointment))}
            messages = list(session.scalars(select(Message).where(Message.status == "pending")))
        undone = GONE | {"noshow"}
        standing = [row for row in rows.values() if row.status not in undone and row.outcome != "not_dosed"]
        served = [row.course_session_id for row in standing]
        assert len(served) == len(set(served)), (act, "two visits of one session")
        assert all(sessions[key].course_id == rows_of.course_id for key, rows_of in zip(served, standing, strict=True))
        for course in self.courses:
            mine = [row for row in standing if str(row.course_id) == course and row.visit_type == "dose"]
            doses = sorted(datetime.fromisoformat(row.local_start) for row in mine)
            for one, other in pairwise(doses):
                assert (other.date() - one.date()).days >= APART, (act, doses)
        for message in messages:
            if message.appointment_id is not None and message.called_off_at is None:
                visit = rows[message.appointment_id]
                told = message.kind in {"cancelled", "rescheduled"} or message.sequence == visit.sequence
                assert told, (act, message.kind, message.sequence, visit.sequence)
                assert message.kind == "cancelled" or visit.status not in GONE, (act, message.kind, visit.status)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_becomes_of_a_course_its_visits_stay_whole(
    app: Flask, engine: Engine, clock: Clock, seed: int
) -> None:
    with Ward(app, engine, clock, seed) as ward:
        for _ in range(STEPS):
            ward.step()
    assert sum(count for each, count in ward.said.items() if each.endswith("/bookings")) > 0
    assert len(ward.said) > 15
