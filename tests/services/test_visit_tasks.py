"""What is left to do after a visit, and what asks to be prepared before it: rows that come and go with the visit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import IllegalTransition, Invalid
from scheduler.models import Location, Resource, Task
from scheduler.services import absences, booking, credentials, locations, resources, task_answers, tasks, visit_day
from scheduler.services.visit_day import Done
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import book, refused
from tests.ward import FIT, READY, STEADY, move, open_ward, row, spray, watched


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_ward(engine)


def rows(clinic: Clinic, kind: str = "visit_task", **wanted: Any) -> list[Task]:
    with Session(clinic.engine) as session:
        chosen = select(Task).where(Task.kind == kind).filter_by(**wanted)
        return list(session.scalars(chosen.order_by(Task.id)))


def discharged(clinic: Clinic) -> UUID:
    visit = spray(clinic)
    watched(clinic, visit)
    move(clinic, "fulfill", visit, "2030-03-04 11:35", checklist=STEADY)
    return visit


def test_the_form_is_owed_at_discharge_and_urged_on_after_a_day_five_days_and_when_it_is_due(clinic: Clinic) -> None:
    visit = discharged(clinic)
    [form] = rows(clinic)  # the pressure at 40 minutes lies inside the visit
    assert (form.item, form.appointment_id, form.location_id) == ("form", visit, clinic.location_id)
    # A week of local days, one hour shorter by the clock that goes forward on 10 March.
    assert form.due_at == clinic.at("2030-03-11 11:35") == clinic.at("2030-03-04 11:35") + timedelta(days=7, hours=-1)
    levels = []
    for when in ("2030-03-05 11:34", "2030-03-05 11:35", "2030-03-09 11:35", "2030-03-11 11:35"):
        clinic.do(tasks.urge, now=clinic.at(when))
        levels.append(rows(clinic)[0].level)
    assert levels == [0, 1, 2, 3]


def test_undoing_the_discharge_takes_the_form_back_and_discharging_again_owes_it_again(clinic: Clinic) -> None:
    visit = discharged(clinic)
    move(clinic, "undo", visit, "2030-03-04 11:36")
    assert [(each.status, each.withdrawn) for each in rows(clinic)] == [("dismissed", True)]
    move(clinic, "fulfill", visit, "2030-03-04 11:50", checklist=STEADY)
    assert [(each.status, each.due_at) for each in rows(clinic)] == [("open", clinic.at("2030-03-11 11:50"))]


@pytest.mark.parametrize("status", ["done", "dismissed"])
def test_it_is_one_task_whether_it_is_ticked_on_the_visit_or_in_the_list(clinic: Clinic, status: str) -> None:
    visit = discharged(clinic)
    now = clinic.at("2030-03-05 09:00")
    task = rows(clinic)[0].id
    said = {"by": "Ann", "note": "Sent."}
    clinic.do(lambda s, c: task_answers.answer(s, c, task, status, **said), now=now)  # type: ignore[arg-type]
    seen = next(
        each for each in clinic.do(lambda s, c: visit_day.get(s, c, visit), now=now).tasks if each.key == "form"
    )
    assert (seen.done_at, seen.done_by, seen.note, seen.dismissed) == (now, "Ann", "Sent.", status == "dismissed")
    with pytest.raises(IllegalTransition):
        clinic.do(lambda s, c: task_answers.answer(s, c, task, "done"), now=now)


def test_ticking_it_on_the_visit_closes_the_row(clinic: Clinic) -> None:
    visit = discharged(clinic)
    early = Done(at=clinic.at("2030-03-03 23:55"))
    with pytest.raises(Invalid) as caught:
        clinic.do(lambda s, c: visit_day.do_task(s, c, visit, "form", early), now=clinic.at("2030-03-05 09:00"))
    assert [(each.pointer, each.code) for each in caught.value.faults] == [("/at", "before_the_visit")]
    clinic.do(lambda s, c: visit_day.do_task(s, c, visit, "form", Done(by="Ann")), now=clinic.at("2030-03-05 09:00"))
    assert [(each.status, each.closed_by) for each in rows(clinic)] == [("done", "Ann")]


@pytest.mark.parametrize("end", ["cancel", "reschedule", "not_dosed", "no_show"])
def test_what_asks_to_prepare_a_visit_goes_when_there_is_nothing_to_prepare(clinic: Clinic, end: str) -> None:
    visit = spray(clinic)
    about = {"appointment_id": visit, "due_at": clinic.at("2030-03-04 09:00"), "title": "Look"}
    clinic.do(lambda s, c: tasks.owe(s, c, kind="held_visit", key="x", **about))
    clinic.do(lambda s, c: tasks.owe(s, c, kind="somebody_elses", key="x", **about))
    flags = clinic.do(lambda s, c: visit_day.get(s, c, visit)).flags
    assert [flag.item for flag in flags if flag.code == "task_open"] == ["held_visit", "somebody_elses"]
    if end == "cancel":
        clinic.do(lambda s, c: booking.cancel(s, c, visit, reason="ill", by="staff"))
    elif end == "reschedule":
        clinic.do(lambda s, c: booking.reschedule(s, c, visit, clinic.at("2030-03-05 09:00")))
    else:
        move(clinic, end, visit, "2030-03-04 09:20", **({"reason": "Pressure."} if end == "not_dosed" else {}))
    assert [each.status for each in rows(clinic, "held_visit")] == ["dismissed"]
    assert [each.status for each in rows(clinic, "somebody_elses")] == ["open"]


def test_whom_a_visit_lacks_is_still_to_be_found_while_it_goes_on_and_when_that_is_undone(clinic: Clinic) -> None:
    visit = spray(clinic)
    participants = clinic.do(lambda s, c: visit_day.get(s, c, visit)).view.participants
    nurse = next(part.resource_id for part in participants if part.role == "nurse")
    span = {"start": clinic.at("2030-03-04 10:00"), "end": clinic.at("2030-03-04 15:00")}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=nurse, **span))
    answers = {"check_in": {"checklist": READY}, "start": {"checklist": FIT}}
    for step in ("check_in", "undo", "check_in", "start", "undo"):
        move(clinic, step, visit, "2030-03-04 09:00", **answers.get(step, {}))
        assert [each.status for each in rows(clinic, "visit_affected")] == ["open"]
    move(clinic, "not_dosed", visit, "2030-03-04 09:30", reason="Pressure.")
    assert [each.status for each in rows(clinic, "visit_affected")] == ["dismissed"]


def change(clinic: Clinic, resource_id: UUID, roles: list[dict[str, Any]]) -> list[UUID]:
    with Session(clinic.engine) as session:
        revision = session.get_one(Resource, (clinic.call.organization_id, resource_id)).revision
    view = clinic.do(
        lambda s, c: resources.change(s, c, resources.PRACTITIONER, resource_id, revision, {"roles": roles})
    )
    return [each.id for each in view.affected_appointments]


def test_a_licence_cut_short_flags_every_visit_after_it_the_same_day_and_bars_new_ones(engine: Engine) -> None:
    clinic = Clinic(engine)
    clinic.visit(visit_type("check", segment("talk", 30, need("role:doctor"))))
    doctor = clinic.staff("doctor")
    patient = clinic.patient()
    before, after = (book(clinic, patient, "check", f"2030-03-{day} 09:00").id for day in ("05", "07"))
    short = [{"code": "doctor", "valid_to": "2030-03-06"}]
    assert change(clinic, doctor, short) == [after]
    [asked] = rows(clinic, "visit_affected", status="open")
    assert asked.appointment_id == after
    assert [reason.code for reason in refused(clinic, patient, "check", "2030-03-07 11:00").reasons] == [
        "not_qualified"
    ]
    clinic.do(credentials.flag)
    assert rows(clinic, "credential") == []  # nobody is asked twice
    clinic.do(lambda s, c: tasks.answer(s, c, asked.id, "done"))
    clinic.do(credentials.flag)
    assert [each.appointment_id for each in rows(clinic, "credential")] == [after]
    flags = clinic.do(lambda s, c: visit_day.get(s, c, after)).flags
    assert [flag.item for flag in flags if flag.code == "task_open"] == ["credential"]
    assert not clinic.do(lambda s, c: visit_day.get(s, c, before)).flags
    change(clinic, doctor, [{"code": "doctor"}])
    clinic.do(credentials.flag)
    assert rows(clinic, "credential", status="open") == []


def test_a_site_certification_and_the_last_valid_prescriber_on_site_count_too(engine: Engine) -> None:
    clinic = Clinic(engine)
    doctor = clinic.staff("prescriber")
    clinic.staff("nurse")
    needs = need("role:nurse"), need("role:prescriber", "present")
    clinic.visit(visit_type("dose", segment("dose", 30, *needs), requires={"site_certifications": ["rems"]}))

    def certify(**validity: str) -> list[UUID]:
        with Session(clinic.engine) as session:
            revision = session.get_one(Location, (clinic.call.organization_id, clinic.location_id)).revision
        held = {"certifications": [{"code": "rems", **validity}]}
        view = clinic.do(lambda s, c: locations.change(s, c, clinic.location_id, revision, held))
        return [each.id for each in view.affected_appointments]

    certify()
    visit = book(clinic, clinic.patient(), "dose", "2030-03-07 09:00").id
    assert certify(valid_to="2030-03-06") == [visit]
    assert change(clinic, doctor, [{"code": "prescriber", "valid_to": "2030-03-06"}]) == [visit]
    for asked in rows(clinic, "visit_affected", status="open"):
        clinic.do(lambda s, c, key=asked.id: tasks.answer(s, c, key, "done"))  # type: ignore[misc]
    clinic.do(credentials.flag)
    [task] = rows(clinic, "credential")
    assert (task.appointment_id, task.status) == (visit, "open")
    certify()
    clinic.do(credentials.flag)
    assert [each.status for each in rows(clinic, "credential")] == ["open"]  # nobody may prescribe on that day
    change(clinic, doctor, [{"code": "prescriber"}])
    clinic.do(credentials.flag)
    assert [each.status for each in rows(clinic, "credential")] == ["dismissed"]
    assert row(clinic, visit).status == "booked"
