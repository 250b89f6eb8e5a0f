"""Webhooks from end to end: owed with the change, told until taken, in numbers, and no more than must be said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, select, update
from sqlalchemy.orm import Session
from standardwebhooks.webhooks import Webhook as Reader

from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.messaging.webhook import Webhook
from scheduler.models import Task, WebhookDelivery
from scheduler.services import webhooks
from scheduler.worker import Worker
from scheduler.worker.clockguard import ClockGuard
from tests.api.examples import BOOKING, made, patient, staffed
from tests.api.problem import assert_problem
from tests.messaging.sinks import Gateway, sms_gateway

if TYPE_CHECKING:
    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock

#: What the database has no part in is tried on one of them.
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
MOVED = {"start": "2030-03-06T15:00:00+00:00"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, webhooks_private=True)


@pytest.fixture
def desk() -> Iterator[Gateway]:
    """Somebody else's program, which wants to be told."""
    with sms_gateway() as gateway:
        yield gateway


@pytest.fixture
def worker(engine: Engine, clock: Clock) -> Iterator[Worker]:
    channels = {"webhook": Webhook(private=True, timeout=20)}
    hired = Worker(lambda: Session(engine), channels, clock=clock)  # type: ignore[arg-type]
    yield hired
    hired.close()


def tell(worker: Worker) -> None:
    """Let everything that is due be told, and wait for it."""
    worker.webhooks.run_due()
    with worker.webhooks.idle:
        assert worker.webhooks.idle.wait_for(lambda: not worker.webhooks.busy, 30)


def listen(alice: Person, desk: Gateway, **more: Any) -> Any:
    answer = alice.post("/v1/webhooks", json={"url": desk.url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json


def visit(alice: Person) -> Any:
    ids = {"patient_id": patient(alice), "location_id": staffed(alice)}
    answer = alice.post("/v1/appointments", json=BOOKING | ids)
    assert answer.status_code == 201, answer.text
    return answer.json


def told(alice: Person, webhook: Any, **query: Any) -> list[Any]:
    """Its deliveries, oldest first."""
    return list(reversed(alice.get(f"/v1/webhooks/{webhook['id']}/deliveries", query_string=query).json["items"]))


def test_what_happens_to_a_visit_is_told_in_order_and_says_no_more_than_it_must(
    alice: Person, desk: Gateway, worker: Worker
) -> None:
    webhook = listen(alice, desk)
    visible = visit(alice)
    path = f"/v1/appointments/{visible['id']}"
    alice.post(f"{path}/reschedule", json=MOVED)
    alice.post(f"{path}/cancel", json={"reason": "ill", "by": "patient"}, query_string={"dry_run": "true"})
    alice.post(f"{path}/cancel", json={"reason": "ill", "by": "patient"})
    tell(worker)
    by_number = sorted(desk.asked, key=lambda each: each["data"]["number"])
    types = ["appointment.booked", "appointment.rescheduled", "appointment.cancelled"]
    assert [(each["type"], each["data"]["number"]) for each in by_number] == [(t, n + 1) for n, t in enumerate(types)]
    first = by_number[0]["data"]
    assert first == {
        "appointment_id": visible["id"], "patient_id": visible["patient_id"], "location_id": visible["location_id"],
        "course_id": None, "start": visible["start"], "end": visible["end"], "time_zone": visible["time_zone"],
        "local_start": visible["local_start"], "sequence": 0, "version": visible["version"], "number": 1,
    }  # fmt: skip
    assert [each["data"]["version"] for each in by_number] == sorted({each["data"]["version"] for each in by_number})
    assert all("Robin" not in str(each) and "talk" not in str(each) for each in desk.asked)
    deliveries = told(alice, webhook)
    assert {each["id"] for each in deliveries} == {sent["webhook-id"] for sent in desk.headers}
    assert {each["status"] for each in deliveries} == {"delivered"}
    tell(worker)
    assert len(desk.asked) == 3, "each is told once"


@one_database
def test_it_is_signed_and_the_same_at_every_try(alice: Person, desk: Gateway, worker: Worker, clock: Clock) -> None:
    webhook = listen(alice, desk, events=["appointment.booked"])
    visit(alice)
    desk.answers = [503, 500]
    tell(worker)
    (waiting,) = told(alice, webhook, status="pending")
    assert (waiting["attempts"], waiting["error"]) == (1, "It answered 503.")
    tell(worker)
    assert len(desk.asked) == 1, "not before its time"
    clock.move(timedelta(seconds=6))
    tell(worker)
    clock.move(timedelta(minutes=6))
    fresh = alice.post(f"/v1/webhooks/{webhook['id']}/rotate-secret", json={}).json
    assert fresh["secret"] != webhook["secret"]
    tell(worker)
    (done,) = told(alice, webhook)
    assert (done["status"], done["attempts"], done["error"]) == ("delivered", 3, None)
    one = alice.get(f"/v1/webhooks/{webhook['id']}/deliveries/{done['id']}").json
    tried = one.pop("tried")
    assert len(one.pop("revision")) == 32, "what a replay goes by"
    assert one == done
    assert [each["error"] for each in tried] == ["It answered 503.", "It answered 500.", None]
    assert [each["began_at"] for each in tried] == sorted({each["began_at"] for each in tried})
    assert all(each["ended_at"] for each in tried)
    assert {sent["webhook-id"] for sent in desk.headers} == {done["id"]}
    assert desk.asked[0] == desk.asked[1] == desk.asked[2]
    text = json.dumps(desk.asked[0], sort_keys=True, separators=(",", ":"))
    for sent, secrets in ((desk.headers[0], [webhook]), (desk.headers[2], [fresh, webhook])):
        at = datetime.fromtimestamp(int(sent["webhook-timestamp"]), UTC)
        expected = [Reader(each["secret"]).sign(done["id"], at, text) for each in secrets]
        assert sent["webhook-signature"].split(" ") == expected


@one_database
def test_a_replay_is_told_under_the_same_id(alice: Person, desk: Gateway, worker: Worker) -> None:
    webhook = listen(alice, desk)
    visit(alice)
    tell(worker)
    (done,) = told(alice, webhook)
    again = f"/v1/webhooks/{webhook['id']}/deliveries/{done['id']}/replay"
    assert alice.post(again, json={}).json["status"] == "pending"
    tell(worker)
    assert [sent["webhook-id"] for sent in desk.headers] == [done["id"]] * 2


@one_database
def test_who_is_gone_is_switched_off_with_a_task_and_told_later_when_back(
    alice: Person, desk: Gateway, worker: Worker, engine: Engine
) -> None:
    webhook = listen(alice, desk)
    path, booked = f"/v1/webhooks/{webhook['id']}", visit(alice)
    desk.answers = [410]
    tell(worker)
    found = alice.get(path)
    assert (found.json["enabled"], found.json["disabled_reason"]) == (False, "It answered that it is gone.")
    with Session(engine) as session:
        assert session.scalars(select(Task.status).where(Task.kind == "webhook_disabled")).all() == ["open"]
    alice.post(f"/v1/appointments/{booked['id']}/reschedule", json=MOVED)
    assert len(told(alice, webhook)) == 1, "what is off is owed nothing new"
    again = f"{path}/deliveries/{told(alice, webhook)[0]['id']}/replay"
    assert_problem(alice.post(again, json={}), 409, "illegal_transition")
    on = alice.patch(path, json={"enabled": True}, headers={"If-Match": found.headers["ETag"]})
    assert (on.json["enabled"], on.json["failing_since"]) == (True, None)
    with Session(engine) as session, session.begin():
        assert session.scalars(select(Task.status).where(Task.kind == "webhook_disabled")).all() == ["dismissed"]
        session.execute(update(WebhookDelivery).values(due_at=WebhookDelivery.created_at))
    tell(worker)
    assert [each["status"] for each in told(alice, webhook)] == ["delivered"]


@one_database
def test_one_that_fails_for_days_is_tried_with_one_parcel_and_switched_off(
    alice: Person, desk: Gateway, worker: Worker, clock: Clock
) -> None:
    webhook = listen(alice, desk)
    path = f"/v1/appointments/{visit(alice)['id']}"
    alice.post(f"{path}/reschedule", json=MOVED)
    desk.answers = [503] * 50
    tell(worker)
    tell(worker)
    assert len(desk.asked) == 2, "the second was given back, and then it was the one"
    assert {each["attempts"] for each in told(alice, webhook)} == {1}
    clock.move(timedelta(days=3))
    tell(worker)
    assert alice.get(f"/v1/webhooks/{webhook['id']}").json["enabled"] is False


def test_one_that_hangs_holds_up_no_other(alice: Person, desk: Gateway, worker: Worker) -> None:
    with sms_gateway() as stuck:
        stuck.hang = threading.Event()
        slow, quick = listen(alice, stuck), listen(alice, desk)
        visit(alice)
        worker.webhooks.run_due()
        with worker.webhooks.idle:
            assert worker.webhooks.idle.wait_for(lambda: len(worker.webhooks.busy) == 1, 30)
        assert [each["status"] for each in told(alice, quick)] == ["delivered"]
        assert [each["status"] for each in told(alice, slow)] == ["sending"]
        stuck.hang.set()
        tell(worker)


def test_a_dead_workers_parcel_is_taken_over_under_the_same_id(
    alice: Person, desk: Gateway, worker: Worker, clock: Clock, engine: Engine
) -> None:
    webhook = listen(alice, desk)
    visit(alice)
    with Session(engine) as session, session.begin():
        call = Call(clock(), alice.organization_id, "a worker that dies now")
        lease = timedelta(minutes=1)
        (lost,) = webhooks.claim(session, call, UUID(webhook["id"]), limit=9, lease=lease, token=uuid4())
    tell(worker)
    assert desk.asked == []
    clock.move(timedelta(minutes=1))
    tell(worker)
    assert [sent["webhook-id"] for sent in desk.headers] == [str(lost.id)]
    with Session(engine) as session, session.begin():
        webhooks.settle(session, Call(clock(), alice.organization_id, "it"), webhooks.Arrival(lost, "It answered 500."))
    assert told(alice, webhook)[0]["status"] == "delivered", "whose lease is over has no say"


@one_database
def test_while_a_clock_is_not_to_be_believed_nobody_is_told(
    alice: Person, desk: Gateway, clock: Clock, engine: Engine
) -> None:
    class Doubt(ClockGuard):
        def holds(self) -> bool:
            return True

    listen(alice, desk)
    visit(alice)
    doubt = Doubt(lambda: Session(engine), clock)
    held = Worker(lambda: Session(engine), {"webhook": Webhook(private=True)}, clock=clock, guard=doubt)
    held.tell()
    held.close()
    assert desk.asked == []


@one_database
def test_nothing_is_owed_where_nobody_listens_and_nothing_more_is_asked(alice: Person, engine: Engine) -> None:
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    visit(alice)
    event.remove(engine, "before_cursor_execute", note)
    asking = [each for each in statements if "webhook" in each]
    assert [each.startswith("SELECT locations.id") for each in asking] == [True], (
        "whether anybody listens is read there"
    )


@one_database
def test_addresses_are_checked_and_their_number_bounded(alice: Person, charlie: Person) -> None:
    refused = alice.post("/v1/webhooks", json={"url": "ftp://x.example.org/", "events": ["visit.dreamed"]})
    assert {each["pointer"] for each in refused.json["errors"]} == {"/events/0"}
    refused = alice.post("/v1/webhooks", json={"url": "ftp://x.example.org/"})
    assert [(each["pointer"], each["code"]) for each in refused.json["errors"]] == [("/url", "invalid_url")]
    for number in range(20):
        made(alice, "/v1/webhooks", url=f"https://desk.example.org/{number}")
    assert_problem(alice.post("/v1/webhooks", json={"url": "https://desk.example.org/"}), 422, "validation_failed")
    first = alice.get("/v1/webhooks").json["items"][0]
    assert "secret" not in first
    path = f"/v1/webhooks/{first['id']}"
    assert_problem(charlie.get(f"{path}/deliveries"), 404, "not_found")
    assert alice.delete(path, headers={"If-Match": '"1"'}).status_code == 204
    assert_problem(alice.get(path), 404, "not_found")
