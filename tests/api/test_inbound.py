"""What providers post, over HTTP: only what they signed is heard, and only once."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from standardwebhooks.webhooks import Webhook

from scheduler.config import Settings
from scheduler.messaging.incoming import signature
from scheduler.models import EarlyReceipt, InboundText, Message, OptOut, Patient, Task
from scheduler.services import receipts
from tests.api.problem import assert_problem
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import begin, claim, only, open_postroom, settle

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.plumbing.clock import Clock

TOKEN = "12345"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BASE = "https://visits.example.org"
NUMBER = "+12025550123"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, twilio_token=TOKEN, sms_http_secret=SECRET, public_url=f"{BASE}/")


@pytest.fixture
def clinic(engine: Engine, clock: Clock) -> Clinic:
    made = open_postroom(engine)
    clock.set(made.call.now)
    return made


def twilio(client: FlaskClient, path: str, form: Mapping[str, str], *, token: str = TOKEN) -> TestResponse:
    signed = signature(token, f"{BASE}{path}", form)
    sent = urlencode(form)
    kind = "application/x-www-form-urlencoded"
    return client.post(path, data=sent, content_type=kind, headers={"X-Twilio-Signature": signed})


def gateway(client: FlaskClient, path: str, document: Any) -> TestResponse:
    body = json.dumps({"url": f"{BASE}{path}"} | document if isinstance(document, dict) else document)
    return client.post(path, data=body, content_type="application/json", headers=by_gateway(body))


def by_gateway(body: str, *, ago: timedelta = timedelta(0)) -> dict[str, str]:
    """The headers by which a gateway signed it then."""
    at = datetime.now(UTC) - ago
    return {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m1", at, body),
    }


def rows(clinic: Clinic, table: Any) -> list[Any]:
    with Session(clinic.engine, expire_on_commit=False) as session:
        return list(session.scalars(select(table).order_by(table.id)))


def test_the_signature_is_the_one_of_their_documentation() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675310", "Digits": "1234", "From": "+14158675310",
        "To": "+18005551212",
    }  # fmt: skip
    assert signature("12345", "https://example.com/myapp.php?foo=1&bar=2", form) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


def test_a_text_is_heard_once_and_answered_alike(client: FlaskClient, clinic: Clinic) -> None:
    clinic.patient()
    form = {"MessageSid": "SM1", "From": NUMBER, "Body": "STOP & <go>", "To": "+12125550100"}
    path = f"/v1/inbound/sms/twilio?organization={clinic.call.organization_id}"
    first = twilio(client, path, form)
    assert (first.status_code, first.mimetype) == (200, "text/xml"), first.text
    assert "<Response><Message>Harbor: you will get no more texts" in first.text
    assert twilio(client, path, form).text == first.text
    assert len(rows(clinic, InboundText)) == len(rows(clinic, OptOut)) == 1
    assert rows(clinic, Patient)[0].consents[0]["revoked_at"]
    assert twilio(client, path, form | {"MessageSid": "SM2"}).text.endswith("<Response></Response>")


def test_a_gateway_speaks_json(client: FlaskClient, clinic: Clinic) -> None:
    clinic.patient()
    told = gateway(client, "/v1/inbound/sms/http", {"id": "g-1", "from": "202-555-0123", "body": "ayuda"})
    assert told.json == {"reply": "Harbor: mensajes sobre sus citas. Baja: STOP. Tel. +12125550142."}


def test_who_has_not_signed_is_not_heard(client: FlaskClient, clinic: Clinic) -> None:
    clinic.patient()
    path, form = "/v1/inbound/sms/twilio", {"MessageSid": "SM1", "From": NUMBER, "Body": "STOP"}
    assert_problem(twilio(client, path, form, token="other"), 401, "unauthorized")
    signed = {"X-Twilio-Signature": signature(TOKEN, f"{BASE}{path}", form)}
    assert_problem(client.post(path, data=form | {"Body": "START"}, headers=signed), 401, "unauthorized")
    assert_problem(client.post(path, data=form), 401, "unauthorized")
    elsewhere = f"{path}?organization={uuid4()}"
    assert_problem(client.post(elsewhere, data=form, headers=signed), 401, "unauthorized")
    doubled = client.post(path, data=f"{urlencode(form)}&Body=START", headers=signed,
                          content_type="application/x-www-form-urlencoded")  # fmt: skip
    assert_problem(doubled, 401, "unauthorized")
    assert_problem(client.post("/v1/inbound/sms/nobody", data=form), 404, "not_found")
    assert_problem(twilio(client, elsewhere, form), 404, "not_found")
    assert rows(clinic, InboundText) == rows(clinic, OptOut) == []


def test_a_gateway_signs_when_and_which_beside_what(client: FlaskClient, clinic: Clinic) -> None:
    clinic.patient()
    told = {"id": "g-1", "from": NUMBER, "to": NUMBER, "body": "STOP", "status": "delivered", "key": "9"}
    body = json.dumps(told | {"url": f"{BASE}/v1/inbound/sms/http"})
    kept, fresh = by_gateway(body, ago=timedelta(minutes=6)), by_gateway(body)
    body_alone = base64.b64encode(hmac.digest(b"k" * 32, body.encode(), "sha256")).decode()
    refused = {
        "said again after the tolerance": kept,
        "of a time to come": by_gateway(body, ago=timedelta(minutes=-6)),
        "an old one with a new moment": kept | {"webhook-timestamp": fresh["webhook-timestamp"]},
        "with a moment a minute off": fresh | {"webhook-timestamp": str(int(fresh["webhook-timestamp"]) - 60)},
        "as another one": fresh | {"webhook-id": "m2"},
        "signed over the body alone": fresh | {"webhook-signature": f"v1,{body_alone}"},
        "with no signature of any form": fresh | {"webhook-signature": "v1"},
        "not in base64": fresh | {"webhook-signature": "v1,?"},
    } | {f"without {name}": {key: value for key, value in fresh.items() if key != name} for name in fresh}
    about = f"?organization={clinic.call.organization_id}&message={uuid4()}"
    for path in ("/v1/inbound/sms/http", f"/v1/callbacks/http{about}", f"/v1/calls/http{about}"):
        for headers in refused.values():
            assert_problem(client.post(path, data=body, headers=headers), 401, "unauthorized")
    assert rows(clinic, InboundText) == rows(clinic, OptOut) == []
    late = by_gateway(body, ago=timedelta(minutes=4))
    assert client.post("/v1/inbound/sms/http", data=body, headers=late).status_code == 200
    assert [row.provider_id for row in rows(clinic, InboundText)] == ["g-1"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_was_signed_for_one_address_says_nothing_at_another(client: FlaskClient, clinic: Clinic) -> None:
    clinic.patient()
    path, about = "/v1/inbound/sms/http", f"organization={clinic.call.organization_id}"
    told = {"id": "g-1", "from": NUMBER, "to": NUMBER, "body": "STOP", "status": "delivered", "key": "9"}
    wrong = [
        f"{BASE}{path}?{about}", f"http://visits.example.org{path}", f"{BASE}:8443{path}", f"{BASE}.evil{path}",
        f"{BASE}/v1/callbacks/http", f"{BASE}{path}?", f"{BASE}/{path}", path, None, [f"{BASE}{path}"],
    ]  # fmt: skip
    for url in wrong:
        assert_problem(gateway(client, path, told | {"url": url}), 401, "unauthorized")
        signed = signature(TOKEN, str(url), form := {"MessageSid": "SM1", "From": NUMBER, "Body": "STOP"})
        posted = client.post("/v1/inbound/sms/twilio", data=form, headers={"X-Twilio-Signature": signed})
        assert_problem(posted, 401, "unauthorized")
    body = json.dumps(told)
    assert_problem(client.post(path, data=body, headers=by_gateway(body)), 401, "unauthorized")
    assert rows(clinic, InboundText) == rows(clinic, OptOut) == []
    spoofed = {"Host": "other.example.org", "X-Forwarded-Host": "other.example.org"}
    body = json.dumps(told | {"url": f"http://other.example.org{path}"})
    assert_problem(client.post(path, data=body, headers=by_gateway(body) | spoofed), 401, "unauthorized")


def test_a_text_of_broken_characters_is_read_by_a_person(client: FlaskClient, clinic: Clinic) -> None:
    clinic.patient()
    broken = "\ud83d ho\x00la \u202eON\u202c\r\nX"
    answer = gateway(client, "/v1/inbound/sms/http", {"id": "g-1", "from": NUMBER, "body": broken})
    assert answer.status_code == 200, answer.text
    (task,) = rows(clinic, Task)
    assert task.detail.endswith(": ho la ON X")
    form = {"MessageSid": "SM1", "From": NUMBER, "Body": "a\x00b"}
    assert twilio(client, "/v1/inbound/sms/twilio", form).status_code == 200


def test_what_makes_no_sense_changes_nothing(client: FlaskClient, clinic: Clinic) -> None:
    known = {"id": "a", "from": NUMBER}
    for told in ([], {}, known | {"id": "x" * 200}, known | {"from": "12345"}, known | {"id": 1}, "STOP"):
        assert_problem(gateway(client, "/v1/inbound/sms/http", told), 422, "validation_failed")
    assert_problem(gateway(client, "/v1/inbound/sms/http?organization=x", known), 422, "validation_failed")
    assert rows(clinic, InboundText) == []


def test_what_became_of_a_message(client: FlaskClient, clinic: Clinic) -> None:
    book(clinic, clinic.patient(), "fasted", "2030-03-06 09:00")
    message = only(clinic, "night_before")
    due = message.due_at
    letter = next(each for each in claim(clinic, due) if each.id == message.id)
    assert begin(clinic, letter, due)
    organization = clinic.call.organization_id
    path = f"/v1/callbacks/twilio?organization={organization}&message={message.id}"
    settle(clinic, letter, due)  # taken as p-1
    assert twilio(client, path, {"MessageSid": "SM8", "MessageStatus": "failed"}).status_code == 204
    assert twilio(client, path, {"MessageSid": "p-1", "MessageStatus": "sent"}).status_code == 204
    assert only(clinic, "night_before").status == "sent"
    failed = {"MessageSid": "p-1", "MessageStatus": "undelivered", "ErrorCode": "30003"}
    assert twilio(client, path, failed).status_code == 204
    found = only(clinic, "night_before")
    said = "The provider could not deliver it: undelivered 30003."
    assert (found.status, found.channel, found.reason) == ("pending", "email", said)
    assert twilio(client, path, {"MessageSid": "p-1", "MessageStatus": "delivered"}).status_code == 204
    assert only(clinic, "night_before").status == "pending", "the first final word stands"
    other = f"/v1/callbacks/twilio?organization={uuid4()}&message={message.id}"
    assert_problem(twilio(client, other, failed), 404, "not_found")
    assert len(rows(clinic, Message)) > 1


@pytest.mark.parametrize(
    ("told", "ended", "after"),
    [
        ({"MessageStatus": "delivered"}, "", "delivered"),
        ({"MessageStatus": "delivered"}, "the answer was lost", "delivered"),
        ({"MessageStatus": "failed"}, "", "pending"),
        ({"MessageStatus": "failed"}, "the answer was lost", "pending"),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_is_reported_during_the_hand_over_is_kept_until_it_is_over(
    client: FlaskClient, clinic: Clinic, clock: Clock, told: dict[str, str], ended: str, after: str
) -> None:
    book(clinic, clinic.patient(), "fasted", "2030-03-06 09:00")
    message = only(clinic, "night_before")
    due = clock.set(message.due_at)
    letter = next(each for each in claim(clinic, due) if each.id == message.id)
    assert begin(clinic, letter, due)
    path = f"/v1/callbacks/twilio?organization={clinic.call.organization_id}&message={message.id}"
    assert twilio(client, path, {"MessageSid": "p-1"} | told).status_code == 204
    assert clinic.do(lambda s, _: receipts.waiting(s, due), now=due) == [clinic.call.organization_id]
    clinic.do(receipts.catch_up, now=due)
    assert only(clinic, "night_before").status == "sending"
    settle(clinic, letter, due, ended)
    clinic.do(receipts.catch_up, now=due)
    found = only(clinic, "night_before")
    assert (found.status, found.channel) == (after, "email" if (after, ended) == ("pending", "") else "sms")
    assert rows(clinic, EarlyReceipt) == []
