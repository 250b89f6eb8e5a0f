"""What can be booked, and why something can't: reading only, by the same law as booking."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, lru_cache, partial
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.bitmap import SLOT, SLOT_MINUTES
from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound, Reason, Refused, together, whole
from scheduler.core.gathering import OpenGroup
from scheduler.core.localgrid import Wish, wished_starts
from scheduler.core.policies import Initiator
from scheduler.core.seating import Seating
from scheduler.core.visit import VisitType
from scheduler.services import course_rules
from scheduler.services.appointments import Participation, as_what, cut, in_time, participants, stays
from scheduler.services.calendars import Loaded
from scheduler.services.catalog import Kind
from scheduler.services.course_rules import Link
from scheduler.services.finding import Search, Wanted
from scheduler.services.objecting import check_pins, expect_patient, refuse_over
from scheduler.services.pins import Pin, pins_of, visit_keeps
from scheduler.services.premises import Premises, premises

#: The longest span one question may cover: half a year.
LONGEST_SPAN = timedelta(weeks=26)
#: Most answers are full within so many days: the others are read only for those that are not.
NEAR = timedelta(days=7)
QUARTER_HOURS = Wish(step=15)


@dataclass(frozen=True)
class Question:
    """Which starts are wanted: `since` to `until`, half-open, aware; `wish` holds wall times of the site."""

    visit_type: str
    location_id: UUID
    since: datetime
    until: datetime
    patient_id: UUID | None = None
    practitioner_ids: tuple[UUID, ...] = ()
    room_id: UUID | None = None
    device_id: UUID | None = None
    wish: Wish = QUARTER_HOURS
    exclude_appointment: UUID | None = None
    #: A hold of the asker's: its time counts as free.
    hold_id: UUID | None = None
    by: Initiator = "staff"
    #: Where the patient will be, for a visit by video.
    patient_region: str | None = None
    #: The session of a course whose visit is looked for: only what its course allows is offered.
    course_session_id: UUID | None = None


#: (kind, role, segment), from, to; counted from the visit's start.
Share = tuple[tuple[str, str, str], timedelta, timedelta]


@dataclass(frozen=True, eq=False)
class Party:
    """Who takes part in which segment of a visit, in the order in which they are listed.

    Where the same people serve at different starts it is mostly the same object.
    """

    shares: tuple[tuple[UUID, Share], ...]

    def at(self, start: datetime) -> tuple[Participation, ...]:
        """Those who take part in a visit that starts then."""
        return tuple(Participation(who, *what, start + first, start + past) for who, (what, first, past) in self.shares)


@dataclass(frozen=True)
class Offer:
    """A start that can be booked at once, and who would serve."""

    start: datetime
    end: datetime
    time_zone: str
    party: Party
    #: The group that would be joined, for a visit of several patients.
    group: OpenGroup | None = None

    @property
    def participants(self) -> tuple[Participation, ...]:
        """Who would serve, in time."""
        return self.party.at(self.start)


@dataclass(frozen=True)
class Explanation:
    """Whether a start can be booked, and every reason when it can't."""

    bookable: bool
    reasons: tuple[Reason, ...]


def search(session: Session, call: Call, question: Question, *, limit: int) -> tuple[list[Offer], datetime | None]:
    """Up to `limit` offers, earliest first, and the start from which to go on (None when there are no more).

    Raises Invalid for a span that is empty or longer than 26 weeks or a hold for somebody else, NotFound for an unknown
    location or patient, Refused (`hold_expired`, `group_called_off`) for a hold that is over.
    """
    whole(
        lambda: check_span(call, question.since, question.until),
        lambda: _look(session, call, question, call.now, call.now),
    )
    since, until = max(question.since, call.now), max(question.until, call.now)
    middle = min(since + NEAR, until)
    look, loaded = _look(session, call, question, since, middle, finding=True)
    found: list[Offer] = []
    for first, last in [(since, middle), (middle, until)] if middle < until else [(since, until)]:
        if first > since:
            loaded = look.load(first, last, before=loaded)
        for offer in _offers(look, loaded, question.wish, first, last):
            if len(found) == limit:
                return found, offer.start
            found.append(offer)
    return found, None


def check_span(_: Call, since: datetime, until: datetime) -> None:
    """Raises Invalid for a span that is empty or longer than 26 weeks."""
    if not since < until <= since + LONGEST_SPAN:
        detail = "The span must be longer than nothing and at most 26 weeks."
        raise Invalid([Fault("/to", "bad_span", detail)])


def _offers(look: Search, loaded: Loaded, wish: Wish, since: datetime, until: datetime) -> Iterator[Offer]:
    """Every start from `since` to `until`, half-open, earliest first."""
    timeline, zone = loaded.site.timeline, loaded.site.time_zone
    outline, minutes = _outline(look.kind.visit), timedelta(minutes=look.kind.visit.minutes)
    among = timeline.from_slot(timeline.slot_after(since)) & ~timeline.from_slot(timeline.slot_after(until))
    for slot, served in look.seats(loaded, among & wished_starts(wish, zone, timeline)):
        start = timeline.instant(slot)
        if isinstance(served, Seating):
            yield Offer(start, start + minutes, zone, _party(outline, served))
        else:
            people = participants(in_time(outline.segments, start), served.served)
            yield Offer(start, start + minutes, zone, _party_of(people, start), served)


@dataclass(frozen=True, eq=False)
class _Outline:
    """The segments of a visit type, as rows keep them; equal to none but itself, so that it is found fast."""

    segments: list[dict[str, Any]]

    @cached_property
    def edges(self) -> list[tuple[str, int, int, Collection[str]]]:
        """(name, first slot, past slot, needs), counted from the visit's start."""
        return [
            (each["name"], each["start"] // SLOT_MINUTES, each["end"] // SLOT_MINUTES, each["needs"])
            for each in self.segments
        ]


@lru_cache(maxsize=1024)
def _outline(visit: VisitType) -> _Outline:
    return _Outline(visit.outline())


@lru_cache(maxsize=8192)
def _party(outline: _Outline, served: Seating) -> Party:
    taken = stays((who, selector, first, past) for who, selector, first, past, *_ in served.pieces)
    found = [(who, share) for who, selector, pieces in taken for share in _shares(outline, selector, pieces)]
    return Party(tuple(sorted(found, key=lambda part: (part[1][1], part[1][0][:2], part[0].int))))


def _party_of(people: tuple[Participation, ...], start: datetime) -> Party:
    return Party(
        tuple(
            (who, ((kind, role, segment), since - start, until - start))
            for who, kind, role, segment, since, until in people
        )
    )


@lru_cache(maxsize=2048)
def _shares(outline: _Outline, selector: str, pieces: tuple[tuple[int, int], ...]) -> list[Share]:
    """As what somebody takes part in which segments. Most do so in the same as in the offer before."""
    kind, role = as_what(selector)
    return [
        ((kind, role, name), since * SLOT, until * SLOT) for name, since, until in cut(outline.edges, selector, pieces)
    ]


def explain(session: Session, call: Call, question: Question) -> Explanation:
    """Whether a visit can start at `question.since`, by the law that books it, and every reason why not.

    Raises LocalTimeFault as booking does, Invalid off the grid.
    """
    try:
        look, loaded = _look(session, call, question, question.since, question.since, exact=True)
    except Refused as refusal:  # the hold asked with is over
        return Explanation(bookable=False, reasons=refusal.reasons)
    _, start = look.when()
    clinic, slot = look.clinic(loaded), loaded.site.timeline.slot(start)
    if look.place(loaded, clinic, slot, look.joinable(loaded)) is not None:
        return Explanation(bookable=True, reasons=())
    reasons = look.why_not(loaded, clinic, slot)
    return Explanation(not reasons, reasons)


def _look(
    session: Session,
    call: Call,
    question: Question,
    start: datetime,
    end: datetime,
    *,
    finding: bool = False,
    exact: bool = False,
) -> tuple[Search, Loaded]:
    """The search that answers the question, and the calendars from `start` to `end`; `finding`: of who might serve.

    `exact`: just one start is asked about, which must be one.
    """
    at = premises(
        session,
        call,
        question.location_id,
        visit_type=question.visit_type,
        patient_id=question.patient_id,
        moving=question.exclude_appointment,
        hold_id=question.hold_id,
        course_session_id=question.course_session_id,
    )
    kind = at.asked_for
    wanted = Wanted(
        question.patient_id,
        question.visit_type,
        question.location_id,
        question.since,
        by=question.by,
        patient_region=question.patient_region,
        pencilled=at.moving == "pending",  # its gates bar its confirmation, and no time
    )
    look = Search(session, call, kind, wanted, None, question.exclude_appointment, question.hold_id, at)
    linked = partial(_linked, session, call, question, at)
    whole(partial(_check, question, look, exact=exact), linked)
    look = replace(look, rules=linked())
    asked = question.practitioner_ids or question.room_id or question.device_id  # whose names may be wrong
    kept = () if asked else pins_of(at)  # by a move, too, the old ones stay unless others are named
    narrow = finding and not asked and not kept and kind.visit.group is None
    loaded = look.load(start, end, narrow=narrow, groups_until=max(question.until, end) + SLOT)
    check_pins(loaded, kind, kept, kept_by=visit_keeps("/exclude_appointment"))
    return replace(look, wanted=replace(wanted, pins=kept or _pins(question, kind, loaded))), loaded


def _linked(session: Session, call: Call, question: Question, at: Premises) -> Link | None:
    """What its course has to say of the session asked about."""
    if question.course_session_id is None:
        return None
    return course_rules.link_of(
        session,
        call,
        at.course,
        question.course_session_id,
        question.patient_id,
        question.visit_type,
        moving=question.exclude_appointment is not None,
        pencilled=at.moving == "pending",
    )


def _check(question: Question, look: Search, *, exact: bool) -> None:
    """Raises Invalid or NotFound for all that the question names wrongly, whatever the calendars say."""
    together(
        partial(_expect_known, look),
        partial(_expect_hold, question, look),
        look.when if exact else look.agrees,
    )


def _expect_known(look: Search) -> None:
    if look.moving is not None and look.at is not None and look.at.moving is None:
        fault = Fault("/exclude_appointment", "unknown_appointment", "There is no such appointment.")
        raise NotFound(f"No appointment {look.moving}.", faults=[fault])


def _expect_hold(question: Question, look: Search) -> None:
    if question.hold_id is None or look.at is None:
        return
    if look.at.hold is None:
        raise NotFound("There is no such hold.")
    if question.patient_id is not None:
        expect_patient(look.at.hold, question.patient_id)
    refuse_over(look.call, look.at.hold)


def _pins(question: Question, kind: Kind, loaded: Loaded) -> tuple[Pin, ...]:
    """The people and things asked for, each for what they can serve; a role that none of them has stays open.

    Raises NotFound for someone who does not work at this location, Invalid when they can serve nothing in the visit.
    """
    taken = {thread.selector for thread in kind.demand.threads if not thread.present}
    pins = []
    for name, prefix, resource_id in (
        *(("practitioner_id", "role:", each) for each in question.practitioner_ids),
        *([("room_id", "room:", question.room_id)] if question.room_id else []),
        *([("device_id", "device:", question.device_id)] if question.device_id else []),
    ):
        calendar = loaded.site.calendars.get(resource_id)
        if calendar is None:
            detail = f"There is no resource {resource_id} at this location."
            raise NotFound(detail)
        able = {each for each in kind.demand.selectors & calendar.serves.keys() if each.startswith(prefix)}
        served = sorted(able & taken or able)  # whoever serves need not be the one who is present as well
        if not served:
            detail = f"Resource {resource_id} serves nothing that this visit needs."
            raise Invalid([Fault(f"/{name}", "no_such_need", detail)])
        pins += [Pin(selector, resource_id) for selector in served]
    return tuple(pins)
