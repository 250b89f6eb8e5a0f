"""Collections: pages that neither skip nor repeat, and cursors that nobody can bend."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.problem import faults

if TYPE_CHECKING:
    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock


def walk(person: Person, path: str, limit: int) -> list[list[str]]:
    """The names on each page."""
    pages, cursor = [], None
    while cursor is not None or not pages:
        answer = person.get(path, query_string={"limit": limit} | ({"cursor": cursor} if cursor else {}))
        assert answer.json.keys() == {"items", "next_cursor"}
        pages.append([item["name"] for item in answer.json["items"]])
        cursor = answer.json["next_cursor"]
    return pages


def test_a_walk_sees_everything_once_in_order(probes: Any, alice: Person, charlie: Person, clock: Clock) -> None:
    assert walk(alice, "/v1/probes", 2) == [[]]
    names = ["b", "a", "b", "c", "b", "é", "a"]
    for name in names:
        clock.move(timedelta(microseconds=1))
        alice.post("/v1/probes", json={"name": name})
    charlie.post("/v1/probes", json={"name": "not hers"})
    for limit in (1, 2, 3, 7, 200):
        pages = walk(alice, "/v1/probes", limit)
        assert [name for page in pages for name in page] == sorted(names)
        assert {len(page) for page in pages[:-1]} <= {limit}
    assert walk(charlie, "/v1/probes", 50) == [["not hers"]]


def test_what_comes_and_goes_in_between_shifts_nothing(probes: Any, alice: Person) -> None:
    for name in "bdfh":
        alice.post("/v1/probes", json={"name": name})
    first = alice.get("/v1/probes?limit=2").json
    alice.post("/v1/probes", json={"name": "a"})
    gone = first["items"][1]
    alice.delete(f"/v1/probes/{gone['id']}", headers={"If-Match": '"1"'})
    second = alice.get("/v1/probes", query_string={"cursor": first["next_cursor"]}).json
    assert [item["name"] for item in second["items"]] == ["f", "h"]
    assert second["next_cursor"] is None


def test_newest_first_pages_the_same_way(alice: Person, clock: Clock) -> None:
    ids = []
    for _ in range(5):
        clock.move(timedelta(seconds=1))
        ids.append(alice.post("/v1/api-keys", json={"name": "x", "scopes": ["setup:read"]}).json["id"])
    found, cursor = [], None
    for _ in range(3):
        query = {"limit": 2, "action": "key.create", "actor": "alice"} | ({"cursor": cursor} if cursor else {})
        answer = alice.get("/v1/audit-events", query_string=query).json
        found += [event["subject_id"] for event in answer["items"]]
        cursor = answer["next_cursor"]
    assert (found, cursor) == (ids[::-1], None)


def coded(value: Any, mark: str = "") -> str:
    return mark + base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_cursor_from_elsewhere_is_a_fault(probes: Any, alice: Person, charlie: Person) -> None:
    for name in "abc":
        alice.post("/v1/probes", json={"name": name})
        charlie.post("/v1/probes", json={"name": name})
        alice.post("/v1/api-keys", json={"name": "x", "scopes": ["setup:read"]})
    mine = alice.get("/v1/probes?limit=1").json["next_cursor"]
    mark, named = mine[:8], mine[8:]
    organization, collection, values = json.loads(base64.urlsafe_b64decode(named + "=="))
    assert organization == str(alice.organization_id)
    bad = [
        charlie.get("/v1/probes?limit=1").json["next_cursor"],
        alice.get("/v1/api-keys?limit=1").json["next_cursor"],
        mark + alice.get("/v1/api-keys?limit=1").json["next_cursor"][8:],
        named,
        mark,
        "x",
        "é",
        "====",
        mine[:-2],
        mine + "!",
        coded([organization, collection, values[:-1]], mark),
        coded([organization, collection, [*values, 1]], mark),
        coded([organization, collection, [values[0], values[1], "x"]], mark),
        coded([organization, collection, [values[0], values[1], 1]], mark),
        coded([organization, collection, [values[0], "2030-01-01T00:00:00", values[2]]], mark),
        coded([organization, collection, [values[0], "9999-99-99", values[2]]], mark),
        coded([organization, collection, ["\0", values[1], values[2]]], mark),
        coded([organization, collection, ["\ud800", values[1], values[2]]], mark),
        coded([organization, collection, [None, values[1], values[2]]], mark),
        coded([organization, collection, None], mark),
        coded([organization, collection], mark),
        coded([organization, "resources.name.created_at.id", values], mark),
        coded({"o": organization}, mark),
        coded(1, mark),
        "A" * 2000,
        mark + "A" * 1000,
    ]
    for cursor in bad:
        answer = alice.get("/v1/probes", query_string={"cursor": cursor})
        assert faults(answer) == {("/cursor", "bad_cursor")}, cursor
    assert [item["name"] for item in alice.get("/v1/probes", query_string={"cursor": mine}).json["items"]] == ["b", "c"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_cursor_is_neither_empty_nor_endless(probes: Any, alice: Person) -> None:
    assert faults(alice.get("/v1/probes?cursor=")) == {("/cursor", "blank")}
    assert faults(alice.get("/v1/probes", query_string={"cursor": "A" * 2001})) == {("/cursor", "too_long")}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_cursor_goes_on_with_its_own_question_alone(alice: Person, clock: Clock) -> None:
    """With other filters it would skip or repeat, and nobody would see it."""
    for _ in range(3):
        clock.move(timedelta(seconds=1))
        alice.post("/v1/api-keys", json={"name": "x", "scopes": ["setup:read"]})
    asked = {"limit": 1, "action": "key.create", "from": "2030-03-01T12:00:00Z"}
    cursor = alice.get("/v1/audit-events", query_string=asked).json["next_cursor"]
    for other in ({"action": None}, {"action": "key.revoke"}, {"actor": "alice"}, {"from": "2030-03-01T11:00:00Z"}):
        query = {name: value for name, value in (asked | other).items() if value is not None}
        answer = alice.get("/v1/audit-events", query_string=query | {"cursor": cursor})
        assert faults(answer) == {("/cursor", "bad_cursor")}, other
        assert "other filters" in answer.json["errors"][0]["detail"]
    same = asked | {"limit": 2, "from": "2030-03-01T07:00:00-05:00", "cursor": cursor}
    assert len(alice.get("/v1/audit-events", query_string=same).json["items"]) == 2
    answer = alice.get("/v1/audit-events", query_string=asked | {"cursor": cursor, "from": "then", "limit": 0})
    assert {pointer for pointer, _ in faults(answer)} == {"/from", "/limit"}
