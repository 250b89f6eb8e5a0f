"""Units that come or go under what is booked: who needs all of a nurse has all of her, before and after."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import InUse
from scheduler.core.overriding import override_of
from scheduler.models import Occupancy
from scheduler.services import holds, resources
from scheduler.services.resources import PRACTITIONER
from tests.clinic import Clinic
from tests.desk import book, open_clinic, overlaps, refused, wanted

NINE = "2030-03-04 09:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """One nurse, whom an infusion has to itself for twenty minutes and then shares."""
    made = open_clinic(engine)
    made.staff("prescriber")
    for _ in range(3):
        made.room("bay")
    return made


def change(clinic: Clinic, nurse: object, units: int) -> None:
    row = clinic.do(lambda s, c: resources.get(s, c, PRACTITIONER, nurse))  # type: ignore[arg-type]
    clinic.do(lambda s, c: resources.change(s, c, PRACTITIONER, row.id, row.revision, {"units": units}))


def taken(clinic: Clinic) -> list[tuple[str, int]]:
    """The nurse's units by the clock."""
    with Session(clinic.engine) as session:
        rows = session.scalars(select(Occupancy).where(Occupancy.role == "role:nurse", Occupancy.blocking))
        zero = clinic.at("2030-03-04 00:00")
        return sorted((str(row.starts_at - zero)[:-3], row.unit) for row in rows)


@pytest.mark.parametrize("keep", [False, True], ids=["visit", "hold"])
def test_who_needs_all_of_somebody_gets_what_comes(clinic: Clinic, *, keep: bool) -> None:
    nurse = clinic.staff("nurse", units=2)
    if keep:
        asked = wanted(clinic, clinic.patient(), "infusion", NINE)
        clinic.do(lambda s, c: holds.create(s, c, asked))
    else:
        book(clinic, clinic.patient(), "infusion", NINE)
    before = taken(clinic)
    assert [unit for at, unit in before if at == "9:00"] == [0, 1]
    change(clinic, nurse, 3)
    assert taken(clinic) == sorted([*before, ("9:00", 2)]), "and what is shared is as it was"
    assert refused(clinic, clinic.patient(), "watch", NINE).code == "resource_busy"
    assert book(clinic, clinic.patient(), "watch", "2030-03-04 09:20").row.status == "booked"
    assert overlaps(clinic.engine) == 0


def test_who_needs_all_is_content_with_what_stays(clinic: Clinic) -> None:
    nurse = clinic.staff("nurse", units=2)
    book(clinic, clinic.patient(), "infusion", NINE)
    before = taken(clinic)
    change(clinic, nurse, 3)
    change(clinic, nurse, 2)
    assert taken(clinic) == before
    book(clinic, clinic.patient(), "watch", "2030-03-04 09:20")
    with pytest.raises(InUse):
        change(clinic, nurse, 1)
    assert len(taken(clinic)) == len(before) + 1, "a refusal takes nothing away"


def test_an_overrides_unit_stays_its_own(clinic: Clinic) -> None:
    """It is in the way of nothing, and nothing is a fault."""
    nurse = clinic.staff("nurse")
    book(clinic, clinic.patient(), "infusion", NINE)
    book(clinic, clinic.patient(), "watch", NINE, override=override_of(["resource_busy"], "no other way"))
    change(clinic, nurse, 3)
    assert overlaps(clinic.engine) == 0
    assert [unit for at, unit in taken(clinic) if at == "9:00"] == [0, 1, 2]
