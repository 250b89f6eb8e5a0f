"""Visits of another system are brought in while the desk books the same times: all of them come, or none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, Refused
from scheduler.models import Appointment, Patient
from scheduler.services import booking, importing
from scheduler.services.importing import Person, Standing
from tests.desk import overlaps, wanted
from tests.race.arena import Arena

CLOCKS = ("09:00", "10:00", "11:00")
DAYS = 4


def bringing(arena: Arena, day: str, clocks: Sequence[str]) -> Callable[[], object]:
    """An import of a visit at each of these hours, in that order, each of a patient of its own."""
    system = f"{day} from {clocks[0]}"
    people = [Person(clock, clock, {"name": system}) for clock in clocks]
    visits = [Standing(clock, clock, "talk", "Main", f"{day}T{clock}") for clock in clocks]
    return lambda: arena.clinic.do(lambda s, c: importing.bring(s, c, people, visits, system=system))


def at_once(works: Sequence[Callable[[], object]]) -> list[str]:
    """Which were refused, by their places, and why. What else is raised fails the test."""
    gate, told = threading.Barrier(len(works)), [""] * len(works)

    def run(place: int) -> None:
        gate.wait()
        try:
            works[place]()
        except (Invalid, Refused) as error:
            told[place] = str(error.faults if isinstance(error, Invalid) else error.reasons)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_an_import_comes_whole_or_not_at_all(engine: Engine) -> None:
    """Two of them, in opposite order, and two at the desk who want their middle, for the one therapist."""
    arena = Arena(engine, people=1, patients=2)
    for number in range(DAYS):
        day = f"{arena.at(number, '12:00').date()}"
        imports = [bringing(arena, day, clocks) for clocks in (CLOCKS, CLOCKS[::-1])]
        asked = [wanted(arena.clinic, patient, "talk", f"{day} 10:00") for patient in arena.patient_ids]
        desks = [partial(arena.clinic.do, lambda s, c, each=each: booking.book(s, c, each)) for each in asked]
        told = at_once([*imports, *desks])
        assert told.count("") == 1, "whoever has ten o'clock has it alone"
        with Session(engine) as session:
            mine = Patient.id == Appointment.patient_id, Patient.name.startswith(day)
            brought = [
                session.scalar(select(func.count()).select_from(Patient).where(mine[1])),
                session.scalar(select(func.count()).select_from(Appointment).join(Patient, mine[0]).where(mine[1])),
            ]
        assert brought == [len(CLOCKS) * told[:2].count("")] * 2, told
    assert overlaps(engine) == 0
