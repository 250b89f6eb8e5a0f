"""A POST that comes twice is carried out once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import ApiKey, IdempotencyRecord, Location
from scheduler.services import idempotency
from tests.api.conftest import Person, make_key
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from tests.plumbing.clock import Clock


def locations(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Location)) or 0


def make(person: Person, body: Any, key: str = "k", path: str = "/v1/probes") -> Any:
    return person.post(path, json=body, headers={"Idempotency-Key": key})


def test_the_same_request_again_replays_the_first_answer(probes: Any, alice: Person, engine: Engine) -> None:
    first = make(alice, {"name": "é", "address": "here"})
    again = make(alice, {"address": "here", "name": "é"})  # the order of keys is no difference
    assert (again.status_code, again.data) == (201, first.data)
    for name in ("ETag", "Location", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert locations(engine) == 1


def test_the_same_key_with_another_request_is_refused(probes: Any, probed: Any, alice: Person, engine: Engine) -> None:
    make(alice, {"name": "one"})
    assert_problem(make(alice, {"name": "two"}), 422, "idempotency_key_reused")
    assert_problem(make(alice, {}, path=f"/v1/probes/{probed['id']}/touch"), 422, "idempotency_key_reused")
    assert locations(engine) == 2
    assert alice.get(f"/v1/probes/{probed['id']}").json == probed


def test_the_address_and_the_revision_belong_to_the_request(probes: Any, alice: Person) -> None:
    paths = [f"/v1/probes/{alice.post('/v1/probes', json={'name': name}).json['id']}/touch" for name in "ab"]
    assert make(alice, {}, path=paths[0]).status_code == 200
    assert_problem(make(alice, {}, path=paths[1]), 422, "idempotency_key_reused")
    other = alice.post(paths[0], headers={"Idempotency-Key": "k", "If-Match": '"1"'})
    assert_problem(other, 422, "idempotency_key_reused")


def test_a_dry_run_neither_replays_nor_minds_a_used_key(probes: Any, alice: Person) -> None:
    make(alice, {"name": "one"})
    for name in ("one", "two"):
        dry = make(alice, {"name": name}, path="/v1/probes?dry_run=true")
        assert (dry.status_code, dry.json["name"]) == (201, name)
        assert "Idempotency-Replayed" not in dry.headers


def test_keys_of_others_are_others(
    probes: Any, alice: Person, charlie: Person, engine: Engine, clock: Clock, organization_id: Any
) -> None:
    colleague = Person(alice.app, organization_id, make_key(engine, clock, organization_id, "admin")[1])
    people = (alice, charlie, colleague)
    ids = [make(person, {"name": "mine"}).json["id"] for person in people]
    assert len(set(ids)) == locations(engine) == 3
    assert [make(person, {"name": "mine"}).json["id"] for person in people] == ids


def test_a_refusal_frees_the_key(probes: Any, alice: Person) -> None:
    assert_problem(make(alice, {"name": ""}), 422, "validation_failed")
    assert_problem(make(alice, {}, path="/v1/probe-refusals/refused"), 409, "resource_busy")
    assert_problem(make(alice, {}, path="/v1/probe-refusals/own-fault"), 500, "internal_error")
    assert make(alice, {"name": "at last"}).status_code == 201


def test_an_answer_is_kept_for_seven_days(probes: Any, alice: Person, clock: Clock, engine: Engine) -> None:
    first = make(alice, {"name": "one"})
    clock.move(timedelta(days=7, seconds=-1))
    assert make(alice, {"name": "one"}).data == first.data
    clock.move(timedelta(seconds=1))
    assert make(alice, {"name": "another"}).json["name"] == "another"
    assert_problem(make(alice, {"name": "one"}), 422, "idempotency_key_reused")
    assert locations(engine) == 2


def test_old_answers_are_swept(
    probes: Any, alice: Person, charlie: Person, clock: Clock, engine: Engine, organization_id: Any
) -> None:
    make(alice, {"name": "old"}, key="old")
    make(charlie, {"name": "old"}, key="old")
    clock.move(timedelta(days=6))
    make(alice, {"name": "young"}, key="young")
    clock.move(timedelta(days=1))
    with Session(engine) as session, session.begin():
        assert idempotency.forget(session, Call(clock(), organization_id, "worker")) is False
        left = session.scalars(select(IdempotencyRecord.key).order_by(IdempotencyRecord.key)).all()
    assert left == ["old", "young"]


def test_a_secret_is_not_kept(probes: Any, alice: Person, engine: Engine) -> None:
    first = make(alice, {}, path="/v1/probe-secrets")
    again = make(alice, {}, path="/v1/probe-secrets")
    assert first.json == {"id": "1", "secret": "hush"}
    assert again.json == {"id": "1", "secret": None}
    with engine.connect() as connection:
        assert "hush" not in str(connection.execute(select(IdempotencyRecord)).all())


def test_a_new_api_key_is_not_kept_either(alice: Person, engine: Engine) -> None:
    body = {"name": "board", "scopes": ["setup:read"]}
    token = make(alice, body, path="/v1/api-keys").json["secret"]
    again = make(alice, body, path="/v1/api-keys")
    assert (again.json["secret"], again.headers["Idempotency-Replayed"]) == (None, "true")
    with engine.connect() as connection:
        everything = str([connection.execute(select(table)).all() for table in (IdempotencyRecord, ApiKey)])
    assert token not in everything
    assert token[-43:] not in everything


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_a_key_is_short_and_visible(probes: Any, alice: Person, key: str) -> None:
    assert_problem(make(alice, {"name": "a"}, key=key), 400, "malformed_header")
    assert "made" not in probes


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_other_methods_take_no_key(probed: Any, alice: Person) -> None:
    headers = {"Idempotency-Key": "k", "If-Match": '"1"'}
    assert alice.patch(f"/v1/probes/{probed['id']}", json={"name": "b"}, headers=headers).status_code == 200
    assert_problem(
        alice.patch(f"/v1/probes/{probed['id']}", json={"name": "b"}, headers=headers), 412, "precondition_failed"
    )


def test_eight_at_once_are_carried_out_once(probes: Any, alice: Person, engine: Engine) -> None:
    start = threading.Barrier(8)

    def ask(_: int) -> Any:
        start.wait()
        return make(alice, {"name": "race"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert locations(engine) == 1
