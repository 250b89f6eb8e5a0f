"""Revisions, dry runs, and what a change answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, func, select

from scheduler.models import AuditEvent, IdempotencyRecord, Location
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from tests.api.conftest import Person


def count(engine: Engine, model: type) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(model)) or 0


def test_what_is_made_says_where_it_is_and_which_revision(probes: Any, alice: Person) -> None:
    made = alice.post("/v1/probes", json={"name": "first"})
    assert made.status_code == 201
    assert made.headers["Location"] == f"/v1/probes/{made.json['id']}"
    assert made.headers["ETag"] == '"1"'
    shown = alice.get(made.headers["Location"])
    assert (shown.json, shown.headers["ETag"]) == (made.json, '"1"')
    assert "ETag" not in alice.get("/v1/probes").headers


def test_a_change_needs_the_revision_that_it_saw(probed: Any, alice: Person) -> None:
    path = f"/v1/probes/{probed['id']}"
    changed = alice.patch(path, json={"name": "second"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json["name"], changed.headers["ETag"]) == (200, "second", '"2"')
    assert alice.get(path).headers["ETag"] == '"2"'
    assert_problem(alice.patch(path, json={"name": "x"}, headers={"If-Match": '"1"'}), 412, "precondition_failed")
    assert_problem(alice.delete(path, headers={"If-Match": '"1"'}), 412, "precondition_failed")
    assert alice.get(path).json["name"] == "second"
    gone = alice.delete(path, headers={"If-Match": '"2"'})
    assert (gone.status_code, gone.data, gone.content_type) == (204, b"", None)
    assert_problem(alice.get(path), 404, "not_found")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("tag", "status", "code"),
    [
        (None, 428, "precondition_required"),
        ("*", 428, "precondition_required"),
        ('W/"1"', 412, "precondition_failed"),
        ('"one"', 412, "precondition_failed"),
        ('"-1"', 412, "precondition_failed"),
        ('"99999999999999999999"', 412, "precondition_failed"),
        ("", 400, "malformed_header"),
        (" ", 400, "malformed_header"),
        ("1", 400, "malformed_header"),
        ('"1", "2"', 400, "malformed_header"),
        ('"1', 400, "malformed_header"),
    ],
)
def test_no_other_tag_will_do(probed: Any, alice: Person, tag: str | None, status: int, code: str) -> None:
    for method in ("PATCH", "DELETE"):
        answer = alice.call(method, f"/v1/probes/{probed['id']}", json={}, headers={"If-Match": tag})
        assert_problem(answer, status, code)
    assert alice.get(f"/v1/probes/{probed['id']}").headers["ETag"] == '"1"'


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_an_action_takes_a_revision_but_asks_for_none(probes: Any, probed: Any, alice: Person) -> None:
    path = f"/v1/probes/{probed['id']}/touch"
    assert alice.post(path).headers["ETag"] == '"2"'
    assert probes["revision"] is None
    assert_problem(alice.post(path, headers={"If-Match": ""}), 400, "malformed_header")
    assert alice.post(path, headers={"If-Match": '"2"'}).status_code == 200
    assert probes["revision"] == 2


def test_the_update_itself_checks_the_revision(probed: Any, probes: Any, alice: Person, engine: Engine) -> None:
    from sqlalchemy.orm.exc import StaleDataError

    from tests.api import probe

    probe.REFUSALS["stale"] = StaleDataError("UPDATE statement on table 'locations' expected to update 1 row(s)")
    assert_problem(alice.post("/v1/probe-refusals/stale"), 412, "precondition_failed")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_an_unchanged_thing_is_not_sent_again(probed: Any, alice: Person) -> None:
    path = f"/v1/probes/{probed['id']}"
    same = alice.get(path, headers={"If-None-Match": '"1"'})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", '"1"')
    assert same.headers["X-Request-Id"]
    for tags in ('W/"1"', '"0", "1"', "*"):
        assert alice.get(path, headers={"If-None-Match": tags}).status_code == 304
    for headers in ({"If-None-Match": '"2"'}, {"If-None-Match": "1x"}, {"If-Match": '"2"'}):
        assert alice.get(path, headers=headers).json == probed


def test_a_dry_run_answers_the_same_and_writes_nothing(probed: Any, probes: Any, alice: Person, engine: Engine) -> None:
    before = [count(engine, model) for model in (Location, AuditEvent, IdempotencyRecord)]
    path = f"/v1/probes/{probed['id']}"
    key = {"Idempotency-Key": "k"}
    made = alice.post("/v1/probes?dry_run=true", json={"name": "dry"}, headers=key)
    assert (made.status_code, made.json["name"], made.headers["Dry-Run"]) == (201, "dry", "true")
    changed = alice.patch(f"{path}?dry_run=true", json={"name": "dry"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json["name"], changed.headers["ETag"]) == (200, "dry", '"2"')
    gone = alice.delete(f"{path}?dry_run=true", headers={"If-Match": '"1"'})
    assert (gone.status_code, gone.headers["Dry-Run"]) == (204, "true")
    refused = alice.patch(f"{path}?dry_run=true", json={"name": "dry"}, headers={"If-Match": '"9"'})
    assert_problem(refused, 412, "precondition_failed")
    bare = alice.patch(f"{path}?dry_run=true", json={"name": "dry"})
    assert_problem(bare, 428, "precondition_required")
    assert (refused.headers["Dry-Run"], bare.headers["Dry-Run"]) == ("true", "true")
    assert [count(engine, model) for model in (Location, AuditEvent, IdempotencyRecord)] == before
    assert alice.get(path).json == probed
    real = alice.post("/v1/probes", json={"name": "real"}, headers=key)
    assert (real.status_code, real.json["name"]) == (201, "real")
    assert "Dry-Run" not in real.headers


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["dry_run=yes", "dry_run=1", "dry_run=", "dry_run=true&dry_run=true"])
def test_a_dry_run_is_asked_for_plainly(probes: Any, alice: Person, value: str) -> None:
    answer = alice.post(f"/v1/probes?{value}", json={"name": "x"})
    assert_problem(answer, 422, "validation_failed")
    assert "made" not in probes


def test_a_lost_race_is_run_again_with_the_whole_body(probes: Any, alice: Person, engine: Engine) -> None:
    probes["races"] = 2
    made = alice.post("/v1/probes", json={"name": "third time"}, headers={"Idempotency-Key": "k"})
    assert made.status_code == 201
    assert [body["name"] for body in probes["made"]] == ["third time"] * 3
    assert count(engine, Location) == 1
    probes["races"] = 99
    assert_problem(alice.post("/v1/probes", json={"name": "never"}), 409, "resource_busy")
    assert count(engine, Location) == 1


def test_a_look_at_a_patient_is_kept(probed: Any, alice: Person, charlie: Person) -> None:
    assert alice.get(f"/v1/probes/{probed['id']}/look", headers={"X-Actor": "Dr. Lu"}).json == probed
    assert_problem(charlie.get(f"/v1/probes/{probed['id']}/look"), 404, "not_found")
    events = alice.get("/v1/audit-events?action=probe.read").json["items"]
    assert [(event["subject_id"], event["actor"]) for event in events] == [(probed["id"], "Dr. Lu")]
    assert charlie.get("/v1/audit-events?action=probe.read").json["items"] == []


def test_another_organizations_thing_is_like_one_that_never_was(probed: Any, alice: Person, charlie: Person) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answers = [
            charlie.call(method, f"/v1/probes/{one}", json={}, headers={"If-Match": '"1"', "X-Request-Id": "same"})
            for one in (probed["id"], uuid4())
        ]
        assert answers[0].data == answers[1].data
        assert_problem(answers[0], 404, "not_found")
    assert alice.get(f"/v1/probes/{probed['id']}").json == probed
