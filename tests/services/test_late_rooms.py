"""Rooms are counted, not guessed: a visit is refused only when no way of seating everyone exists."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, func, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace, Refused
from scheduler.models import Appointment, Occupancy
from scheduler.services import appointments, availability, booking, holds, visit_day
from scheduler.services.busy import _memories as memories
from scheduler.services.finding import find
from scheduler.services.holds import HoldView
from scheduler.services.locks import bump_calendars
from scheduler.services.pins import Pin
from scheduler.services.settling import settle
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import book, overlaps, wanted

LENGTHS = (30, 60, 90)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """Three rooms alike, and visits of three lengths that need nothing else."""
    made = Clinic(engine)
    for minutes in LENGTHS:
        made.visit(visit_type(f"stay{minutes}", segment("stay", minutes, need("room:bay"))))
    for _ in range(3):
        made.room("bay")
    return made


def rooms_of(clinic: Clinic) -> dict[UUID, UUID]:
    with Session(clinic.engine) as session:
        owner = func.coalesce(Occupancy.appointment_id, Occupancy.hold_id).label("owner")
        rows = session.execute(select(owner, Occupancy.resource_id).where(Occupancy.role == "room:bay"))
        return {row.owner: row.resource_id for row in rows}


@pytest.mark.parametrize("seed", range(4))
def test_whoever_can_be_seated_is_booked_and_whoever_cannot_is_not(clinic: Clinic, seed: int) -> None:
    rng = random.Random(seed)
    patients = [clinic.patient() for _ in range(40)]
    booked: list[tuple[datetime, datetime]] = []
    refused = 0
    for patient in patients:
        minutes = rng.choice(LENGTHS)
        start = clinic.at("2030-03-04 09:00") + timedelta(minutes=5 * rng.randint(0, 50))
        end = start + timedelta(minutes=minutes)
        ticks = [start + timedelta(minutes=5 * i) for i in range(minutes // 5)]
        fits = all(sum(a <= tick < b for a, b in booked) < 3 for tick in ticks)
        local = f"{start.astimezone(datetime.fromisoformat('2030-03-04T00:00-05:00').tzinfo):%Y-%m-%d %H:%M}"
        if fits:
            book(clinic, patient, f"stay{minutes}", local)
            booked.append((start, end))
        else:
            with pytest.raises(Refused):
                book(clinic, patient, f"stay{minutes}", local)
            refused += 1
    assert refused > 3, "a test of refusals needs some"
    assert len(booked) > 5
    assert overlaps(clinic.engine) == 0


def scatter(clinic: Clinic) -> list[UUID]:
    """Each room is taken at some hour, so that none is free from nine to eleven though one always is."""
    times = ("09:00", "09:30", "10:00", "10:30")
    ids = [book(clinic, clinic.patient(), "stay30", f"2030-03-04 {start}").id for start in times]
    rooms = sorted(set(_all_rooms(clinic)))
    with Session(clinic.engine) as session:
        for place, key in enumerate(ids):
            moved = update(Occupancy).where(Occupancy.appointment_id == key, Occupancy.role == "room:bay")
            session.execute(moved.values(resource_id=rooms[place % 3]))
        bump_calendars(session, clinic.call, rooms)
        session.commit()
    return ids


def _all_rooms(clinic: Clinic) -> list[UUID]:
    from scheduler.models import Resource

    with Session(clinic.engine) as session:
        return list(session.scalars(select(Resource.id).where(Resource.kind == "room")))


def test_others_change_rooms_and_notice_nothing(clinic: Clinic) -> None:
    ids = scatter(clinic)
    before = {key: clinic.do(lambda s, c, key=key: appointments.get(s, c, key)) for key in ids}
    for _ in range(2):
        book(clinic, clinic.patient(), "stay90", "2030-03-04 09:15")
    after = {key: clinic.do(lambda s, c, key=key: appointments.get(s, c, key)) for key in ids}
    for key in ids:
        assert after[key].revision == before[key].revision
        assert (after[key].row.starts_at, after[key].row.sequence) == (before[key].row.starts_at, 0)
    assert overlaps(clinic.engine) == 0
    with pytest.raises(Refused):
        book(clinic, clinic.patient(), "stay30", "2030-03-04 09:15")


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("theirs", "lost"), [(("stay30", "14:00"), False), (("stay30", "09:15"), True)])
def test_rooms_that_changed_since_the_look_are_bound_as_they_are_by_then(
    clinic: Clinic, theirs: tuple[str, str], *, lost: bool
) -> None:
    """Nobody begins anew for another hour of the same rooms; where there is no way left, everything is tried again."""
    scatter(clinic)
    book(clinic, clinic.patient(), "stay90", "2030-03-04 09:15")
    asked = wanted(clinic, clinic.patient(), "stay90", "2030-03-04 09:15")
    with Session(clinic.engine) as session:
        found = find(session, clinic.call, asked)
        assert any(taking.pool for taking in found.takings)
        book(clinic, clinic.patient(), theirs[0], f"2030-03-04 {theirs[1]}")
        with pytest.raises(LostRace) if lost else nullcontext() as caught:
            settle(session, clinic.call, [(booking.draft(clinic.call, asked, found), found)])
            session.commit()
    if caught is not None:
        reason = caught.value.reason
        assert (reason.code, reason.role, reason.resource_id) == ("resource_busy", "bay", None), "any of them would do"
        assert (reason.start, reason.end) == (clinic.at("2030-03-04 09:15"), clinic.at("2030-03-04 10:45"))
    assert overlaps(clinic.engine) == 0


def test_what_is_offered_counts_the_pool_too(clinic: Clinic) -> None:
    scatter(clinic)
    start = clinic.at("2030-03-04 09:15")
    question = availability.Question("stay90", clinic.location_id, start, start + timedelta(minutes=5))
    [offer], _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=5))
    assert offer.start == start


def test_a_pinned_visit_stays_where_it_is(clinic: Clinic) -> None:
    """Pinned into each room in turn, the visits leave no way; one that is free to move leaves it."""
    rooms = _all_rooms(clinic)
    times = ("09:00", "09:30", "10:00")
    for room, start in zip(rooms, times, strict=True):
        book(clinic, clinic.patient(), "stay30", f"2030-03-04 {start}", pins=(Pin("room:bay", room),))
    with pytest.raises(Refused) as caught:
        book(clinic, clinic.patient(), "stay90", "2030-03-04 09:00")
    assert caught.value.code == "resource_busy"
    with Session(clinic.engine) as session:
        rows = session.execute(select(Occupancy.appointment_id, Occupancy.fixed).where(Occupancy.role == "room:bay"))
        fixed = {row.appointment_id: row.fixed for row in rows}
    assert list(fixed.values()).count(True) == 3
    cancelled = next(iter(fixed))
    assert cancelled is not None
    clinic.do(lambda s, c: booking.cancel(s, c, cancelled, reason="x", by="staff"))
    book(clinic, clinic.patient(), "stay90", "2030-03-04 09:00")


def test_others_make_way_for_whoever_asks_for_a_room(clinic: Clinic) -> None:
    """A room asked for by name is refused only when who sits there can sit nowhere else; then it is theirs."""
    first = book(clinic, clinic.patient(), "stay60", "2030-03-04 09:00")
    room = rooms_of(clinic)[first.id]
    pins = (Pin("room:bay", room),)
    start = clinic.at("2030-03-04 09:30")
    question = availability.Question("stay60", clinic.location_id, start, start + timedelta(minutes=5), room_id=room)
    [offer], _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=5))
    second = book(clinic, clinic.patient(), "stay60", "2030-03-04 09:30", pins=pins)
    assert (offer.start, rooms_of(clinic)[second.id]) == (start, room)
    assert rooms_of(clinic)[first.id] != room
    with pytest.raises(Refused) as caught:
        book(clinic, clinic.patient(), "stay60", "2030-03-04 10:00", pins=pins)
    assert caught.value.reasons[0].resource_id == room
    clinic.do(lambda s, c: visit_day.check_in(s, c, first.id), now=clinic.at("2030-03-04 08:55"))
    seat = rooms_of(clinic)[first.id]
    with pytest.raises(Refused):
        book(clinic, clinic.patient(), "stay30", "2030-03-04 09:15", pins=(Pin("room:bay", seat),))
    assert overlaps(clinic.engine) == 0


Bound = tuple[datetime, datetime, UUID | None]


def seatable(rooms: Sequence[UUID], stays: Sequence[Bound], seated: Sequence[Bound] = ()) -> bool:
    """By trying every room for every visit: whether all can sit, those that are bound to a room in it."""
    if not stays:
        return True
    (start, end, bound), *rest = stays
    return any(
        seatable(rooms, rest, (*seated, (start, end, room)))
        for room in (rooms if bound is None else [bound])
        if not any(a < end and start < b and there == room for a, b, there in seated)
    )


@pytest.mark.parametrize("seed", range(2))
def test_with_holds_rooms_by_name_and_people_in_them_all_and_only_the_seatable_are_taken(
    clinic: Clinic, seed: int
) -> None:
    """Visits and holds, some in rooms by name: held and booked, turned into each other, checked in, released."""
    rng = random.Random(seed)
    rooms = _all_rooms(clinic)
    known: dict[UUID, Bound] = {}
    held: dict[UUID, HoldView] = {}
    said: Counter[tuple[bool, bool, str]] = Counter()
    for _ in range(40):
        key = rng.choice(list(held or known)) if known and rng.random() < 0.3 else None
        if key is not None and key not in held:
            if known[key][2] is None:
                clinic.do(lambda s, c, key=key: visit_day.check_in(s, c, key), now=clinic.at("2030-03-04 08:00"))
                known[key] = (*known[key][:2], rooms_of(clinic)[key])
            continue
        if key is not None and rng.random() < 0.3:
            clinic.do(lambda s, c, key=key: holds.release(s, c, key, held[key].revision))
            del known[key], held[key]
            continue
        mine, ways = (held[key], ["use"]) if key is not None else (None, ["hold", "book", "book"])
        start = clinic.at("2030-03-04 09:00") + timedelta(minutes=15 * rng.randint(0, 16))
        minutes, room = rng.choice(LENGTHS), rng.choice(rooms) if rng.random() < 0.4 else None
        stay, way = (start, start + timedelta(minutes=minutes), room), rng.choice(ways)
        pins = () if room is None else (Pin("room:bay", room),)
        patient = clinic.patient() if mine is None else mine.row.patient_id
        asked = booking.Wanted(patient, f"stay{minutes}", clinic.location_id, start, pins=pins)
        fits = seatable(rooms, [*(known[each] for each in known if each != key), stay])
        try:
            taken = take(clinic, asked, way, mine)
        except Refused:
            assert not fits
        else:
            assert fits
            known[taken.id] = stay
            if way == "hold":
                held[taken.id] = taken
            if key is not None:
                del known[key], held[key]
        said[fits, room is not None, way] += 1
    assert len({each[:2] for each in said}) == 4, "rooms by name and others, taken and refused"
    assert {each[2] for each in said} == {"hold", "book", "use"}
    assert overlaps(clinic.engine) == 0
    seats = rooms_of(clinic)
    assert seats.keys() == known.keys()
    assert all(seats[key] == room for key, (_, _, room) in known.items() if room is not None)


def hold(clinic: Clinic, start: str, **more: Any) -> HoldView:
    asked = wanted(clinic, clinic.patient(), "stay30", start, **more)
    return clinic.do(lambda s, c: holds.create(s, c, asked))


def seen(clinic: Clinic, **more: Any) -> dict[UUID, list[datetime]]:
    """What each room is offered for."""
    found = {}
    for room in _all_rooms(clinic):
        day = clinic.at("2030-03-04 08:00"), clinic.at("2030-03-04 18:00")
        question = availability.Question("stay30", clinic.location_id, *day, room_id=room)
        offers, _ = clinic.do(lambda s, c, q=question: availability.search(s, c, q, limit=500), **more)
        found[room] = [offer.start for offer in offers]
    return found


def take(clinic: Clinic, asked: booking.Wanted, way: str, mine: HoldView | None) -> Any:
    """Hold it, book it, or book it with one's own hold."""
    if way == "hold":
        return clinic.do(lambda s, c: holds.create(s, c, asked))
    if mine is None:
        return clinic.do(lambda s, c: booking.book(s, c, asked))
    return clinic.do(lambda s, c: holds.book(s, c, asked, mine.id, mine.token))


class TestHoldsChangeRooms:
    """Kept at nine in one room, at half past in another, at ten in the third: who wants more has none as it stands."""

    @pytest.fixture
    def held(self, clinic: Clinic) -> list[HoldView]:
        starts = ("09:00", "09:30", "10:00")
        made = [hold(clinic, f"2030-03-04 {start}") for start in starts]
        rooms = sorted(_all_rooms(clinic))
        with Session(clinic.engine) as session:
            for place, each in enumerate(made):
                moved = update(Occupancy).where(Occupancy.hold_id == each.id, Occupancy.role == "room:bay")
                session.execute(moved.values(resource_id=rooms[place]))
            bump_calendars(session, clinic.call, rooms)
            session.commit()
        return made

    def test_for_whoever_needs_it_and_their_holders_notice_nothing(self, clinic: Clinic, held: list[HoldView]) -> None:
        for _ in range(2):
            book(clinic, clinic.patient(), "stay90", "2030-03-04 09:00")
        after = [clinic.do(lambda s, c, key=each.id: holds.get(s, c, key)) for each in held]
        assert [(each.revision, each.row.starts_at) for each in after] == [
            (each.revision, each.row.starts_at) for each in held
        ]
        assert overlaps(clinic.engine) == 0
        for each, start in zip(held, ("09:00", "09:30", "10:00"), strict=True):
            asked = wanted(clinic, each.row.patient_id, "stay30", f"2030-03-04 {start}")
            clinic.do(lambda s, c, a=asked, h=each: holds.book(s, c, a, h.id, h.token))
        assert overlaps(clinic.engine) == 0

    @pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
    @pytest.mark.parametrize("act", ["extend", "release", "use", "elsewhere"])
    def test_while_somebody_waits_for_their_locks(self, clinic: Clinic, held: list[HoldView], act: str) -> None:
        """Whoever read where a hold is before it was given another room looks again: no reader goes on with the old."""
        mine = held[2]
        same = wanted(clinic, mine.row.patient_id, "stay30", "2030-03-04 10:00")
        there = (Pin("room:bay", rooms_of(clinic)[mine.id]),)
        later = replace(same, start=clinic.at("2030-03-04 15:00"), pins=there)
        acts: dict[str, Callable[[Session, Call], Any]] = {
            "extend": lambda s, c: holds.extend(s, c, mine.id, token=mine.token, lasting=timedelta(minutes=25)),
            "release": lambda s, c: holds.release(s, c, mine.id, mine.revision),
            "use": lambda s, c: holds.book(s, c, same, mine.id, mine.token),
            "elsewhere": lambda s, c: holds.book(s, c, later, mine.id, mine.token),
        }
        tries = []

        def rebind(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if "FOR NO KEY UPDATE" in statement and "calendar_revision" in statement and not tries:
                tries.append(statement)
                before = rooms_of(clinic)[mine.id]
                for _ in range(2):
                    book(clinic, clinic.patient(), "stay90", "2030-03-04 09:00")
                seen(clinic)  # the calendars that are remembered are those of this moment
                assert rooms_of(clinic)[mine.id] != before

        event.listen(clinic.engine, "before_cursor_execute", rebind)
        try:
            clinic.do(acts[act])
        finally:
            event.remove(clinic.engine, "before_cursor_execute", rebind)
        assert tries
        assert overlaps(clinic.engine) == 0
        late = clinic.later(minutes=20 if act == "extend" else 4)
        remembered = seen(clinic, now=late)
        memories.pop(clinic.engine)
        assert remembered == seen(clinic, now=late)

    def test_one_that_is_over_is_in_nobodys_way(self, clinic: Clinic, held: list[HoldView]) -> None:
        late = clinic.later(minutes=5)
        for _ in range(3):
            asked = wanted(clinic, clinic.patient(), "stay90", "2030-03-04 09:00")
            clinic.do(lambda s, c, a=asked: booking.book(s, c, a), now=late)
        assert not {each.id for each in held} & rooms_of(clinic).keys()
        with pytest.raises(Refused, match="over"):
            clinic.do(lambda s, c: holds.extend(s, c, held[0].id, token=held[0].token), now=clinic.later(minutes=4))

    def test_but_not_if_they_were_held_by_name(self, clinic: Clinic) -> None:
        for room, start in zip(_all_rooms(clinic), ("09:00", "09:30", "10:00"), strict=True):
            hold(clinic, f"2030-03-04 {start}", pins=(Pin("room:bay", room),))
        with pytest.raises(Refused) as caught:
            book(clinic, clinic.patient(), "stay90", "2030-03-04 09:00")
        assert caught.value.code == "resource_busy"


def test_what_has_begun_is_not_moved_to_another_room(clinic: Clinic) -> None:
    ids = scatter(clinic)
    seated = rooms_of(clinic)[ids[0]]
    now = clinic.at("2030-03-04 09:05")
    for _ in range(2):
        start = clinic.at("2030-03-04 09:10")
        wanted = booking.Wanted(clinic.patient(), "stay90", clinic.location_id, start)
        try:
            clinic.do(lambda s, c, wanted=wanted: booking.book(s, c, wanted), now=now)
        except Refused:
            continue
    assert rooms_of(clinic)[ids[0]] == seated
    assert overlaps(clinic.engine) == 0


def test_a_course_of_events_leaves_everyone_seated(clinic: Clinic) -> None:
    """Bookings, moves and cancellations at random: nobody overlaps, and every living visit has one room."""
    rng = random.Random(11)
    living: list[UUID] = []
    for step, minutes in product(range(12), LENGTHS):
        start = f"2030-03-04 {9 + rng.randint(0, 4):02d}:{rng.choice((0, 15, 30, 45)):02d}"
        try:
            if living and step % 3 == 1:
                key = rng.choice(living)
                clinic.do(lambda s, c, key=key, to=start: booking.reschedule(s, c, key, clinic.at(to)))
            elif living and step % 3 == 2:
                key = living.pop(rng.randrange(len(living)))
                clinic.do(lambda s, c, key=key: booking.cancel(s, c, key, reason="x", by="staff"))
            else:
                living.append(book(clinic, clinic.patient(), f"stay{minutes}", start).id)
        except Refused:
            continue
    assert overlaps(clinic.engine) == 0
    assert set(rooms_of(clinic)) == set(living)
    with Session(clinic.engine) as session:
        booked = session.scalars(select(Appointment.id).where(Appointment.status == "booked")).all()
    assert set(booked) == set(living)
