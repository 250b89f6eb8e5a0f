"""From a claimed letter to words and an envelope, and the ways out that the settings choose. Nothing is sent here."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.config import Settings
from scheduler.core.civil import zone
from scheduler.messaging import Channel, Envelope, open_channel
from scheduler.messaging.facts import Facts, Line
from scheduler.messaging.render import Text, render
from scheduler.services.outbox import Letter


def channels_of(settings: Settings) -> dict[str, Channel]:
    """The ways out that the settings choose for e-mail and SMS. Raises ValueError when their settings make no sense."""
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
        "http": {"url": settings.sms_http_url, "token": settings.sms_http_token},
    }
    chosen = {"email": settings.email_channel, "sms": settings.sms_channel}
    return {name: open_channel(channel, options[channel]) for name, channel in chosen.items()}


def write_letter(letter: Letter, now: datetime) -> tuple[Text, Envelope]:
    """The letter in words, and ready to go. `now` decides whether it says "tomorrow" or "in 5 hours"."""
    site = zone(letter.time_zone)

    def before(minutes: int | None) -> datetime | None:
        return (letter.about - timedelta(minutes=minutes)).astimezone(site) if minutes else None

    facts = Facts(
        now=now,
        sender_name=letter.sender_name,
        phone=letter.phone,
        recipient_zone=letter.recipient_zone,
        starts_at=letter.about.astimezone(site),
        visit=letter.visit,
        location=letter.location,
        address=letter.address,
        arrive_at=before(letter.arrive_early_minutes),
        food_until=before(letter.solids_minutes),
        liquids_until=before(letter.clear_liquids_minutes),
        alcohol_until=before(letter.alcohol_minutes),
        ride=letter.escort,
        previous_starts_at=letter.previous and letter.previous.astimezone(site),
        visits=tuple(Line(stop.starts_at.astimezone(site), stop.visit) for stop in letter.stops),
    )
    text = render(letter.kind, letter.channel, facts, letter.locales)
    return text, Envelope(
        message_id=str(letter.id),
        sender_name=text.sender,
        to=letter.to,
        channel=letter.channel,
        subject=text.subject,
        body=text.body,
        locale=text.locale,
    )
