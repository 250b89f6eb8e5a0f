"""Why no plan exists, in words, and what would help: every change offered was planned with, and does help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.easing.words import days_in_words, listed
from scheduler.core.errors import NoFeasiblePlan, Refused
from scheduler.models import Resource
from scheduler.services import absences, booking, locations, organizations, resources
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, week
from tests.coursework import (
    DOSE,
    EVALUATION,
    TALK,
    accept,
    approve,
    course,
    offer,
    open_course_clinic,
    protocol,
)

YEARS = ("2029-01-01 00:00", "2031-12-31 00:00")


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_course_clinic(engine)
    approve(made, protocol() | {"code": "any"})
    tight = protocol()
    tight["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": 7}
    approve(made, tight)
    return made


def somebody(clinic: Clinic, name: str) -> UUID:
    with Session(clinic.engine) as session:
        return session.scalars(select(Resource.id).where(Resource.name == name)).one()


def away(clinic: Clinic, name: str, start: str, end: str) -> UUID:
    who = somebody(clinic, name)
    times = {"start": clinic.at(start), "end": clinic.at(end)}
    return clinic.do(lambda s, c: absences.create(s, c, resource_id=who, **times)).id


def refused(clinic: Clinic, **wishes: Any) -> NoFeasiblePlan:
    made = course(clinic, **wishes)
    with pytest.raises(NoFeasiblePlan) as caught:
        offer(clinic, made.id)
    return caught.value


def offered(refusal: NoFeasiblePlan) -> list[tuple[str, str]]:
    return [(each["who"], each["change"]) for each in refusal.relaxations]


def test_a_wish_is_to_blame_together_with_what_it_meets(clinic: Clinic) -> None:
    refusal = refused(clinic, weekdays=["mon"])
    assert [(each["session"], each["code"]) for each in refusal.blocking] == [(3, "weekdays"), (3, "window_max")]
    assert refusal.detail == (
        "No plan exists: talk 1 ⇄ the patient comes on Mondays only ⇄ talk 1 at most 72 hours after dose 1."
    )
    [first, *_] = refusal.relaxations
    assert (first["who"], first["rules"][0]["code"]) == ("patient", "weekdays")
    again = course(clinic)
    [best] = offer(clinic, again.id)
    assert first["cost"] == best.plan.plan.cost, "the wish lifted is the course without it"
    assert first["completes_on"] == max(each.start for each in best.plan.sessions).date().isoformat()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_closure_is_told_with_its_days_and_with_the_one_to_be_open_on(clinic: Clinic) -> None:
    """The first dose would have to be on one of the days on which the clinic is closed."""
    closures = [{"from": "2030-03-05", "to": "2030-03-07", "reason": "Holidays"}]
    clinic.do(lambda s, c: locations.change(s, c, clinic.location_id, 1, {"closures": closures}))
    document = protocol(1)
    document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": 0}
    document["phases"][1]["steps"][0]["entry"]["max"] = 2
    approve(clinic, document)
    refusal = refused(clinic)
    assert "the location is closed 5–6 March" in refusal.detail, refusal.detail  # noqa: RUF001 - an en dash
    closed = next(each for each in refusal.blocking if each["code"] == "location_closed")
    assert (closed["from"], closed["to"]) == ("2030-03-05", "2030-03-06")
    told = dict(offered(refusal))
    assert told["manager"] == "open on 5 March though the location is closed", "the talk can be later"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_who_only_an_earlier_session_wants_is_told_of_that(engine: Engine) -> None:
    """The nurse comes on Fridays and no talk wants her: after a dose of a Friday the patient has no time to talk."""
    made = Clinic(engine)
    for document in (EVALUATION, DOSE, TALK):
        made.visit(document)
    made.staff("nurse", hours=week(days=["fri"]))
    for role in ("prescriber", "therapist"):
        made.staff(role)
    for room in ("bay", "consult"):
        made.room(room)
    approve(made, protocol())
    refusal = refused(made, weekdays=["tue", "wed", "thu", "fri"])
    assert refusal.detail == (
        "No plan exists: talk 1 ⇄ the patient comes on Tuesdays, Wednesdays, Thursdays and Fridays only ⇄ "
        "talk 1 at most 72 hours after dose 1 ⇄ every nurse is off duty at the sessions before it."
    )
    hours = next(each for each in refusal.blocking if each["code"] == "off_duty")
    assert (hours["session"], hours["role"]) == (2, "nurse"), "the dose"
    assert not {"from", "to"} & hours.keys(), "the days are the talk's"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_rules_out_the_whole_course_by_itself_is_named_alone(clinic: Clinic) -> None:
    """Talk 1 could be on a later Monday with a longer window, but no window is so long that the debriefing could."""
    document = protocol(1)
    booster, debrief = (dict(step) for step in document["phases"][1]["steps"])
    booster |= {"key": "booster", "entry": {"unit": "days", "min": 7, "target": 7, "max": 14}}
    debrief |= {"key": "debrief", "each": "booster"}
    debrief["window"] = {"edge": "end", "unit": "hours", "min": 1, "target": 24, "max": 25}
    document["phases"].append({"key": "boosters", "steps": [booster, debrief]})
    approve(clinic, document)
    refusal = refused(clinic, weekdays=["mon"])
    assert refusal.detail == "No plan exists: debrief ⇄ the patient comes on Mondays only."


def test_an_absence_is_named_with_its_days_and_the_limits_that_it_meets(clinic: Clinic) -> None:
    away(clinic, "nurse", "2030-03-05 00:00", "2030-03-30 00:00")
    refusal = refused(clinic)
    assert refusal.detail == (
        "No plan exists: dose 1 ⇄ evaluation within 7 days of the first possible day ⇄ "
        "at most 14 days between evaluation and dose 1 ⇄ nurse is absent 5–29 March."  # noqa: RUF001 - an en dash
    )
    absent = next(each for each in refusal.blocking if each["code"] == "resource_absent")
    assert (absent["from"], absent["to"], absent["role"]) == ("2030-03-05", "2030-03-29", "nurse")
    assert absent["resource_id"] == str(somebody(clinic, "nurse"))
    told = offered(refusal)
    assert [who for who, _ in told] == sorted(
        (who for who, _ in told), key=["patient", "front_desk", "manager", "prescriber"].index
    )
    assert ("front_desk", "begin up to 7 days later") in told
    assert any("in spite of the absence 5–29 March" in change for _, change in told)  # noqa: RUF001
    assert ("prescriber", "21 days between evaluation and dose 1 instead of at most 14") in told


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_no_day_is_named_without_which_the_change_helps_too(clinic: Clinic) -> None:
    """The nurse is there on Mondays alone: with another one on the days that are named, and on no fewer."""
    document = protocol(4, gap=(1, 2, 3))
    document["phases"][1]["steps"] = document["phases"][1]["steps"][:1]
    document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": 7}
    approve(clinic, document)
    gone_but(clinic, somebody(clinic, "nurse"), [date(2030, 3, 4) + timedelta(days=7 * each) for each in range(9)])
    refusal = refused(clinic)
    [(rules, change)] = [
        (rules, told)
        for rules, told in zip(refusal.changes, refusal.relaxations, strict=True)
        if [rule.code for rule in rules] == ["no_resource"]
    ]
    dates = sorted(rules[0].dates)
    assert date(2030, 3, 11) not in dates, "a Monday"
    assert len(dates) == 3
    assert change["change"] == f"one more nurse on {listed([days_in_words(day, day) for day in dates])}"
    assert planned_with_another(clinic, dates) == (change["cost"], change["completes_on"])
    for few in combinations(dates, 2):
        assert planned_with_another(clinic, few) is None, "all are needed"


def gone_but(clinic: Clinic, who: UUID, days: Sequence[date]) -> None:
    """They are absent for half a year, except on these days."""
    edges = ["2030-01-01", *(str(each) for day in days for each in (day, day + timedelta(days=1))), "2030-07-01"]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        times = {"start": clinic.at(f"{start} 00:00"), "end": clinic.at(f"{end} 00:00")}
        clinic.do(lambda s, c, times=times: absences.create(s, c, resource_id=who, **times))


def planned_with_another(clinic: Clinic, dates: Sequence[date]) -> tuple[int, str] | None:
    """Cost and last day of the plan that there is with another nurse on these days; then they are gone for good."""
    who = clinic.staff("nurse")
    gone_but(clinic, who, dates)
    made = course(clinic)
    try:
        [best] = offer(clinic, made.id)
    except NoFeasiblePlan:
        return None
    finally:
        clinic.do(lambda s, c: resources.remove(s, c, resources.PRACTITIONER, who, 1))
    return best.plan.plan.cost, max(each.start for each in best.plan.sessions).date().isoformat()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_is_alike_from_each_to_the_next_is_said_once(clinic: Clinic) -> None:
    document = protocol(5)
    document["phases"][1]["steps"] = document["phases"][1]["steps"][:1]
    approve(clinic, document)
    told = dict(offered(refused(clinic, weekdays=["tue"])))
    assert told["prescriber"] == "7 days from each to the next between dose 1 and dose 5 instead of at most 5"


def test_what_is_offered_helps_when_it_is_granted(clinic: Clinic) -> None:
    absence = away(clinic, "nurse", "2030-03-06 00:00", "2030-04-20 00:00")
    refusal = refused(clinic)
    [change] = [each for each in refusal.relaxations if each["rules"][0]["code"] == "resource_absent"]
    clinic.do(lambda s, c: absences.remove(s, c, absence, 1))
    made = course(clinic)
    [best] = offer(clinic, made.id)
    assert best.plan.plan.cost == change["cost"]
    assert len(accept(clinic, made.id, best.token)) == 7


def test_one_more_room_is_offered_where_the_only_one_is_taken(clinic: Clinic) -> None:
    others = [clinic.patient() for _ in range(4)]
    for day in range(4, 32):
        wall = date(2030, 3, day)
        for hour, who in zip(("08:00", "10:15", "12:30", "14:45"), others, strict=True):
            if wall.weekday() < 5:
                wanted = Wanted(who, "dose", clinic.location_id, clinic.at(f"{wall} {hour}"))
                clinic.do(lambda s, c, wanted=wanted: booking.book(s, c, wanted))
    refusal = refused(clinic)
    assert "resource_busy" in {each["code"] for each in refusal.blocking}
    assert all("Pat Example" not in str(each) for each in (*refusal.blocking, *refusal.relaxations))
    assert all(str(who) not in str(refusal.blocking) + str(refusal.relaxations) for who in others)


def test_two_changes_are_offered_together_where_one_does_not_help(clinic: Clinic) -> None:
    away(clinic, "nurse", *YEARS)
    away(clinic, "therapist", *YEARS)
    refusal = refused(clinic)
    assert [each["code"] for each in refusal.blocking] == ["resource_absent"], "one of them alone is enough"
    [together] = refusal.relaxations
    assert {each.get("role") for each in together["rules"]} == {"nurse", "therapist"}
    assert "; and " in together["change"]


def test_the_horizon_is_named(clinic: Clinic) -> None:
    clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"horizon_days": 6}}))
    refusal = refused(clinic)
    assert "horizon" in {each["code"] for each in refusal.blocking}


@pytest.mark.parametrize(("visit_type", "who"), [("talk", ["prescriber"]), ("dose", [])])
def test_more_in_a_week_is_for_a_prescriber_and_never_doses(clinic: Clinic, visit_type: str, who: list[str]) -> None:
    """Two in a week and at most three days apart: on weekdays alone there is no fifth."""
    step = {"key": "meeting", "visit_type": visit_type, "count": 5}
    step["gap"] = {"unit": "days", "min": 1, "target": 1, "max": 3}
    approve(clinic, protocol() | {"phases": [{"key": "meetings", "per_week": 2, "steps": [step]}]})
    refusal = refused(clinic)
    blocks = {each["code"]: each["detail"] for each in refusal.blocking}
    assert blocks["cap"] == "meetings with at most 2 sessions in a week"
    assert "gap_max" in blocks
    caps = [each for each in refusal.relaxations if each["rules"][0]["code"] == "cap"]
    assert [each["who"] for each in caps] == who
    assert all(each["change"] == "let meetings have up to 1 more in a week" for each in caps)


def test_days_counted_from_a_session_further_back_can_be_granted(clinic: Clinic) -> None:
    """The second dose is due two days after the first: never on a Monday or Tuesday again."""
    document = protocol()
    dose = document["phases"][1]["steps"][0]
    dose |= {"gap": {"unit": "days", "min": 1, "target": 2, "max": 14}}
    dose["offsets"] = {"anchor": "phase_start", "days": [0, 2, 5], "early": 0, "late": 0}
    document["phases"][1]["steps"] = [dose]
    approve(clinic, document)
    refusal = refused(clinic, weekdays=["mon", "tue"])
    blocks = {each["code"]: each["detail"] for each in refusal.blocking}
    assert blocks["bound_max"] == "dose 2 at most 2 days after dose 1"
    [bound] = [each for each in refusal.relaxations if each["rules"][0]["code"] == "bound_max"]
    assert bound["who"] == "prescriber"
    assert "dose 2 4 days later than 2 days after dose 1" in bound["change"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("hard", [False, True])
def test_the_length_of_a_phase_is_named_and_offered_unless_it_is_hard(clinic: Clinic, *, hard: bool) -> None:
    """On Mondays alone three doses take two weeks."""
    document = protocol(gap=(2, 7, 14))
    induction = document["phases"][1]
    induction |= {"max_days": 9, "hard_max": hard, "steps": induction["steps"][:1]}
    approve(clinic, document)
    refusal = refused(clinic, weekdays=["mon"])
    blocks = {each["code"]: each["detail"] for each in refusal.blocking}
    assert blocks["phase_max"] == "induction within 9 days" + ", which its protocol makes hard" * hard
    longer = [change for who, change in offered(refusal) if who == "prescriber"]
    assert longer == ([] if hard else ["let induction take up to 14 days longer"])


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("holiday", "apart"), [(None, 5), ("2030-03-14", 4)])
def test_gaps_in_clinic_days_are_exceeded_by_clinic_days(clinic: Clinic, holiday: str | None, apart: int) -> None:
    """From one Monday to the next: the weekend never counts, and neither does a day on which the clinic is closed."""
    document = protocol(2, gap=(1, 1, 2))
    document["phases"][1]["steps"] = document["phases"][1]["steps"][:1]
    document["phases"][1]["steps"][0]["gap"]["unit"] = "clinic_days"
    approve(clinic, document)
    if holiday:
        closed = {"closures": [{"from": holiday, "to": holiday, "reason": "Holiday"}]}
        clinic.do(lambda s, c: locations.change(s, c, clinic.location_id, 1, closed))
    refusal = refused(clinic, weekdays=["mon"])
    assert "at most 2 clinic days between dose 1 and dose 2" in {each["detail"] for each in refusal.blocking}
    assert ("prescriber", f"{apart} clinic days between dose 1 and dose 2 instead of at most 2") in offered(refusal)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_of_longest_gaps_those_that_are_hard_are_named_and_no_more_is_offered(clinic: Clinic) -> None:
    """On Mondays alone doses are a week apart: too far for a hard gap, while the talks' windows could be exceeded."""
    document = protocol(2, gap=(2, 2, 4))
    document["phases"][1]["steps"] = document["phases"][1]["steps"][:1]
    document["phases"][1]["steps"][0]["gap"]["hard_max"] = True
    approve(clinic, document)
    refusal = refused(clinic, weekdays=["mon"])
    assert refusal.detail == (
        "No plan exists: dose 2 ⇄ the patient comes on Mondays only ⇄ "
        "at most 4 days between dose 1 and dose 2, which its protocol makes hard."
    )
    assert {changed["code"] for each in refusal.relaxations for changed in each["rules"]} == {"weekdays"}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_course_that_has_to_begin_in_time_is_not_begun_later_by_hand_either(clinic: Clinic) -> None:
    document = protocol(1)
    document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": 7, "hard_max": True}
    approve(clinic, document)
    made = course(clinic)
    first = made.sessions[0].id
    late = Wanted(made.row.patient_id, "evaluation", clinic.location_id, clinic.at("2030-03-12 09:00"))
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: booking.book(s, c, replace(late, course_session_id=first)))
    assert caught.value.code == "gap_too_long"
    in_time = replace(late, start=clinic.at("2030-03-11 09:00"), course_session_id=first)
    assert clinic.do(lambda s, c: booking.book(s, c, in_time)).row.status == "booked"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("hard", [False, True])
def test_by_hand_nothing_is_booked_beyond_a_phase_whose_length_is_hard(clinic: Clinic, *, hard: bool) -> None:
    """The last dose alone, on the tenth day of a phase of nine; and the first, moved too far ahead of it."""
    document = protocol(2, gap=(2, 7, 14))
    induction = document["phases"][1]
    induction |= {"max_days": 9, "hard_max": hard, "steps": induction["steps"][:1]}
    approve(clinic, document)
    made = course(clinic)
    booked = {each.row.course_session_id: each.id for each in accept(clinic, made.id, offer(clinic, made.id)[0].token)}
    first, last = made.sessions[1].id, made.sessions[2].id

    def move(session_id: UUID, start: str) -> str:
        try:
            clinic.do(lambda s, c: booking.reschedule(s, c, booked[session_id], clinic.at(start)))
        except Refused as refusal:
            return refusal.code
        return "booked"

    assert move(first, "2030-03-06 09:00") == "booked"
    assert move(last, "2030-03-15 09:00") == "booked", "nine days on"
    assert move(first, "2030-03-05 09:00") == ("gap_too_long" if hard else "booked")
    assert move(last, "2030-03-18 09:00") == ("gap_too_long" if hard else "booked")
