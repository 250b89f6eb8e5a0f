"""A letter in words: what it speaks of, handed to messaging as plain values in each site's own clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.core.civil import zone
from scheduler.messaging.facts import Facts, Line, Moved
from scheduler.messaging.render import Spoken, Text, render, speak
from scheduler.services.outbox.letters import Letter, Stop, Turn


def in_words(letter: Letter, now: datetime) -> Text:
    """The text of a letter. `now` decides whether it says "tomorrow" or "in 5 hours"."""
    return render(
        letter.kind, letter.channel, facts_of(letter, now), letter.locales, letter.own, one_sms=letter.one_sms
    )


def in_a_call(letter: Letter, now: datetime) -> Spoken:
    """What is said of it in a call."""
    return speak(letter.kind, facts_of(letter, now), letter.locales)


def spoken(letter: Letter, now: datetime) -> str:
    """What whoever calls in place of the letter may say, in the patient's language, as one line for a task."""
    said = in_a_call(letter, now)
    return f"To the patient: {said.words} To anybody else, or a machine: {said.machine}"


def facts_of(letter: Letter, now: datetime) -> Facts:
    """What the letter speaks of."""
    site, told = zone(letter.time_zone), letter.told

    def before(minutes: int) -> datetime:
        return (letter.about - timedelta(minutes=minutes)).astimezone(site)

    return Facts(
        now=now,
        sender_name=letter.sender_name,
        phone=letter.phone,
        recipient_zone=letter.recipient_zone,
        starts_at=letter.about.astimezone(site),
        visit=letter.visit,
        location=letter.location,
        address=letter.address,
        arrive_at=before(early) if (early := told.arrive_early_minutes) else None,
        food_until=before(solids) if (solids := told.solids_minutes) else None,
        liquids_until=before(liquids) if (liquids := told.clear_liquids_minutes) else None,
        alcohol_until=before(alcohol) if (alcohol := told.alcohol_minutes) else None,
        sheet_from=before(sheet) if (sheet := told.nasal_products_minutes) else None,
        ride=told.escort,
        no_driving=told.no_driving,
        link=letter.page,
        previous_starts_at=letter.previous and letter.previous.astimezone(site),
        visits=tuple(map(_line, letter.stops)) if letter.stops else (),
        also=tuple(map(_line, letter.also)) if letter.also else (),
        moved=tuple(map(_moved, letter.turns)) if letter.turns else (),
    )


def _line(stop: Stop) -> Line:
    """A visit by the clock of its own site."""
    return Line(stop.starts_at.astimezone(zone(stop.time_zone)), stop.visit)


def _moved(turn: Turn) -> Moved:
    """A change by the clock of the visit's own site."""
    there = zone(turn.time_zone)
    return Moved(turn.was and turn.was.astimezone(there), turn.now and turn.now.astimezone(there), turn.visit)
