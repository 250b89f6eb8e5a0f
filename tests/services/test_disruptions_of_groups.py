"""Somebody whom a group needs falls ill, or its room is closed: others serve all of it then, or each visit is named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, PlanStale, Refused
from scheduler.core.intervals import Span
from scheduler.models import Absence, Message, Occupancy, Resource
from scheduler.services import appointments, availability, board, booking, disruptions, feeds, visit_day, visit_types
from scheduler.services.appointments import AppointmentView
from scheduler.services.availability import Question
from scheduler.services.disruptions import Accepted, Offer
from scheduler.services.pins import Pin
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.coursework import accept as book
from tests.coursework import approve, course, offer
from tests.desk import book as by_hand
from tests.desk import count
from tests.services.test_disruptions import open_tasks
from tests.services.test_plans_join_groups import (
    CIRCLE,
    FIRST,
    HOURS,
    THERAPIST,
    circles,
    in_order,
    join,
    sound,
    therapists,
    with_circles,
)
from tests.services.test_video_visits import license_roles

DAY = FIRST[:10]
#: Two facilitators.
LED_BY_TWO = CIRCLE | {
    "segments": [
        segment("circle", 60, need(THERAPIST, count=2), need("room:group")),
        segment("tidy", 15, need("room:group"), patient=False),
    ]
}

#: A therapist with two places holds it beside a group.
CHAT = visit_type("chat", segment("chat", 30, need(THERAPIST, "shared")))
#: A group that leaves its therapist a place.
SHARED = CIRCLE | {"segments": [segment("circle", 60, need(THERAPIST, "shared"), need("room:group"))]}


def changed(clinic: Clinic, document: dict[str, Any]) -> None:
    """The visit type as it is from now on."""
    known = clinic.do(lambda s, c: visit_types.listing(s, c).items)
    [old] = [each for each in known if each.code == document["code"]]
    clinic.do(lambda s, c: visit_types.change(s, c, old.id, old.revision, document))


def ill(clinic: Clinic, who: UUID, reason: str = "ill") -> Offer:
    day = clinic.at("2030-03-06 00:00")
    return clinic.do(lambda s, c: disruptions.offer(s, c, who, day, day + timedelta(days=1), reason))


def accept(clinic: Clinic, found: Offer, *ids: UUID) -> Accepted:
    with in_order(clinic):
        return clinic.do(lambda s, c: disruptions.accept(s, c, found.token, appointment_ids=ids, everything=not ids))


def told(found: Offer) -> dict[UUID, tuple[str, str]]:
    return {line.appointment_id: (line.outcome, line.code) for line in found.lines}


def all_of(group: Sequence[AppointmentView], outcome: str, code: str) -> dict[UUID, tuple[str, str]]:
    return {each.id: (outcome, code) for each in group}


def now(clinic: Clinic, group: Sequence[AppointmentView]) -> list[AppointmentView]:
    return clinic.do(lambda s, c: [appointments.get(s, c, each.id) for each in group])


def served(views: Sequence[AppointmentView]) -> set[UUID]:
    """Who and what serves all of them, who are served alike."""
    [found] = {frozenset(each.resource_id for each in view.participants) for view in views}
    return set(found)


def rooms(clinic: Clinic) -> set[UUID]:
    with Session(clinic.engine) as session:
        return set(session.scalars(select(Resource.id).where(Resource.kind == "room")))


def circle_of(clinic: Clinic, size: int) -> list[AppointmentView]:
    return [join(clinic) for _ in range(size)]


def led_by_two(engine: Engine, therapists: int, rooms: int = 1) -> Clinic:
    made = with_circles(engine, therapists, rooms)
    changed(made, LED_BY_TWO)
    return made


def carried(clinic: Clinic) -> set[UUID | None]:
    """The visits that take up anything but their patient."""
    wanted = select(Occupancy.appointment_id).where(Occupancy.role != "patient", Occupancy.absence_id.is_(None))
    with Session(clinic.engine) as session:
        return set(session.scalars(wanted))


def test_another_facilitator_leads_the_whole_group_at_its_time(engine: Engine) -> None:
    clinic = led_by_two(engine, 3)
    group = circle_of(clinic, 3)
    before, messages, carrier = served(group), count(clinic, Message), carried(clinic)
    who = min(therapists(clinic, group[0]))
    found = ill(clinic, who)
    assert told(found) == all_of(group, "kept", "stands_in")
    assert {line.group_id for line in found.lines} == {group[0].row.group_id}
    assert {line.after for line in found.lines} == {()}
    assert count(clinic, Absence) == 0, "an offer writes nothing"
    done = accept(clinic, found, group[1].id)
    assert ({line.appointment_id for line in done.done}, done.open) == ({each.id for each in group}, ())
    after = now(clinic, group)
    assert served(after) == set(found.lines[0].people)
    assert (before - served(after), len(served(after) - before)) == ({who}, 1), (
        "the other facilitator and the room stay"
    )
    assert [(each.row.starts_at, each.row.sequence, each.row.group_id) for each in after] == [
        (each.row.starts_at, 0, each.row.group_id) for each in group
    ]
    assert (count(clinic, Message), open_tasks(clinic), carried(clinic)) == (messages, set(), carrier)
    sound(clinic)


def test_boards_and_calendars_show_who_leads_it_now(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    group = circle_of(clinic, 2)
    [who] = therapists(clinic, group[0])
    found = ill(clinic, who)
    accept(clinic, found)
    [stands_in] = therapists(clinic, now(clinic, group)[1])
    day = clinic.do(lambda s, c: board.day(s, c, clinic.location_id, clinic.at(FIRST).date()))
    assert {each.view.id: therapists(clinic, each.view) for each in day.visits} == {
        each.id: {stands_in} for each in group
    }
    lanes = {lane.id: [span.kind for span in lane.taken] for lane in day.lanes}
    assert (lanes[who], lanes[stands_in]) == (["absence"], ["visit"])
    for person, seen in ((who, 0), (stands_in, 1)):
        row, _ = clinic.do(lambda s, c, person=person: feeds.create(s, c, resource_id=person))  # type: ignore[misc]
        shown = clinic.do(lambda s, c, row=row: feeds.show(s, c, row))  # type: ignore[misc]
        assert len(shown.entries) == seen


def test_a_group_whose_room_is_closed_meets_in_another(engine: Engine) -> None:
    clinic = with_circles(engine, 1, 2)
    group = circle_of(clinic, 3)
    [old] = rooms(clinic) & served(group)
    found = ill(clinic, old, "The ceiling leaks.")
    assert told(found) == all_of(group, "kept", "stands_in")
    accept(clinic, found)
    assert served(now(clinic, group)) == therapists(clinic, group[0]) | rooms(clinic) - {old}
    with Session(clinic.engine) as session:
        fixed = session.scalars(select(Occupancy.fixed).where(Occupancy.role == "room:group"))
        assert set(fixed) == {True}, "the room of a group is not changed for another"
    sound(clinic)


def test_where_nobody_can_each_visit_is_named_and_becomes_a_task(engine: Engine) -> None:
    clinic = with_circles(engine, 1)
    group = circle_of(clinic, 2)
    [who] = therapists(clinic, group[0])
    found = ill(clinic, who)
    assert told(found) == all_of(group, "broken", "group")
    [detail] = {line.detail for line in found.lines}
    assert detail.startswith("Nobody else, or nothing else, is free to serve its group at its time.")
    with pytest.raises(Invalid):
        accept(clinic, found, group[0].id)
    accept(clinic, found)
    assert open_tasks(clinic) == {each.id for each in group}
    assert served(now(clinic, group)) == served(group)


def test_when_the_stand_in_was_booked_by_hand_nothing_changes_and_a_fresh_repair_is_made(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    group = circle_of(clinic, 2)
    [who] = therapists(clinic, group[0])
    found = ill(clinic, who)
    [stands_in] = set(found.lines[0].people) - served(group)
    by_hand(clinic, clinic.patient(), "talk", FIRST, pins=(Pin(THERAPIST, stands_in),))
    with pytest.raises(PlanStale, match="finds nobody any more"):
        accept(clinic, found)
    assert (served(now(clinic, group)), count(clinic, Absence)) == (served(group), 0)
    fresh = clinic.do(lambda s, c: disruptions.anew(s, c, found.token))
    assert told(fresh) == all_of(group, "broken", "group")
    third = clinic.staff("therapist", hours=HOURS)
    accept(clinic, found)
    assert therapists(clinic, now(clinic, group)[0]) == {third}, "the same repair, with whoever is free"
    sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_who_joined_or_left_meanwhile_makes_the_repair_stale(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    group = circle_of(clinic, 2)
    found = ill(clinic, *therapists(clinic, group[0]))
    late = join(clinic)
    with pytest.raises(PlanStale, match="Somebody joined a group"):
        accept(clinic, found)
    fresh = clinic.do(lambda s, c: disruptions.anew(s, c, found.token))
    assert told(fresh) == all_of([*group, late], "kept", "stands_in")
    clinic.do(lambda s, c: booking.cancel(s, c, group[0].id, reason="ill", by="patient"))
    with pytest.raises(PlanStale, match="has changed since"):
        accept(clinic, fresh)
    accept(clinic, clinic.do(lambda s, c: disruptions.anew(s, c, found.token)))
    assert len(served(now(clinic, [group[1], late]))) == 2
    sound(clinic)


def test_whoever_leaves_afterwards_leaves_the_others_what_it_carries(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    group = circle_of(clinic, 3)
    accept(clinic, ill(clinic, *therapists(clinic, group[0])))
    after = served(now(clinic, group))
    for _ in range(2):
        [carrier] = carried(clinic)
        clinic.do(lambda s, c, key=carrier: booking.cancel(s, c, key, reason="ill", by="patient"))  # type: ignore[misc]
        group = [each for each in group if each.id != carrier]
        assert served(now(clinic, group)) == after
        sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_of_groups_that_want_the_same_stand_in_the_largest_has_them(engine: Engine) -> None:
    """Two circles at once under one therapist, who has two places; whoever stands in has one."""
    clinic = with_circles(engine, 0, 2)
    changed(clinic, SHARED)
    who = clinic.staff("therapist", hours=HOURS, units=2)
    first, large = circle_of(clinic, 3), circle_of(clinic, 3)
    for each in first[:2]:
        clinic.do(lambda s, c, key=each.id: booking.cancel(s, c, key, reason="ill", by="patient"))  # type: ignore[misc]
    small = first[2:]
    assert served(large) & served(small) == {who}
    clinic.staff("therapist", hours=HOURS)
    found = ill(clinic, who)
    assert told(found) == all_of(large, "kept", "stands_in") | all_of(small, "broken", "group")
    accept(clinic, found)
    assert open_tasks(clinic) == {small[0].id}
    sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_search_gives_a_group_the_stand_in_of_a_visit_that_can_move(engine: Engine) -> None:
    """One visit after the other, whoever begins first has the only one who is free."""
    clinic = with_circles(engine, 0, 1)
    clinic.visit(CHAT)
    changed(clinic, SHARED)
    hours = week("09:30", "11:15", ("wed",))
    who = clinic.staff("therapist", hours=hours, units=2)
    chat = by_hand(clinic, clinic.patient(), "chat", "2030-03-06 09:45")
    group = circle_of(clinic, 3)
    clinic.staff("therapist", hours=hours)
    day = Span(clinic.at("2030-03-06 00:00"), clinic.at("2030-03-07 00:00"))
    search = clinic.do(lambda s, c: disruptions.begin(s, c, who, day, rounds=20))
    assert list(search.steps())
    assert (search.total.lost, search.one_by_one.lost, search.alone.lost) == (0, 3, 0)
    found = clinic.do(lambda s, c: disruptions.keep(s, c, who, day, "ill", search.lines))
    assert told(found) == all_of(group, "kept", "stands_in") | {chat.id: ("moved", "nobody_stands_in")}
    accept(clinic, found)
    sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_nobody_leads_a_group_in_which_a_course_requires_the_same_person(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    approve(clinic, circles(continuity=["therapist"]))
    other = join(clinic)
    made = course(clinic, continuity="required")
    [mine] = book(clinic, made.id, offer(clinic, made.id)[0].token)
    found = ill(clinic, *therapists(clinic, other))
    assert told(found) == {mine.id: ("broken", "same_person"), other.id: ("broken", "group")}
    [detail] = {line.detail for line in found.lines if line.appointment_id == other.id}
    assert "another patient in the group requires the same person" in detail
    room = rooms(clinic).pop()
    clinic.room("group")
    assert told(ill(clinic, room)) == all_of([mine, other], "kept", "stands_in"), "rooms are nobody's"


def test_courses_of_a_group_that_two_lead_require_none_of_them(engine: Engine) -> None:
    clinic = led_by_two(engine, 3)
    approve(clinic, circles(continuity=["therapist"]))
    made = [course(clinic, continuity="required").id for _ in range(2)]
    group = [book(clinic, each, offer(clinic, each)[0].token)[0] for each in made]
    found = ill(clinic, min(therapists(clinic, group[0])))
    assert told(found) == all_of(group, "kept", "stands_in")
    accept(clinic, found, group[1].id)
    assert served(now(clinic, group)) == set(found.lines[0].people)
    sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_whom_somebody_asked_for_by_name_stays_unless_they_are_away(engine: Engine) -> None:
    clinic = with_circles(engine, 1, 2)
    first = join(clinic)
    [who], [room] = therapists(clinic, first), rooms(clinic) & served([first])
    named = join(clinic, pins=(Pin(THERAPIST, who), Pin("room:group", room)))
    clinic.staff("therapist", hours=HOURS)
    accept(clinic, ill(clinic, who))
    assert rooms(clinic) & served(now(clinic, [first, named])) == {room}
    [after] = now(clinic, [named])
    assert [pin["resource_id"] for pin in after.row.pins] == [str(room)]
    sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_group_of_which_a_visit_has_begun_is_left_to_whoever_is_there(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    group = circle_of(clinic, 2)
    clinic.do(lambda s, c: visit_day.check_in(s, c, group[0].id), now=clinic.at(FIRST))
    found = ill(clinic, *therapists(clinic, group[0]))
    assert told(found) == all_of(group, "broken", "under_way")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_group_that_is_not_what_its_type_says_by_now_is_left_to_the_staff(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    group = circle_of(clinic, 2)
    changed(clinic, CIRCLE | {"segments": [segment("circle", 75, need(THERAPIST), need("room:group"))]})
    found = ill(clinic, *therapists(clinic, group[0]))
    assert told(found) == all_of(group, "broken", "group")
    assert all("not what its visit type says" in line.detail for line in found.lines)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_by_video_whoever_stands_in_is_licensed_where_each_of_the_patients_is(engine: Engine) -> None:
    clinic = Clinic(engine)
    call = segment("call", 60, need(THERAPIST))
    clinic.visit(visit_type("circle", call, kind="group", group=CIRCLE["group"], video=True, psychotherapy=True))
    who, here, both = (clinic.staff("therapist", hours=HOURS) for _ in range(3))
    license_roles(clinic, who, "US")
    group = [join(clinic, patient_region=region) for region in ("US-NY", "US-NJ")]
    license_roles(clinic, here, "US-NY")
    assert told(ill(clinic, who)) == all_of(group, "broken", "group")
    license_roles(clinic, both, "US-NJ", "US-NY")
    accept(clinic, ill(clinic, who))
    assert served(now(clinic, group)) == {both}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_others_join_it_as_before(engine: Engine) -> None:
    clinic = with_circles(engine, 2)
    group = circle_of(clinic, 2)
    accept(clinic, ill(clinic, *therapists(clinic, group[0])))
    asked = Question("circle", clinic.location_id, clinic.at(FIRST), clinic.at(FIRST) + timedelta(minutes=5))
    [found], _ = clinic.do(lambda s, c: availability.search(s, c, asked, limit=9))
    assert found.group is not None
    assert served(now(clinic, [*group, join(clinic)])) == served(now(clinic, group))
    sound(clinic)


# --- the law, by brute force


def free(clinic: Clinic, kind: str, start: str, minutes: int) -> set[UUID]:
    """Who or what of that kind nobody has then, by the rows."""
    since = clinic.at(start)
    meets = Occupancy.starts_at < since + timedelta(minutes=minutes), Occupancy.ends_at > since
    with Session(clinic.engine) as session:
        taken = set(session.scalars(select(Occupancy.resource_id).where(*meets)))
        return set(session.scalars(select(Resource.id).where(Resource.kind == kind))) - taken


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_group_is_served_anew_wherever_it_can_be(engine: Engine, seed: int) -> None:
    random = Random(seed)
    clinic = with_circles(engine, random.choice((1, 2, 3)), random.choice((1, 2)), week("10:00", "12:30", ("wed",)))
    group = circle_of(clinic, random.choice((1, 2, 3)))
    for start in random.sample(("10:00", "10:30", "11:00", "11:15"), 3):
        with suppress(Refused):
            by_hand(clinic, clinic.patient(), random.choice(("talk", "circle")), f"{DAY} {start}")
    kind, minutes = random.choice((("practitioner", 60), ("room", 75)))
    [who] = {"practitioner": therapists(clinic, group[0]), "room": rooms(clinic) & served(group)}[kind]
    others = free(clinic, kind, FIRST, minutes)
    found = clinic.do(
        lambda s, c: disruptions.offer(s, c, who, clinic.at(FIRST), clinic.at(FIRST) + timedelta(hours=1), "ill")
    )
    mine = {line.group_id: line.outcome for line in found.lines}
    assert mine[group[0].row.group_id] == ("kept" if others else "broken")
    accept(clinic, found)
    assert (who in served(now(clinic, group))) is not bool(others)
    sound(clinic)
