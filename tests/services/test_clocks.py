"""Nights on which the clocks change: what cannot be meant is refused, and elapsed minutes elapse.

New York skips 02:00-03:00 on 2030-03-10 and repeats 01:00-02:00 on 2030-11-03.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import LocalTimeFault
from scheduler.core.localgrid import Wish
from scheduler.services import availability, booking
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import TALK


@pytest.fixture
def night(engine: Engine) -> Clinic:
    hours = [{"weekday": day, "start": "00:00", "end": "24:00"} for day in ("sat", "sun", "mon")]
    made = Clinic(engine, hours=hours)
    made.visit(TALK)
    made.staff("therapist")
    made.room("consult")
    return made


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("2030-03-10T02:30:00-05:00", "nonexistent_time"),
        ("2030-11-03T01:30:00-04:00", "ambiguous_time"),
        ("2030-11-03T05:30:00+00:00", "ambiguous_time"),
    ],
)
def test_a_slip_of_the_clock_is_refused_and_cured_by_saying_which(night: Clinic, start: str, code: str) -> None:
    patient = night.patient()
    asked = Wanted(patient, "talk", night.location_id, datetime.fromisoformat(start))
    with pytest.raises(LocalTimeFault) as caught:
        night.do(lambda s, c: booking.book(s, c, asked))
    assert caught.value.code == code
    later = Wanted(patient, "talk", night.location_id, asked.start, disambiguation="later")
    made = night.do(lambda s, c: booking.book(s, c, later))
    assert made.row.ends_at - made.row.starts_at == timedelta(hours=1), "elapsed time, whatever the clocks do"


@pytest.mark.parametrize("start", ["2030-03-10T01:15:00-05:00", "2030-11-03T00:30:00-04:00"])
def test_two_hours_of_watching_are_two_real_hours_on_the_night_of_the_change(night: Clinic, start: str) -> None:
    watch = segment("watch", 120, need("role:therapist", "shared"))
    night.visit(visit_type("long", segment("dose", 15, need("role:therapist")), watch))
    asked = Wanted(night.patient(), "long", night.location_id, datetime.fromisoformat(start))
    made = night.do(lambda s, c: booking.book(s, c, asked))
    [watched] = [each for each in made.segments if each["name"] == "watch"]
    assert watched["end"] - watched["start"] == timedelta(minutes=120)
    [watcher] = [each for each in made.participants if each.segment == "watch"]
    assert (watcher.start, watcher.end) == (watched["start"], watched["end"])


def test_no_repeated_hour_is_offered(night: Clinic) -> None:
    span = datetime.fromisoformat("2030-11-03T00:00-04:00"), datetime.fromisoformat("2030-11-03T04:00-05:00")
    question = availability.Question("talk", night.location_id, *span, wish=Wish(step=30))
    offers, _ = night.do(lambda s, c: availability.search(s, c, question, limit=100))
    local = [offer.start.astimezone(datetime.fromisoformat("2030-01-01T00:00-05:00").tzinfo) for offer in offers]
    assert [f"{start:%H:%M}" for start in local] == ["23:00", "23:30", "02:00", "02:30", "03:00", "03:30"]
