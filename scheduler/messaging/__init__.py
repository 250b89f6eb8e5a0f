"""The post room: texts and the channels by which they leave. It sees an Envelope, never a row or an appointment.

To add a channel, write a module with `deliver(envelope)` and name it in CHANNELS.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from scheduler.messaging.base import Channel, DeliveryError, Envelope

__all__ = ["CHANNELS", "Channel", "DeliveryError", "Envelope", "open_channel"]

#: Name in the settings to the class that is imported when a channel is first opened.
CHANNELS: dict[str, str] = {
    "apprise": "scheduler.messaging.apprise:Apprise",
    "console": "scheduler.messaging.console:Console",
    "file": "scheduler.messaging.file:File",
    "http": "scheduler.messaging.sms_http:SmsHttp",
    "smtp": "scheduler.messaging.smtp:Smtp",
    "twilio": "scheduler.messaging.twilio:Twilio",
    "twilio-voice": "scheduler.messaging.twilio_voice:TwilioVoice",
    "voice-http": "scheduler.messaging.voice_http:VoiceHttp",
    "webhook": "scheduler.messaging.webhook:Webhook",
}


def open_channel(name: str, options: Mapping[str, Any]) -> Channel:
    """The channel of that name. Raises KeyError for an unknown one, ValueError for options that make no sense."""
    module, _, attribute = CHANNELS[name].partition(":")
    opened: Channel = getattr(import_module(module), attribute)(**options)
    return opened
