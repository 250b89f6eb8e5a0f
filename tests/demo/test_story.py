"""The demonstration as a whole: seeded, told over HTTP, run forward; on awkward days of the year and both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds
from scheduler.database import snapshot
from scheduler.demo import clinic
from scheduler.demo.chapters import Chapters
from scheduler.demo.clock import StoryClock
from scheduler.demo.command import play
from scheduler.demo.filling import fill
from scheduler.demo.screen import Screen
from scheduler.models import Appointment, ProtocolRow
from scheduler.services.calendars import load
from scheduler.services.catalog import visit_kinds
from scheduler.services.doctor import examine

if TYPE_CHECKING:
    from scheduler.config import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: A week before the clocks go forward, the day after Europe's and before America's go back, the holidays, a leap week.
DAYS = ("2026-03-01", "2026-10-26", "2026-12-28", "2027-02-27")


def told(settings: Settings, today: str) -> tuple[Chapters, str]:
    """The whole demonstration on a database of the test's own, and what was on the screen."""
    shown = StringIO()
    clock = StoryClock(datetime.fromisoformat(today).replace(hour=14, tzinfo=UTC))
    return play(settings, clock, Screen(Console(file=shown, width=80))), shown.getvalue()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("dialect", "today"), [("postgresql", DAYS[0]), *(("sqlite", day) for day in DAYS[1:])], indirect=["dialect"]
)
def test_a_course_is_planned_booked_and_its_patient_told(settings: Settings, engine: Engine, today: str) -> None:
    story, shown = told(settings, today)
    assert story.refusal is None
    assert story.booked is not None
    the_clinic_is_as_full_as_promised(story, engine)
    filling_what_is_left_says_the_same(story, engine)
    the_course_keeps_its_protocol(story.booked.course, story.booked.appointments)
    every_message_left_when_it_was_due(story, Path(settings.outbox_dir), at(f"{today}T14:00Z"))
    for line in ("plan 1 (best)", "dose 6", "13 visits are booked.", "night before", ".eml"):
        assert line in shown
    assert max(map(len, shown.splitlines())) <= 80


def the_clinic_is_as_full_as_promised(story: Chapters, engine: Engine) -> None:
    seeded = story.seeded
    assert len(seeded.patient_ids) == 40
    assert 0.55 < seeded.load < 0.65
    with Session(engine) as session:
        mine = Appointment.organization_id == seeded.organization_id
        booked = session.scalar(select(func.count()).where(mine, Appointment.course_id.is_(None)))
        assert booked == seeded.visits > 500
        first, last = session.execute(
            select(func.min(Appointment.starts_at), func.max(Appointment.starts_at)).where(mine)
        ).one()
        assert (last - first).days > 50
        protocol = session.scalars(
            select(ProtocolRow).where(
                ProtocolRow.organization_id == seeded.organization_id, ProtocolRow.status == "active"
            )
        ).one()
        assert (protocol.code, protocol.approved_by) == ("iv_ketamine_induction", clinic.CLINICIAN)
    call = Call(story.clock(), seeded.organization_id, "test")
    with Session(engine) as session, snapshot(session):
        assert [found for found in examine(session, call) if found.count] == []


def filling_what_is_left_says_the_same(story: Chapters, engine: Engine) -> None:
    """The load, measured anew from the calendar of one week, which need not be typical."""
    seeded, site = story.seeded, clinic.SITES[0]
    monday = seeded.first_day + timedelta(weeks=7)
    call = Call(story.clock(), seeded.organization_id, "test")
    bounds = day_bounds(monday, site.time_zone)[0], day_bounds(monday + timedelta(days=4), site.time_zone)[1]
    with Session(engine) as session:
        loaded = load(session, call, location_id=seeded.location_ids[site.key], start=bounds[0], end=bounds[1])
        kinds = visit_kinds(session, call)
        mine = Appointment.organization_id == seeded.organization_id, Appointment.starts_at.between(*bounds)
        here = session.scalars(select(Appointment).where(*mine, Appointment.location_id == loaded.location.id)).all()
    booked = sum((each.ends_at - each.starts_at).seconds // 60 for each in here)
    days = (monday + timedelta(days=offset) for offset in range(5))
    added = sum(visit.minutes for day in days for visit in fill(loaded, kinds, site.mix, day, Random(7)))
    assert 0.5 < booked / (booked + added) < 0.7


def the_course_keeps_its_protocol(course: dict[str, Any], appointments: list[dict[str, Any]]) -> None:
    assert len(appointments) == len(course["sessions"]) == 13
    steps = {each["id"]: each["step"] for each in course["sessions"]}
    inside = [(steps[each["course_session_id"]], each) for each in appointments]
    assert [step for step, _ in inside] == ["evaluation", *["dose", "integration"] * 6]
    for (step, visit), (after, following) in pairwise(inside):
        if (step, after) == ("dose", "integration"):
            pause = at(following["start"]) - at(visit["end"])
            assert timedelta(hours=24) <= pause <= timedelta(hours=72)
    doses = [at(visit["start"]) for step, visit in inside if step == "dose"]
    assert all(2 <= (later.date() - dose.date()).days <= 5 for dose, later in pairwise(doses))
    assert all(8 <= dose.hour < 18 for dose in doses)  # the site's own hours, whatever the clocks do
    assert {visit["status"] for _, visit in inside} == {"booked"}


def every_message_left_when_it_was_due(story: Chapters, outbox: Path, begun: datetime) -> None:
    assert story.booked is not None
    dose = story.booked.summit
    sent = [one.message for one in story.sent]
    kinds = [each["kind"] for each in sent]
    assert {"night_before", "evening_check"} <= set(kinds)
    # One message tells of all visits at once; it comes again a week before the course where that is not too near.
    assert "series_overview" in {each["kind"] for each in sent if each["sent_at"] == sent[0]["sent_at"]}
    assert (kinds.count("series_overview") <= 2, kinds.count("booked")) == (True, 0)
    for each in sent:
        assert each["sent_at"] is not None
        assert at(each["sent_at"]) == max(at(each["due_at"]), begun), each["kind"]
        assert (outbox / f"{each['id']}.eml").read_bytes()
    instruction = next(each for each in sent if each["kind"] == "night_before")
    assert instruction["appointment_id"] == dose["id"]
    assert at(instruction["sent_at"]) < at(dose["start"]) - timedelta(hours=8)
    owed = [each for each in story.owed if each["status"] == "pending" and at(each["due_at"]) <= story.clock()]
    letters = {each["id"]: each for each in owed if each["channel"] != "task"}  # what is the staff's is no letter
    ids = {each["id"] for each in sent}
    assert ids <= letters.keys()
    for each in (letters[key] for key in letters.keys() - ids):  # another took it along
        near = [one for one in sent if abs(at(one["sent_at"]) - at(each["due_at"])) <= timedelta(hours=12)]
        assert each["channel"] in {one["channel"] for one in near}, each["kind"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_without_a_plan_the_story_says_why_and_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    away = tuple((person.name, 0, 0, 200) for person in clinic.STAFF if person.role == "therapist")
    monkeypatch.setattr(clinic, "AWAY", away)
    story, shown = told(settings, DAYS[0])
    assert story.refusal is not None
    assert story.refusal["code"] == "no_feasible_plan"
    assert story.booked is not None
    assert [each["visit_type"] for each in story.booked.appointments] == ["evaluation"]
    assert "booked" in {one.message["kind"] for one in story.sent}
    assert {each["code"] for each in story.refusal["blocking"]} == {"resource_absent"}
    assert "Linden is absent" in " ".join(shown.split())
    assert "it would fit with: one more therapist" in " ".join(shown.split())
