"""A clinic's day by a client generated from openapi.yaml alone: what is awkward here is a defect of the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.integrator.kit import Kit, Refused

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from scheduler.config import Settings
    from tests.plumbing.clock import Clock

DAYS = ("mon", "tue", "wed", "thu", "fri")
VISIT = "esketamine_84mg"
VITALS = "pressure_40"


class Clinic:
    """A site with a prescriber, a nurse for two patients at once and two chairs; everybody works eight to six."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        hours = [{"weekday": day, "start": "08:00", "end": "18:00"} for day in DAYS]
        place = {"name": "Main", "time_zone": "America/New_York", "hours": hours}
        papers = {"certifications": [{"code": "esketamine_rems", "valid_from": "2029-01-01", "valid_to": "2031-01-01"}]}
        self.site: UUID = kit.do("create_location", body=kit.body("Location", **place, **papers)).id
        shifts = [{**each, "location_id": str(self.site)} for each in hours]
        self.prescriber = self._staff("Dr. Fern", "prescriber", shifts)
        self.nurse = self._staff("Ash", "nurse", shifts, units=2)
        for name in ("Chair 1", "Chair 2"):
            room = {"name": name, "location_id": str(self.site), "room_type": "esketamine_chair"}
            kit.do("create_room", body=kit.body("Room", **room))

    def _staff(self, name: str, role: str, shifts: list[dict[str, str]], units: int = 1, **more: Any) -> UUID:
        body = self.kit.body("Practitioner", name=name, roles=[{"code": role, **more}], hours=shifts, units=units)
        answer: UUID = self.kit.do("create_practitioner", body=body).id
        return answer

    def patient(self, name: str) -> UUID:
        """Somebody who is enrolled and may be told by e-mail."""
        contacts = [{"channel": "email", "value": f"{name.lower()}@example.org", "purpose": "reminders"}]
        made: UUID = self.kit.do("create_patient", body=self.kit.body("Patient", name=name, contacts=contacts)).id
        paper = {
            "kind": "esketamine_rems_enrollment",
            "outcome": "approved",
            "valid_from": "2030-01-01",
            "by": "Dr. Fern",
        }
        self.kit.do("create_clearance", made, body=self.kit.body("Clearance", **paper))
        return made

    def offers(self, patient: UUID, day: str, visit_type: str = VISIT, **more: Any) -> list[Any]:
        """What this patient can have on one day."""
        start = datetime.fromisoformat(f"{day}T00:00:00-05:00")
        page = self.kit.do(
            "list_availability", visit_type=visit_type, location_id=self.site, patient_id=patient, from_=start,
            to=start + timedelta(days=1), limit=200, **more,
        )  # fmt: skip
        return list(page.items)

    def starts(self, patient: UUID, day: str, visit_type: str = VISIT, **more: Any) -> list[datetime]:
        """The starts of these."""
        return [each.start for each in self.offers(patient, day, visit_type, **more)]

    def book(self, patient: UUID, start: datetime, visit_type: str = VISIT, **more: Any) -> Any:
        ids = {"patient_id": str(patient), "location_id": str(self.site)}
        body = self.kit.body("Booking", visit_type=visit_type, start=start.isoformat(), **ids, **more)
        return self.kit.do("create_appointment", body=body)

    def talks(self) -> set[UUID]:
        """Two therapists with a room, who talk with one patient, with three, and by video: who they are."""
        rooms = {"name": "Quiet room", "location_id": str(self.site), "room_type": "quiet"}
        self.kit.do("create_room", body=self.kit.body("Room", **rooms))
        therapist = {"role": "therapist", "mode": "exclusive"}
        here = [therapist, {"room_type": "quiet", "mode": "exclusive"}]
        both = [therapist | {"count": 2}, {"room_type": "quiet", "mode": "exclusive"}]
        for code, needs, more in (
            ("talk", here, {"kind": "integration"}),
            ("circle", both, {"kind": "group", "group": {"minimum": 2, "maximum": 3}}),
            ("call", [therapist], {"kind": "integration", "video": True}),
        ):
            segments = [{"name": "talk", "minutes": 60, "needs": needs}]
            names = {"code": code, "name": code.title(), "public_name": "Visit"}
            self.kit.do("create_visit_type", body=self.kit.body("VisitType", segments=segments, **names, **more))
        shifts = [{"weekday": day, "start": "08:00", "end": "18:00", "location_id": str(self.site)} for day in DAYS]
        return {self._staff(name, "therapist", shifts, regions=["US-NY"]) for name in ("Anna", "Ben")}

    def wait(self, patient: UUID) -> Any:
        """Put somebody on the waitlist for such a visit, at any time."""
        ids = {"patient_id": str(patient), "location_id": str(self.site)}
        return self.kit.do("create_waitlist_entry", body=self.kit.body("WaitlistEntry", visit_type=VISIT, **ids))


@pytest.fixture
def clinic(kit: Kit) -> Clinic:
    return Clinic(kit)


def answers(*keys: str, **values: Any) -> dict[str, Any]:
    return {key: {"ok": True} for key in keys} | {key: {"ok": True, "value": value} for key, value in values.items()}


@pytest.mark.slow
def test_a_day(clinic: Clinic, kit: Kit, clock: Clock, engine: Engine, settings: Settings) -> None:
    robin, kim, lee = (clinic.patient(name) for name in ("Robin", "Kim", "Lee"))
    visit, other = the_day_before(clinic, robin, kim)
    the_visit(clinic, clock, visit, other)

    entry = clinic.wait(lee)
    tomorrow, *_ = clinic.starts(kim, "2030-03-07")
    given_back = clinic.book(kim, tomorrow)
    kit.do("cancel_appointment", given_back.id, body=kit.body("Cancel", reason="Work.", by="patient"))
    work(engine, clock, settings)
    (offer,) = kit.do("get_waitlist_entry", entry.id).offers
    filled = kit.do("accept_waitlist_offer", entry.id, body=kit.body("OfferAnswer", offer_id=str(offer.id)))
    assert (filled.patient_id, filled.status.value) == (lee, "booked")

    clock.set(other.start + timedelta(minutes=20))
    late = clinic.wait(lee)
    kit.do("miss_appointment", other.id)
    work(engine, clock, settings)
    (offer,) = kit.do("get_waitlist_entry", late.id).offers
    assert other.start < offer.start < other.end, "what is left of the day that somebody missed"
    refill = kit.do("accept_waitlist_offer", late.id, body=kit.body("OfferAnswer", offer_id=str(offer.id)))
    assert [step.action for step in kit.do("list_appointment_history", visit.id).items][-1] == "fulfill"
    shown = {each.id: each.status.value for each in kit.do("show_day", clinic.site, date=visit.start.date()).visits}
    assert shown == {visit.id: "fulfilled", other.id: "noshow", refill.id: "booked"}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_week_of_circles_calls_and_time_off(clinic: Clinic, kit: Kit) -> None:
    """A circle of patients, a talk by video, one that is repeated, and somebody who is away after all."""
    robin, kim, lee = (clinic.patient(name) for name in ("Robin", "Kim", "Lee"))
    therapists = clinic.talks()
    begun = a_circle_begun(clinic, robin, kim)
    joinable = next(each for each in clinic.offers(kim, "2030-03-05", "circle") if each.group)
    assert (joinable.start, joinable.group.free) == (begun.start, 2)
    clinic.book(kim, joinable.start, "circle")
    (group,) = kit.do("list_groups", location_id=clinic.site).items
    assert (group.minimum, group.maximum, group.free, len(group.appointment_ids)) == (2, 3, 1, 2)

    at_home = {"patient_region": "US-NY"}
    soonest = clinic.starts(lee, "2030-03-06", "call", **at_home)[0]
    with pytest.raises(Refused) as refused:
        clinic.book(lee, soonest, "call")
    assert [(each.pointer, each.code) for each in refused.value.problem.errors] == [
        ("/patient_region", "region_required")
    ]
    by_video = clinic.book(lee, soonest, "call", **at_home)
    assert {each.kind.value for each in by_video.participants} == {"practitioner"}
    with pytest.raises(Refused) as refused:
        clinic.book(kim, soonest, "call", patient_region="US-CA")
    assert refused.value.code == "not_qualified"

    first = clinic.starts(robin, "2030-03-12", "talk")[0]
    ids = {"patient_id": str(robin), "location_id": str(clinic.site)}
    wish = kit.body("SeriesBooking", visit_type="talk", start=first.isoformat(), rule="FREQ=WEEKLY;COUNT=3", **ids)
    looked = kit.do("preview_series", body=wish).occurrences
    assert [each.bookable for each in looked] == [True, True, True]
    repeated = kit.do("create_series", body=wish)
    who = next(each.resource_id for each in repeated.appointments[1].participants if each.role == "therapist")

    second = repeated.appointments[1]
    away = {"resource_id": str(who), "start": second.start.isoformat(), "end": second.end.isoformat(), "reason": "Ill"}
    supposed = kit.do("create_absence", body=kit.body("Absence", **away), dry_run=True)
    told = kit.do("create_absence", body=kit.body("Absence", **away))
    assert [each.id for each in told.affected_appointments] == [second.id]
    assert [each.id for each in supposed.affected_appointments] == [second.id]
    (owed,) = kit.do("list_tasks", appointment_id=second.id, status="open").items
    assert owed.kind == "visit_affected"
    assert [each.code for each in kit.do("get_appointment", second.id).flags] == ["visit_affected"]
    kit.do("reschedule_appointment", second.id, body=kit.body("Move", start=second.start.isoformat()))
    other = therapists - {who}
    served = kit.do("get_appointment", second.id)
    assert {each.resource_id for each in served.participants if each.role == "therapist"} == other
    assert kit.do("list_tasks", appointment_id=second.id, status="open").items == []

    last = repeated.appointments[2]
    later = kit.body("SeriesMove", start=(last.start + timedelta(hours=1)).isoformat(), scope="this", by="patient")
    assert [each.start for each in kit.do("reschedule_series", last.id, body=later).appointments] == [
        last.start + timedelta(hours=1)
    ]
    gone = kit.body("SeriesCancel", scope="following", by="patient", reason="Well again.")
    assert [each.id for each in kit.do("cancel_series", second.id, body=gone).appointments] == [second.id, last.id]
    shown = kit.do("list_appointments", series_id=repeated.id).items
    assert [each.status.value for each in shown] == ["booked", "cancelled", "cancelled"]
    called_off = kit.do("cancel_group", group.id, body=kit.body("GroupCancel", reason="Storm."))
    assert (called_off.status.value, called_off.appointment_ids) == ("cancelled", [])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_comes_up_at_the_desk(clinic: Clinic, kit: Kit, clock: Clock) -> None:
    """Who can prescribe, a note, a dose that moves and moves back, a rule lifted, everything wrong told at once."""
    robin, kim = (clinic.patient(name) for name in ("Robin", "Kim"))
    assert [each.id for each in kit.do("list_practitioners", role="prescriber").items] == [clinic.prescriber]

    first = clinic.starts(robin, "2030-03-05")[0]
    visit = clinic.book(robin, first)
    noted = kit.do(
        "patch_appointment", visit.id, body=kit.body("AppointmentPatch", note="Ramp."), if_match=f'"{visit.version}"'
    )
    assert (noted.note, noted.sequence, noted.version) == ("Ramp.", visit.sequence, visit.version + 1)
    with pytest.raises(Refused) as refused:
        kit.do("cancel_appointment", visit.id, body=kit.body("Cancel", reason="x", by="staff"), if_match='"1"')
    assert refused.value.code == "precondition_failed", "somebody has noted something since"

    later = clinic.starts(robin, "2030-03-06", exclude_appointment=visit.id)[0]
    moved = kit.do("reschedule_appointment", visit.id, body=kit.body("Move", start=later.isoformat()))
    assert (moved.start, moved.sequence) == (later, visit.sequence + 1)
    assert kit.do("undo_appointment_move", visit.id).start == first
    assert kit.do("reschedule_appointment", visit.id, body=kit.body("Move", start=later.isoformat())).start == later
    history = [step.action for step in kit.do("list_appointment_history", visit.id).items]
    assert history == ["book", "note", "reschedule", "undo", "reschedule"]

    clock.set(first)
    with pytest.raises(Refused) as refused:
        kit.do("check_in_appointment", visit.id)
    assert "visit_day" in {each.item for each in refused.value.problem.reasons}, "it is tomorrow by now"

    clinic.talks()
    evening = "2030-03-06T17:30:00-05:00"
    with pytest.raises(Refused) as refused:
        clinic.book(kim, datetime.fromisoformat(evening), "talk")
    assert refused.value.code == "outside_hours"
    lifted = clinic.book(
        kim, datetime.fromisoformat(evening), "talk", override={"rules": ["outside_hours"], "reason": "Flies at dawn."}
    )
    assert lifted.override.rules == ["outside_hours"]

    ids = {"patient_id": str(kim), "location_id": str(clinic.site)}
    weekly = {"start": "2030-03-12T09:00:00-04:00", "rule": "FREQ=WEEKLY;COUNT=2"}
    made = kit.do("create_series", body=kit.body("SeriesBooking", visit_type="talk", **weekly, **ids))
    (listed,) = kit.do("list_series", patient_id=kim).items
    assert (listed.id, len(listed.appointments)) == (made.id, 2)

    nobody = {"patient_id": str(clinic.site), "location_id": str(clinic.site)}
    with pytest.raises(Refused) as refused:
        kit.do(
            "create_appointment", body=kit.body("Booking", visit_type="dance", start=evening, **nobody, note="x" * 2001)
        )
    assert {each.pointer for each in refused.value.problem.errors} == {"/patient_id", "/visit_type", "/note"}


def a_circle_begun(clinic: Clinic, robin: UUID, kim: UUID) -> Any:
    """A place is kept while the first patient thinks, and the others are free for all."""
    kit, first = clinic.kit, clinic.starts(robin, "2030-03-05", "circle")[0]
    wanted = kit.body("NewHold", visit_type="circle", location_id=str(clinic.site), start=first.isoformat())
    held = kit.do("create_hold", body=wanted)
    assert clinic.starts(kim, "2030-03-05", "circle")[0] == first
    more = kit.body("Extension", ttl_seconds=600)
    longer = kit.do("extend_hold", held.id, body=more, if_match=f'"{held.revision}"')
    assert (longer.expires_at > held.expires_at, longer.revision) == (True, held.revision + 1)
    return clinic.book(robin, first, "circle", hold_id=str(held.id))


def the_day_before(clinic: Clinic, robin: UUID, kim: UUID) -> tuple[Any, Any]:
    """Search, keep a time while the patient thinks, book it; be refused, read why, take an alternative, rehearse."""
    kit = clinic.kit
    first, *_ = clinic.starts(robin, "2030-03-05")
    wanted = kit.body("NewHold", visit_type=VISIT, location_id=str(clinic.site), start=first.isoformat())
    visit = clinic.book(robin, first, hold_id=str(kit.do("create_hold", body=wanted).id))
    assert (visit.status.value, visit.start) == ("booked", first)

    with pytest.raises(Refused) as refused:
        clinic.book(kim, first)
    problem = refused.value.problem
    why = kit.do("explain_availability", visit_type=VISIT, location_id=clinic.site, patient_id=kim, start=first)
    assert (problem.code, why.bookable) == ("resource_busy", False)
    assert {each.code for each in why.reasons} == {each.code for each in problem.reasons}
    other = clinic.book(kim, problem.alternatives[0])

    later = clinic.starts(kim, "2030-03-06")[0]
    move = kit.body("Move", start=later.isoformat())
    assert kit.do("reschedule_appointment", other.id, body=move, dry_run=True).start == later
    assert kit.do("get_appointment", other.id).start == other.start, "a rehearsal moves nothing"
    return visit, other


def the_visit(clinic: Clinic, clock: Clock, visit: Any, other: Any) -> None:
    """Arrival, checklist, dose, observation to its last minute, discharge."""
    kit = clinic.kit
    clock.set(visit.start - timedelta(minutes=10))
    board = kit.do("show_day", clinic.site, date=visit.start.date())
    assert [each.id for each in board.visits] == [visit.id, other.id]
    kit.do("arrive_at_appointment", visit.id)
    with pytest.raises(Refused) as refused:
        kit.do("check_in_appointment", visit.id)
    assert refused.value.code == "checklist_incomplete"
    at_the_desk = answers("food", "liquids", "nasal", "consent", "questionnaire", ride="Sam, 555 0100")
    received = kit.do("check_in_appointment", visit.id, body=kit.body("CheckIn", checklist=at_the_desk))

    clock.set(visit.start + timedelta(minutes=20))
    before = answers("saturation", systolic=128, diastolic=80)
    body = kit.body("Start", checklist=before)
    kit.do("start_appointment", visit.id, body=body, if_match=f'"{received.version}"')
    last = clock.move(timedelta(minutes=10))
    kit.do("start_appointment", visit.id, body=kit.body("Start", last_device_at=last.isoformat()))
    vitals = next(each for each in kit.do("get_appointment", visit.id).tasks if each.key == VITALS)
    clock.set(vitals.due_at)
    noted = kit.body("Done", by="Ash", note="128/82")
    ticked = kit.do("do_appointment_task", visit.id, VITALS, body=noted)
    assert {each.key: each.done_by for each in ticked.tasks}[VITALS] == "Ash"
    leaving = kit.body("Discharge", checklist=answers("pressure_falling", "resolved", "handed_over"))
    clock.set(last + timedelta(minutes=119))
    with pytest.raises(Refused) as refused:
        kit.do("fulfill_appointment", visit.id, body=leaving)
    assert refused.value.code == "observation_not_over"
    clock.set(last + timedelta(minutes=120))
    assert kit.do("fulfill_appointment", visit.id, body=leaving).status.value == "fulfilled"


def work(engine: Engine, clock: Clock, settings: Settings) -> None:
    """One round of the worker: messages leave as files, freed time is offered."""
    from sqlalchemy.orm import Session

    from scheduler.worker import Worker, channels_of

    worker = Worker(lambda: Session(engine), channels_of(settings), clock=clock)
    worker.tick()
    worker.keep_house()
    worker.close()
