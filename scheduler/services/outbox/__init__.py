"""The outbox: messages are owed in the transaction of the change they belong to, and claimed later by workers.

Nothing leaves from here: a worker is given plain letters and says afterwards how it went. Never commits.
"""

from __future__ import annotations

from scheduler.services.outbox.answering import answered, is_asked
from scheduler.services.outbox.claiming import Claimed, claim, next_due, organizations_due
from scheduler.services.outbox.delivering import settle, turn
from scheduler.services.outbox.digest import owe_for_course_change
from scheduler.services.outbox.falling import fall
from scheduler.services.outbox.letters import Letter, Outcome
from scheduler.services.outbox.misdated import set_right
from scheduler.services.outbox.owing import (
    call_off,
    owe_again,
    owe_anew,
    owe_change,
    owe_for_appointment,
    owe_for_appointments,
    owe_for_course,
)
from scheduler.services.outbox.parting import part
from scheduler.services.outbox.pulse import alive, beat
from scheduler.services.outbox.regaining import regain
from scheduler.services.outbox.reviewing import AHEAD, missing, review
from scheduler.services.outbox.telling import DIGEST
from scheduler.services.outbox.texts import in_words
from scheduler.services.outbox.together import Changed

__all__ = [
    "AHEAD",
    "DIGEST",
    "Changed",
    "Claimed",
    "Letter",
    "Outcome",
    "alive",
    "answered",
    "beat",
    "call_off",
    "claim",
    "fall",
    "in_words",
    "is_asked",
    "missing",
    "next_due",
    "organizations_due",
    "owe_again",
    "owe_anew",
    "owe_change",
    "owe_for_appointment",
    "owe_for_appointments",
    "owe_for_course",
    "owe_for_course_change",
    "part",
    "regain",
    "review",
    "set_right",
    "settle",
    "turn",
]
