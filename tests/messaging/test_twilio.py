"""A Twilio-shaped provider: what is posted for a text and for a call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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


def test_a_call_reads_it_out_and_nothing_escapes_into_the_markup() -> None:
    with sms_gateway() as gateway:
        open_channel("twilio", twilio_options(gateway, voice=True, sender="MG1")).deliver(
            replace(SMS, body="9 < 10 & </Say><Dial>+1900</Dial>", locale='es"')
        )
        (asked,) = gateway.asked
    assert asked["MessagingServiceSid"] == "MG1"
    said = "9 &lt; 10 &amp; &lt;/Say&gt;&lt;Dial&gt;+1900&lt;/Dial&gt;"
    assert asked["Twiml"] == f'<Response><Say language="es&quot;">{said}</Say></Response>'


@pytest.mark.parametrize("options", [{"account": "a/b"}, {"token": ""}, {"sender": ""}, {"url": "http://example.org"}])
def test_half_a_configuration_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Twilio"):
        open_channel("twilio", twilio_options(Gateway("http://127.0.0.1")) | options)
