"""Whether a due message may still be sent, by the state of things now: sent, put off, or dropped with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from scheduler.core.reminders import next_open, resting
from scheduler.models import Appointment, Message
from scheduler.services.outbox.scene import Scene

#: What was due before quiet hours began may leave a little into them: a worker is never quite punctual.
GRACE = timedelta(minutes=15)


@dataclass(frozen=True)
class Send:
    """It goes out, over this channel to this address."""

    channel: str
    to: str


@dataclass(frozen=True)
class PutOff:
    """It waits: for the end of quiet hours, or for what `reason` says to be mended."""

    until: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Drop:
    """It is not sent: `suppressed` because nobody needs it, `expired_unsent` because it is too late for it."""

    status: str
    reason: str


Judgement = Send | PutOff | Drop


def judge(scene: Scene, message: Message) -> Judgement:
    """What becomes of a due message."""
    now, visit = scene.call.now, scene.visit_of(message)
    unwanted = _unwanted(scene, message, visit)
    if unwanted is not None or visit is None:
        return Drop("suppressed", unwanted or "no_visit")
    if now >= message.expires_at:
        return Drop("expired_unsent", message.reason or "too_late")
    recipient = scene.recipient(visit)
    if resting(recipient, now) and resting(recipient, now - GRACE) and not message.context.get("at_night"):
        opens = next_open(recipient, now)
        if opens < message.expires_at:
            return PutOff(opens)
        if not message.context.get("urgent"):
            return Drop("expired_unsent", "quiet_hours")
    return _by_channel(scene, message)


def _unwanted(scene: Scene, message: Message, visit: Appointment | None) -> str | None:
    """Why nobody needs the message any more, or None."""
    if message.called_off_at is not None:
        return message.reason or "called_off"
    if visit is None:
        return "no_visit"
    sequence = message.sequence if message.appointment_id is not None else visit.sequence
    outdated = outdated_by(message.kind, message.context, sequence, visit)
    if outdated is None and message.context.get("class") in {"reminder", "instruction"} and scene.is_held(visit):
        return "on_hold"
    if outdated is None and message.context.get("unless_integration") and scene.has_integration(visit):
        return "integration_booked"
    return outdated


class Standing(Protocol):
    """How a visit stands: an appointment, or as much of its row."""

    @property
    def sequence(self) -> int: ...  # noqa: D102 - the row's columns
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def outcome(self) -> str | None: ...  # noqa: D102


def outdated_by(kind: str, context: Mapping[str, Any], sequence: int, visit: Standing) -> str | None:
    """Why the visit as it stands makes a message pointless that was owed at `sequence`, or None."""
    status, outcome = visit.status, visit.outcome
    if visit.sequence != sequence:
        return "superseded"
    if kind in {"cancelled", "correction"}:
        return None
    if context.get("side") == "after":
        if outcome == "not_dosed":
            return "not_dosed"
        return None if status in {"booked", "arrived", "checked-in", "fulfilled"} else status
    return None if status == "booked" else status


def _by_channel(scene: Scene, message: Message) -> Judgement:
    """The message's own channel; else the next of the rule that is open and below its cap."""
    context = message.context
    visit = scene.visit_of(message)
    addresses = scene.addresses(message.patient_id)
    order = [message.channel, *(name for name in context.get("channels", ()) if name != message.channel)]
    order = [name for name in order if name in addresses]
    if not order:
        return Drop("suppressed", "no_channel")
    if order[0] == "sms" and visit is not None and not scene.may_text(scene.recipient(visit), message.patient_id):
        # The clinic's own cap gives way to what the patient must know; the law's does not.
        must = scene.manners.basis == "consent" and (context.get("urgent") or context.get("class") == "instruction")
        other = next((name for name in order if name != "sms"), None)
        if other is None and not must:
            return Drop("suppressed", "over_cap")
        order = [other] if other is not None else order
    if order[0] == "sms":
        scene.note_text(message.patient_id)
    return Send(order[0], addresses[order[0]])
