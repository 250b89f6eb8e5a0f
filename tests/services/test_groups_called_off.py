"""Groups that are called off, or that nobody came to: what their holds kept is free at once."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import IllegalTransition, Refused
from scheduler.services import booking, holds, meetings, waitlist
from tests.clinic import Clinic
from tests.desk import book
from tests.services.test_groups import START, carriers, for_circles, join, keep, use


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return for_circles(engine)


@pytest.mark.parametrize("visits", [0, 1])
def test_a_group_that_is_called_off_keeps_nothing_for_its_holds(clinic: Clinic, visits: int) -> None:
    """Room and staff are free at once, and who comes with a hold, or extends it, is told why."""
    kept = [keep(clinic, minutes) for minutes in (5, 10)]
    group_id = UUID(kept[0].row.body["group_id"])
    for _ in range(visits):
        assert join(clinic).row.group_id == group_id
    gone = clinic.do(lambda s, c: meetings.cancel(s, c, group_id, reason="The therapist is ill."))
    assert (gone.status, gone.appointment_ids, gone.free) == ("cancelled", (), 3)
    assert carriers(clinic) == []
    for held in kept:
        with pytest.raises(Refused) as caught:
            use(clinic, held)
        assert caught.value.code == "group_called_off"
        with pytest.raises(Refused) as caught:
            clinic.do(lambda s, c, held=held: holds.extend(s, c, held.id, token=held.token))  # type: ignore[misc]
        assert caught.value.code == "group_called_off"
    assert clinic.do(holds.listing).items == []
    anew = book(clinic, kept[0].row.patient_id, "circle", START)  # type: ignore[arg-type]
    assert anew.row.group_id != group_id
    assert len(carriers(clinic)) == 1


def test_a_group_is_what_it_is_by_the_clock(clinic: Clinic) -> None:
    """No chore has to run for a group whose holds have all run out to be over."""
    group_id = UUID([keep(clinic), keep(clinic, 10)][0].row.body["group_id"])
    seen = [
        clinic.do(lambda s, c: meetings.get(s, c, group_id).status, now=clinic.later(minutes=minutes))
        for minutes in (4, 9, 10)
    ]
    assert seen == ["open", "open", "cancelled"]
    with pytest.raises(IllegalTransition):
        clinic.do(lambda s, c: meetings.cancel(s, c, group_id, reason="Again."), now=clinic.later(minutes=10))


def test_who_was_offered_a_place_in_a_group_that_is_called_off(clinic: Clinic) -> None:
    visits = [join(clinic) for _ in range(3)]
    group_id = visits[0].row.group_id
    assert group_id is not None
    values = {"patient_id": clinic.patient(), "visit_type": "circle", "location_id": clinic.location_id}
    entry = clinic.do(lambda s, c: waitlist.create(s, c, values))
    clinic.do(lambda s, c: booking.cancel(s, c, visits[1].id, reason="ill", by="patient"))
    while clinic.do(waitlist.sweep):
        pass
    [offer] = clinic.do(lambda s, c: waitlist.get(s, c, entry.id)).offers
    clinic.do(lambda s, c: meetings.cancel(s, c, group_id, reason="The therapist is ill."))
    [over] = clinic.do(lambda s, c: waitlist.get(s, c, entry.id)).offers
    assert (offer.status, over.status) == ("offered", "expired")
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer.id))
    assert caught.value.code == "offer_over"
