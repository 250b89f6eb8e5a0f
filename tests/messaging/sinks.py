"""Real receivers on this machine: an SMTP server and an SMS gateway, with faults to order. No test lives here."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

#: Longer than the channels wait for an answer, in seconds.
HANGS, MAIL_HANGS = 11.0, 21.0
ANONYMOUS = "AECDH-AES256-SHA:@SECLEVEL=0"


def encryption(side: int) -> ssl.SSLContext:
    """TLS without certificates, so that no key lies in the repository."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ANONYMOUS)
    return context


@dataclass
class Mailbox:
    """What an SMTP server took, and how it is to behave: each reply set here replaces "250 OK" at that command.

    `fault` says of each mail, by its id, whether its taker is to "hang" longer than anybody waits, to be "cut" off
    without an answer, or to say that it "failed".
    """

    host: str = "127.0.0.1"
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    at_mail: str = ""
    at_rcpt: str = ""
    at_data: str = ""
    delay: float = 0
    fault: Callable[[str], str] = lambda _: ""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.at_mail or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if not self.at_rcpt:
            envelope.rcpt_tos.append(address)
        return self.at_rcpt or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.at_data:
            return self.at_data
        mail = message_from_bytes(envelope.content, policy=default)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        self.encrypted.append(session.ssl is not None)
        fault = self.fault(id_of(mail))
        await asyncio.sleep(MAIL_HANGS if fault == "hang" else self.delay)
        if fault == "cut":
            server.transport.abort()
        return "451 Not now" if fault else "250 Taken"


def id_of(mail: EmailMessage) -> str:
    """The id of the message that it is, by its Message-ID."""
    return str(mail["Message-ID"]).strip("<> ").partition("@")[0]


def said(mail: EmailMessage, form: str = "plain") -> str:
    """The words of one of a mail's forms."""
    part = mail.get_body((form,))
    assert part is not None
    return str(part.get_content()).strip()


class _Controller(Controller):
    """Knock at the port that the system chose, not at 0."""

    def _trigger_server(self) -> None:
        listening: Any = self.server
        self.port = listening.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd leaves it without types


@contextmanager
def smtp_server(*, tls: bool = False, password: str | None = None) -> Iterator[Mailbox]:
    """Serve a mailbox; with `tls` it demands STARTTLS, with `password` a log-in."""
    mailbox = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == (password or "").encode(), handled=False)

    options: dict[str, Any] = {}
    if tls:
        options |= {"tls_context": encryption(ssl.PROTOCOL_TLS_SERVER), "require_starttls": True}
    if password is not None:
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": tls}
    controller = _Controller(mailbox, hostname=mailbox.host, port=0, **options)
    controller.start()
    try:
        mailbox.port = controller.port
        yield mailbox
    finally:
        controller.stop()


@dataclass
class Gateway:
    """What an SMS gateway was asked, and how it is to behave. `answers` are used up, then every one is 201.

    `fault` says of each request whether it is to "hang" longer than anybody waits, to be "cut" off in the middle of the
    answer, or to be told that it "failed".
    """

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    body: bytes | None = None
    hang: threading.Event | None = None
    delay: float = 0
    fault: Callable[[dict[str, Any]], str] = lambda _: ""
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, headers: dict[str, str], document: dict[str, Any]) -> tuple[int, bytes]:
        with self.lock:
            self.times.append(time.monotonic())
            self.asked.append(document)
            self.headers.append(headers)
            status = self.answers.pop(0) if self.answers else 201
        name = f"sms-{document.get('id') or headers.get('I-Twilio-Idempotency-Token')}"
        body = self.body if self.body is not None else json.dumps({"id": name, "sid": name}).encode()
        return status, body


@contextmanager
def sms_gateway() -> Iterator[Gateway]:
    """Serve a gateway on a free port."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            form = self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            document = dict(parse_qsl(raw.decode())) if form else json.loads(raw)
            if gateway.hang is not None:
                gateway.hang.wait(10)
            fault = gateway.fault(document)
            status, body = gateway.take(dict(self.headers), document)
            time.sleep(HANGS if fault == "hang" else gateway.delay)
            self.close_connection = fault in {"hang", "cut"}
            if fault == "hang":
                return
            self.send_response(503 if fault == "failed" else status)
            self.send_header("Content-Length", str(len(body)))
            if 300 <= status < 400:
                self.send_header("Location", gateway.url + "/elsewhere")
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)

        def log_message(self, *_args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_args: Any) -> None:
            """A caller that was killed in the middle is no news here."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    gateway.url = f"http://127.0.0.1:{server.server_port}/messages"
    try:
        yield gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def twilio_options(gateway: Gateway, **more: Any) -> dict[str, Any]:
    """The options of a Twilio channel that posts to this gateway."""
    base = gateway.url.removesuffix("/messages")
    return {"account": "AC1", "token": "t", "sender": "+12125550100", "url": base, "timeout": 2, **more}
