"""Holidays that a location keeps: closures by another name, everywhere that closures count."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Invalid, Refused
from scheduler.services import availability, booking, locations
from scheduler.services.availability import Question
from scheduler.services.finding import Wanted
from scheduler.services.locations import LocationView
from tests.clinic import Clinic
from tests.desk import TALK, book

#: Thanksgiving is on 28 November 2030; California keeps the day after, New York does not.
THANKSGIVING, DAY_AFTER = "2030-11-28 10:00", "2030-11-29 10:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = Clinic(engine)
    made.visit(TALK)
    made.staff("therapist")
    made.room("consult")
    return made


def keep(clinic: Clinic, holidays: dict[str, Any] | None) -> LocationView:
    def work(session: Any, call: Any) -> LocationView:
        held = locations.get(session, call, clinic.location_id)
        return locations.change(session, call, clinic.location_id, held.revision, {"holidays": holidays})

    return clinic.do(work)


def refusal(clinic: Clinic, start: str) -> list[tuple[str, str]]:
    """What explain says of a start."""
    question = Question("talk", clinic.location_id, clinic.at(start), clinic.at(start))
    reasons = clinic.do(lambda s, c: availability.explain(s, c, question)).reasons
    return [(reason.code, reason.detail) for reason in reasons if reason.code == "location_closed"]


def test_a_holiday_closes_whoever_keeps_it_and_is_named(clinic: Clinic) -> None:
    assert refusal(clinic, THANKSGIVING) == []
    keep(clinic, {"country": "US", "subdivision": "NY"})
    [(code, detail)] = refusal(clinic, THANKSGIVING)
    assert (code, "Thanksgiving Day" in detail) == ("location_closed", True)
    assert refusal(clinic, DAY_AFTER) == []
    asked = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at(THANKSGIVING))
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: booking.book(s, c, asked))
    assert caught.value.code == "location_closed"
    assert clinic.at(THANKSGIVING).date() not in {each.date() for each in caught.value.alternatives}
    keep(clinic, {"country": "US", "subdivision": "CA"})
    assert len(refusal(clinic, DAY_AFTER)) == 1


@pytest.mark.parametrize(
    "exception", [{"open_days": ["2030-11-28"]}, {"open_names": ["thanksgiving day"]}], ids=["day", "name"]
)
def test_a_location_may_work_on_some(clinic: Clinic, exception: dict[str, Any]) -> None:
    keep(clinic, {"country": "US", **exception})
    assert refusal(clinic, THANKSGIVING) == []
    assert len(refusal(clinic, "2030-12-25 10:00")) == 1


def test_whoever_is_booked_on_one_is_named_when_it_is_kept(clinic: Clinic) -> None:
    visit = book(clinic, clinic.patient(), "talk", THANKSGIVING)
    book(clinic, clinic.patient(), "talk", DAY_AFTER)
    changed = keep(clinic, {"country": "US"})
    assert [each.id for each in changed.affected_appointments] == [visit.id]
    assert keep(clinic, None).affected_appointments == ()


def test_unknown_places_are_refused(clinic: Clinic) -> None:
    for holidays, pointer in (({"country": "XX"}, "/holidays/country"), ({"country": "US", "subdivision": "QQ"}, None)):
        with pytest.raises(Invalid) as caught:
            keep(clinic, holidays)
        assert caught.value.faults[0].pointer == (pointer or "/holidays/subdivision")
