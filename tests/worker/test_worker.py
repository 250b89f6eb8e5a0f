"""One worker in this process: what it sends, what it survives, and what its clockwork does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.messaging import Channel, DeliveryError, Envelope
from scheduler.messaging.disclosure import disclosures
from scheduler.models import Message, Organization, WorkerHeartbeat
from scheduler.worker import Worker, channels_of, start_in_thread
from tests.clinic import Clinic
from tests.desk import book
from tests.plumbing.clock import Clock
from tests.postroom import by_rule, cancel, hurry, messages, only, open_postroom, set_state
from tests.worker.crew import now, until

MONDAY = "2030-03-11 09:00"


class Pigeon:
    """A channel that keeps what it carried. `meanwhile` happens while a message is on its way."""

    drops_repeats = True

    def __init__(self) -> None:
        self.carried: list[Envelope] = []
        self.meanwhile: Callable[[Envelope], None] = lambda _: None

    def deliver(self, envelope: Envelope) -> str:
        self.meanwhile(envelope)
        self.carried.append(envelope)
        return f"feather-{envelope.message_id}"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


@pytest.fixture
def clock(clinic: Clinic) -> Clock:
    return Clock(clinic.call.now)


@pytest.fixture
def pigeon() -> Pigeon:
    return Pigeon()


@pytest.fixture
def hire(clinic: Clinic, clock: Clock) -> Iterator[Callable[[Channel], Worker]]:
    hired: list[Worker] = []

    def make(channel: Channel, **more: Any) -> Worker:
        hired.append(Worker(lambda: Session(clinic.engine), {"email": channel, "sms": channel}, clock=clock, **more))
        return hired[-1]

    yield make
    for worker in hired:
        worker.close()


@pytest.fixture
def worker(hire: Callable[[Channel], Worker], pigeon: Pigeon) -> Worker:
    return hire(pigeon)


def booked(clinic: Clinic, code: str = "fasted", start: str = MONDAY) -> UUID:
    return book(clinic, clinic.patient(), code, start).id


class TestTheLifeOfAVisit:
    def test_a_patient_is_told_everything_once_and_in_time(
        self, clinic: Clinic, clock: Clock, worker: Worker, pigeon: Pigeon
    ) -> None:
        visit = booked(clinic)
        worker.tick()
        while (due := worker.next_due()) is not None:
            clock.set(due)
            if due == clinic.at("2030-03-11 11:00"):
                set_state(clinic, visit, status="fulfilled", fulfilled_at=due)
            worker.tick()
        told = [(only(clinic, rule).sent_at, rule) for rule in by_rule(clinic) if only(clinic, rule).status == "sent"]
        assert sorted(told) == [
            (clinic.at("2030-03-01 10:00"), "booked"),
            (clinic.at("2030-03-08 09:00"), "remind_72h"),
            (clinic.at("2030-03-10 18:00"), "night_before"),
            (clinic.at("2030-03-10 18:30"), "night_before+email"),  # for nobody has confirmed
            (clinic.at("2030-03-10 19:00"), "night_before+call"),  # which is for the staff
            (clinic.at("2030-03-11 09:15"), "arrival_no_show"),  # which is for the staff
            (clinic.at("2030-03-11 11:00"), "d_instructions"),
            (clinic.at("2030-03-11 18:00"), "evening_check"),
            (clinic.at("2030-03-12 09:00"), "integration_prompt"),
            (clinic.at("2030-03-12 11:00"), "next_day_scale"),
        ]
        channels = [envelope.channel for envelope in pigeon.carried]
        assert channels == ["email", "sms", "sms", "email", "email", "sms", "sms", "sms"]
        night = pigeon.carried[2].body
        assert night.startswith(
            "Harbor: appointment tomorrow, Mon, Mar 11 09:00 EDT. From 03:00 clear liquids only, from 07:00 nothing."
        )
        assert all(disclosures(envelope.subject + envelope.body) == [] for envelope in pigeon.carried)

    def test_what_was_sent_can_be_read_afterwards(self, clinic: Clinic, worker: Worker, pigeon: Pigeon) -> None:
        booked(clinic)
        worker.tick()
        (envelope,) = pigeon.carried
        row = only(clinic, "booked")
        assert row.body == {"subject": envelope.subject, "body": envelope.body, "locale": "en"}
        assert (row.sent_to, row.provider_id) == (envelope.to, f"feather-{row.id}")
        assert envelope.message_id == str(row.id)

    def test_a_late_reminder_says_how_late_it_is(
        self, clinic: Clinic, clock: Clock, worker: Worker, pigeon: Pigeon
    ) -> None:
        booked(clinic, "session", "2030-03-12 15:00")
        worker.tick()
        clock.set(clinic.at("2030-03-12 10:30"))  # nobody worked for days
        worker.tick()
        (late,) = [envelope for envelope in pigeon.carried if envelope.channel == "sms"]
        assert "in 4 hours" in late.body
        assert only(clinic, "remind_72h").status == "expired_unsent"


class TestWhatGoesWrong:
    def test_a_fault_is_one_messages_alone(self, clinic: Clinic, clock: Clock, worker: Worker, pigeon: Pigeon) -> None:
        for hour in ("09", "10", "11", "13"):
            booked(clinic, "session", f"2030-03-11 {hour}:00")
        poor = [row.id for row in messages(clinic, Message.rule == "booked")][:3]

        def stumble(envelope: Envelope) -> None:
            match envelope.message_id:
                case name if name == str(poor[0]):
                    raise RuntimeError("a bug in the channel")
                case name if name == str(poor[1]):
                    if envelope.channel == "email":
                        raise DeliveryError("no such address", permanent=True)
                case name if name == str(poor[2]):
                    raise DeliveryError("busy", permanent=False)

        pigeon.meanwhile = stumble
        worker.tick()
        ends = {row.id: (row.status, row.reason) for row in messages(clinic, Message.rule == "booked")}
        assert [ends.pop(key) for key in poor] == [
            ("pending", "The channel broke: RuntimeError."), ("sent", None), ("pending", "busy"),
        ]  # fmt: skip
        assert set(ends.values()) == {("sent", None)}
        pigeon.meanwhile = lambda _: None
        clock.move(timedelta(minutes=1))
        worker.tick()
        assert {row.status for row in messages(clinic, Message.rule == "booked")} == {"sent"}

    def test_a_message_that_cannot_be_written_is_tried_again(
        self, clinic: Clinic, clock: Clock, worker: Worker
    ) -> None:
        booked(clinic)

        def spell(kind: str) -> None:
            with Session(clinic.engine) as session, session.begin():
                session.execute(update(Message).where(Message.rule == "booked").values(kind=kind))

        spell("no-such-kind")
        worker.tick()
        assert only(clinic, "booked").reason == "It could not be written: TemplateNotFound."
        spell("booked")
        clock.move(timedelta(minutes=1))
        worker.tick()
        assert only(clinic, "booked").status == "sent"

    def test_one_organizations_trouble_is_not_the_others(
        self, clinic: Clinic, worker: Worker, pigeon: Pigeon, engine: Engine
    ) -> None:
        booked(clinic)
        neighbor = open_postroom(engine)
        booked(neighbor)
        with Session(engine) as session, session.begin():
            troubled = update(Organization).where(Organization.id == clinic.call.organization_id)
            session.execute(troubled.values(messaging={"caps": {"unheard_of": 1}}))
        worker.tick()
        assert only(neighbor, "booked").status == "sent"
        assert only(clinic, "booked").status == "pending"
        assert len(pigeon.carried) == 1

    def test_a_log_holds_no_address(
        self, clinic: Clinic, worker: Worker, pigeon: Pigeon, caplog: pytest.LogCaptureFixture
    ) -> None:
        booked(clinic)

        def blurt(envelope: Envelope) -> None:
            msg = f"no route to {envelope.to}: {envelope.body}"
            raise RuntimeError(msg)

        pigeon.meanwhile = blurt
        worker.tick()
        assert "RuntimeError" in caplog.text
        assert "pat@example.org" not in caplog.text
        assert "Harbor" not in caplog.text

    def test_a_worker_that_was_too_slow_does_not_overrule_the_next(
        self, clinic: Clinic, clock: Clock, worker: Worker, pigeon: Pigeon, hire: Callable[[Channel], Worker]
    ) -> None:
        booked(clinic)
        other = Pigeon()
        heir = hire(other)

        def dawdle(_: Envelope) -> None:
            clock.move(timedelta(seconds=61))
            pigeon.meanwhile = lambda _: None
            heir.tick()

        pigeon.meanwhile = dawdle
        worker.tick()
        assert [envelope.message_id for envelope in pigeon.carried] == [other.carried[0].message_id]
        row = only(clinic, "booked")
        assert (row.status, row.attempts) == ("sent", 2)

    def test_a_cancellation_while_it_is_on_its_way_is_taken_back(
        self, clinic: Clinic, clock: Clock, worker: Worker, pigeon: Pigeon
    ) -> None:
        visit = booked(clinic, "session")
        if clinic.engine.dialect.name == "sqlite":
            assert only(clinic, "booked").status == "pending"

        def call_off(_: Envelope) -> None:
            pigeon.meanwhile = lambda _: None
            cancel(clinic, visit)

        pigeon.meanwhile = call_off
        worker.tick()
        clock.move(timedelta(minutes=3))
        worker.tick()
        bodies = [envelope.body for envelope in pigeon.carried]
        assert len(bodies) == 3, "the calendar is told by mail"
        assert only(clinic, "correction", sequence=1).merged_into == only(clinic, "cancelled", sequence=1).id
        assert any("is cancelled" in body for body in bodies)

    def test_told_to_stop_it_gives_back_what_it_has_not_begun(
        self, clinic: Clinic, pigeon: Pigeon, hire: Callable[..., Worker]
    ) -> None:
        worker = hire(pigeon, at_once=2)
        for hour in ("09", "10", "11", "12", "13", "14"):
            booked(clinic, "session", f"2030-03-11 {hour}:00")
        hurry(clinic, clinic.call.now)
        pigeon.meanwhile = lambda _: worker.stop()
        worker.tick()
        counted = [row.status for row in messages(clinic, Message.channel != "task")]
        assert counted.count("sent") == len(pigeon.carried) >= 1
        assert counted.count("sending") == 0
        assert counted.count("pending") >= 1
        hire(pigeon).tick()
        assert len({envelope.message_id for envelope in pigeon.carried}) == len(pigeon.carried)


def test_every_tick_leaves_a_pulse(clinic: Clinic, clock: Clock, worker: Worker) -> None:
    for _ in range(2):
        clock.move(timedelta(seconds=5))
        assert worker.tick() == 0
    with Session(clinic.engine) as session:
        assert session.execute(select(WorkerHeartbeat.worker, WorkerHeartbeat.ticked_at)).all() == [
            (worker.name, clock.now)
        ]


class TestSettings:
    def test_the_settings_choose_the_ways_out(self, settings: Settings) -> None:
        chosen = channels_of(
            replace(
                settings,
                email_channel="smtp",
                smtp_host="127.0.0.1",
                smtp_from="a@example.org",
                sms_channel="file",
                voice_channel="twilio-voice",
                twilio_account="AC1",
                twilio_token="t",
                twilio_voice_from="+12125550100",
                public_url="https://visits.example.org",
            )
        )
        assert {name: type(channel).__name__ for name, channel in chosen.items()} == {
            "email": "Smtp",
            "sms": "File",
            "voice": "TwilioVoice",
            "webhook": "Webhook",
            "staff": "Apprise",
        }
        chosen = channels_of(
            replace(
                settings,
                email_channel="console",
                sms_channel="http",
                sms_http_url="https://x.example.org",
                voice_channel="voice-http",
                voice_http_url="https://y.example.org",
                public_url="https://visits.example.org",
            )
        )
        assert {name: type(channel).__name__ for name, channel in chosen.items()} == {
            "email": "Console",
            "sms": "SmsHttp",
            "voice": "VoiceHttp",
            "webhook": "Webhook",
            "staff": "Apprise",
        }

    def test_a_token_is_not_sent_in_the_clear(self, settings: Settings) -> None:
        with pytest.raises(ValueError, match="https"):
            channels_of(replace(settings, sms_channel="http", sms_http_url="http://sms.example.org"))


def test_a_worker_may_live_in_a_thread_of_any_process(clinic: Clinic, settings: Settings, tmp_path: Path) -> None:
    booked(clinic, "session")
    with Session(clinic.engine) as session, session.begin():
        soon = {"due_at": now(), "expires_at": now() + timedelta(hours=1)}
        session.execute(update(Message).where(Message.rule == "booked").values(soon))
        session.execute(update(Organization).values(messaging={"quiet": {"from": "00:00", "to": "00:00"}}))
    ticker = start_in_thread(replace(settings, sms_channel="file", worker_tick_seconds=1))
    try:
        until(lambda: only(clinic, "booked").status == "sent", "sent")
    finally:
        ticker.stop()
    assert [path.stem for path in (tmp_path / "outbox").iterdir()] == [str(only(clinic, "booked").id)]
