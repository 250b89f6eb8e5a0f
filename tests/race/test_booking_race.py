"""Threads that want the same time at the same moment, on both databases."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Refused
from scheduler.services import booking
from scheduler.services.appointments import AppointmentView
from scheduler.services.finding import Wanted
from tests.clinic import Clinic
from tests.desk import open_clinic, overlaps, wanted


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_clinic(engine)


def race(clinic: Clinic, wishes: list[Wanted]) -> list[object]:
    """Every wish at once, each in a thread with a connection of its own; results or exceptions."""
    gate = threading.Barrier(len(wishes))
    results: list[object] = [None] * len(wishes)

    def run(place: int) -> None:
        gate.wait()
        try:
            results[place] = clinic.do(lambda s, c: booking.book(s, c, wishes[place]))
        except Exception as error:  # noqa: BLE001 - the test looks at what came
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(wishes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_who_want_one_slot_exactly_one_gets_it(clinic: Clinic) -> None:
    clinic.staff("therapist")
    clinic.room("consult")
    wishes = [wanted(clinic, clinic.patient(), "talk", "2030-03-04 10:00") for _ in range(8)]
    results = race(clinic, wishes)
    assert sum(isinstance(result, AppointmentView) for result in results) == 1
    assert sum(isinstance(result, Refused) for result in results) == 7, results
    assert overlaps(clinic.engine) == 0


def test_where_there_is_room_for_all_nobody_is_refused(clinic: Clinic) -> None:
    """Losing a candidate is not a refusal: the booking is tried again with the others."""
    for _ in range(6):
        clinic.staff("therapist")
        clinic.room("consult")
    results = race(clinic, [wanted(clinic, clinic.patient(), "talk", "2030-03-04 10:00") for _ in range(6)])
    assert all(isinstance(result, AppointmentView) for result in results), results
    assert overlaps(clinic.engine) == 0
