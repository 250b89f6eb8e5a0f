"""A dose that is not given, and what is moved into the time that its visit leaves, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scheduler.services import booking, visit_day
from tests.api.conftest import Person, make_key
from tests.clinic import need, segment, visit_type
from tests.coursework import open_course_clinic, protocol
from tests.services.test_replanning import Running

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

BEDSIDE = visit_type("bedside", segment("talk", 30, need("role:therapist"), need("room:bay")), kind="integration")


@dataclass
class Ward:
    """A patient sits in the bay since ten minutes, and gets no dose: they could have their talk there instead."""

    running: Running
    person: Person

    def wish(self, minutes: int) -> Any:
        """The answer to that wish, so many minutes from now."""
        missed, talk = self.running.visit("dose", 2), self.running.visit("talk", 1)
        at = missed.starts_at + timedelta(minutes=10 + minutes)
        changes = [
            {"appointment_id": str(missed.id), "action": "not_dosed"},
            {"appointment_id": str(talk.id), "action": "move", "start": at.isoformat()},
        ]
        return self.person.post(f"/v1/courses/{self.running.id}/replans", json={"changes": changes})

    def accept(self, offered: Any) -> None:
        assert offered.status_code == 200, offered.text
        body = {"plan_token": offered.json["token"]}
        accepted = self.person.post(f"/v1/courses/{self.running.id}/bookings", json=body)
        assert accepted.status_code == 201, accepted.text


@pytest.fixture
def ward(app: Flask, engine: Engine, clock: Clock) -> Ward:
    clinic = open_course_clinic(engine)
    clinic.visit(BEDSIDE)
    [dose, talk] = protocol()["phases"][1]["steps"]
    bedside = {**talk, "visit_type": "bedside", "before_next": False, "window": {**talk["window"], "max": 120}}
    running = Running(clinic, phase={"steps": [dose, bedside]}, doses=3)
    missed, talk_after = running.visit("dose", 2), running.visit("talk", 1)
    clock.set(missed.starts_at + timedelta(minutes=10))
    clinic.do(lambda s, c: booking.reschedule(s, c, talk_after.id, missed.starts_at + timedelta(hours=5)))
    clinic.do(lambda s, c: visit_day.check_in(s, c, missed.id), now=clock())
    organization_id = clinic.call.organization_id
    return Ward(running, Person(app, organization_id, make_key(engine, clock, organization_id, "admin")[1]))


def test_the_room_of_who_got_no_dose_is_offered_once_it_is_ready(ward: Ward) -> None:
    refused = ward.wish(minutes=10)
    assert (refused.status_code, refused.json["code"]) == (422, "no_feasible_plan"), refused.text
    ward.accept(ward.wish(minutes=15))


def test_while_it_is_made_ready_another_is_offered(ward: Ward) -> None:
    ward.running.clinic.room("bay")
    ward.accept(ward.wish(minutes=5))
