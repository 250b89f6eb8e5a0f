"""Every registered channel against a real receiver: what is final, what passes, and how a repeat can be told."""

from __future__ import annotations

import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from scheduler.messaging import CHANNELS, Channel, DeliveryError, Envelope, open_channel
from scheduler.messaging.webhook import signed
from tests.messaging.sinks import Gateway, Mailbox, encryption, said, sms_gateway, smtp_server, twilio_options

ID = "0190b5a8-6c1e-7def-8abc-0123456789ab"
EMAIL = Envelope(ID, "Northgate Clinic", "ana@example.org", "email", "Your appointment", "Mañana a las 09:00.\n", "es")
SMS = Envelope(ID, "Northgate", "+12125550142", "sms", "", "Northgate: appointment tomorrow 09:00 EST")
SENDER = "visits@example.org"
SECRET = "whsec_" + "a" * 32


@dataclass
class Rig:
    """One channel, its receiver, and the faults that the receiver can be told to have."""

    channel: Channel
    envelope: Envelope
    ids: Callable[[], list[str]]
    fail_for_now: Callable[[], None]
    mend: Callable[[], None]
    fail_for_good: Callable[[], None] | None


def console_rig(_stack: ExitStack, _folder: Path) -> Rig:
    class Paper(io.StringIO):
        torn = False

        def write(self, text: str) -> int:
            if self.torn:
                raise OSError
            return super().write(text)

    paper = Paper()
    return Rig(
        open_channel("console", {"stream": paper}),
        SMS,
        lambda: [line.split()[2] for line in paper.getvalue().splitlines() if line.startswith("---")],
        lambda: setattr(paper, "torn", True),
        lambda: setattr(paper, "torn", False),
        None,
    )


def file_rig(_stack: ExitStack, folder: Path) -> Rig:
    outbox = folder / "outbox"

    def in_the_way() -> None:
        outbox.write_text("a file where the folder should be")

    return Rig(
        open_channel("file", {"folder": str(outbox)}),
        EMAIL,
        lambda: [entry.stem for entry in outbox.iterdir()],
        in_the_way,
        outbox.unlink,
        None,
    )


def smtp_rig(stack: ExitStack, _folder: Path) -> Rig:
    mailbox = stack.enter_context(smtp_server())
    return Rig(
        open_channel("smtp", smtp_options(mailbox, starttls=False)),
        EMAIL,
        lambda: [str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in mailbox.mails],
        lambda: setattr(mailbox, "at_rcpt", "451 Try again"),
        lambda: setattr(mailbox, "at_rcpt", ""),
        lambda: setattr(mailbox, "at_rcpt", "550 No such user"),
    )


def http_rig(stack: ExitStack, _folder: Path, name: str = "http", **more: str) -> Rig:
    gateway = stack.enter_context(sms_gateway())
    before: list[int] = []

    def taken() -> list[str]:
        return [document["id"] for document in gateway.asked][len(before) :]

    def answer(status: int) -> None:
        gateway.answers.append(status)
        before.append(status)

    return Rig(
        open_channel(name, {"url": gateway.url, "token": "secret"} | more),
        SMS,
        taken,
        lambda: answer(503),
        lambda: None,
        lambda: answer(400),
    )


def twilio_rig(stack: ExitStack, _folder: Path, name: str = "twilio", **more: Any) -> Rig:
    gateway = stack.enter_context(sms_gateway())
    before: list[int] = []

    def answer(status: int) -> None:
        gateway.answers.append(status)
        before.append(status)

    return Rig(
        open_channel(name, twilio_options(gateway, **more)),
        SMS,
        lambda: [headers["I-Twilio-Idempotency-Token"] for headers in gateway.headers][len(before) :],
        lambda: answer(503),
        lambda: None,
        lambda: answer(400),
    )


def webhook_rig(stack: ExitStack, _folder: Path) -> Rig:
    gateway = stack.enter_context(sms_gateway())
    before: list[int] = []

    def answer(status: int) -> None:
        gateway.answers.append(status)
        before.append(status)

    event = replace(SMS, channel="webhook", to=gateway.url, body='{"type":"appointment.booked"}')
    at = datetime(2030, 3, 4, 12, tzinfo=UTC)
    return Rig(
        open_channel("webhook", {"private": True, "timeout": 2}),
        replace(event, headers=signed(ID, [SECRET], at, event.body)),
        lambda: [headers["webhook-id"] for headers in gateway.headers][len(before) :],
        lambda: answer(503),
        lambda: None,
        lambda: answer(410),
    )


def apprise_rig(stack: ExitStack, _folder: Path) -> Rig:
    gateway = stack.enter_context(sms_gateway())
    before: list[int] = []

    def answer(status: int) -> None:
        gateway.answers.append(status)
        before.append(status)

    def ids() -> list[str]:
        """Behind the text, for people."""
        return [str(document["message"]).rpartition("[")[2].rstrip("]") for document in gateway.asked][len(before) :]

    notice = replace(SMS, channel="staff", to=gateway.url.replace("http", "json", 1), subject="2 tasks due")
    # Apprise does not tell a fault that passes from one that does not.
    channel = open_channel("apprise", {"schemes": ["json"]})
    return Rig(channel, notice, ids, lambda: answer(503), lambda: None, None)


def smtp_options(mailbox: Mailbox, **more: Any) -> dict[str, Any]:
    return {"host": mailbox.host, "port": mailbox.port, "sender": SENDER, "timeout": 2, **more}


TOLD = {"keys": "https://v.example.org/k", "callback": "https://v.example.org/c"}
RIGS = {
    "apprise": apprise_rig,
    "console": console_rig,
    "file": file_rig,
    "http": http_rig,
    "smtp": smtp_rig,
    "twilio": twilio_rig,
    "twilio-voice": partial(twilio_rig, name="twilio-voice", **TOLD),
    "voice-http": partial(http_rig, name="voice-http", **TOLD),
    "webhook": webhook_rig,
}


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield RIGS[request.param](stack, tmp_path)


class TestEveryChannel:
    def test_delivers(self, rig: Rig) -> None:
        answer = rig.channel.deliver(rig.envelope)
        assert answer is None or isinstance(answer, str)
        assert rig.ids() == [ID]

    def test_a_repeat_carries_the_same_id(self, rig: Rig) -> None:
        first, second = rig.channel.deliver(rig.envelope), rig.channel.deliver(rig.envelope)
        assert first == second
        assert set(rig.ids()) == {ID}

    def test_a_fault_that_passes_is_said_to_pass(self, rig: Rig) -> None:
        rig.fail_for_now()
        with pytest.raises(DeliveryError) as caught:
            rig.channel.deliver(rig.envelope)
        assert not caught.value.permanent
        rig.mend()
        rig.channel.deliver(rig.envelope)
        assert rig.ids() == [ID]

    def test_a_fault_that_does_not_pass_is_said_to_be_final(self, rig: Rig) -> None:
        if rig.fail_for_good is None:
            assert isinstance(rig.channel.deliver(rig.envelope), str | None), "this one has no opinion of its own"
            return
        rig.fail_for_good()
        with pytest.raises(DeliveryError) as caught:
            rig.channel.deliver(rig.envelope)
        assert caught.value.permanent

    def test_what_it_says_of_a_fault_tells_nothing_of_the_patient(self, rig: Rig) -> None:
        rig.fail_for_now()
        with pytest.raises(DeliveryError) as caught:
            rig.channel.deliver(rig.envelope)
        assert rig.envelope.to not in caught.value.detail
        assert rig.envelope.body not in caught.value.detail


def test_every_channel_has_a_rig() -> None:
    assert RIGS.keys() == CHANNELS.keys()


@pytest.mark.parametrize("name", ["", "a b", "../../x", "a/b", "a\nb", "x" * 65, "-a"])
def test_an_envelope_has_a_plain_id(name: str) -> None:
    with pytest.raises(ValueError, match="not a message id"):
        replace(SMS, message_id=name)


class TestFile:
    def test_one_message_is_one_file(self, tmp_path: Path) -> None:
        channel = open_channel("file", {"folder": str(tmp_path / "deep" / "outbox")})
        assert channel.deliver(EMAIL) == f"{ID}.eml"
        channel.deliver(replace(EMAIL, body="second thoughts"))
        (written,) = (tmp_path / "deep" / "outbox").iterdir()
        mail = cast("EmailMessage", message_from_bytes(written.read_bytes(), policy=default))
        assert (mail["To"], mail["X-Message-Channel"]) == ("ana@example.org", "email")
        assert said(mail) == "second thoughts"

    def test_an_sms_is_kept_like_a_mail(self, tmp_path: Path) -> None:
        open_channel("file", {"folder": str(tmp_path)}).deliver(SMS)
        mail = message_from_bytes((tmp_path / f"{ID}.eml").read_bytes(), policy=default)
        assert (mail["X-Message-Channel"], mail.get_content_type()) == ("sms", "text/plain")
        assert mail.get_content().strip() == SMS.body


class TestSmtp:
    def test_the_mail_is_whole(self) -> None:
        with smtp_server() as mailbox:
            sent = replace(EMAIL, headers={"List-Unsubscribe": "<https://visits.example.org/p/x>"})
            open_channel("smtp", smtp_options(mailbox, starttls=False)).deliver(sent)
            (mail,) = mailbox.mails
        assert mailbox.recipients == [["ana@example.org"]]
        assert mail["From"] == "Northgate Clinic <visits@example.org>"
        assert mail["Message-ID"] == f"<{ID}@example.org>"
        assert (mail["Subject"], mail["Content-Language"]) == ("Your appointment", "es")
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["List-Unsubscribe"] == "<https://visits.example.org/p/x>"
        assert said(mail) == "Mañana a las 09:00."

    @pytest.mark.parametrize(
        "to",
        [
            "ana@example.org, eve@example.com",
            "ana@example.org\nBcc: eve@example.com",
            "Ana <ana@example.org>",
            "ana",
            "",
            "ana@example.org ",
            "ñandú@example.org",
        ],
    )
    def test_one_address_or_none(self, to: str) -> None:
        with smtp_server() as mailbox:
            channel = open_channel("smtp", smtp_options(mailbox, starttls=False))
            with pytest.raises(DeliveryError) as caught:
                channel.deliver(replace(EMAIL, to=to))
            assert caught.value.permanent
            assert mailbox.recipients == []

    def test_a_name_cannot_add_a_header(self) -> None:
        with smtp_server() as mailbox:
            sly = replace(EMAIL, sender_name="A\r\nBcc: eve@example.com", subject="B\nBcc: eve@example.com")
            open_channel("smtp", smtp_options(mailbox, starttls=False)).deliver(sly)
            assert mailbox.recipients == [["ana@example.org"]]
            assert mailbox.mails[0]["Bcc"] is None

    @pytest.mark.parametrize(
        ("command", "reply", "permanent"),
        [
            ("at_rcpt", "550 No such user", True),
            ("at_rcpt", "450 Greylisted", False),
            ("at_data", "554 Spam", True),
            ("at_data", "452 Full", False),
            ("at_mail", "550 Who are you", False),
            ("at_mail", "421 Later", False),
        ],
    )
    def test_only_a_word_about_the_message_is_final(self, command: str, reply: str, permanent: bool) -> None:  # noqa: FBT001
        with smtp_server() as mailbox:
            setattr(mailbox, command, reply)
            with pytest.raises(DeliveryError) as caught:
                open_channel("smtp", smtp_options(mailbox, starttls=False)).deliver(EMAIL)
            assert caught.value.permanent is permanent
            assert mailbox.mails == []

    def test_nothing_is_said_in_the_clear(self) -> None:
        with smtp_server() as mailbox:
            with pytest.raises(DeliveryError, match="NotSupported") as caught:
                open_channel("smtp", smtp_options(mailbox)).deliver(EMAIL)
            assert not caught.value.permanent
            assert mailbox.recipients == []

    def test_it_turns_to_tls_and_logs_in(self) -> None:
        with smtp_server(tls=True, password="right") as mailbox:
            options = smtp_options(mailbox, context=encryption(ssl.PROTOCOL_TLS_CLIENT), user="u")
            with pytest.raises(DeliveryError, match="Authentication") as caught:
                open_channel("smtp", options | {"password": "wrong"}).deliver(EMAIL)
            assert not caught.value.permanent, "a wrong password is no fault of the message"
            open_channel("smtp", options | {"password": "right"}).deliver(EMAIL)
            assert mailbox.encrypted == [True]

    @pytest.mark.parametrize("options", [{"host": ""}, {"sender": "nobody"}])
    def test_half_a_configuration_is_refused_at_once(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="host and the address"):
            open_channel("smtp", {"host": "127.0.0.1", "sender": SENDER} | options)


class TestSmsHttp:
    def deliver(self, gateway: Gateway, envelope: Envelope = SMS, **options: Any) -> str | None:
        return open_channel("http", {"url": gateway.url, "timeout": 2, **options}).deliver(envelope)

    def test_the_request_is_whole(self) -> None:
        with sms_gateway() as gateway:
            assert self.deliver(gateway, token="secret") == f"sms-{ID}"
            assert gateway.asked == [{"to": "+12125550142", "from": "Northgate", "body": SMS.body, "id": ID}]
            assert gateway.headers[0]["Idempotency-Key"] == ID
            assert gateway.headers[0]["Authorization"] == "Bearer secret"
            self.deliver(gateway, sender="+12125550100")
            assert gateway.asked[1]["from"] == "+12125550100"
            assert "Authorization" not in gateway.headers[1]

    @pytest.mark.parametrize(
        ("status", "permanent"),
        [(status, True) for status in (400, 403, 404, 410, 422)]
        + [(status, False) for status in (302, 401, 402, 407, 408, 409, 425, 429, 500, 502, 503, 504)],
    )
    def test_what_the_status_means(self, status: int, permanent: bool) -> None:  # noqa: FBT001
        with sms_gateway() as gateway:
            gateway.answers = [status]
            with pytest.raises(DeliveryError, match=str(status)) as caught:
                self.deliver(gateway)
            assert caught.value.permanent is permanent
            assert len(gateway.asked) == 1, "no redirect was followed"

    @pytest.mark.parametrize("body", [b"", b"OK", b"[]", b'{"id": null}', b'{"id": {}}', b"\xff", b"{" * 100_000])
    def test_an_answer_without_an_id_is_an_answer(self, body: bytes) -> None:
        with sms_gateway() as gateway:
            gateway.body = body
            assert self.deliver(gateway) is None

    def test_a_body_that_breaks_off_changes_nothing(self) -> None:
        answer = b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            options = {"url": f"http://127.0.0.1:{server.getsockname()[1]}/", "timeout": 2}
            assert open_channel("http", options).deliver(SMS) is None
            thread.join()

    @pytest.mark.parametrize("to", ["2125550142", "+0123456789", "+1 212 555 0142", "+1212555014\n", "", "sip:a@b"])
    def test_only_e164(self, to: str) -> None:
        with sms_gateway() as gateway:
            with pytest.raises(DeliveryError) as caught:
                self.deliver(gateway, replace(SMS, to=to))
            assert caught.value.permanent
            assert gateway.asked == []

    @pytest.mark.parametrize("url", ["http://sms.example.org/", "ftp://127.0.0.1/", "http://127.0.0.1.example.org/"])
    def test_the_token_does_not_travel_in_the_clear(self, url: str) -> None:
        with pytest.raises(ValueError, match="https"):
            open_channel("http", {"url": url})
