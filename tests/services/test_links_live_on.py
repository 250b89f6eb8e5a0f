"""Links to patients' pages live as long as their visit's time: no other change of the visit ends one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.models import Appointment
from scheduler.services import booking, clinical_holds, course_life, patient_links
from scheduler.services.patient_links import Opened
from tests.clinic import Clinic
from tests.coursework import open_course_clinic
from tests.desk import book
from tests.services.test_replanning import Running
from tests.services.test_zone_rules import WINTER, follow, old_rules, open_site
from tests.ward import cancel, enrolled, move, open_ward, row, spray

SQLITE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def issued(clinic: Clinic, visit: UUID) -> str:
    """The token of a link to the visit as it is by now."""
    return clinic.do(lambda s, c: patient_links.issue(s, c, s.get_one(Appointment, (c.organization_id, visit))))


def opened(clinic: Clinic, token: str) -> Opened:
    return clinic.do(lambda s, c: patient_links.opened(s, token, c.now))


def put(clinic: Clinic, visit: UUID, start: str) -> None:
    clinic.do(lambda s, c: booking.reschedule(s, c, visit, clinic.at(start)))


def test_a_move_that_is_moved_back_or_undone_leaves_the_link(engine: Engine) -> None:
    clinic = open_ward(engine)
    visit = spray(clinic, "2030-03-04 09:00")
    first = issued(clinic, visit)
    put(clinic, visit, "2030-03-05 10:00")
    between = issued(clinic, visit)
    assert (opened(clinic, first).moved, opened(clinic, between).moved) == (True, False)
    put(clinic, visit, "2030-03-04 09:00")
    assert (opened(clinic, first).moved, opened(clinic, between).moved) == (False, True)
    put(clinic, visit, "2030-03-06 10:00")
    assert opened(clinic, first).moved
    move(clinic, "undo", visit)
    assert row(clinic, visit).sequence == 4
    assert (opened(clinic, first).moved, opened(clinic, between).moved) == (False, True)


@SQLITE
def test_a_visit_that_is_off_may_not_be_acted_on_until_it_is_back(engine: Engine) -> None:
    clinic = open_ward(engine)
    visit = spray(clinic)
    token = issued(clinic, visit)
    cancel(clinic, visit)
    assert opened(clinic, token).moved
    move(clinic, "undo", visit)
    assert (row(clinic, visit).status, opened(clinic, token).moved) == ("booked", False)


@SQLITE
def test_a_hold_that_is_released_leaves_the_link(engine: Engine) -> None:
    clinic = open_ward(engine)
    patient = enrolled(clinic)
    visit = spray(clinic, patient=patient)
    token = issued(clinic, visit)
    deadline = clinic.at("2030-03-03 12:00")
    held = clinic.do(lambda s, c: clinical_holds.place(s, c, patient, reason="bp_out_of_range", deadline=deadline))
    clinic.do(lambda s, c: clinical_holds.release(s, c, patient, held.id, by="Dr. Lee", note="Normal again."))
    assert (row(clinic, visit).sequence, opened(clinic, token).moved) == (1, False)


@SQLITE
def test_a_course_that_goes_on_leaves_the_links(engine: Engine) -> None:
    running = Running(open_course_clinic(engine))
    clinic, dose = running.clinic, running.visit("dose", 1)
    token = issued(clinic, dose.id)
    clinic.do(lambda s, c: course_life.hold(s, c, running.id, reason="unwell"))
    clinic.do(lambda s, c: course_life.resume(s, c, running.id))
    assert (row(clinic, dose.id).sequence, opened(clinic, token).moved) == (1, False)


def test_a_visit_that_follows_the_clocks_keeps_its_links_and_none_of_another_wall_time(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with old_rules(tmp_path / "zones", monkeypatch):
        clinic = open_site(engine, "America/Vancouver")
        visit = book(clinic, clinic.patient(), "sitting", f"{WINTER} 10:00").id
        earlier = issued(clinic, visit)  # 18:00 UTC
        put(clinic, visit, f"{WINTER} 09:00")
        before = issued(clinic, visit)
        put(clinic, visit, f"{WINTER} 08:00")
        other = issued(clinic, visit)  # 16:00 UTC, as 09:00 will be
        put(clinic, visit, f"{WINTER} 09:00")
    follow(clinic)
    seen = opened(clinic, before)
    with Session(engine) as session:
        now = session.get_one(Appointment, (clinic.call.organization_id, visit))
        assert (now.starts_at, now.sequence) == (clinic.at(f"{WINTER} 09:00"), 4)
    assert (seen.moved, seen.link.expires_at) == (False, seen.visit.ends_at + timedelta(days=2))
    assert [opened(clinic, token).moved for token in (earlier, other)] == [True, True]
