"""Booked so late that the word on eating is due with the confirmation: one text says both. On both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.models import Message
from scheduler.services import booking, clinical_holds, message_preview, message_texts, outbox, two_way, visit_day
from scheduler.services.two_way import Incoming
from tests.clinic import Clinic
from tests.desk import wanted
from tests.postroom import begin, by_rule, claim, messages, open_postroom, settle

SMS = {"channel": "sms", "value": "+12025550123"}
VISIT = "2030-03-05 09:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


@pytest.fixture
def evening(clinic: Clinic) -> datetime:
    return clinic.at("2030-03-04 18:30")


def booked(clinic: Clinic, now: datetime, **patient: Any) -> UUID:
    asked = wanted(clinic, clinic.patient(**{"contacts": [SMS]} | patient), "fasted", VISIT)
    return clinic.do(lambda s, c: booking.book(s, c, asked), now=now).id


def left(clinic: Clinic, now: datetime) -> list[tuple[str, str, str]]:
    """What leaves at that moment, which it really does."""
    found: list[tuple[str, str, str]] = []
    for letter in claim(clinic, now):
        assert begin(clinic, letter, now)
        assert settle(clinic, letter, now)
        found.append((letter.kind, letter.channel, outbox.in_words(letter, now).body))
    return found


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en", "From 03:00 clear liquids only, from 07:00 nothing."),
        ("es", "Desde 03:00 solo liquidos claros, desde 07:00 nada."),
    ],
)
def test_the_confirmation_says_when_to_stop_eating(clinic: Clinic, evening: datetime, locale: str, said: str) -> None:
    """Within minutes there came another text, which said nearly the same."""
    visit = booked(clinic, evening, locale=locale)
    foreseen = clinic.do(lambda s, c: message_preview.preview(s, c, appointment_id=visit), now=evening)
    shown = {each.rule: each for each in foreseen}
    ((kind, channel, body),) = left(clinic, evening)
    assert (kind, channel, said in body, septets(body) <= LIMIT) == ("booked", "sms", True, True)
    owed = by_rule(clinic)
    assert (owed["night_before"].reason, owed["night_before"].merged_into) == ("merged", owed["booked"].id)
    assert (shown["booked"].body, shown["night_before"].reason) == (body, "merged")
    assert "said by booked" in shown["night_before"].note
    assert owed["night_before+call"].status == "pending", "nobody has said yet that they read it"
    clinic.do(lambda s, c: visit_day.confirm(s, c, visit), now=evening + timedelta(minutes=20))
    assert by_rule(clinic)["night_before+call"].reason == "confirmed"


def test_who_wants_no_texts_has_one_letter(clinic: Clinic, evening: datetime) -> None:
    """What was to be a text goes by e-mail too, once the number is closed."""
    mail = {"channel": "email", "value": "pat@example.org"}
    booked(clinic, evening, contacts=[SMS, mail])
    stop = Incoming("http", "1", SMS["value"], "STOP")
    clinic.do(lambda s, c: two_way.receive(s, c, stop), now=evening)
    assert [each[:2] for each in left(clinic, evening) if each[0] in {"booked", "night_before"}] == [
        ("booked", "email")
    ]
    assert by_rule(clinic)["night_before"].reason == "merged"


def test_over_two_channels_each_says_it_once(clinic: Clinic, evening: datetime) -> None:
    mail = {"channel": "email", "value": "pat@example.org"}
    booked(clinic, evening, contacts=[SMS, mail])
    assert sorted(each[:2] for each in left(clinic, evening)) == [("booked", "email"), ("night_before", "sms")]
    assert by_rule(clinic)["night_before+email"].reason == "merged"
    assert left(clinic, evening + timedelta(minutes=40)) == []


def test_it_goes_its_own_way_where_the_confirmation_does_not(clinic: Clinic, evening: datetime) -> None:
    booked(clinic, evening)
    (news,) = claim(clinic, evening)
    late = evening + timedelta(minutes=4)
    with Session(clinic.engine) as session, session.begin():  # its worker is dead by then, and it is too old
        session.execute(update(Message).where(Message.id == news.id).values(expires_at=late))
    assert news.kind == "booked"
    claim(clinic, late)
    assert [each.kind for each in claim(clinic, late)] == ["night_before"]


@pytest.mark.parametrize(("named", "kinds"), [("", ["booked", "night_before"]), (" {{food_until}}", ["booked"])])
def test_a_clinics_own_text_says_it_only_where_it_names_it(
    clinic: Clinic, evening: datetime, named: str, kinds: list[str]
) -> None:
    own = {"sms": f"{{{{sender}}}}: {{{{when_short}}}}{named}"}
    clinic.do(lambda s, c: message_texts.change(s, c, "booked", "en", own))
    booked(clinic, evening)
    assert sorted(each[0] for each in left(clinic, evening)) == kinds


def test_booked_at_noon_it_is_said_again_in_the_evening(clinic: Clinic) -> None:
    noon = clinic.at("2030-03-04 12:00")
    booked(clinic, noon)
    assert [each[0] for each in left(clinic, noon)] == ["booked"]
    assert [each[0] for each in left(clinic, clinic.at("2030-03-04 18:00"))] == ["night_before"]


def test_the_one_text_of_a_day_that_the_exemption_leaves_says_both(engine: Engine) -> None:
    clinic = open_postroom(engine, basis="exemption")
    evening = clinic.at("2030-03-04 18:30")
    booked(clinic, evening)
    ((kind, _, body),) = left(clinic, evening)
    assert (kind, "From 03:00 clear liquids only" in body, "+12125550142" in body) == ("booked", True, True)


def test_for_a_held_patient_the_confirmation_takes_nothing_along(clinic: Clinic, evening: datetime) -> None:
    """Of a dose that may not be given nobody is told how to prepare."""
    visit = booked(clinic, evening)
    (patient,) = {row.patient_id for row in messages(clinic, Message.appointment_id == visit)}
    hold = {"reason": "illness", "deadline": clinic.at("2030-04-01 09:00")}
    clinic.do(lambda s, c: clinical_holds.place(s, c, patient, **hold), now=evening)
    assert "night_before" not in {each[0] for each in left(clinic, evening)}
    assert by_rule(clinic)["night_before"].merged_into is None
