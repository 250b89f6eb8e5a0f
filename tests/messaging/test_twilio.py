"""A Twilio-shaped provider: what is posted for a text and for a call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from scheduler.messaging import Envelope, open_channel
from tests.messaging.sinks import Gateway, sms_gateway, twilio_options

ID = "0190b5a8-6c1e-7def-8abc-0123456789ab"
SMS = Envelope(ID, "Northgate", "+12125550142", "sms", "", "Northgate: appointment tomorrow 09:00 EST")


def test_a_text_is_whole_and_reported_back() -> None:
    with sms_gateway() as gateway:
        channel = open_channel("twilio", twilio_options(gateway, callback="https://visits.example.org/v1/callbacks/x"))
        assert channel.deliver(replace(SMS, organization_id="o-1")) == f"sms-{ID}"
        assert gateway.asked == [
            {
                "To": SMS.to,
                "From": "+12125550100",
                "Body": SMS.body,
                "StatusCallback": f"https://visits.example.org/v1/callbacks/x?organization=o-1&message={ID}",
            }
        ]
        assert gateway.headers[0]["Authorization"].startswith("Basic ")


VOICE: dict[str, Any] = {"keys": "https://v.example.org/v1/calls/twilio", "callback": "https://v.example.org/cb"}


def test_a_call_begins_with_who_calls_and_nothing_escapes_into_the_markup() -> None:
    telling = replace(SMS, body="9 < 10 & </Say><Dial>+1900</Dial>", locale='es"', organization_id="o-1")
    with sms_gateway() as gateway:
        channel = open_channel("twilio-voice", twilio_options(gateway, **VOICE))
        assert channel.deliver(telling) == f"sms-{ID}"
        channel.deliver(replace(telling, again=2))
        asked, again = gateway.asked
        keys = [headers["I-Twilio-Idempotency-Token"] for headers in gateway.headers]
    about = f"?organization=o-1&message={ID}"
    assert asked.pop("StatusCallback") == VOICE["callback"] + about
    twiml = ET.fromstring(asked.pop("Twiml"))  # noqa: S314 - our own
    (gather,) = twiml
    (say,) = gather
    assert (twiml.tag, gather.tag, say.tag, list(say)) == ("Response", "Gather", "Say", [])
    assert (gather.attrib["action"], gather.attrib["numDigits"]) == (VOICE["keys"] + about, "1")
    assert (say.text, say.attrib) == (telling.body, {"language": 'es"'})
    assert asked == {"To": SMS.to, "From": "+12125550100", "Timeout": "25"}
    assert keys == [ID, f"{ID}-2"], "a call that is meant to be made again is another"
    assert again["StatusCallback"].endswith(about)


@pytest.mark.parametrize("options", [{"sender": "MG1"}, {"keys": ""}, {"callback": ""}])
def test_a_call_needs_a_number_and_somebody_to_answer(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Twilio calls"):
        open_channel("twilio-voice", twilio_options(Gateway("http://127.0.0.1"), **VOICE) | options)


@pytest.mark.parametrize("options", [{"account": "a/b"}, {"token": ""}, {"sender": ""}, {"url": "http://example.org"}])
def test_half_a_configuration_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Twilio"):
        open_channel("twilio", twilio_options(Gateway("http://127.0.0.1")) | options)
