"""An e-mail as programs read it: its words as text and as HTML, the visit for the calendar, the way to end it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import vobject

from scheduler.core.calendar_entry import Entry, Method
from scheduler.messaging import open_channel
from tests.messaging.sinks import said, smtp_server
from tests.messaging.test_channels import EMAIL, ID, SENDER, smtp_options

METHODS: tuple[Method, ...] = ("REQUEST", "REQUEST", "CANCEL", "PUBLISH")
VISIT = Entry(
    visit_id=ID,
    sequence=0,
    start=datetime(2027, 1, 13, 14, tzinfo=UTC),
    end=datetime(2027, 1, 13, 16, tzinfo=UTC),
    time_zone="America/New_York",
    title="Clinic visit",
    status="CONFIRMED",
    stamp=datetime(2027, 1, 1, tzinfo=UTC),
)


def test_it_is_said_as_html_too_and_calendars_take_the_visit() -> None:
    unsubscribe = f"<https://visits.{'long' * 30}.example.org/p/x/stop>"
    headers = {"List-Unsubscribe": unsubscribe, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    body = "Hola & <b>adiós</b>:\n\nConfirme: https://visits.example.org/p/x.\nGracias\n"
    with smtp_server() as mailbox:
        channel = open_channel("smtp", smtp_options(mailbox, starttls=False))
        for sequence, method in enumerate(METHODS):
            visit = replace(VISIT, sequence=sequence, status="CANCELLED" if method == "CANCEL" else "CONFIRMED")
            channel.deliver(replace(EMAIL, body=body, headers=headers, calendar=[visit], method=method))
        mails = mailbox.mails
    assert mails[0].get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mails[0].iter_parts()] == [
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    assert (mails[0]["List-Unsubscribe"], mails[0]["List-Unsubscribe-Post"]) == tuple(headers.values())
    html = said(mails[0], "html").replace("\r\n", "\n")
    assert "<p>Hola &amp; &lt;b&gt;adiós&lt;/b&gt;:</p>" in html
    link = '<a href="https://visits.example.org/p/x">https://visits.example.org/p/x</a>'
    assert f"<p>Confirme: {link}.<br>\nGracias</p>" in html
    assert re.findall(r"src=|url\(|<link|<img|<script|@import", html) == [], "it would load something"
    for sequence, (mail, method) in enumerate(zip(mails, METHODS, strict=True)):
        part = list(mail.iter_parts())[2]
        assert part.get_param("method") == method
        read = vobject.readOne(part.get_content())  # the second parser
        assert read.method.value == method
        event = read.vevent
        assert (event.uid.value, event.sequence.value) == (f"{VISIT.visit_id}@regimen", str(sequence))
        assert (event.organizer.value, event.summary.value) == (f"mailto:{SENDER}", "Clinic visit")
        assert hasattr(event, "attendee") is (method != "PUBLISH")
        assert event.dtstart.value.isoformat() == "2027-01-13T09:00:00-05:00"
