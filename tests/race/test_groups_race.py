"""The places of groups that are fought over: nobody comes twice, and no more come than there are places."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace, PlanStale, Refused, SlotTaken
from scheduler.models import Appointment, Group, GroupPlace, Hold, Occupancy
from scheduler.services import booking, courses, finding, groups, holds, meetings, plan_groups, planning, plans
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer
from tests.desk import book, overlaps, wanted
from tests.plumbing.lock_order import watching
from tests.race.test_kept_time import Job, at_once
from tests.race.test_whole_courses import deadlocks
from tests.services.test_groups import START, carriers, for_circles, join, keep
from tests.services.test_plans_join_groups import FIRST, SECOND, THIRD, circles, sound, with_circles
from tests.services.test_plans_join_groups import join as begun

#: What is said to who comes with a hold after the group was called off or the hold given back.
OVER = {"group_called_off", "hold_expired", "precondition_failed"}


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return for_circles(engine, at_once=2)


def test_two_groups_of_three_take_six_of_ten(clinic: Clinic) -> None:
    asked = [wanted(clinic, clinic.patient(), "circle", START) for _ in range(10)]
    results = at_once(clinic, [(lambda s, c, each=each: booking.book(s, c, each), {}) for each in asked])
    refusals = [each for each in results if isinstance(each, Exception)]
    assert {each.code for each in refusals} == {"group_full"}
    with Session(clinic.engine) as session:
        sizes = Counter(session.scalars(select(Appointment.group_id)))
        places = session.scalar(select(func.count(GroupPlace.appointment_id)))
        assert session.scalar(select(func.count()).select_from(Group)) == 2
    assert sorted(sizes.values()) == [3, 3]
    assert (places, len(refusals)) == (6, 4)
    assert overlaps(clinic.engine) == 0


def carried_rows(clinic: Clinic) -> dict[UUID, int]:
    """How many rows each group's room and staff are, whether a visit or a hold carries them."""
    counted = text(
        "SELECT p.group_id, count(*) FROM group_places p JOIN occupancies o ON o.organization_id = p.organization_id"
        " AND (o.appointment_id = p.appointment_id OR o.hold_id = p.hold_id)"
        " WHERE o.role <> 'patient' GROUP BY p.group_id"
    )
    with Session(clinic.engine) as session:
        return {UUID(str(row[0])): row[1] for row in session.execute(counted)}


def test_holds_begin_two_groups_whose_places_are_fought_over(clinic: Clinic) -> None:
    """Six of ten get a place; whatever they do with it at one moment, whoever comes is served, and by one room."""
    asked = [wanted(clinic, clinic.patient(), "circle", START) for _ in range(10)]
    results = at_once(clinic, [(lambda s, c, each=each: holds.create(s, c, each), {}) for each in asked])
    held = [(want, each) for want, each in zip(asked, results, strict=True) if isinstance(each, holds.HoldView)]
    assert {each.code for each in results if isinstance(each, Exception)} == {"group_held"}
    assert len(held) == 6
    assert list(carried_rows(clinic).values()) == [3, 3]
    late = [wanted(clinic, clinic.patient(), "circle", START) for _ in range(2)]
    jobs = [(lambda s, c, w=want, h=each: holds.book(s, c, w, h.id, h.token), {}) for want, each in held[::2]]
    jobs += [(lambda s, c, h=each: holds.release(s, c, h.id, 1), {}) for _, each in held[1:4:2]]
    jobs += [(lambda s, c, h=held[5][1]: holds.extend(s, c, h.id, token=h.token), {})]
    jobs += [(lambda s, c, each=each: booking.book(s, c, each), {}) for each in late]
    results = at_once(clinic, jobs)
    assert not [each for each in results[:6] if isinstance(each, Exception)]
    assert {each.code for each in results[6:] if isinstance(each, Exception)} <= {"group_held"}
    came = 3 + sum(not isinstance(each, Exception) for each in results[6:])
    with Session(clinic.engine) as session:
        sizes = Counter(session.scalars(select(Appointment.group_id)))
        status = {row.id: row.status for row in session.scalars(select(Group))}
    assert sum(sizes.values()) == came
    assert set(carried_rows(clinic).values()) == {3}
    assert sizes.keys() <= carried_rows(clinic).keys()
    assert {status[key] for key in sizes if key is not None} == {"open"}
    assert overlaps(clinic.engine) == 0


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_place_that_is_given_back_while_its_refusal_is_explained_is_taken(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, held = for_circles(engine), []
    for _ in range(3):
        asked = wanted(clinic, clinic.patient(), "circle", START)
        held.append(clinic.do(lambda s, c, asked=asked: holds.create(s, c, asked)))
    explained = finding.why_not

    def meanwhile(*asked: Any) -> Any:
        clinic.do(lambda s, c: holds.release(s, c, held.pop().id, 1))
        return explained(*asked)

    monkeypatch.setattr(finding, "why_not", meanwhile)
    joined = book(clinic, clinic.patient(), "circle", START)
    assert str(joined.row.group_id) == held[0].row.body["group_id"]
    assert len(held) == 2


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_who_joins_a_hold_before_the_locks_of_a_last_try_is_seen_under_them(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder asks for another room: the two facilitators were the holder's alone, and are kept for both by now."""
    clinic = for_circles(engine)
    mine = keep(clinic, 15)
    pin = Pin("room:group", clinic.room("group"))
    asked = Wanted(mine.row.patient_id, "circle", clinic.location_id, clinic.at(START), pins=(pin,))
    joined: list[UUID] = []
    locked = finding.lock_at

    def meanwhile(*args: Any) -> None:
        joined.append(keep(clinic).id)
        locked(*args)

    def at_last(session: Session, call: Call) -> object:
        if not call.last_try:
            detail = "Somebody was faster."
            raise LostRace(detail)
        return holds.book(session, call, asked, mine.id, mine.token)

    monkeypatch.setattr(finding, "lock_at", meanwhile)
    with pytest.raises(Refused) as caught:
        clinic.do(at_last)
    assert len(joined) == 1
    assert not isinstance(caught.value, SlotTaken), "the law says no, before the guard has to"
    assert {each.role for each in caught.value.reasons} == {"therapist"}
    assert mine.id in carriers(clinic)


def test_a_group_is_over_when_all_give_their_holds_back_at_one_moment(clinic: Clinic) -> None:
    """None of them leaves the room and the staff to a hold that has ended."""
    for day in ("2030-03-06", "2030-03-07", "2030-03-08"):
        asked = [wanted(clinic, clinic.patient(), "circle", f"{day} 10:00") for _ in range(3)]
        held = [clinic.do(lambda s, c, each=each: holds.create(s, c, each)) for each in asked]
        assert sorted(carried_rows(clinic).values()) == [3]
        results = at_once(clinic, [(lambda s, c, h=each: holds.release(s, c, h.id, 1), {}) for each in held])
        assert results == [None] * 3
        assert carried_rows(clinic) == {}
    with Session(clinic.engine) as session:
        assert set(session.scalars(select(Group.status))) == {"cancelled"}


@pytest.mark.parametrize("visits", [0, 1])
def test_a_group_is_called_off_while_its_holds_are_used(clinic: Clinic, visits: int) -> None:
    """By two at once, while others use, extend and give back its holds, and join: one calls it off, nothing is left."""
    for day in ("2030-03-06", "2030-03-07", "2030-03-08"):
        asked = [wanted(clinic, clinic.patient(), "circle", f"{day} 10:00") for _ in range(2)]
        held = [clinic.do(lambda s, c, each=each: holds.create(s, c, each)) for each in asked]
        group_id = UUID(held[0].row.body["group_id"])
        for _ in range(visits):
            join(clinic, f"{day} 10:00")
        late = wanted(clinic, clinic.patient(), "circle", f"{day} 10:00")
        off = [(lambda s, c, key=group_id: meetings.cancel(s, c, key, reason="The therapist is ill."), {})] * 2
        using = [(lambda s, c, w=asked[0], h=held[0]: holds.book(s, c, w, h.id, h.token), {})]
        using += [(lambda s, c, h=held[1]: holds.extend(s, c, h.id, token=h.token), {})]
        using += [(lambda s, c, h=held[1]: holds.release(s, c, h.id, 1), {})] * visits
        results = at_once(clinic, [*off, *using, (lambda s, c, late=late: booking.book(s, c, late), {})])
        called = [isinstance(each, meetings.GroupView) for each in results[:2]]
        assert sum(called) == 1, results
        assert {each.code for each in results[2:-1] if isinstance(each, Exception)} <= OVER
        assert not isinstance(results[-1], Exception), "who wants to come has a place, there or in another"
        with Session(clinic.engine) as session:
            group = session.get_one(Group, (clinic.call.organization_id, group_id))
            in_it = Appointment.group_id == group_id, Appointment.status == "booked"
            assert (group.status, session.scalars(select(Appointment).where(*in_it)).all()) == ("cancelled", [])
            mine = Hold.id.in_([each.id for each in held])
            assert None not in set(session.scalars(select(Hold.ended_at).where(mine)))
            assert not session.scalars(select(Occupancy).where(Occupancy.hold_id.is_not(None))).all()
    assert set(carried_rows(clinic).values()) <= {3}
    assert overlaps(clinic.engine) == 0


def test_joining_while_the_last_one_leaves(clinic: Clinic) -> None:
    """Either the group lives on with who came, or it ended and another began: nobody sits in one that is over."""
    for day in ("2030-03-06", "2030-03-07", "2030-03-08"):
        last = join(clinic, f"{day} 10:00")
        asked = [wanted(clinic, clinic.patient(), "circle", f"{day} 10:00") for _ in range(2)]
        jobs = [(lambda s, c, each=each: booking.book(s, c, each), {}) for each in asked]
        jobs += [(lambda s, c, last=last: booking.cancel(s, c, last.id, reason="ill", by="patient"), {})]
        results = at_once(clinic, jobs)
        assert not [each for each in results if isinstance(each, Refused)]
    with Session(clinic.engine) as session:
        rows = session.scalars(select(Appointment).where(Appointment.status == "booked")).all()
        status = {row.id: row.status for row in session.scalars(select(Group))}
    carried = carried_rows(clinic)
    assert len(rows) == 6
    assert {status[row.group_id] for row in rows if row.group_id is not None} == {"open"}
    assert set(carried.values()) == {3}  # two therapists and the room, once
    assert len(carried) == len({row.group_id for row in rows})
    assert overlaps(clinic.engine) == 0


def test_the_database_makes_no_place_beyond_the_last(clinic: Clinic) -> None:
    group_id = join(clinic).row.group_id
    with Session(clinic.engine) as session:
        session.add(GroupPlace(organization_id=clinic.call.organization_id, group_id=group_id, place=3, maximum=3))
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        session.add(GroupPlace(organization_id=clinic.call.organization_id, group_id=group_id, place=3, maximum=4))
        with pytest.raises(IntegrityError):
            session.flush()


def planned(clinic: Clinic, number: int) -> list[tuple[UUID, str]]:
    """So many courses of one circle, each with a plan that joins the group that began."""
    found = []
    for _ in range(number):
        made = course(clinic)
        [best] = offer(clinic, made.id)
        assert best.plan.sessions[0].group is not None
        found.append((made.id, best.token))
    return found


def test_of_plans_that_want_the_last_place_of_a_group_one_is_booked(engine: Engine) -> None:
    """The other is stale, and a fresh one has another start; beside them somebody books by hand."""
    clinic = with_circles(engine)
    approve(clinic, circles(most=11))
    places = [begun(clinic), begun(clinic)]
    offered = planned(clinic, 3)
    jobs: list[tuple[Job, dict[str, Any]]] = [
        (lambda s, c, course_id=course_id, token=token: plans.book(s, c, course_id, token), {})
        for course_id, token in offered
    ]
    asked = wanted(clinic, clinic.patient(), "circle", FIRST)
    results = at_once(clinic, [*jobs, (lambda s, c: booking.book(s, c, asked), {})])
    came = [each for each in results if not isinstance(each, Exception)]
    assert len(came) == 1
    assert {each.code for each in results if isinstance(each, Exception)} <= {"plan_stale", "group_full"}
    for (course_id, _), each in zip(offered, results, strict=False):
        if isinstance(each, PlanStale):
            [fresh] = offer(clinic, course_id)
            accept(clinic, course_id, fresh.token)
    with Session(clinic.engine) as session:
        sizes = Counter(session.scalars(select(Appointment.group_id)))
    assert sizes[places[0].row.group_id] == 3
    sound(clinic)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_plans_and_the_desk_want_the_same_groups_and_nobody_waits_for_ever(engine: Engine) -> None:
    """Courses of three circles each, in two groups a week, while others come, move and cancel: no deadlock."""
    clinic = with_circles(engine, 2, 2)
    approve(clinic, circles(3))
    weeks = [FIRST, SECOND, THIRD]
    begun_there = [begun(clinic, start) for start in weeks for _ in range(2)]
    offered = planned(clinic, 4)
    before = deadlocks(engine)
    jobs: list[tuple[Job, dict[str, Any]]] = [
        (lambda s, c, course_id=course_id, token=token: plans.book(s, c, course_id, token), {})
        for course_id, token in offered
    ]
    for place, start in enumerate(weeks):
        asked, left = wanted(clinic, clinic.patient(), "circle", start), begun_there[2 * place].id
        jobs.append((lambda s, c, asked=asked: booking.book(s, c, asked), {}))
        jobs.append((lambda s, c, left=left: booking.cancel(s, c, left, reason="ill", by="patient"), {}))
    results = at_once(clinic, jobs)
    odd = {each.code for each in results if isinstance(each, Exception)}
    assert odd <= {"plan_stale", "group_full"}
    assert deadlocks(engine) == before
    sound(clinic)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_without_the_lock_of_the_group_its_order_is_broken(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the watch over locks is worth: the group would only be taken after the people."""
    clinic = with_circles(engine)
    approve(clinic, circles())
    begun(clinic)
    [(course_id, token)] = planned(clinic, 1)
    monkeypatch.setattr(groups, "_lock_all", lambda *_: None)
    with watching(engine) as watch:
        accept(clinic, course_id, token)
    assert any(fault.startswith("groups after resources") for fault in watch.faults)


def test_without_the_second_look_nobody_comes_beyond_the_last_place(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that is booked as it was made, whatever became of the group, finds no place when it is entered."""
    clinic = with_circles(engine)
    approve(clinic, circles())
    begun(clinic), begun(clinic)
    [(course_id, token)] = planned(clinic, 1)
    course_now = clinic.do(lambda s, c: planning.set_up(s, c, courses.get(s, c, course_id)))
    begun(clinic)
    monkeypatch.setattr(plan_groups, "joinable_by", lambda *_: course_now.groups)
    with pytest.raises(LostRace, match="last place"):
        accept(clinic, course_id, token)
    sound(clinic)
