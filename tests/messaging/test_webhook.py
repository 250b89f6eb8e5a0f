"""The channel to programs: whom it reaches, whom it must not, and what it makes of their answers."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Reader

from scheduler.messaging import DeliveryError, Envelope
from scheduler.messaging.webhook import Webhook, signed
from tests.messaging.sinks import encryption, sms_gateway

ID = "0190b5a8-6c1e-7def-8abc-0123456789ab"
SECRET, OLD = "whsec_" + "a" * 32, "whsec_" + "b" * 32
EVENT = Envelope(ID, "", "https://desk.example.org/told", "webhook", "", '{"type":"appointment.booked"}')


def found(*addresses: str) -> Any:
    """A resolver that knows one answer."""
    return lambda _host, port, **_: [(0, 0, 0, "", (address, port)) for address in addresses]


def test_what_is_sent_is_read_by_the_library_of_the_standard() -> None:
    now = datetime.now(UTC)
    with sms_gateway() as gateway:
        whole = replace(EVENT, to=f"{gateway.url}?for=clinic", headers=signed(ID, [SECRET, OLD], now, EVENT.body))
        Webhook(private=True, timeout=20).deliver(whole)
        sent = gateway.headers[0]
    for secret in (SECRET, OLD):
        assert Reader(secret).verify(EVENT.body, sent) == {"type": "appointment.booked"}
    assert sent["webhook-id"] == ID
    assert sent["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "permanent"), [(302, False), (400, False), (404, False), (410, True), (429, False), (500, False)]
)
def test_only_gone_is_final_and_nothing_is_followed(status: int, permanent: bool) -> None:  # noqa: FBT001
    with sms_gateway() as gateway:
        gateway.answers = [status]
        with pytest.raises(DeliveryError, match=str(status)) as caught:
            Webhook(private=True, timeout=20).deliver(replace(EVENT, to=gateway.url))
        assert len(gateway.asked) == 1
    assert caught.value.permanent is permanent
    assert not caught.value.down, "one address is not the channel"


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("169.254.169.254",), ("93.184.215.14", "10.0.0.1"), ("::ffff:127.0.0.1",), ("fd00::1",), ()],
)
def test_a_name_that_leads_inside_is_not_followed(addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError(addresses)

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(DeliveryError, match="open internet") as caught:
        Webhook(resolve=found(*addresses)).deliver(EVENT)
    assert not caught.value.permanent


def test_it_connects_to_the_very_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, reached = [], []

    def resolve(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(0, 0, 0, "", (address, port))]

    def connect(address: tuple[str, int], *_: Any) -> Any:
        reached.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
        Webhook(resolve=resolve).deliver(EVENT)
    assert (asked, reached) == (["desk.example.org"], [("93.184.215.14", 443)])


@contextmanager
def listener(
    answer: bytes, *, tls: ssl.SSLContext | None = None, names: list[str] | None = None, drop: bytes = b""
) -> Iterator[str]:
    """Somebody who answers one caller with these bytes and keeps the line open, or lets it drip."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            if tls is not None:
                tls.sni_callback = lambda _line, name, _context: names.append(name) if names is not None else None
                line = tls.wrap_socket(line, server_side=True)
            with line:
                line.recv(65_536)
                line.sendall(answer)
                with suppress(OSError):
                    while drop and not over.wait(0.02):
                        line.sendall(drop)
                over.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("drop", [b"", b"x"])
def test_one_that_hangs_or_drips_passes_in_time(drop: bytes) -> None:
    with listener(b"H", drop=drop) as where, pytest.raises(DeliveryError, match="cannot be reached"):
        Webhook(private=True, timeout=0.2).deliver(replace(EVENT, to=f"http://{where}/"))


def test_what_is_said_after_the_status_is_not_waited_for() -> None:
    with listener(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nx") as where:
        Webhook(private=True, timeout=5).deliver(replace(EVENT, to=f"http://{where}/"))


def test_it_says_how_long_the_receiver_wants_rest() -> None:
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"
    with listener(busy) as where, pytest.raises(DeliveryError) as caught:
        Webhook(private=True, timeout=5).deliver(replace(EVENT, to=f"http://{where}/"))
    assert caught.value.rest == 120


def test_it_speaks_tls_under_the_name_of_the_address() -> None:
    names: list[str] = []
    with listener(b"HTTP/1.1 204 No\r\n\r\n", tls=encryption(ssl.PROTOCOL_TLS_SERVER), names=names) as where:
        port = where.partition(":")[2]
        channel = Webhook(
            private=True, timeout=5, resolve=found("127.0.0.1"), context=encryption(ssl.PROTOCOL_TLS_CLIENT)
        )
        channel.deliver(replace(EVENT, to=f"https://desk.example.org:{port}/"))
    assert names == ["desk.example.org"]
