"""Names that somebody chose to do harm, or that are merely long and strange, in mails, texts, calendars and feeds."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from itertools import product

import icalendar
import pytest
import vobject

from scheduler import ics
from scheduler.messaging.gsm7 import LIMIT, septets, to_gsm7
from scheduler.messaging.mail import as_mail
from scheduler.messaging.render import render
from tests.messaging.sample_facts import facts
from tests.messaging.test_channels import EMAIL, SENDER
from tests.messaging.test_mail import VISIT

NAMES = {
    "another header": "Harbor\r\nBcc: all@example.org\n\nHello",
    "another recipient": 'Harbor" <evil@example.org>, "x',
    "an encoded word": "=?utf-8?q?Harbor=0D=0ABcc=3A_all=40example=2Eorg?=",
    "markup": "<script>alert(1)</script><img src=x onerror='a'> & \"Co\"",
    "another event": "Main;LANGUAGE=xx:a\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nATTENDEE:mailto:x@example.org\\n,;",
    "turned around": "\u202egro.live\u202c \u2066Harbor\u2069 \u200f\u061c",
    "control": "Har\x00bor\x1b]0;x\x07 \x7f\x85\u2028",
    "half a character": "Harbor \ud83d",
    "signs": "\U0001f600 Nuñez \U0001f468\u200d\U0001f469 \u533b\u9662",
    "long": "Valley " * 43,
    "one long word": "x" * 300,
    "a template": "{{phone}} {% for a in b %} %(x)s {0} ${y}",
    "a formula": '=HYPERLINK("https://evil.example.org")',
}
TURNS = re.compile("[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_mail_has_one_sender_one_reader_and_one_visit(name: str) -> None:
    said = render("booked", "email", facts(sender_name=name, visit=name, location=name, address=name), ["es"])
    entry = replace(VISIT, title=said.sender, place=f"{name}")
    envelope = replace(EMAIL, sender_name=name, subject=f"{said.subject} {name}", body=said.body)
    envelope = replace(envelope, calendar=[entry], method="REQUEST")
    mail = email.message_from_bytes(
        as_mail(envelope, sender=SENDER, to="robin@example.org").as_bytes(), policy=email.policy.default
    )
    assert mail.defects == []
    assert [each.addr_spec for each in mail["From"].addresses] == [SENDER]
    assert [each.addr_spec for each in mail["To"].addresses] == ["robin@example.org"]
    assert {"bcc", "cc", "attendee"}.isdisjoint(key.lower() for key in mail.keys())  # noqa: SIM118 - no mapping
    assert len(mail["Subject"]) <= 200
    text, html, calendar = mail.iter_parts()
    for written in (mail["Subject"], mail["From"].addresses[0].display_name, text.get_content()):
        assert TURNS.search(written.replace("\r\n", "\n")) is None, ascii(written)
    tags = set(re.findall(r"<([a-z!]+)", html.get_content()))
    assert tags <= {"!doctype", "html", "head", "meta", "body", "div", "p", "br", "a"}
    for read in (icalendar.Calendar.from_ical(calendar.get_content()), vobject.readOne(calendar.get_content())):
        event = read.vevent if hasattr(read, "vevent") else read.walk("VEVENT")[0]
        assert (
            str(event.attendee.value if hasattr(event, "dtstart") else event["attendee"]) == "mailto:robin@example.org"
        )
    assert len(re.findall("^BEGIN:VEVENT", calendar.get_content(), flags=re.MULTILINE)) == 1


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_feed_is_one_visit_whatever_it_is_called(name: str) -> None:
    feed = ics.feed([replace(VISIT, title=name, place=name)], name)
    assert max(map(len, feed.split(b"\r\n"))) <= 75
    assert len(re.findall(rb"(?m)^(?:BEGIN:VEVENT|ATTENDEE)", feed)) == 1
    (event,) = icalendar.Calendar.from_ical(feed).walk("VEVENT")
    assert event["uid"] == f"{VISIT.visit_id}@regimen"
    vobject.readOne(feed.decode())


@pytest.mark.parametrize(("name", "locale"), list(product(NAMES, ("en", "es"))))
def test_a_text_is_one_line_of_one_sms(name: str, locale: str) -> None:
    strange = facts(sender_name=NAMES[name], visit=NAMES[name], location=NAMES[name], address=NAMES[name])
    for kind in ("booked", "remind_24h", "night_before", "rescheduled", "cancelled"):
        text = render(kind, "sms", strange._replace(previous_starts_at=strange.starts_at), [locale])
        assert septets(text.body) <= LIMIT, text.body
        assert text.body == to_gsm7(text.body)
        assert TURNS.search(text.body) is None
        assert "STOP" in text.body
