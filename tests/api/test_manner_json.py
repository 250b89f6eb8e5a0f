"""A body means one thing or nothing: strict JSON, and every fault at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b'{"name": "a", "name": "b"}',
        b'{"name": "a", "parts": [{"x": 1, "x": 2}]}',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": -Infinity}',
        b'{"count": 1e999}',
        b'{"count": 9223372036854775808}',
        b'{"count": ' + b"9" * 5000 + b"}",
        b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "a"}',
        b"[" * 500 + b"]" * 500,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"name": "tab\there"}',
        b'{"\\u0065\\u0301": 1, "\\u00e9": 2}',
    ],
    ids=range(16),
)
def test_what_is_no_json_is_a_400(probes: Any, alice: Person, body: bytes) -> None:
    assert_problem(alice.post("/v1/probes", data=body, headers=JSON), 400, "invalid_json")
    assert "made" not in probes


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", None])
def test_another_content_type_is_a_415(probes: Any, alice: Person, kind: str | None) -> None:
    answer = alice.post("/v1/probes", data=b'{"name": "a"}', headers={"Content-Type": kind})
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "x-none"])
def test_a_body_that_is_packed_is_a_415_that_says_so(probes: Any, alice: Person, encoding: str) -> None:
    packed = {"data": b'{"name": "a"}', "headers": JSON | {"Content-Encoding": encoding}}
    told = assert_problem(alice.post("/v1/probes", **packed), 415, "unsupported_media_type")
    assert f"'{encoding}'" in told["detail"]
    assert alice.post("/v1/probes", **packed).headers["Accept-Encoding"] == "identity"
    assert "made" not in probes
    plain = alice.post("/v1/probes", data=b'{"name": "a"}', headers=JSON | {"Content-Encoding": "Identity"})
    assert plain.status_code == 201


def test_a_charset_in_the_content_type_is_fine(probes: Any, alice: Person) -> None:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert alice.post("/v1/probes", data='{"name": "é"}'.encode(), headers=kind).json["name"] == "é"


def test_a_body_over_the_limit_is_a_413(probes: Any, alice: Person) -> None:
    body = b'{"name": "' + b"a" * 70_000 + b'"}'
    assert_problem(alice.post("/v1/probes", data=body, headers=JSON), 413, "body_too_large")


def test_every_fault_is_named_at_once(probes: Any, alice: Person) -> None:
    answer = alice.post(
        "/v1/probes?color=red&dry_run=false",
        json={
            "address": "x" * 201,
            "at": "2030-03-04T09:00:00",
            "size": "huge",
            "count": 10,
            "open": "yes",
            "parts": [{"name": "a", "minutes": 5}, {"name": "", "minutes": 5.0, "nurse": 1}, {"minutes": "5"}],
            "organization_id": "x",
        },
    )
    assert faults(answer) == {
        ("/name", "required"),
        ("/address", "too_long"),
        ("/at", "naive_time"),
        ("/size", "not_a_choice"),
        ("/count", "out_of_range"),
        ("/open", "invalid_type"),
        ("/parts/1/name", "blank"),
        ("/parts/1/minutes", "invalid_type"),
        ("/parts/1/nurse", "unknown_field"),
        ("/parts/2/name", "required"),
        ("/parts/2/minutes", "invalid_type"),
        ("/organization_id", "unknown_field"),
        ("/color", "unknown_field"),
    }
    assert "made" not in probes


@pytest.mark.parametrize("body", ["[]", '"a"', "1", "null", "true"])
def test_a_body_that_is_no_object_is_named_as_such(probes: Any, alice: Person, body: str) -> None:
    assert faults(alice.post("/v1/probes", data=body, headers=JSON)) == {("", "invalid_type")}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (r'{"name": "a\u0000b"}', "/name"),
        (r'{"name": "a\u0007b"}', "/name"),
        (r'{"name": "a\u0085b"}', "/name"),
        (r'{"name": "\ud800"}', "/name"),
        (r'{"name": "a", "parts": [{"name": "\u0000", "minutes": 5}]}', "/parts/0/name"),
        (r'{"name": "a", "\u0000": 1}', ""),
        (r'{"name": "a\nb"}', "/name"),
        (r'{"name": "a\tb"}', "/name"),
    ],
)
def test_control_characters_and_half_characters_are_refused(
    probes: Any, alice: Person, body: str, pointer: str
) -> None:
    assert faults(alice.post("/v1/probes", data=body, headers=JSON)) == {(pointer, "control_character")}


def test_text_is_kept_in_one_normal_form(probes: Any, alice: Person) -> None:
    made = alice.post("/v1/probes", json={"name": "Jose\u0301", "address": "one\ntwo"}).json
    assert (made["name"], made["address"]) == ("Jos\u00e9", "one\ntwo")


def test_an_empty_body_counts_as_an_empty_object(probes: Any, alice: Person, probed: Any) -> None:
    assert faults(alice.post("/v1/probes")) == {("/name", "required")}
    assert alice.post(f"/v1/probes/{probed['id']}/touch").status_code == 200
    assert alice.post(f"/v1/probes/{probed['id']}/touch", json={}).status_code == 200
    assert faults(alice.post(f"/v1/probes/{probed['id']}/touch", json={"a": 1})) == {("/a", "unknown_field")}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("limit=0", {("/limit", "out_of_range")}),
        ("limit=201", {("/limit", "out_of_range")}),
        ("limit=ten", {("/limit", "invalid_type")}),
        ("limit=%D9%A3", {("/limit", "invalid_type")}),
        ("limit=1.0", {("/limit", "invalid_type")}),
        ("limit=1&limit=2", {("/limit", "invalid_type")}),
        ("limit=&page=2", {("/limit", "invalid_type"), ("/page", "unknown_field")}),
        ("cursor=%00", {("/cursor", "control_character")}),
        ("dry_run=true", {("/dry_run", "unknown_field")}),
    ],
)
def test_a_query_is_read_as_strictly(probes: Any, alice: Person, query: str, found: set[tuple[str, str]]) -> None:
    assert faults(alice.get(f"/v1/probes?{query}")) == found
