"""The staff is told that tasks are due, at the clinic's own addresses: how many of which kind, nothing of a patient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.messaging import open_channel
from scheduler.models import StaffAddress
from scheduler.services import staff_notices, tasks
from scheduler.worker import Worker
from tests.api.examples import patient
from tests.api.problem import faults
from tests.messaging.sinks import Gateway, sms_gateway

if TYPE_CHECKING:
    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock

HOUR = timedelta(hours=1)
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def desk() -> Iterator[Gateway]:
    """The service by which the staff is told."""
    with sms_gateway() as gateway:
        yield gateway


@pytest.fixture
def worker(engine: Engine, clock: Clock) -> Iterator[Worker]:
    hired = Worker(lambda: Session(engine), {"staff": open_channel("apprise", {"schemes": ["json"]})}, clock=clock)
    yield hired
    hired.close()


def address(alice: Person, desk: Gateway) -> Any:
    body = {"name": "Desk", "url": f"json://{desk.url.partition('://')[2]}"}
    made = alice.post("/v1/staff-addresses", json=body)
    assert made.status_code == 201, made.text
    return made


def tell(worker: Worker, engine: Engine, clock: Clock) -> None:
    """What a round does, in this thread."""
    with Session(engine) as session:
        due = staff_notices.due(session, clock())
    for organization_id, address_id in due:
        worker.staff.tell(organization_id, address_id)


def owe(alice: Person, engine: Engine, clock: Clock, kind: str) -> str:
    """A task that is due in an hour; whose patient it is about."""
    call, who = Call(clock(), alice.organization_id, "test"), patient(alice)
    with Session(engine) as session, session.begin():
        about: dict[str, Any] = {"title": "Call Robin Sample", "detail": "ketamine", "patient_id": UUID(who)}
        tasks.owe(session, call, kind=kind, key=who, due_at=clock() + HOUR, **about)
    return who


def test_what_falls_due_is_told_once_in_numbers(
    alice: Person, desk: Gateway, worker: Worker, engine: Engine, clock: Clock
) -> None:
    address(alice, desk)
    people = [owe(alice, engine, clock, kind) for kind in ("confirm_by_call", "patient_untold")]
    tell(worker, engine, clock)
    assert desk.asked == [], "not before its time"
    clock.move(HOUR)
    tell(worker, engine, clock)
    (told,) = desk.asked
    assert told["title"] == "2 tasks due"
    assert told["message"].splitlines()[1:3] == ["confirm_by_call: 1", "patient_untold: 1"]
    for secret in ("Robin", "Sample", "ketamine", *people):
        assert secret not in str(told)
    tell(worker, engine, clock)
    assert len(desk.asked) == 1
    owe(alice, engine, clock, "confirm_by_call")
    clock.move(HOUR)
    worker.tell()
    worker.staff.close()  # which waits for the round
    assert [each["title"] for each in desk.asked] == ["2 tasks due", "1 task due"]


@one_database
def test_a_service_that_is_away_is_tried_again_with_the_same_notice(
    alice: Person, desk: Gateway, worker: Worker, engine: Engine, clock: Clock
) -> None:
    path = f"/v1/staff-addresses/{address(alice, desk).json['id']}"
    owe(alice, engine, clock, "confirm_by_call")
    clock.move(HOUR)
    desk.answers = [503]
    tell(worker, engine, clock)
    assert alice.get(path).json["error"] == "The service did not take it."
    tell(worker, engine, clock)
    assert len(desk.asked) == 1, "it rests"
    clock.move(timedelta(minutes=1))
    tell(worker, engine, clock)
    assert len(desk.asked) == 2
    assert len({each["message"] for each in desk.asked}) == 1
    assert alice.get(path).json["error"] is None


@one_database
def test_a_worker_that_dies_is_followed_by_another(alice: Person, desk: Gateway, engine: Engine, clock: Clock) -> None:
    address(alice, desk)
    owe(alice, engine, clock, "confirm_by_call")
    clock.move(HOUR)

    def claimed() -> bool:
        with Session(engine) as session, session.begin():
            call = Call(clock(), alice.organization_id, "worker")
            found = staff_notices.due(session, clock())
            return any(staff_notices.claim(session, call, key, lease=HOUR, token=uuid4()) for _, key in found)

    assert claimed()
    assert not claimed(), "one tells"
    clock.move(HOUR)
    assert claimed(), "its lease is over"


@one_database
def test_an_address_is_a_secret_and_ends_at_once(
    alice: Person, bob: Person, desk: Gateway, worker: Worker, engine: Engine, clock: Clock
) -> None:
    made_so = address(alice, desk)
    path, secret = f"/v1/staff-addresses/{made_so.json['id']}", desk.url.partition("://")[2]
    shown = [made_so.text, alice.get(path).text, alice.get("/v1/staff-addresses").text, bob.get(path).text]
    shown.append(alice.get("/v1/audit-events").text)
    assert [text for text in shown if secret in text] == []
    assert made_so.json["service"] == "json"
    wrong = {"name": "x", "url": "mailto://u:p@example.org"}
    assert faults(alice.post("/v1/staff-addresses", json=wrong)) == {("/url", "invalid_url")}
    assert alice.post(f"{path}/revoke", json={}).json["revoked_at"] is not None
    with Session(engine) as session:
        assert session.scalars(select(StaffAddress.url)).one() == "json://", "where it was is forgotten"
    owe(alice, engine, clock, "confirm_by_call")
    clock.move(HOUR)
    tell(worker, engine, clock)
    assert desk.asked == []
