"""Bytes that no honest client sends, straight to the server's socket: refused in form, and nothing changes."""

from __future__ import annotations

import json
import socket

import pytest
from sqlalchemy import text

from scheduler.config import Settings
from tests.plumbing.servers import Server
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults

PATH = "/v1/appointments"
LIMIT = Settings().max_body_bytes


def send(desk: Caller, raw_headers: list[bytes], body: bytes = b"", *, shut: bool = False) -> bytes:
    """A POST of exactly these bytes; what came back, empty when the server hung up without a word."""
    with socket.create_connection((desk.host, desk.port), timeout=30) as connection:
        head = [f"POST {PATH} HTTP/1.1".encode(), b"Host: x", f"Authorization: Bearer {desk.token}".encode()]
        lines = [*head, b"Content-Type: application/json", b"Connection: close", *raw_headers]
        try:
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))
        except (BrokenPipeError, ConnectionResetError):
            return b""


def status(raw: bytes) -> int:
    return int(raw.split(b" ", 2)[1]) if raw else 0


def length(body: bytes) -> bytes:
    return f"Content-Length: {len(body)}".encode()


def chunked(body: bytes) -> bytes:
    parts = [body[place : place + 8000] for place in range(0, len(body), 8000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.fixture
def wish(arena: Arena) -> bytes:
    return json.dumps(arena.wish(0, "talk", 0, "09:00")).encode()


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        (b"Dana Front Desk", 201),
        ("Zoë Ångström 日本".encode(), 201),
        (b"x" * 200, 201),
        (b"x" * 201, 400),
        (b"x" * 7000, 400),
        (b"\xff\xfe not utf-8", 400),
        ("two\u2028lines".encode(), 400),
        ("right\u202eleft".encode(), 400),
        (b"a\x7fb", 400),
        (b"'; DROP TABLE audit_events; --", 201),
    ],
)
def test_an_actor_is_kept_as_given_or_refused(
    arena: Arena, server: Server, desk: Caller, wish: bytes, actor: bytes, expected: int
) -> None:
    raw = send(desk, [b"X-Actor: " + actor, length(wish)], wish)
    tables = Tables(arena.engine, arena.clinic.call.organization_id)
    kept = [event.actor for event in tables.events if event.action == "appointment.book"]
    assert (status(raw), kept) == (expected, [actor.decode()] if expected == 201 else [])


@pytest.mark.parametrize(
    "what",
    [
        "too long", "chunked too long", "chunked, whole up to the limit", "promised too long", "deep", "half",
        "not a length", "no size of a chunk",
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_changes_nothing(
    arena: Arena, server: Server, desk: Caller, wish: bytes, what: str
) -> None:
    long = b'{"note": "' + b"x" * 200_000 + b'"}'
    padded = wish + b" " * (LIMIT - len(wish)) + b"not JSON at all"
    headers, body, allowed = {
        "too long": ([length(long)], long, {413, 0}),
        "chunked too long": ([b"Transfer-Encoding: chunked"], chunked(long), {413, 0}),
        "chunked, whole up to the limit": ([b"Transfer-Encoding: chunked"], chunked(padded), {413, 0}),
        "promised too long": ([b"Content-Length: 10737418240"], b"{", {413}),
        "deep": ([length(b"[" * 30_000)], b"[" * 30_000, {400}),
        "half": ([length(wish)], wish[:-10], {400, 0}),
        "not a length": ([b"Content-Length: minus one"], wish, {400, 0}),
        "no size of a chunk": ([b"Transfer-Encoding: chunked"], b"zz\r\n" + wish, {400}),
    }[what]
    raw = send(desk, headers, body, shut=what == "half")
    assert status(raw) in allowed, raw[:300]
    assert Tables(arena.engine, arena.clinic.call.organization_id).appointments == {}
    answer = desk.post(PATH, arena.wish(0, "talk", 0, "09:00"))
    assert answer.status == 201, "the server goes on as if nothing had been"
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


GET, HOST = b"GET /healthz HTTP/1.1\r\n", b"Host: x\r\nConnection: close\r\n"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("raw", "expected", "code"),
    [
        (b"this is no HTTP\r\n\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "malformed_request"),
        (GET + HOST + b"Two Words: 1\r\n\r\n", 400, "malformed_request"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "uri_too_long"),
        (GET + HOST + b"Expect: cake\r\n\r\n", 417, "expectation_failed"),
        (GET + HOST + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (GET + HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n", 431, "headers_too_large"),
    ],
    ids=["words", "TLS", "a header of two words", "a long line", "expecting", "a long header", "many headers"],
)
def test_what_is_no_http_is_refused_by_a_problem_document(server: Server, raw: bytes, expected: int, code: str) -> None:
    with socket.create_connection(server.address, timeout=30) as connection:
        connection.sendall(raw)
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    problem = json.loads(body)
    assert (status(head), headers["content-type"]) == (expected, "application/problem+json")
    assert (problem["status"], problem["code"], problem["type"]) == (expected, code, f"/docs/problems#{code}")
    assert problem.keys() == {"type", "title", "status", "detail", "code", "request_id"}
    assert headers["x-request-id"] == problem["request_id"]
    assert int(headers["content-length"]) == len(body)
    assert problem["request_id"] in server.log


def test_a_chunked_body_of_the_longest_length_is_read(arena: Arena, server: Server, desk: Caller, wish: bytes) -> None:
    raw = send(desk, [b"Transfer-Encoding: chunked"], chunked(wish + b" " * (LIMIT - len(wish))))
    assert status(raw) == 201, raw[:300]


def idle_transactions(arena: Arena) -> int:
    """Sessions of this database that wait for their client within a transaction; SQLite cannot tell."""
    if arena.engine.dialect.name == "sqlite":
        return 0
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
    )
    with arena.engine.connect() as connection:
        return int(connection.execute(waiting).scalar_one())


def test_clients_that_dawdle_hold_no_lock(arena: Arena, server: Server, desk: Caller, wish: bytes) -> None:
    """Half a body, and silence, from fewer clients than one process has threads: whoever else books is served at once.

    Fewer than all processes have together would not do: one of them may accept every dawdler, and then it goes on to
    accept whom it cannot serve. A server in front that reads requests whole keeps them off (docs/production.md).
    """
    dawdlers = []
    try:
        for _ in range(server.threads - 1):
            connection = socket.create_connection((desk.host, desk.port), timeout=30)
            dawdlers.append(connection)
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {desk.token}\r\n"
            rest = f"Content-Type: application/json\r\nContent-Length: {len(wish)}\r\n\r\n"
            connection.sendall((head + rest).encode() + wish[:20])
        answers = [desk.post(PATH, arena.wish(1, "talk", 0, clock)) for clock in ("10:00", "11:00", "12:00")]
        assert [answer.status for answer in answers] == [201, 201, 201]
        assert idle_transactions(arena) == 0, "one would be ended by the database, and its request with it"
    finally:
        for connection in dawdlers:
            connection.close()
    assert len(Tables(arena.engine, arena.clinic.call.organization_id).appointments) == 3
