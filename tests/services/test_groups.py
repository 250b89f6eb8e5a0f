"""Groups: several patients in one visit, one room and two facilitators for all, never more than there are places."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.errors import IllegalTransition, Invalid, LostRace, Refused
from scheduler.models import Appointment, Group, GroupPlace, Occupancy, Task
from scheduler.services import (
    absences,
    availability,
    booking,
    groups,
    holds,
    meetings,
    resources,
    visit_day,
    visit_types,
    waitlist,
)
from scheduler.services.appointments import AppointmentView
from scheduler.services.availability import Offer, Question
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import book, count, overlaps, refused, wanted

CIRCLE = visit_type(
    "circle",
    segment("circle", 90, need("role:therapist", count=2), need("room:group")),
    segment("tidy", 15, need("room:group"), patient=False),
    kind="group",
    group={"minimum": 2, "maximum": 3, "decide_hours": 24},
)
START = "2030-03-06 10:00"


def for_circles(engine: Engine, at_once: int = 1) -> Clinic:
    """A clinic with staff and rooms for so many circles at the same time."""
    made = Clinic(engine)
    made.visit(CIRCLE)
    for _ in range(at_once):
        made.staff("therapist")
        made.staff("therapist")
        made.room("group")
    return made


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return for_circles(engine)


def join(clinic: Clinic, start: str = START, **more: object) -> AppointmentView:
    return book(clinic, clinic.patient(), "circle", start, **more)


def shared(clinic: Clinic) -> dict[UUID, set[str]]:
    """Appointment to what it carries for its group."""
    with Session(clinic.engine) as session:
        rows = session.execute(
            select(Occupancy.appointment_id, Occupancy.role).where(
                Occupancy.role != "patient", Occupancy.appointment_id.is_not(None)
            )
        )
        found: dict[UUID, set[str]] = {}
        for key, role in rows:
            assert key is not None
            found.setdefault(key, set()).add(role)
        return found


def offers(clinic: Clinic, patient_id: UUID | None = None) -> dict[str, Offer]:
    span = clinic.at("2030-03-06 00:00"), clinic.at("2030-03-07 00:00")
    question = Question("circle", clinic.location_id, *span, patient_id=patient_id)
    found, _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=200))
    return {f"{offer.start.astimezone(clinic.at(START).tzinfo):%H:%M}": offer for offer in found}


def at(clinic: Clinic, found: dict[str, Offer], start: str) -> Offer | None:
    return next((offer for offer in found.values() if offer.start == clinic.at(start)), None)


def test_a_group_is_occupied_once_and_filled_to_its_places(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(3)]
    assert len({visit.row.group_id for visit in visits}) == 1
    assert [len(each) for each in shared(clinic).values()] == [2]  # therapists and the room, by one visit
    served = {frozenset(part.resource_id for part in visit.participants) for visit in visits[1:]}
    assert len(served) == 1
    assert len(next(iter(served))) == 3
    fourth = clinic.patient()
    refusal = refused(clinic, fourth, "circle", START)
    assert refusal.code == "group_full"
    assert refusal.reasons[0].detail == "All 3 places of the group at that time are taken."
    assert {reason.code for reason in refusal.reasons[1:]} == {"resource_busy"}, "nor can another begin then"
    question = Question("circle", clinic.location_id, clinic.at(START), clinic.at(START), patient_id=fourth)
    assert clinic.do(lambda s, c: availability.explain(s, c, question)).reasons == refusal.reasons
    assert count(clinic, Group) == 1
    assert overlaps(clinic.engine) == 0


def test_availability_shows_groups_with_room_and_where_a_new_one_can_begin(clinic: Clinic) -> None:
    first = join(clinic)
    found = offers(clinic, clinic.patient())
    there, new = at(clinic, found, START), at(clinic, found, "2030-03-06 13:00")
    assert there is not None
    assert there.group is not None
    assert (there.group.id, there.group.free, there.group.maximum) == (first.row.group_id, 2, 3)
    assert len({part.resource_id for part in there.participants}) == 3
    assert new is not None
    assert new.group is None
    assert at(clinic, found, "2030-03-06 10:30") is None
    # Whoever is in it already cannot come twice.
    assert at(clinic, offers(clinic, first.row.patient_id), START) is None
    for offer in found.values():  # the law: what is offered books
        asked = Wanted(clinic.patient(), "circle", clinic.location_id, offer.start)
        clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked), dry_run=True)  # type: ignore[misc]


def test_whoever_leaves_hands_the_room_and_the_staff_on(clinic: Clinic) -> None:
    first, second = join(clinic), join(clinic)
    before = shared(clinic)
    assert set(before) == {first.id}
    clinic.do(lambda s, c: booking.cancel(s, c, first.id, reason="ill", by="patient"))
    assert shared(clinic) == {second.id: before[first.id]}
    moved = clinic.do(lambda s, c: booking.reschedule(s, c, second.id, clinic.at("2030-03-07 10:00")))
    assert set(shared(clinic)) == {second.id}
    assert moved.row.group_id is not None
    clinic.do(lambda s, c: booking.cancel(s, c, second.id, reason="ill", by="patient"))
    assert shared(clinic) == {}
    with Session(clinic.engine) as session:
        assert set(session.scalars(select(Group.status))) == {"cancelled"}
        assert set(session.scalars(select(GroupPlace.appointment_id))) == {None}


def test_a_place_can_be_held_and_what_is_held_is_taken(clinic: Clinic) -> None:
    join(clinic)
    join(clinic)
    asked = Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(START))
    held = clinic.do(lambda s, c: holds.create(s, c, asked))
    refused(clinic, clinic.patient(), "circle", START)
    made = clinic.do(lambda s, c: holds.book(s, c, asked, held.id, held.token))
    assert made.row.group_id is not None
    refused(clinic, clinic.patient(), "circle", START)


def test_a_held_place_stays_held_when_everybody_else_leaves(clinic: Clinic) -> None:
    """The room and the staff are kept for the holder, not given to whoever asks next."""
    only = join(clinic)
    before = shared(clinic)[only.id]
    asked = Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(START))
    held = clinic.do(lambda s, c: holds.create(s, c, asked))
    clinic.do(lambda s, c: booking.reschedule(s, c, only.id, clinic.at("2030-03-07 10:00")))
    assert carriers(clinic) != [only.id]
    assert held.id in carriers(clinic)
    joined = join(clinic)
    made = clinic.do(lambda s, c: holds.book(s, c, asked, held.id, held.token))
    assert shared(clinic)[joined.id] == before
    assert made.row.group_id == joined.row.group_id == only.row.group_id, "it went on for who was to come"
    assert overlaps(clinic.engine) == 0


def keep(clinic: Clinic, minutes: int = 5, start: str = START, **more: Any) -> holds.HoldView:
    asked = Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(start))
    return clinic.do(lambda s, c: holds.create(s, c, asked, lasting=timedelta(minutes=minutes)), **more)


def use(clinic: Clinic, held: holds.HoldView, start: str = START, **more: Any) -> AppointmentView:
    asked = Wanted(held.row.patient_id, "circle", clinic.location_id, clinic.at(start))
    return clinic.do(lambda s, c: holds.book(s, c, asked, held.id, held.token), **more)


def carriers(clinic: Clinic) -> list[UUID | None]:
    """Which visits or holds take up rooms and staff."""
    owner = func.coalesce(Occupancy.appointment_id, Occupancy.hold_id)
    with Session(clinic.engine) as session:
        return list(session.scalars(select(owner).where(Occupancy.role != "patient").distinct()))


def test_who_begins_a_group_by_a_hold_takes_one_place_of_it(clinic: Clinic) -> None:
    """As a booking would: others hold and book its other places, and none beyond the last."""
    first = keep(clinic)
    second, third = keep(clinic, 10), join(clinic)
    assert (third.row.group_id, carriers(clinic)) == (UUID(first.row.body["group_id"]), [third.id])
    refusal = refused(clinic, clinic.patient(), "circle", START)
    assert (refusal.code, refusal.reasons[0].end) == ("group_held", first.row.expires_at)
    assert at(clinic, offers(clinic), START) is None
    made = [use(clinic, each) for each in (second, first)]
    assert {each.row.group_id for each in made} == {third.row.group_id}
    assert refused(clinic, clinic.patient(), "circle", START).code == "group_full"
    with Session(clinic.engine) as session:
        [group] = session.scalars(select(Group))
    assert group.decide_at == clinic.at(START) - timedelta(hours=24)
    assert overlaps(clinic.engine) == 0


@pytest.mark.parametrize("end", ["over", "released", "elsewhere"])
def test_whichever_hold_ends_first_the_others_keep_their_places(clinic: Clinic, end: str) -> None:
    first, second, third = keep(clinic, 10), keep(clinic, 5), keep(clinic, 15)
    assert carriers(clinic) == [third.id], "who lasts longest has the room and the staff"
    late = clinic.later(minutes=7)
    if end == "released":
        clinic.do(lambda s, c: holds.release(s, c, third.id, third.revision))
        assert carriers(clinic) == [first.id]
        clinic.do(lambda s, c: holds.extend(s, c, second.id, token=second.token, lasting=timedelta(minutes=12)))
        assert carriers(clinic) == [second.id]
    if end == "elsewhere":
        use(clinic, third, "2030-03-07 10:00")
        assert first.id in carriers(clinic)
        assert third.id not in carriers(clinic)
    found = at(clinic, offers(clinic), START)
    assert (found is not None) is (end != "over")
    made = use(clinic, first, now=late)
    asked = wanted(clinic, clinic.patient(), "circle", START)
    joined = clinic.do(lambda s, c: booking.book(s, c, asked), now=late)
    assert made.row.group_id == joined.row.group_id == UUID(second.row.body["group_id"])
    assert overlaps(clinic.engine) == 0


def test_a_group_whose_holds_are_all_over_never_was(clinic: Clinic) -> None:
    kept, late = [keep(clinic), keep(clinic)], clinic.later(minutes=6)
    assert len(clinic.do(lambda s, c: meetings.listing(s, c, status="open")).items) == 1
    assert clinic.do(lambda s, c: meetings.listing(s, c, status="open"), now=late).items == []
    asked = wanted(clinic, clinic.patient(), "circle", START)
    made = clinic.do(lambda s, c: booking.book(s, c, asked), now=late)
    never = UUID(kept[0].row.body["group_id"])
    assert made.row.group_id != never
    with Session(clinic.engine) as session, pytest.raises(LostRace):
        groups.lock_open(session, clinic.call, never)  # whoever has seen it by a clock that is behind
    more = [wanted(clinic, clinic.patient(), "circle", START) for _ in range(3)]
    for each in more[:2]:
        clinic.do(lambda s, c, each=each: booking.book(s, c, each), now=late)
    with pytest.raises(Refused, match="All 3 places"):
        clinic.do(lambda s, c: booking.book(s, c, more[2]), now=late)
    assert clinic.do(meetings.decide, now=clinic.at("2030-03-05 10:00"))
    assert not clinic.do(meetings.decide, now=clinic.at("2030-03-05 10:00")), "nobody decides about one that never was"
    released = keep(clinic, start="2030-03-08 10:00")
    clinic.do(lambda s, c: holds.release(s, c, released.id, released.revision))
    assert released.id not in carriers(clinic)
    assert overlaps(clinic.engine) == 0


def test_a_hold_that_is_over_keeps_no_place(clinic: Clinic) -> None:
    join(clinic)
    join(clinic)
    asked = Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(START))
    clinic.do(lambda s, c: holds.create(s, c, asked))
    late = Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(START))
    clinic.do(lambda s, c: booking.book(s, c, late), now=clinic.later(minutes=6))


def test_who_goes_early_leaves_the_staff_to_who_is_still_there(clinic: Clinic) -> None:
    first, second = join(clinic), join(clinic)
    then = first.row.starts_at
    for each in (first, second):
        clinic.do(lambda s, c, each=each: visit_day.check_in(s, c, each.id), now=then)  # type: ignore[misc]
    clinic.do(lambda s, c: visit_day.not_dosed(s, c, first.id, reason="unwell"), now=then + timedelta(minutes=30))
    with Session(clinic.engine) as session:
        ends = session.scalars(select(Occupancy.ends_at).where(Occupancy.role == "role:therapist")).all()
    assert set(shared(clinic)) == {second.id}
    assert set(ends) == {second.row.ends_at}


def test_the_waitlist_of_a_full_group(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(3)]
    waiting = clinic.patient()
    values = {"patient_id": waiting, "visit_type": "circle", "location_id": clinic.location_id}
    values["windows"] = [{"from": "2030-03-06", "to": "2030-03-06"}]
    entry = clinic.do(lambda s, c: waitlist.create(s, c, values))
    clinic.do(lambda s, c: booking.cancel(s, c, visits[1].id, reason="ill", by="patient"))
    while clinic.do(waitlist.sweep):
        pass
    [offer] = clinic.do(lambda s, c: waitlist.get(s, c, entry.id)).offers
    assert offer.start == visits[0].row.starts_at
    refused(clinic, clinic.patient(), "circle", START)  # the place is kept
    made = clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer.id))
    assert made.row.group_id == visits[0].row.group_id


def test_too_few_at_the_deadline_is_a_task_or_the_end(clinic: Clinic) -> None:
    clinic.visit({**CIRCLE, "code": "strict", "group": {**CIRCLE["group"], "below_minimum": "cancel"}})
    kept = join(clinic)
    ended = book(clinic, clinic.patient(), "strict", "2030-03-07 10:00")
    enough = [join(clinic, "2030-03-08 10:00") for _ in range(2)]
    for now in (clinic.call.now, kept.row.starts_at - timedelta(hours=23), enough[0].row.starts_at):
        while clinic.do(meetings.decide, now=now):
            pass
    with Session(clinic.engine) as session:
        tasks = session.scalars(select(Task).where(Task.kind == "group_below_minimum")).all()
        statuses = {row.id: row.status for row in session.scalars(select(Appointment))}
    assert {task.appointment_id for task in tasks} == {kept.id, ended.id}
    assert (statuses[kept.id], statuses[ended.id]) == ("booked", "cancelled")
    assert {statuses[each.id] for each in enough} == {"booked"}


def test_an_absence_of_the_staff_names_everyone_in_the_group(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(2)]
    who = next(part.resource_id for part in visits[0].participants if part.role == "therapist")
    start = visits[0].row.starts_at
    made = clinic.do(lambda s, c: absences.create(s, c, resource_id=who, start=start, end=start + timedelta(hours=1)))
    assert {each.id for each in made.affected_appointments} == {visit.id for visit in visits}
    refused(clinic, clinic.patient(), "circle", START)  # a group that cannot stand takes nobody in


@pytest.mark.parametrize(
    "now",
    [
        [segment("circle", 120, need("role:therapist", count=2), need("room:group"))],
        [segment("circle", 60, need("role:therapist", count=2), need("room:group"))],
        [segment("circle", 90, need("role:therapist", count=3), need("room:group"))],
        [segment("circle", 90, need("role:therapist", count=2), need("role:nurse"), need("room:group"))],
    ],
    ids=["longer", "shorter", "more_staff", "other_staff"],
)
def test_nobody_joins_a_group_that_is_not_what_its_visit_type_says_by_now(
    clinic: Clinic, now: list[dict[str, Any]]
) -> None:
    began, somebody = join(clinic).row, clinic.patient()
    assert at(clinic, offers(clinic, somebody), START) is not None
    clinic.do(lambda s, c: visit_types.change(s, c, began.visit_type_id, 1, {"segments": now}))
    assert at(clinic, offers(clinic, somebody), START) is None
    refusal = refused(clinic, somebody, "circle", START)
    assert {reason.role for reason in refusal.reasons} >= {"therapist", "group"}


def test_nobody_joins_a_group_whose_staff_has_lost_the_role(clinic: Clinic) -> None:
    who = next(part.resource_id for part in join(clinic).participants if part.role == "therapist")
    clinic.do(lambda s, c: resources.change(s, c, resources.PRACTITIONER, who, 1, {"roles": [{"code": "nurse"}]}))
    somebody = clinic.patient()
    assert at(clinic, offers(clinic, somebody), START) is None
    refused(clinic, somebody, "circle", START)


def test_consent_to_the_group_is_needed(clinic: Clinic) -> None:
    clinic.visit({**CIRCLE, "code": "agreed", "requires": {"clearances": ["group_consent"]}})
    assert refused(clinic, clinic.patient(), "agreed", START).code == "gate_not_passed"


def test_impossible_groups_are_refused(clinic: Clinic) -> None:
    with pytest.raises(Invalid) as caught:
        clinic.visit({**CIRCLE, "code": "odd", "group": {"minimum": 4, "maximum": 3}})
    assert [fault.code for fault in caught.value.faults] == ["less_than_minimum"]


def test_the_clinic_calls_a_group_off_as_a_whole(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(2)]
    group_id = visits[0].row.group_id
    assert group_id is not None
    assert clinic.do(lambda s, c: meetings.get(s, c, group_id)).free == 1
    gone = clinic.do(lambda s, c: meetings.cancel(s, c, group_id, reason="The therapist is ill."))
    assert (gone.row.status, gone.appointment_ids, gone.free) == ("cancelled", (), 3)
    assert shared(clinic) == {}
    [listed] = clinic.do(lambda s, c: meetings.listing(s, c, status="cancelled")).items
    assert listed.id == group_id
    with pytest.raises(IllegalTransition):
        clinic.do(lambda s, c: meetings.cancel(s, c, group_id, reason="Again."))
    assert join(clinic).row.group_id != group_id


def test_undoing_an_early_end_takes_the_staff_again(clinic: Clinic) -> None:
    """Whoever is alone in the group has the room and the staff back for the rest of it, or is told who has them."""
    alone = join(clinic)
    then = alone.row.starts_at
    before = shared(clinic)
    clinic.do(lambda s, c: visit_day.check_in(s, c, alone.id), now=then)
    half = then + timedelta(minutes=30)
    clinic.do(lambda s, c: visit_day.not_dosed(s, c, alone.id, reason="unwell"), now=half)
    back = clinic.do(lambda s, c: visit_day.undo(s, c, alone.id), now=half)
    assert (back.row.status, back.row.group_id) == ("checked-in", alone.row.group_id)
    assert shared(clinic) == before
    with Session(clinic.engine) as session:
        ends = session.scalars(select(Occupancy.ends_at).where(Occupancy.role == "role:therapist")).all()
    assert set(ends) == {alone.row.ends_at}
    assert join(clinic).row.group_id == alone.row.group_id


def test_undoing_a_move_comes_back_to_who_stayed(clinic: Clinic) -> None:
    first, second = join(clinic), join(clinic)
    before = shared(clinic)[first.id]
    clinic.do(lambda s, c: booking.reschedule(s, c, first.id, clinic.at("2030-03-07 10:00")))
    back = clinic.do(lambda s, c: visit_day.undo(s, c, first.id))
    assert back.row.group_id == second.row.group_id
    assert shared(clinic) == {second.id: before}
    other = join(clinic, "2030-03-07 10:00")
    third = join(clinic, "2030-03-07 10:00")
    clinic.do(lambda s, c: booking.reschedule(s, c, other.id, clinic.at(START)))
    clinic.do(lambda s, c: booking.cancel(s, c, third.id, reason="ill", by="patient"))
    again = clinic.do(lambda s, c: visit_day.undo(s, c, other.id))
    assert again.row.starts_at == third.row.starts_at
    assert set(shared(clinic)) == {second.id, other.id}
    assert overlaps(clinic.engine) == 0
