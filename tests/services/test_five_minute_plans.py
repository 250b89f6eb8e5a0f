"""Courses that fit between the quarters of the hour alone: booking takes every five minutes, so plans do too."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.civil import to_local
from scheduler.core.intervals import Span
from scheduler.services import absences, booking, disruptions
from scheduler.services.course_changes import Change
from scheduler.services.finding import Wanted
from scheduler.services.lookahead import continues
from tests.clinic import Clinic, week
from tests.coursework import DOSE, EVALUATION, TALK, accept, approve, course, offer, open_course_clinic, protocol
from tests.services.test_disruptions import day_of, somebody
from tests.services.test_explaining import refused
from tests.services.test_plan_batches import planned
from tests.services.test_replanning import Running, beyond


def clinic_with(engine: Engine, start: str, end: str) -> Clinic:
    """Its only prescriber is there for a dose of two hours, and hardly longer."""
    made = Clinic(engine)
    for document in (EVALUATION, DOSE, TALK):
        made.visit(document)
    made.staff("nurse")
    made.staff("therapist")
    made.staff("prescriber", hours=week(start, end))
    made.room("bay")
    made.room("consult")
    approve(made, protocol(gate=2))
    return made


def test_a_course_that_fits_at_five_past_alone_is_planned_and_booked(engine: Engine) -> None:
    clinic = clinic_with(engine, "09:05", "11:05")
    made = course(clinic)
    [best] = offer(clinic, made.id)
    doses = [each.start for each in best.plan.sessions if each.spec.step == "dose"]
    assert {to_local(start, clinic.time_zone).strftime("%H:%M") for start in doses} == {"09:05"}
    assert clinic.do(lambda s, c: continues(s, c, best.desk, [best.plan])) == [True]
    assert len(accept(clinic, made.id, best.token)) == len(best.plan.sessions)


def test_a_course_that_fits_on_a_quarter_starts_on_quarters_alone(engine: Engine) -> None:
    clinic = clinic_with(engine, "09:05", "11:20")
    [best] = offer(clinic, course(clinic).id)
    assert {each.start.minute % 15 for each in best.plan.sessions} == {0}


SQLITE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def away(clinic: Clinic, name: str, first: date, days: int, *but: tuple[str, str]) -> None:
    """Somebody is absent on these days, except between these times of each."""
    who, edges = somebody(clinic, name), ["00:00", *(edge for pair in but for edge in pair), "23:55"]
    for day in (first + timedelta(days=each) for each in range(days)):
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            span = {"start": clinic.at(f"{day} {start}"), "end": clinic.at(f"{day} {end}")}
            clinic.do(lambda s, c, span=span: absences.create(s, c, resource_id=who, reason="", **span))


def clock(clinic: Clinic, start: datetime) -> str:
    return to_local(start, clinic.time_zone).strftime("%H:%M")


@SQLITE
class TestAnew:
    """A course that stands on the quarters, whose prescriber then has time between them alone."""

    @pytest.fixture
    def running(self, engine: Engine) -> Running:
        running = Running(open_course_clinic(engine), doses=2)
        away(running.clinic, "prescriber", date(2030, 3, 4), 14, ("13:05", "15:05"))
        return running

    @staticmethod
    def after_the_first(running: Running) -> datetime:
        """The evaluation and the first dose are over."""
        return running.visit("dose", 1).ends_at

    def test_a_re_plan_is_found_there_before_any_limit_is_exceeded(self, running: Running) -> None:
        now, dose = self.after_the_first(running), running.visit("dose", 2)
        plan = running.propose(Change(dose.id, "cancel"), now=now)
        assert beyond(plan.broken) == []
        running.accept(plan, now=now)
        running.check()
        assert running.starts()["dose 2"].strftime("%H:%M") == "13:05"
        # What stands between the quarters is kept like any other visit.
        assert running.propose(now=now).moved == ()
        talk = running.visit("talk", 2)
        later = running.propose(Change(talk.id, "move", talk.starts_at + timedelta(minutes=5)), now=now)
        assert [(each.session_id, each.start - talk.starts_at) for each in later.moved] == [
            (running.session_id("talk", 2), timedelta(minutes=5))
        ]

    def test_a_repair_moves_a_dose_there_before_it_is_called_broken(self, running: Running) -> None:
        clinic, dose, now = running.clinic, running.visit("dose", 2), self.after_the_first(running)
        nurse, span = somebody(clinic, "nurse"), day_of(dose)
        lines = clinic.do(lambda s, c: disruptions.propose(s, c, nurse, span), now=now)
        [line] = [each for each in lines if each.struck]
        assert (line.outcome, line.to is not None and clock(clinic, line.to)) == ("moved", "13:05")
        kept = clinic.do(lambda s, c: disruptions.keep(s, c, nurse, span, "", lines), now=now)
        assert clinic.do(lambda s, c: disruptions.accept(s, c, kept.token, everything=True), now=now).open == ()
        running.check()

    def test_a_visit_by_itself_goes_there_rather_than_to_another_day(self, running: Running) -> None:
        clinic, prescriber = running.clinic, somebody(running.clinic, "prescriber")
        wanted = Wanted(clinic.patient(), "evaluation", clinic.location_id, clinic.at("2030-03-13 13:05"))
        visit = clinic.do(lambda s, c: booking.book(s, c, wanted))
        away(clinic, "prescriber", date(2030, 3, 18), 14, ("10:10", "10:40"))
        for start, end, to in (
            ("2030-03-13 13:00", "2030-03-13 14:00", "2030-03-13 14:00"),
            ("2030-03-09 00:00", "2030-03-18 00:00", "2030-03-18 10:10"),
        ):
            span = Span(clinic.at(start), clinic.at(end))
            lines = clinic.do(lambda s, c, span=span: disruptions.propose(s, c, prescriber, span))
            assert [(line.appointment_id, line.to) for line in lines] == [(visit.id, clinic.at(to))]


@SQLITE
def test_of_many_at_once_whoever_has_no_place_on_the_quarters_has_one_between_them(engine: Engine) -> None:
    """A dose a day at 09:05 is all there is: two courses take turns, and a third has no days left."""
    clinic = clinic_with(engine, "09:05", "11:05")
    approve(clinic, {**protocol(2), "code": "soon"})
    days = {"blackouts": [{"from": "2030-03-13", "to": "2031-03-07"}]}
    ids = [course(clinic, code="soon", **days).id for _ in range(3)]
    never = course(clinic, code="soon", weekdays=["sat"]).id
    result = planned(clinic, [*ids, never])
    codes = [line["code"] for line in result["courses"]]
    assert sorted(map(str, codes)) == ["None", "None", "no_feasible_plan", "no_place_beside_the_others"]
    assert codes[-1] == "no_feasible_plan"
    assert (result["placed"], result["between_quarters"], result["total"]["unplaced"]) == (2, 2, 2)
    for line in result["courses"]:
        if line["plan_token"]:
            assert len(accept(clinic, UUID(line["course_id"]), line["plan_token"])) == line["sessions"]


@SQLITE
class TestExplained:
    """What is in the way, and what helps, where doses fit at five past alone: on the quarters, nothing would help."""

    @pytest.fixture
    def clinic(self, engine: Engine) -> Clinic:
        clinic = clinic_with(engine, "09:05", "11:05")
        approve(clinic, {**protocol(), "code": "free"})
        return clinic

    def test_only_what_is_in_the_way_of_every_start_is_blamed(self, clinic: Clinic) -> None:
        refusal = refused(clinic, code="free", weekdays=["mon"])
        assert [each["code"] for each in refusal.blocking] == ["weekdays", "window_max"]

    def test_what_is_offered_leads_to_the_plan_that_is_then_found(self, clinic: Clinic) -> None:
        wished = refused(clinic, code="free", weekdays=["mon"]).relaxations[0]
        assert (wished["who"], [each["code"] for each in wished["rules"]]) == ("patient", ["weekdays"])
        [best] = offer(clinic, course(clinic, code="free").id)
        last = max(each.start for each in best.plan.sessions)
        doses = [each.start for each in best.plan.sessions if each.spec.step == "dose"]
        assert {clock(clinic, start) for start in doses} == {"09:05"}
        assert wished["completes_on"] == to_local(last, clinic.time_zone).date().isoformat()
        assert wished["cost"] == best.plan.plan.cost
