"""What nobody can say to have left or not: what was handed over, and whose answer is lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scheduler.messaging import DeliveryError, open_channel
from tests.messaging.sinks import sms_gateway, smtp_server
from tests.messaging.test_channels import EMAIL, SENDER, SMS


def is_unsure(url: str) -> bool:
    with pytest.raises(DeliveryError) as caught:
        open_channel("http", {"url": url, "timeout": 1}).deliver(SMS)
    assert not caught.value.permanent
    return caught.value.unsure


@contextmanager
def hanging_up() -> Iterator[str]:
    """A gateway that takes what comes and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


def test_a_gateway_that_says_nothing() -> None:
    with hanging_up() as url:
        assert is_unsure(url)
    assert not is_unsure(url), "nobody is there any more, so nothing was handed over"


@pytest.mark.parametrize(("status", "unsure"), [(500, True), (502, True), (504, True), (503, False), (429, False)])
def test_a_gateway_that_breaks(status: int, *, unsure: bool) -> None:
    with sms_gateway() as gateway:
        gateway.answers = [status]
        assert is_unsure(gateway.url) is unsure


def test_a_gateway_that_hangs() -> None:
    with sms_gateway() as gateway:
        gateway.hang = threading.Event()
        assert is_unsure(gateway.url)
        gateway.hang.set()


@pytest.mark.parametrize(("ill", "unsure"), [({"fault": lambda _: "cut"}, True), ({"at_rcpt": "451 later"}, False)])
def test_a_mail_server(ill: dict[str, object], *, unsure: bool) -> None:
    with smtp_server() as mailbox:
        for name, value in ill.items():
            setattr(mailbox, name, value)
        options = {"host": mailbox.host, "port": mailbox.port, "sender": SENDER, "starttls": False, "timeout": 2}
        with pytest.raises(DeliveryError) as caught:
            open_channel("smtp", options).deliver(EMAIL)
    assert caught.value.unsure is unsure
