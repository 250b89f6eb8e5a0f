"""From a claimed letter to words and an envelope, and the ways out that the settings choose. Nothing is sent here."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from scheduler.config import Settings
from scheduler.messaging import Channel, Envelope, open_channel
from scheduler.messaging.render import Text
from scheduler.services import outbox
from scheduler.services.outbox import Letter, telephone


def channels_of(settings: Settings) -> dict[str, Channel]:
    """The ways out, as the settings choose them. Raises ValueError when their settings make no sense."""
    public = settings.public_url.rstrip("/")
    options: dict[str, dict[str, object]] = {
        "console": {},
        "file": {"folder": settings.outbox_dir},
        "smtp": {
            "host": settings.smtp_host,
            "sender": settings.smtp_from,
            "port": settings.smtp_port,
            "user": settings.smtp_user,
            "password": settings.smtp_password,
            "starttls": settings.smtp_starttls,
        },
        "http": {
            "url": settings.sms_http_url,
            "token": settings.sms_http_token,
            "drops_repeats": settings.sms_http_drops_repeats,
        },
        "twilio": {
            "account": settings.twilio_account,
            "token": settings.twilio_token,
            "sender": settings.twilio_from,
            "callback": f"{public}/v1/callbacks/twilio" if public else "",
        },
        "twilio-voice": {
            "account": settings.twilio_account,
            "token": settings.twilio_token,
            "sender": settings.twilio_voice_from,
            "callback": f"{public}/v1/callbacks/twilio" if public else "",
            "keys": f"{public}/v1/calls/twilio" if public else "",
        },
        "voice-http": {
            "url": settings.voice_http_url,
            "token": settings.voice_http_token,
            "drops_repeats": settings.voice_http_drops_repeats,
            "callback": f"{public}/v1/callbacks/http" if public else "",
            "keys": f"{public}/v1/calls/http" if public else "",
        },
        "webhook": {"private": settings.webhooks_private},
    }
    chosen = {"email": settings.email_channel, "sms": settings.sms_channel, "voice": settings.voice_channel}
    chosen["webhook"] = "webhook"
    if settings.staff_notices:
        options["apprise"], chosen["staff"] = {"schemes": settings.staff_notices}, "apprise"
    return {name: open_channel(channel, options[channel]) for name, channel in chosen.items()}


def write_letter(letter: Letter, now: datetime) -> tuple[Text, Envelope]:
    """The letter in words, and ready to go. `now` decides whether it says "tomorrow" or "in 5 hours"."""
    text = outbox.in_words(letter, now)
    return text, Envelope(
        message_id=str(letter.id),
        sender_name=text.sender,
        to=letter.to,
        channel=letter.channel,
        subject=text.subject,
        body=text.body,
        locale=text.locale,
        organization_id=_written(letter.organization_id),
        headers=_headers(letter, now),
        calendar=letter.calendar,
        method=letter.method,
        again=telephone.calls_made(letter.context),
    )


# An organization's stands in each of its letters.
_written = lru_cache(maxsize=256)(str)


def _headers(letter: Letter, now: datetime) -> dict[str, str]:
    """When a mail was written, and how mail programs end those of its kind with one click (RFC 2369, RFC 8058)."""
    if letter.channel != "email":
        return {}
    dated = {"Date": format_datetime(now)}
    if letter.link is None:
        return dated
    stop = {"List-Unsubscribe": f"<{letter.link.stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return dated | stop
