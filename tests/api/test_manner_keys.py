"""Who may ask: keys, their scopes and their end, and the name behind them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from scheduler.core.scopes import BUNDLES, SCOPES
from tests.api.conftest import Person, make_key
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_new_key_shows_its_secret_once_and_works(alice: Person) -> None:
    made = alice.post("/v1/api-keys", json={"name": "board", "scopes": ["setup:read", "keys:write"]})
    assert made.status_code == 201
    assert made.json["scopes"] == ["keys:write", "setup:read"]
    assert made.headers["Location"] == f"/v1/api-keys/{made.json['id']}"
    token = made.json["secret"]
    assert len(token) == 97
    shown = alice.get(made.headers["Location"]).json
    assert shown | {"secret": token} == made.json
    assert "secret" not in shown
    assert alice.get("/v1/api-keys", headers=bearer(token)).json["items"][-1] == shown


def test_a_revoked_key_ends_at_once_and_for_good(alice: Person, clock: Clock) -> None:
    made = alice.post("/v1/api-keys", json={"name": "board", "scopes": ["admin"]}).json
    token = bearer(made["secret"])
    assert alice.get("/v1/api-keys", headers=token).status_code == 200
    revoked = alice.post(f"/v1/api-keys/{made['id']}/revoke")
    assert revoked.json["revoked_at"] == clock().isoformat()
    assert_problem(alice.get("/v1/api-keys", headers=token), 401, "unauthorized")
    clock.move(timedelta(days=1))
    assert alice.post(f"/v1/api-keys/{made['id']}/revoke").json == revoked.json


def test_a_key_expires_when_it_said(alice: Person, clock: Clock) -> None:
    until = clock() + timedelta(hours=1)
    body = {"name": "temp", "scopes": ["admin"], "expires_at": until.isoformat()}
    token = bearer(alice.post("/v1/api-keys", json=body).json["secret"])
    clock.move(timedelta(minutes=59, seconds=59))
    assert alice.get("/v1/api-keys", headers=token).status_code == 200
    clock.move(timedelta(seconds=1))
    assert_problem(alice.get("/v1/api-keys", headers=token), 401, "unauthorized")
    assert faults(alice.post("/v1/api-keys", json=body)) == {("/expires_at", "in_the_past")}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_every_bad_key_is_refused_alike(alice: Person, charlie: Person, clock: Clock) -> None:
    org, key, secret = alice.token[8:30], alice.token[31:53], alice.token[54:]
    other = charlie.token[8:30]
    bad = [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        alice.token,
        f"Bearer {alice.token}x",
        f"Bearer {alice.token[:-1]}",
        f"Bearer {alice.token[:-1]}{'A' if alice.token[-1] != 'A' else 'B'}",
        f"Bearer regimen_{other}_{key}_{secret}",
        f"Bearer regimen_{org}_{charlie.token[31:53]}_{secret}",
        f"Bearer regimen_{org}_{org}_{secret}",
        f"Bearer regimen_{'A' * 22}_{key}_{secret}",
        f"Bearer regimen_{'/' * 22}_{key}_{secret}",
        "Bearer " + "a" * 5000,
        "Bearer \xff\xfe",
    ]
    answers = [alice.get("/v1/api-keys", headers={"Authorization": value, "X-Request-Id": "same"}) for value in bad]
    for answer in answers:
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="regimen"'
    assert len({answer.data for answer in answers}) == 1
    assert alice.get("/v1/api-keys", headers={"Authorization": f"bearer  {alice.token}"}).status_code == 200


def test_an_id_has_one_spelling(alice: Person) -> None:
    # The last of 22 characters carries four unused bits: another spelling of the same id is another token.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alice.token[29]
    twin = alphabet[alphabet.index(last) ^ 1]
    answer = alice.get("/v1/api-keys", headers=bearer(f"{alice.token[:29]}{twin}{alice.token[30:]}"))
    assert_problem(answer, 401, "unauthorized")


def test_a_key_grants_no_more_than_it_has(alice: Person, engine: Engine, clock: Clock) -> None:
    token = make_key(engine, clock, alice.organization_id, "keys:write", "setup:read")[1]
    keeper = Person(alice.app, alice.organization_id, token)
    assert keeper.post("/v1/api-keys", json={"name": "a", "scopes": ["setup:read"]}).status_code == 201
    for scopes in (["setup:write"], ["admin"], ["setup:read", "front_desk"]):
        refused = keeper.post("/v1/api-keys", json={"name": "a", "scopes": scopes})
        assert_problem(refused, 403, "insufficient_scope")
    assert len(alice.get("/v1/api-keys").json["items"]) == 3


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_unknown_scopes_are_all_named(alice: Person) -> None:
    answer = alice.post("/v1/api-keys", json={"name": "a", "scopes": ["setup:read", "setup:delete", "root"]})
    assert faults(answer) == {("/scopes/1", "unknown_scope"), ("/scopes/2", "unknown_scope")}
    assert faults(alice.post("/v1/api-keys", json={"name": "a", "scopes": []})) == {("/scopes", "too_short")}


def test_bundles_hold_known_scopes_and_the_desk_not_the_keys() -> None:
    assert all(scopes <= SCOPES.keys() for scopes in BUNDLES.values())
    assert BUNDLES["admin"] == SCOPES.keys()
    for bundle in ("front_desk", "clinician"):
        assert BUNDLES[bundle].isdisjoint({"keys:write", "audit:read", "organization:write", "setup:write"})
    assert BUNDLES["front_desk"].isdisjoint({"protocols:approve", "holds:release", "gates:decide", "override"})


def test_the_front_desk_keeps_no_keys(bob: Person, alice: Person) -> None:
    key = alice.get("/v1/api-keys").json["items"][0]["id"]
    assert_problem(bob.get("/v1/api-keys"), 403, "insufficient_scope")
    assert_problem(bob.post("/v1/api-keys", json={}), 403, "insufficient_scope")
    assert_problem(bob.post(f"/v1/api-keys/{key}/revoke"), 403, "insufficient_scope")
    assert_problem(bob.get("/v1/audit-events"), 403, "insufficient_scope")


def test_the_audit_names_the_person_behind_a_shared_key(alice: Person, clock: Clock) -> None:
    body = {"name": "a", "scopes": ["setup:read"]}
    plain = alice.post("/v1/api-keys", json=body).json["id"]
    named = alice.post("/v1/api-keys", json=body, headers={"X-Actor": "José Ré".encode().decode("latin-1")}).json["id"]
    asked = alice.get("/v1/audit-events?action=key.create&limit=2")
    events = {event["subject_id"]: event for event in asked.json["items"]}
    assert events[plain]["actor"] == "alice"
    assert events[named]["actor"] == "José Ré"
    assert events[named]["after"] == {"name": "a", "scopes": ["setup:read"]}
    assert UUID(events[named]["key_id"])
    assert events[named]["at"] == clock().isoformat()
    assert len(events[named]["request_id"]) == 32


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("actor", ["x" * 201, "a\x7fb", "a\tb", "\xff", "a\u200bb".encode().decode("latin-1")])
def test_an_actor_is_a_printable_name(alice: Person, actor: str) -> None:
    assert_problem(alice.get("/v1/api-keys", headers={"X-Actor": actor}), 400, "malformed_header")


def test_an_audit_is_filtered(alice: Person, charlie: Person, clock: Clock) -> None:
    body = {"name": "a", "scopes": ["setup:read"]}
    first = alice.post("/v1/api-keys", json=body, headers={"X-Actor": "Ann"}).json["id"]
    clock.move(timedelta(hours=1))
    second = alice.post("/v1/api-keys", json=body, headers={"X-Actor": "Ben"}).json["id"]

    def found(query: dict[str, Any]) -> list[str]:
        return [event["subject_id"] for event in alice.get("/v1/audit-events", query_string=query).json["items"]]

    assert found({})[:2] == [second, first]
    assert found({"actor": "Ann"}) == [first]
    assert found({"subject_id": second}) == [second]
    assert found({"from": clock().isoformat()}) == [second]
    assert first in found({"to": clock().isoformat()})
    assert second not in found({"to": clock().isoformat()})
    assert faults(alice.get("/v1/audit-events?from=2030-01-01T00:00:00")) == {("/from", "naive_time")}
    assert not {first, second} & {event["subject_id"] for event in charlie.get("/v1/audit-events").json["items"]}
