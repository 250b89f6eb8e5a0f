"""From a message that is to be sent to the letter that a worker is handed, with all that it speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.messaging.render import CANCELLING
from scheduler.models import Appointment, Message
from scheduler.services.outbox.judging import Send, stays_until, unwanted, way_now, way_of
from scheduler.services.outbox.letters import Letter, Stop, Turn
from scheduler.services.outbox.linking import calendar_of, link_of, shows_page
from scheduler.services.outbox.scene import FASTING, HOSTS, NEWS, QUESTIONS, SAID_BY_NEWS, Scene, was_of
from scheduler.services.outbox.telling import CORRECTION
from scheduler.services.outbox.texts import in_words


def letter_of(scene: Scene, message: Message, judgement: Send, token: UUID) -> Letter:
    """The letter. It takes along what is due soon and can be said in a line of it, as far as its channel has room."""
    letter = plain_letter(scene, message, judgement, token)
    if scene.merged:
        mine = scene.merged.get(message.id, ())
        held = [other for other in mine if unwanted(scene, other, scene.visit_of(other)) is None]
        letter = _with(letter, [stop for other in held for stop in _lines(scene, message, other)])
        letter = _beside(scene, letter, held)
    if not scene.waiting:
        return letter
    scene.handled.add(message.id)
    if message.kind not in HOSTS:
        return letter
    for other in scene.waiting.get(message.patient_id, ()):
        wider = _taking(scene, message, letter, other)
        if wider is not None:
            letter = _beside(scene, wider, [other])
            other.status, other.reason, other.merged_into = "suppressed", "merged", message.id
            scene.taken_along.append(other)
    return letter


def _taking(scene: Scene, message: Message, letter: Letter, other: Message) -> Letter | None:
    """The letter with the other message in it, or None when that is not to be."""
    if not _is_free(scene, message, letter, other):
        return None
    if QUESTIONS & {message.kind, other.kind}:
        return letter if _asks_the_same(scene, message, letter, other) else None
    if not other.context.get("merges") and not _is_of_the_news(scene, message, letter, other):
        return None
    lines = _lines(scene, message, other)
    if lines and message.kind in NEWS:
        return None  # news is about one visit
    wider = _with(letter, [*letter.also, *lines])
    if not lines:
        return wider
    text = in_words(wider, scene.call.now).body
    # A clinic's own text may have no place for it.
    has_room = letter.channel != "sms" or septets(text) <= LIMIT
    return wider if has_room and text != in_words(letter, scene.call.now).body else None


def _is_free(scene: Scene, message: Message, letter: Letter, other: Message) -> bool:
    """Whether no other letter has taken it, and it is wanted still and would go by this letter's channel."""
    visit = scene.visit_of(other)
    if other.id in scene.handled or other.merged_into is not None or visit is None:
        return False
    ways = {way_of(scene, other)}
    if message.kind in NEWS and other.kind in FASTING:  # so soon that the caps will be the same
        ways.add(way_now(scene, other, visit))
    return letter.channel in ways and unwanted(scene, other, visit) is None


def _asks_the_same(scene: Scene, message: Message, letter: Letter, other: Message) -> bool:
    """Whether it would ask, of a visit that is over as well, in the very same words."""
    visit, now = scene.visit_of(other), scene.call.now
    if other.kind != message.kind or visit is None or not (scene.foresees or stays_until(other, visit, now) is None):
        return False
    by_itself = plain_letter(scene, other, Send(letter.channel, letter.to), letter.token)
    return in_words(by_itself, now) == in_words(letter, now)


def _is_of_the_news(scene: Scene, message: Message, letter: Letter, other: Message) -> bool:
    """Whether it would tell, close to the news of its visit's time, when to stop eating, and that says so itself."""
    is_its = (other.appointment_id, other.sequence) == (message.appointment_id, message.sequence)
    if message.kind not in NEWS or not is_its or other.due_at > scene.call.now + SAID_BY_NEWS:
        return False
    # A clinic's own text may have no place for it.
    unfed = letter._replace(told=replace(letter.told, solids_minutes=None, clear_liquids_minutes=None))
    return in_words(letter, scene.call.now).body != in_words(unfed, scene.call.now).body


def _lines(scene: Scene, message: Message, other: Message) -> list[Stop]:
    """What is to be added for the other: nothing when both speak of the same visit, or it only takes something back."""
    visit = scene.visit_of(other)
    if visit is None or other.kind == CORRECTION or other.appointment_id == message.appointment_id:
        return []
    return [Stop(visit.starts_at, scene.name_of(visit), visit.time_zone)]


def _with(letter: Letter, also: list[Stop]) -> Letter:
    if not (also or letter.also):
        return letter
    return letter._replace(also=tuple(sorted(also, key=lambda stop: stop.starts_at)))


def _beside(scene: Scene, letter: Letter, others: Sequence[Message]) -> Letter:
    """The letter that holds while the others' visits stand as they do."""
    visits = [visit for other in others if (visit := scene.visit_of(other)) is not None]
    return letter._replace(beside={**letter.beside, **_standing(visits)}) if visits else letter


def _standing(visits: Iterable[Appointment]) -> dict[UUID, tuple[int, str, str | None]]:
    return {visit.id: (visit.sequence, visit.status, visit.outcome) for visit in visits}


def plain_letter(scene: Scene, message: Message, judgement: Send, token: UUID) -> Letter:
    """The letter by itself."""
    visit = scene.visit_of(message)
    assert visit is not None  # noqa: S101 - judged before
    person, context, organization = scene.person(message.patient_id), message.context, scene.organization
    patient, location = person.patient, scene.locations[visit.location_id]
    is_alone = message.appointment_id is not None and "visits" not in context
    page = shows_page(scene, message, judgement.channel)
    calendar, method = calendar_of(scene, message, visit, judgement.channel)
    return Letter(
        id=message.id,
        organization_id=message.organization_id,
        token=token,
        kind=message.kind,
        channel=judgement.channel,
        to=judgement.to,
        due_at=message.due_at,
        expires_at=message.expires_at,
        attempts=message.attempts,
        locales=person.locales,
        sender_name=organization.sender_name,
        phone=organization.phone,
        recipient_zone=patient.time_zone or visit.time_zone,
        time_zone=visit.time_zone,
        about=datetime.fromisoformat(context["about"]) if message.kind in CANCELLING else visit.starts_at,
        previous=datetime.fromisoformat(context["previous"]) if context.get("previous") else None,
        visit=scene.name_of(visit),
        location=location.name,
        address=location.address,
        told=scene.kind_of(visit).instructions,
        stops=() if is_alone else _stops(scene, message),
        turns=() if is_alone else turns_of(scene, message),
        own=scene.own.get(message.kind, {}),
        one_sms=person.basis == "exemption",
        link=link_of(scene, message, visit, judgement.channel, page=page),
        shows_page=page,
        owed_at=message.sequence if is_alone else None,
        context=context,
        calendar=calendar,
        method=method,
        patient_revision=patient.revision,
        beside={} if is_alone else _standing(_told_of(scene, message)),
    )


def _told_of(scene: Scene, message: Message) -> Sequence[Appointment]:
    """The visits of a message that is about several."""
    if "visits" in message.context:
        return [scene.appointments[UUID(entry["id"])] for entry in message.context["visits"]]
    return scene.stops_of(message)


def _stops(scene: Scene, message: Message) -> tuple[Stop, ...]:
    return tuple(Stop(visit.starts_at, scene.name_of(visit), visit.time_zone) for visit in scene.stops_of(message))


def turns_of(scene: Scene, message: Message) -> tuple[Turn, ...]:
    """What a message about several changes tells: each visit as it is by now beside what it was, where they differ."""
    found: list[Turn] = []
    for entry in message.context.get("visits", ()):
        was, now = was_of(entry), scene.stands_at(entry)
        if was != now:
            visit = scene.appointments[UUID(entry["id"])]
            found.append(Turn(was, now, scene.name_of(visit), visit.time_zone))
    return tuple(sorted(found, key=lambda turn: turn.now or turn.was or scene.call.now))
