"""Every channel that reaches somebody over a network, when nobody is there, or hangs, or half-closes the line."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from scheduler.messaging import Channel, DeliveryError, Envelope, open_channel
from tests.messaging.test_channels import EMAIL, RIGS, SENDER, SMS


def over_network(port: int) -> dict[str, tuple[Channel, Envelope]]:
    """Every channel that reaches somebody over a network, with an impatient one at that port."""
    url = f"http://127.0.0.1:{port}"
    twilio = {"account": "AC1", "token": "t", "sender": "+12125550100", "url": url, "timeout": 0.2}
    mail = {"host": "127.0.0.1", "port": port, "sender": SENDER, "timeout": 0.2, "starttls": False}
    staff = replace(SMS, channel="staff", to=f"json://127.0.0.1:{port}/?cto=0.2&rto=0.2")
    return {
        "apprise": (open_channel("apprise", {"schemes": ["json"]}), staff),
        "http": (open_channel("http", {"url": url, "timeout": 0.2}), SMS),
        "smtp": (open_channel("smtp", mail), EMAIL),
        "twilio": (open_channel("twilio", twilio), SMS),
        "twilio-voice": (
            open_channel("twilio-voice", twilio | {"keys": url, "callback": url}),
            replace(SMS, channel="voice"),
        ),
        "voice-http": (
            open_channel("voice-http", {"url": url, "keys": url, "callback": url, "timeout": 0.2}),
            replace(SMS, channel="voice"),
        ),
        "webhook": (open_channel("webhook", {"private": True, "timeout": 0.2}), replace(SMS, to=url)),
    }


def test_each_of_them_has_a_rig() -> None:
    assert over_network(1).keys() <= RIGS.keys()


@pytest.mark.parametrize("name", over_network(1))
class TestEveryNetwork:
    def refused(self, name: str, port: int) -> DeliveryError:
        channel, envelope = over_network(port)[name]
        with pytest.raises(DeliveryError) as caught:
            channel.deliver(envelope)
        assert not caught.value.permanent
        chosen = name in {"apprise", "webhook"}
        assert caught.value.down is not chosen, "an address of somebody's choice is not the channel"
        return caught.value

    def test_nobody_there_passes(self, name: str) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            self.refused(name, closed.getsockname()[1])

    def test_who_hangs_passes_in_time(self, name: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            self.refused(name, mute.getsockname()[1])

    def test_who_half_closes_passes(self, name: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                line, _ = server.accept()
                with line:
                    line.shutdown(socket.SHUT_WR)
                    with suppress(OSError):
                        line.recv(65_536)

            thread = threading.Thread(target=serve)
            thread.start()
            self.refused(name, server.getsockname()[1])
            thread.join()
