"""What a hold keeps of a group for other holds of it as well."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Refused, SlotTaken
from scheduler.models import Occupancy
from scheduler.services import absences
from tests.clinic import Clinic
from tests.services.test_groups import START, carriers, for_circles, keep, use


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return for_circles(engine)


@pytest.mark.parametrize("alone", [True, False])
def test_what_a_hold_keeps_for_others_too_is_not_its_holders(clinic: Clinic, *, alone: bool) -> None:
    """The group's room is closed and another one free, but its two facilitators stay with the other hold."""
    mine = keep(clinic, 15)
    if not alone:
        keep(clinic, 5)
    with Session(clinic.engine) as session:
        room = session.scalars(select(Occupancy.resource_id).where(Occupancy.role == "room:group").distinct()).one()
    clinic.room("group")
    times = {"start": clinic.at(START), "end": clinic.at(START) + timedelta(hours=1)}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=room, **times))
    if alone:
        assert use(clinic, mine).row.group_id != UUID(mine.row.body["group_id"])
        return
    with pytest.raises(Refused) as caught:
        use(clinic, mine)
    assert not isinstance(caught.value, SlotTaken)
    assert {each.role for each in caught.value.reasons} == {"therapist"}
    assert mine.id in carriers(clinic)
