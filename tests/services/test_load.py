"""The heat map against a slow count of the same rows, and how often the database is asked for it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Invalid
from scheduler.services import absences, load, organizations
from scheduler.services.load import Load
from tests.clinic import Clinic
from tests.desk import book, open_clinic
from tests.services.test_statements import listening

MORNING, NOON = "2030-03-04 08:00", "2030-03-04 12:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    for role in ("therapist", "prescriber"):
        made.staff(role)
    for kind in ("bay", "bay", "bay", "consult"):
        made.room(kind)
    return made


def heat(clinic: Clinic, step: int = 15, start: str = MORNING, end: str = NOON) -> Load:
    span = clinic.at(start), clinic.at(end)
    return clinic.do(lambda s, c: load.of_location(s, c, clinic.location_id, *span, step=step, role="nurse"))


def test_each_slot_counts_what_is_taken_and_what_is_there(clinic: Clinic) -> None:
    nurses = [clinic.staff("nurse", units=2), clinic.staff("nurse")]
    visits = [book(clinic, clinic.patient(), "infusion", start) for start in ("2030-03-04 09:00", "2030-03-04 10:30")]
    visits += [book(clinic, clinic.patient(), "watch", "2030-03-04 09:15")]
    away = clinic.at("2030-03-04 11:00"), clinic.at("2030-03-04 11:30")
    clinic.do(lambda s, c: absences.create(s, c, resource_id=nurses[1], start=away[0], end=away[1]))
    for slot in heat(clinic).slots:
        moments = [slot.start + timedelta(minutes=each) for each in range(0, 15, 5)]

        def most(kind: str, moments: list[object] = moments) -> int:
            """The slow count: participations of that kind at the fullest moment."""
            return max(
                sum(part.role == kind and part.start <= moment < part.end for v in visits for part in v.participants)
                for moment in moments
            )

        begun = sorted(v.row.visit_type for v in visits if slot.start <= v.row.starts_at < slot.end)
        assert sorted(slot.starts) == sorted(set(begun))
        assert sum(slot.starts.values()) == len(begun)
        assert slot.rooms_taken == most("bay")
        assert (slot.taken >= most("nurse"), slot.rooms_open) == (True, 4)  # a nurse alone takes all her units
        assert slot.rostered == (2 if away[0] <= slot.start < away[1] else 3)


def test_the_template_stands_beside_the_starts(clinic: Clinic) -> None:
    clinic.staff("nurse")
    clinic.staff("nurse")
    template = [
        {"minutes": 60, "starts": 1, "start": "09:00", "end": "10:00", "weekdays": ["mon"]},
        {"minutes": 240, "starts": 2, "start": "09:00", "end": "09:15"},
        {"minutes": 240, "starts": 9, "start": "09:00", "end": "18:00", "location_id": str(UUID(int=1))},
    ]

    def plan(session: object, call: object) -> object:
        held = organizations.get(session, call)  # type: ignore[arg-type]
        return organizations.change(session, call, held.revision, {"policies": {"starts_template": template}})  # type: ignore[arg-type]

    clinic.do(plan)
    for code in ("infusion", "watch"):
        book(clinic, clinic.patient(), code, "2030-03-04 09:00")
    slots = {slot.start: slot.template for slot in heat(clinic).slots}
    nine, later = slots[clinic.at("2030-03-04 09:00")], slots[clinic.at("2030-03-04 09:15")]
    assert [(each.minutes, each.starts, each.booked) for each in nine] == [(60, 1, 1), (240, 2, 1)]
    assert [(each.minutes, each.starts, each.booked) for each in later] == [(60, 1, 0)]
    assert slots[clinic.at("2030-03-04 10:00")] == ()
    hours = {slot.start: slot.template for slot in heat(clinic, 60).slots}[clinic.at("2030-03-04 09:00")]
    assert [(each.minutes, each.starts, each.booked) for each in hours] == [(60, 4, 1), (240, 2, 1)]


def test_a_month_asks_as_often_as_a_morning(clinic: Clinic) -> None:
    clinic.staff("nurse")
    counts = []
    for end in (NOON, "2030-04-03 08:00"):
        book(clinic, clinic.patient(), "watch", end.replace("12:00", "10:00"))
        with listening(clinic.engine) as asked:
            heat(clinic, end=end)
        counts.append(len(asked.statements))
    assert counts[0] == counts[1] <= 5


def test_bad_spans_are_refused(clinic: Clinic) -> None:
    for start, end in ((NOON, MORNING), (MORNING, "2030-04-05 08:00"), ("2030-03-04 08:01", NOON)):
        with pytest.raises(Invalid):
            heat(clinic, start=start, end=end)
