"""/v1/visit-types and /v1/protocols over HTTP: whole documents in and out, published ones fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scheduler.services import shipped
from tests.api.conftest import Person, make_key
from tests.api.examples import PROTOCOL, VISIT_TYPE, protocol, visit_type
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

OF_THE_ROW = {"id", "revision", "created_at"}


def test_every_shipped_document_comes_back_whole(alice: Person) -> None:
    for document in shipped.visit_types():
        made = alice.post("/v1/visit-types", json=document)
        assert made.status_code == 201, made.text
        assert made.json == document | {key: made.json[key] for key in OF_THE_ROW}
    for document in shipped.protocols():
        made = alice.post("/v1/protocols", json=document)
        assert made.status_code == 201, made.text
        shown = alice.get(made.headers["Location"]).json
        assert shown == made.json
        sent = {key: value for key, value in document.items() if key not in {"status", "approved_by"}}
        assert {key: shown[key] for key in sent} == sent
        assert (shown["version"], shown["status"], shown["approved_by"]) == (1, "draft", None)


def test_all_faults_of_a_document_are_named_at_once(alice: Person) -> None:
    faulty = VISIT_TYPE | {
        "name": None, "kind": 7, "colour": "red", "id": "mine", "segments": [{"name": "talk", "minutes": 7}],
    }  # fmt: skip
    assert faults(alice.post("/v1/visit-types", json=faulty)) == {
        ("/name", "required"),
        ("/kind", "wrong_type"),
        ("/colour", "unknown_field"),
        ("/id", "unknown_field"),
        ("/segments/0/minutes", "not_on_grid"),
    }
    assert faults(alice.post("/v1/protocols", json={})) >= {
        ("/code", "required"), ("/name", "required"), ("/phases", "required"),
    }  # fmt: skip
    assert_problem(alice.post("/v1/visit-types", json=[]), 422, "validation_failed")


def test_a_code_is_taken_once(alice: Person) -> None:
    visit_type(alice)
    assert_problem(alice.post("/v1/visit-types", json=VISIT_TYPE | {"code": "example"}), 409, "already_exists")


def test_a_visit_type_changes_but_not_its_code(alice: Person) -> None:
    path = f"/v1/visit-types/{visit_type(alice)}"
    changed = alice.patch(path, json={"public_name": "Appointment"}, headers={"If-Match": '"1"'})
    assert (changed.json["public_name"], changed.json["segments"]) == ("Appointment", VISIT_TYPE["segments"])
    assert changed.headers["ETag"] == '"2"'
    assert faults(alice.patch(path, json={"code": "other"}, headers={"If-Match": '"2"'})) == {("/code", "immutable")}
    assert_problem(alice.patch(path, json={}), 428, "precondition_required")


def test_a_protocol_is_published_once_and_then_stays(alice: Person) -> None:
    path = f"/v1/protocols/{protocol(alice)}"
    changed = alice.patch(path, json={"name": "Talks"}, headers={"If-Match": '"1"'})
    assert (changed.json["name"], changed.json["status"]) == ("Talks", "draft")
    approval = {"approved_by": "A clinician", "note": "Reviewed"}
    stale = alice.post(f"{path}/publish", json=approval, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "precondition_failed")
    assert faults(alice.post(f"{path}/publish", json={"approved_by": " "})) == {("/approved_by", "blank")}
    published = alice.post(f"{path}/publish", json=approval)
    assert published.status_code == 200
    assert (published.json["status"], published.json["approved_by"], published.json["approval_note"]) == (
        "active", "A clinician", "Reviewed",
    )  # fmt: skip
    assert published.json["approved_at"] == "2030-03-04T12:00:00+00:00"
    later = alice.patch(path, json={"name": "Chats"}, headers={"If-Match": published.headers["ETag"]})
    assert_problem(later, 409, "protocol_published")
    assert_problem(alice.post(f"{path}/publish", json=approval), 409, "protocol_published")
    assert alice.get(path).json == published.json


def test_versions_are_listed(alice: Person) -> None:
    first, second = protocol(alice), protocol(alice)
    alice.post(f"/v1/protocols/{first}/publish", json={"approved_by": "A clinician"})

    def versions(**query: str) -> list[tuple[int, str]]:
        items = alice.get("/v1/protocols", query_string=query).json["items"]
        return [(item["version"], item["status"]) for item in items]

    assert versions(code=PROTOCOL["code"]) == [(1, "active"), (2, "draft")]
    assert versions(status="active") == [(1, "active")]
    assert versions(code="other") == []
    assert faults(alice.get("/v1/protocols", query_string={"status": "old"})) == {("/status", "not_a_choice")}
    assert second != first


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_drafting_is_not_approving(app: Flask, engine: Engine, clock: Clock, alice: Person) -> None:
    path = f"/v1/protocols/{protocol(alice)}"
    token = make_key(engine, clock, alice.organization_id, "protocols:write")[1]
    author = Person(app, alice.organization_id, token)
    assert author.patch(path, json={"name": "Talks"}, headers={"If-Match": '"1"'}).status_code == 200
    assert_problem(author.post(f"{path}/publish", json={"approved_by": "Me"}), 403, "insufficient_scope")
