"""The story in its chapters: what is done at each, and what is shown of it. Seeding and serving happen before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from scheduler.core.civil import to_local
from scheduler.demo import clinic, story
from scheduler.demo.clock import StoryClock
from scheduler.demo.desk import Desk, RefusedRequest
from scheduler.demo.screen import Screen
from scheduler.demo.seed import Seeded
from scheduler.demo.story import Booked, Running, Sent, to_wall
from scheduler.worker import Worker


@dataclass
class Chapters:
    """One telling. What came of it stands in the fields below `outbox`: `refusal` is set when no plan exists."""

    seeded: Seeded
    url: str
    clock: StoryClock
    worker: Worker
    screen: Screen
    outbox: str
    booked: Booked | None = None
    refusal: dict[str, Any] | None = None
    owed: list[dict[str, Any]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def tell(self) -> Chapters:
        """From a course to the end of its first dose's day."""
        desk = Desk(self.url, self.seeded.key, self.screen.called)
        with desk.session:
            self._plan(desk)
            if self.booked is not None:
                self._owe(desk, self.booked)
                self._run(self.booked)
        return self

    def variables(self) -> dict[str, str]:
        """What a shell needs to go on."""
        return {
            "URL": self.url,
            "KEY": self.seeded.key,
            "LOCATION": str(self.seeded.location_ids["harbor"]),
            "PATIENT": str(self.seeded.patient_ids[0]),
            "FROM": f"{self.clock():%Y-%m-%dT%H:%M}Z",
            "TO": f"{self.clock() + timedelta(days=28):%Y-%m-%dT%H:%M}Z",
        }

    def invite(self, variables: str) -> None:
        """The last chapter: how to go on by oneself."""
        self.screen.chapter("Now you", "The clock runs on from here, and the worker with it. Ctrl-C ends it.")
        self.screen.address(self.url, self.seeded.key, variables)

    def _plan(self, desk: Desk) -> None:
        patient_id, location_id = str(self.seeded.patient_ids[0]), str(self.seeded.location_ids["harbor"])
        self.screen.chapter("A course")
        patient, course = story.begin(desk, patient_id, location_id, self.seeded.first_day)
        self.screen.say(
            f"{patient['name']} is to have an evaluation, six doses, and an integration visit 24 to 72 hours after "
            f"the end of each, from {self.seeded.first_day:%A %d %B} on. {clinic.CLINICIAN} approved the protocol."
        )
        self.screen.chapter(
            "Plans for it", "Every session at once, against the real calendar. A plan occupies nothing."
        )
        try:
            plans = story.plan(desk, course)
        except RefusedRequest as refused:
            self.refusal = refused.problem
            self.screen.refusal(refused.problem)
            self.screen.chapter(
                "A beginning", "So the first session alone is booked, at the first start that is offered."
            )
            self.booked = story.book_first(desk, patient, course, self.clock())
        else:
            names = {each["id"]: each["name"] for each in desk.every("/v1/practitioners")}
            self.screen.plans(plans, course, names)
            self.screen.chapter("Booked", "The best of them, all of it or none, in one transaction.")
            self.booked = story.book(desk, patient, course, plans)
        if self.booked is None:
            self.screen.say("No start is free: the calendar is full.")
        else:
            self.screen.booked(self.booked)

    def _owe(self, desk: Desk, booked: Booked) -> None:
        self.screen.chapter("Messages owed", "They were written in the same transaction as the visits.")
        self.owed = story.owed(desk, booked.patient)
        self.screen.messages(booked, self.owed)

    def _run(self, booked: Booked) -> None:
        zone, visit = booked.location["time_zone"], booked.summit
        kind = visit["visit_type"].replace("_", " ")
        self.screen.chapter(
            "The clock runs forward",
            f"To the night after the first {kind}, on {to_wall(visit['start'], zone):%A %d %B at %H:%M}. "
            f"A worker ticks; each message leaves when it is due, as a file in {self.outbox}. The desk writes down "
            "who comes and who goes home: what is meant for after a visit waits for that.",
        )
        desk = Desk(self.url, self.seeded.key, _silently)
        with desk.session:
            running = Running(desk, self.clock, self.worker, booked.patient, zone)
            upto = booked.appointments[: booked.appointments.index(visit) + 1]
            self.sent = self.screen.sent(running.through(upto))
        self.screen.say(f"It is now {to_local(self.clock(), zone):%A %d %B, %H:%M} at {booked.location['name']}.")


def _silently(_method: str, _path: str, _status: int) -> None:
    """Nothing is said of these calls."""
