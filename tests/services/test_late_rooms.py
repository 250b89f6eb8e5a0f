"""Rooms are counted, not guessed: a visit is refused only when no way of seating everyone exists."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.core.errors import LostRace, Refused
from scheduler.models import Appointment, Occupancy
from scheduler.services import appointments, availability, booking, visit_day
from scheduler.services.finding import Pin, find
from scheduler.services.locks import bump_calendars
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


def rooms_of(clinic: Clinic) -> dict[UUID | None, UUID]:
    with Session(clinic.engine) as session:
        rows = session.execute(
            select(Occupancy.appointment_id, Occupancy.resource_id).where(Occupancy.role == "room:bay")
        )
        return {row.appointment_id: row.resource_id for row in rows}


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
        with pytest.raises(LostRace) if lost else nullcontext():
            settle(session, clinic.call, [(booking.draft(clinic.call, asked, found), found)])
            session.commit()
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


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(3))
def test_with_rooms_by_name_and_people_in_them_still_all_and_only_the_seatable_are_booked(
    clinic: Clinic, seed: int
) -> None:
    rng = random.Random(seed)
    rooms = _all_rooms(clinic)
    known: dict[UUID, Bound] = {}
    said: Counter[tuple[bool, bool]] = Counter()
    for _ in range(32):
        if known and rng.random() < 0.2:
            key = rng.choice(list(known))
            if known[key][2] is None:
                clinic.do(lambda s, c, key=key: visit_day.check_in(s, c, key), now=clinic.at("2030-03-04 08:00"))
                known[key] = (*known[key][:2], rooms_of(clinic)[key])
            continue
        start = clinic.at("2030-03-04 09:00") + timedelta(minutes=15 * rng.randint(0, 16))
        minutes, room = rng.choice(LENGTHS), rng.choice(rooms) if rng.random() < 0.4 else None
        stay = start, start + timedelta(minutes=minutes), room
        pins = () if room is None else (Pin("room:bay", room),)
        asked = booking.Wanted(clinic.patient(), f"stay{minutes}", clinic.location_id, start, pins=pins)
        fits = seatable(rooms, [*known.values(), stay])
        try:
            key = clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked).id)
        except Refused:
            assert not fits
        else:
            assert fits
            known[key] = stay
        said[fits, room is not None] += 1
    assert len(said) == 4, "rooms by name and others, booked and refused"
    assert overlaps(clinic.engine) == 0
    seats = rooms_of(clinic)
    assert all(seats[key] == room for key, (_, _, room) in known.items() if room is not None)


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
