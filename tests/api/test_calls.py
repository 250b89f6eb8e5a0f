"""A message told by telephone, over HTTP: what each key does, and what follows when nobody took the call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.messaging import open_channel
from scheduler.models import Appointment, Message, Organization, Task
from scheduler.services import message_preview, message_rules, receipts, shipped
from scheduler.services.outbox import Letter
from scheduler.worker import write_letter
from tests.api.problem import assert_problem
from tests.api.test_inbound import BASE, SECRET, TOKEN, gateway, rows, twilio
from tests.clinic import Clinic
from tests.desk import book
from tests.messaging.sinks import sms_gateway
from tests.postroom import begin, cancel, claim, move, only, open_postroom, settle
from tests.race.peaceful import watching

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.plumbing.clock import Clock

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

NUMBER = "+12025550123"
MAIL = {"channel": "email", "value": "pat@example.org"}
PHONE = {"channel": "voice", "value": NUMBER}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, twilio_token=TOKEN, public_url=BASE, sms_http_secret=SECRET)


@pytest.fixture
def clinic(engine: Engine, clock: Clock) -> Clinic:
    """It calls the evening before, and tells of a change first by telephone."""
    made = open_postroom(engine)
    spoken = {"night_before": {"escalate": ...}, "rescheduled": {}, "cancelled": {}}
    rules = [
        {**rule, **spoken[rule["key"]], "channels": ["voice", "email"]}
        for rule in shipped.message_rules()
        if rule["key"] in spoken
    ]
    asked = [{name: value for name, value in rule.items() if value is not ...} for rule in rules]
    made.do(lambda s, c: message_rules.change(s, c, asked))
    clock.set(made.call.now)
    return made


def booked(clinic: Clinic, **patient: Any) -> UUID:
    return book(clinic, clinic.patient(**{"contacts": [PHONE, MAIL]} | patient), "fasted", "2030-03-06 09:00").id


def called(clinic: Clinic, clock: Clock, rule: str = "night_before", **more: Any) -> Letter:
    """The call is made, and rings."""
    now = clock.set(only(clinic, rule, **more).due_at)
    letter = next(each for each in claim(clinic, now) if each.kind == rule)
    assert (letter.channel, letter.to) == ("voice", NUMBER)
    assert begin(clinic, letter, now)
    settle(clinic, letter, now)  # taken as p-1
    return letter


def path(letter: Letter, what: str = "calls") -> str:
    return f"/v1/{what}/twilio?organization={letter.organization_id}&message={letter.id}"


def press(client: FlaskClient, where: str, key: str, **more: str) -> tuple[str, str]:
    """The words that follow, and where a further key is told."""
    told = twilio(client, where, {"CallSid": "p-1", "From": "+12025550100", "To": NUMBER, "Digits": key} | more)
    assert (told.status_code, told.mimetype) == (200, "text/xml"), told.text
    response = ET.fromstring(told.text)  # noqa: S314 - our own
    gather = response.find("Gather")
    (say,) = response if gather is None else gather
    action = "" if gather is None else urlsplit(gather.attrib["action"])
    assert not action or f"{action.scheme}://{action.netloc}" == BASE
    return say.text or "", f"{action.path}?{action.query}" if action else ""


def ends(client: FlaskClient, clinic: Clinic, letter: Letter, status: str) -> Message:
    assert twilio(client, path(letter, "callbacks"), {"CallSid": "p-1", "CallStatus": status}).status_code == 204
    return only(clinic, letter.kind)


def visit(clinic: Clinic) -> Appointment:
    found: Appointment = rows(clinic, Appointment)[0]
    return found


def tasks(clinic: Clinic) -> list[str]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Task.kind).where(Task.status == "open").order_by(Task.kind)))


def test_whoever_picks_up_hears_a_name_and_the_patient_the_rest(
    client: FlaskClient, clinic: Clinic, clock: Clock
) -> None:
    booked(clinic)
    letter = called(clinic, clock)
    text, envelope = write_letter(letter, clock.now)
    assert envelope.body == text.body == (
        "This is Harbor, with a message for you. To hear it, press 1. To get no more calls and texts, press 9. "
        "You reach us at +1 212-555-0142. Thank you."
    )  # fmt: skip
    assert press(client, path(letter), "5")[0] == text.body, "another key"
    words, then = press(client, path(letter), "1")
    assert words.startswith("Hello, this is Harbor, about your appointment on Wednesday, March 6, 2030")
    assert re.search(r"eat nothing from 03:00 on.*An adult has to take you home.*To confirm, press 1\.$", words)
    assert press(client, path(letter), "1")[0] == words, "told twice"
    assert visit(clinic).confirmed_at is None, "to hear is not to confirm"
    with watching() as moved:
        assert press(client, then, "1") == ("Thank you, your appointment is confirmed.", "")
        assert press(client, then, "1")[0].startswith("Thank you")
        assert visit(clinic).confirmed_at == clock.now
        assert ends(client, clinic, letter, "completed").status == "delivered"
    assert moved == [], "whoever confirms takes nobody's time"


def test_a_gateway_of_ones_own_calls_in_json(client: FlaskClient, clinic: Clinic, clock: Clock) -> None:
    booked(clinic)
    letter = called(clinic, clock)
    _, envelope = write_letter(letter, clock.now)
    with sms_gateway() as own:
        where = {"keys": f"{BASE}/v1/calls/http", "callback": f"{BASE}/v1/callbacks/http"}
        channel = open_channel("voice-http", {"url": own.url, **where})
        channel.deliver(envelope)
        channel.deliver(replace(envelope, again=2))
    asked, again = own.asked
    assert (asked["to"], asked["say"], asked["locale"], asked["id"]) == (NUMBER, envelope.body, "en", str(letter.id))
    assert own.headers[1]["Idempotency-Key"] == again["id"] == f"{letter.id}-2"
    about = f"?organization={letter.organization_id}&message={letter.id}"
    assert (asked["keys"], asked["callback"]) == (where["keys"] + about, where["callback"] + about)
    key = {"id": "p-1", "to": NUMBER, "key": "1"}
    told = gateway(client, asked["keys"].removeprefix(BASE), key).json
    assert told is not None
    assert told["say"].startswith("Hello, this is Harbor")
    assert gateway(client, told["keys"].removeprefix(BASE), key).json == {
        "say": "Thank you, your appointment is confirmed.", "locale": "en", "keys": None,
    }  # fmt: skip
    outcome = gateway(client, asked["callback"].removeprefix(BASE), {"id": "p-1", "status": "delivered"})
    assert (outcome.status_code, only(clinic, letter.kind).status) == (204, "delivered")


def test_a_mailbox_was_told_nothing_and_so_the_patient_is_told_otherwise(
    client: FlaskClient, clinic: Clinic, clock: Clock
) -> None:
    booked(clinic)
    letter = called(clinic, clock)
    assert ends(client, clinic, letter, "in-progress").status == "sent"
    row = ends(client, clinic, letter, "completed")
    assert (row.status, row.channel) == ("pending", "email")
    assert row.reason == "Nobody who pressed a key took the call."
    assert ends(client, clinic, letter, "completed").channel == "email", "said twice"


def test_nobody_takes_the_call(client: FlaskClient, clinic: Clinic, clock: Clock) -> None:
    booked(clinic, contacts=[PHONE])
    letter, made = called(clinic, clock), []
    for number, status in enumerate(("busy", "no-answer", "busy")):
        made.append(write_letter(letter, clock.now)[1].again)
        row = ends(client, clinic, letter, status)
        assert ends(client, clinic, letter, status).context == row.context, "said twice, counted once"
        if number == 2:
            break
        assert row.status == "pending"
        assert row.due_at - clock.now == timedelta(minutes=(15, 30)[number])
        letter = called(clinic, clock)
    assert made == [0, 1, 2]
    assert (row.status, row.reason) == ("failed", "Nobody took the call: busy.")
    assert tasks(clinic) == ["patient_untold"]


def test_a_number_that_is_none_is_not_called_again(client: FlaskClient, clinic: Clinic, clock: Clock) -> None:
    booked(clinic)
    row = ends(client, clinic, called(clinic, clock), "failed")
    assert (row.status, row.channel) == ("pending", "email")


def test_nine_ends_calls_and_texts(client: FlaskClient, clinic: Clinic, clock: Clock) -> None:
    booked(clinic)
    letter = called(clinic, clock)
    for _ in range(2):
        assert press(client, path(letter), "9") == ("You will get no more calls and texts from us.", "")
    move(clinic, visit(clinic).id, "2030-03-07 09:00", now=clock.now)
    clock.move(timedelta(minutes=4))
    assert {each.channel for each in claim(clinic, clock.now)} == {"email"}


@pytest.mark.parametrize("change", ["cancelled", "moved"])
def test_what_has_changed_since_is_not_told(client: FlaskClient, clinic: Clinic, clock: Clock, change: str) -> None:
    key = booked(clinic)
    letter = called(clinic, clock)
    _, then = press(client, path(letter), "1")
    if change == "cancelled":
        cancel(clinic, key, now=clock.now)
    else:
        move(clinic, key, "2030-03-07 09:00", now=clock.now)
    machine = ("This is Harbor. Please call us at +1 212-555-0142. Thank you.", "")
    assert press(client, path(letter), "1") == machine
    assert press(client, then, "1") == machine
    assert visit(clinic).confirmed_at is None
    news = called(clinic, clock, "cancelled" if change == "cancelled" else "rescheduled", sequence=1)
    words, then = press(client, path(news), "1")
    assert ("is cancelled. Please do not come then." in words) is (change == "cancelled")
    assert bool(then) is (change == "moved")


def test_no_telephone_rings_at_night_however_urgent(clinic: Clinic, clock: Clock) -> None:
    key = booked(clinic)
    late = clock.set(clinic.at("2030-03-05 22:00"))
    claim(clinic, late)
    cancel(clinic, key, now=late)
    due = clock.move(timedelta(minutes=4))
    assert [(each.kind, each.channel) for each in claim(clinic, due)] == [("cancelled", "email")], "it is urgent"


def test_under_the_exemption_a_second_call_of_the_day_is_none(clinic: Clinic, clock: Clock) -> None:
    with Session(clinic.engine) as session, session.begin():
        session.get_one(Organization, clinic.call.organization_id).messaging = {"basis": "exemption"}
    patient = clinic.patient(contacts=[PHONE, MAIL])
    for start in ("2030-03-06 09:00", "2030-03-06 13:00"):
        book(clinic, patient, "fasted", start)
    now, sent = clock.set(clinic.at("2030-03-05 18:00")), []
    while letters := claim(clinic, now, limit=1):
        assert begin(clinic, letters[0], now)
        settle(clinic, letters[0], now)
        sent.append(letters[0].channel)
    assert sorted(sent) == ["email", "voice"]


def test_what_can_only_be_told_by_telephone_waits_for_the_morning(clinic: Clinic, clock: Clock) -> None:
    key = booked(clinic, contacts=[PHONE])
    late = clock.set(clinic.at("2030-03-04 22:00"))
    cancel(clinic, key, now=late)
    assert claim(clinic, clock.move(timedelta(minutes=4))) == ()
    assert only(clinic, "cancelled", sequence=1).due_at == clinic.at("2030-03-05 09:00")
    assert [each.kind for each in claim(clinic, clinic.at("2030-03-05 09:00"))] == ["cancelled"]


def test_the_preview_has_what_is_said_before_and_after_the_key(clinic: Clinic) -> None:
    key = booked(clinic, locale="es")
    seen = clinic.do(lambda s, c: message_preview.preview(s, c, appointment_id=key))
    (call,) = [each for each in seen if each.channel == "voice" and each.status == "pending"]
    assert call.segments is None
    assert re.match(r"Le llamamos de Harbor con un mensaje .*\n\[1\] Hola, le llamamos de Harbor por", call.body or "")


def test_who_has_not_signed_gets_no_word(client: FlaskClient, clinic: Clinic, clock: Clock) -> None:
    booked(clinic)
    letter = called(clinic, clock)
    form: Mapping[str, str] = {"CallSid": "p-1", "To": NUMBER, "Digits": "1"}
    assert_problem(twilio(client, path(letter), form, token="other"), 401, "unauthorized")
    assert_problem(client.post(path(letter), data=form), 401, "unauthorized")
    assert_problem(twilio(client, "/v1/calls/twilio", form), 422, "validation_failed")
    assert_problem(twilio(client, path(letter).replace(str(letter.id), str(letter.token)), form), 404, "not_found")
    for key in "19":
        other = form | {"CallSid": "CA1", "Digits": key}
        assert_problem(twilio(client, path(letter), other), 404, "not_found")  # of another call to the same patient
    about = path(letter).partition("?")[2]
    assert_problem(client.post(f"/v1/calls/http?{about}", json={"id": "a", "key": "1"}), 401, "unauthorized")
    assert "heard" not in only(clinic, "night_before").context


def test_what_is_reported_while_the_call_is_handed_over_is_kept(
    client: FlaskClient, clinic: Clinic, clock: Clock
) -> None:
    booked(clinic)
    now = clock.set(only(clinic, "night_before").due_at)
    letter = next(each for each in claim(clinic, now) if each.kind == "night_before")
    assert begin(clinic, letter, now)
    assert ends(client, clinic, letter, "no-answer").status == "sending"
    settle(clinic, letter, now)
    clinic.do(receipts.catch_up, now=now)
    assert only(clinic, "night_before").context["calls"] == 1
