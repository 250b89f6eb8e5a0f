"""What a hold or a visit keeps of a group for others of it as well: that is not free for it, offered or booked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Reason, Refused, SlotTaken
from scheduler.core.localgrid import Wish
from scheduler.models import Occupancy
from scheduler.services import absences, availability, booking, holds
from scheduler.services.availability import Question
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type
from tests.services.test_groups import START, carriers, for_circles, join, keep, use

#: A visit that needs one of the circle's people, and is of nobody but its patient.
TALK = visit_type("talk", segment("talk", 60, need("role:therapist")))
#: Starts before the circle, in it, and after it.
FIRST, LAST, STEP = "2030-03-06 08:00", "2030-03-06 12:00", timedelta(hours=1)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return for_circles(engine)


def close_its_room(clinic: Clinic) -> None:
    """Nobody can join the circle any more; another room would do for a new one, but there are just two facilitators."""
    with Session(clinic.engine) as session:
        room = session.scalars(select(Occupancy.resource_id).where(Occupancy.role == "room:group").distinct()).one()
    clinic.room("group")
    times = {"start": clinic.at(START), "end": clinic.at(START) + timedelta(hours=1)}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=room, **times))


@pytest.mark.parametrize("alone", [True, False])
def test_what_a_hold_keeps_for_others_too_is_not_its_holders(clinic: Clinic, *, alone: bool) -> None:
    mine = keep(clinic, 15)
    if not alone:
        keep(clinic, 5)
    close_its_room(clinic)
    if alone:
        assert use(clinic, mine).row.group_id != UUID(mine.row.body["group_id"])
        return
    with pytest.raises(Refused) as caught:
        use(clinic, mine)
    assert not isinstance(caught.value, SlotTaken)
    assert {each.role for each in caught.value.reasons} == {"therapist"}
    assert mine.id in carriers(clinic)


def starts() -> list[str]:
    first = datetime.fromisoformat(FIRST)
    count = (datetime.fromisoformat(LAST) - first) // STEP + 1
    return [str(first + place * STEP) for place in range(count)]


def reasons_against(clinic: Clinic, act: Callable[..., Any]) -> tuple[Reason, ...]:
    """Why it can't be, by the law and not by the guard; nothing of it is kept."""
    try:
        clinic.do(act, dry_run=True)
    except SlotTaken:
        raise
    except Refused as refusal:
        return refusal.reasons
    return ()


def expect_the_law(clinic: Clinic, question: Callable[..., Question], act: Callable[[datetime], Any]) -> set[str]:
    """What is offered can be had, and every other start is refused as it is explained. Says what is offered."""
    step = Wish(step=STEP // timedelta(minutes=1))
    whole = question(clinic.at(FIRST), clinic.at(LAST) + STEP, wish=step)
    offers, _ = clinic.do(lambda s, c: availability.search(s, c, whole, limit=100))
    offered = {offer.start for offer in offers}
    for start in map(clinic.at, starts()):
        told = clinic.do(lambda s, c, at=start: availability.explain(s, c, question(at, at)))  # type: ignore[misc]
        assert told.bookable is (start in offered), start
        assert reasons_against(clinic, act(start)) == told.reasons, start
    return {start for start in starts() if clinic.at(start) in offered}


@pytest.mark.parametrize("code", ["circle", "talk"])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("alone", [True, False])
def test_what_is_offered_to_a_holder_can_be_booked_with_the_hold(
    clinic: Clinic, code: str, *, closed: bool, alone: bool
) -> None:
    clinic.visit(TALK)
    mine = keep(clinic, 15)
    if not alone:
        keep(clinic, 5)
    if closed:
        close_its_room(clinic)

    def question(since: datetime, until: datetime, **more: Any) -> Question:
        return Question(code, clinic.location_id, since, until, mine.row.patient_id, hold_id=mine.id, **more)

    def with_the_hold(start: datetime) -> Any:
        asked = Wanted(mine.row.patient_id, code, clinic.location_id, start)
        return lambda s, c: holds.book(s, c, asked, mine.id, mine.token)

    offered = expect_the_law(clinic, question, with_the_hold)
    assert (START in {start[:16] for start in offered}) is (alone or (code == "circle" and not closed))


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("others", ["alone", "held", "booked"])
def test_where_a_visit_is_offered_to_go_it_can_be_moved(clinic: Clinic, others: str, *, closed: bool) -> None:
    mine = join(clinic)
    assert carriers(clinic) == [mine.id]
    if others != "alone":
        keep(clinic) if others == "held" else join(clinic)
    if closed:
        close_its_room(clinic)

    def question(since: datetime, until: datetime, **more: Any) -> Question:
        who, moves = mine.row.patient_id, mine.id
        return Question("circle", clinic.location_id, since, until, who, exclude_appointment=moves, **more)

    offered = expect_the_law(clinic, question, lambda at: lambda s, c: booking.reschedule(s, c, mine.id, at))
    assert (START in {start[:16] for start in offered}) is (others == "alone" or not closed)
