"""What is taken, as read from rows in lines of slots, against the rows themselves; on both databases."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.bitmap import SLOT, Timeline, bits
from scheduler.core.intervals import Span
from scheduler.models import Absence, Resource
from scheduler.services.busy import Busy, busy
from scheduler.services.locks import bump_calendars
from tests.plumbing.clock import NOON
from tests.plumbing.scene import Scene, local

DAYS = 3
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene.begin(engine)


def slots_of(timeline: Timeline, start: datetime, end: datetime) -> set[int]:
    return {
        slot for slot in range(timeline.slots) if timeline.instant(slot) < end and start < timeline.instant(slot) + SLOT
    }


def read(scene: Scene, *ids: UUID, timeline: Timeline) -> dict[UUID, Busy]:
    def act(session: Session, call: object) -> dict[UUID, Busy]:
        rows = session.execute(select(Resource.id, Resource.calendar_revision).where(Resource.id.in_(ids)))
        return busy(session, scene.call, timeline, {row.id: row.calendar_revision for row in rows})[0]

    found: dict[UUID, Busy] = scene.do(act)
    return found


@pytest.mark.parametrize("offset", [0, 1, 299_999_999, 300_000_000, 123_456_789_000])
def test_a_slot_is_taken_by_whatever_touches_it(scene: Scene, offset: int) -> None:
    nurse = scene.practitioner(scene.location().id, "nurse")
    start = NOON + timedelta(microseconds=offset)
    end = start + timedelta(minutes=5)
    mine = {"organization_id": scene.call.organization_id, "resource_id": nurse.id, "created_at": NOON}
    scene.do(lambda session, _call: session.add(Absence(starts_at=start, ends_at=end, **mine)))
    timeline = Timeline.covering(NOON, end)
    found = read(scene, nurse.id, timeline=timeline)[nurse.id]
    assert set(bits(found.absent)) == slots_of(timeline, start, end)


@pytest.mark.parametrize("seed", range(3))
def test_lines_say_what_the_rows_say(scene: Scene, seed: int) -> None:
    rng = random.Random(seed)
    site = scene.location()
    nurse = scene.practitioner(site.id, "nurse", units=2)
    first = local("2030-03-04T08:00")
    timeline = Timeline.covering(first, first + timedelta(days=DAYS - 1))
    taken: dict[int, set[int]] = {0: set(), 1: set()}
    for _ in range(25):
        minutes, unit = 5 * rng.randint(1, 30), rng.randint(0, 1)
        at = first + timedelta(minutes=5 * rng.randint(-300, DAYS * 288))
        slots = {timeline.slot(at) + ordinal for ordinal in range(minutes // 5)}
        if not slots & taken[unit]:
            wall = f"{at.astimezone(first.tzinfo) - timedelta(hours=5):%Y-%m-%dT%H:%M}"
            scene.visit(site.id, wall, (nurse.id, "role:nurse"), minutes=minutes, unit=unit)
            taken[unit] |= slots
    inside = {unit: {slot for slot in slots if 0 <= slot < timeline.slots} for unit, slots in taken.items()}
    lanes = read(scene, nurse.id, timeline=timeline)[nurse.id].lanes
    assert {unit: set(bits(lanes.get(unit, 0))) for unit in taken} == inside


def test_a_room_knows_whose_its_slots_are(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id)
    visit_id = scene.visit(site.id, "2030-03-04T09:00", (room.id, "room:infusion"))
    timeline = Timeline.covering(local("2030-03-04T08:00"), local("2030-03-04T18:00"))
    [stay] = read(scene, room.id, timeline=timeline)[room.id].stays
    assert (UUID(str(stay.key)), stay.room, stay.end - stay.start, stay.fixed) == (visit_id, room.id, 12, False)
    freed = scene.do(lambda session, call: busy(session, call, timeline, {}, [visit_id])).freed
    without = read(scene, room.id, timeline=timeline)[room.id].standing(NOON, {visit_id}, freed[room.id])
    assert (without.lanes, list(without.stays)) == ({0: 0}, [])


def test_a_room_that_has_two_at_once_knows_who_has_the_first_place(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id, units=2)
    first, _, third = (
        scene.visit(site.id, f"2030-03-04T{hour}:00", (room.id, "room:infusion"), unit=unit)
        for hour, unit in (("09", 0), ("10", 1), ("11", 0))
    )
    timeline = Timeline.covering(local("2030-03-04T08:00"), local("2030-03-04T18:00"))
    known = read(scene, room.id, timeline=timeline)[room.id]
    assert {UUID(str(stay.key)): timeline.instant(stay.start) for stay in known.stays} == {
        first: local("2030-03-04T09:00"),
        third: local("2030-03-04T11:00"),
    }
    assert {unit: lane.bit_count() for unit, lane in known.lanes.items()} == {0: 24, 1: 12}


def test_a_hold_counts_until_it_expires(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id)
    hold_id = scene.hold(site.id, "2030-03-04T09:00", room.id, expires_at=LATER)
    timeline = Timeline.covering(local("2030-03-04T08:00"), local("2030-03-04T18:00"))
    known = read(scene, room.id, timeline=timeline)[room.id]
    slots = slots_of(timeline, local("2030-03-04T09:00"), local("2030-03-04T10:00"))
    assert set(bits(known.standing(NOON, (), ()).lanes[0])) == slots
    assert [stay.fixed for stay in known.standing(NOON, (), ()).stays] == [False]
    assert set(bits(known.standing(LATER - timedelta(microseconds=1), (), ()).lanes[0])) == slots
    assert known.standing(LATER, (), ()).lanes.get(0, 0) == 0
    assert known.standing(NOON, {hold_id}, ()).lanes.get(0, 0) == 0


def test_what_is_remembered_is_read_anew_after_a_change(scene: Scene) -> None:
    site = scene.location()
    nurse = scene.practitioner(site.id, "nurse")
    timeline = Timeline.covering(local("2030-03-04T08:00"), local("2030-03-04T18:00"))
    before = read(scene, nurse.id, timeline=timeline)[nurse.id]
    assert read(scene, nurse.id, timeline=timeline)[nurse.id] is before
    scene.visit(site.id, "2030-03-04T09:00", (nurse.id, "role:nurse"))
    assert read(scene, nurse.id, timeline=timeline)[nurse.id] is before, "nobody said that it has changed"
    scene.do(lambda session, call: bump_calendars(session, call, [nurse.id]))
    assert read(scene, nurse.id, timeline=timeline)[nurse.id].lanes[0] == timeline.touched(
        [Span(local("2030-03-04T09:00"), local("2030-03-04T10:00"))]
    )
