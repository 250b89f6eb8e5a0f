"""Texts count toward the law's caps by the day on which they left, however long a worker had been away."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Message
from tests.desk import book
from tests.postroom import begin, claim, hurry, open_postroom, settle

CONTACTS = [{"channel": "sms", "value": "+12025550123"}, {"channel": "email", "value": "p@example.org"}]


def test_what_a_worker_sent_late_counts_from_when_it_left(engine: Engine) -> None:
    """Each had been due for weeks. A week later the law's three are free again."""
    clinic = open_postroom(engine, basis="exemption")
    patient = clinic.patient(contacts=CONTACTS)
    texts = []
    for place, day in enumerate((0, 1, 2, 6, 7)):
        book(clinic, patient, "session", f"2030-03-1{place + 1} 09:00")
        now = clinic.call.now + timedelta(days=day)
        hurry(clinic, now)
        letters = claim(clinic, now)
        for letter in letters:
            assert begin(clinic, letter, now)
            assert settle(clinic, letter, now)
        texts.append([letter.channel for letter in letters].count("sms"))
        with Session(clinic.engine) as session, session.begin():
            for row in session.scalars(select(Message).where(Message.status == "sent")):
                row.due_at = row.created_at - timedelta(days=20)
    assert texts == [1, 1, 1, 0, 1]
