"""The law of availability, through the services: what is offered books, what is not is refused as `explain` says.

The clinics are made up at random: segments with windows of their own per role, shared units, presence, hand-over,
`same_as`, certificates, roles and days that end, absences, closures, extra hours, turnover, doses here and at another
location, devices, holds.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Invalid, Refused
from scheduler.core.localgrid import Wish
from scheduler.models import Organization
from scheduler.services import absences, availability, booking, extra_hours, holds, locations, resources
from scheduler.services.appointments import AppointmentView, Participation
from scheduler.services.availability import LONGEST_SPAN, Offer, Question
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.desk import overlaps
from tests.plumbing.effort import trying

DAY = "2030-03-04"
#: The grid of the day that is looked at: before opening until after closing.
FIRST, LAST = f"{DAY} 07:30", f"{DAY} 13:30"
HOURS = [{"weekday": "mon", "start": "08:00", "end": "13:00"}, {"weekday": "fri", "start": "08:00", "end": "13:00"}]
ZONES = ("America/New_York", "Europe/London", "Asia/Kathmandu", "Australia/Lord_Howe")


class Maker:
    """Makes up a clinic and what happens in it."""

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self.rng = rng
        self.clinic = Clinic(engine, rng.choice(ZONES), hours=HOURS)
        self.clinic.call = _friday(self.clinic)
        self.codes = [self.clinic.visit(self.kind(f"visit{number}")) for number in range(2)]
        self.people = [self.person(role) for role in ("nurse", "nurse", "prescriber", "therapist")]
        self.people += [self.person(rng.choice(("nurse", "prescriber"))) for _ in range(rng.randint(0, 1))]
        tidied = {"buffer_before_minutes": rng.choice((0, 0, 5)), "buffer_after_minutes": rng.choice((0, 0, 10))}
        self.rooms = [self.clinic.room("bay", **tidied) for _ in range(rng.randint(1, 2))]
        self.rooms += [self.clinic.device("pump", units=rng.choice((1, 2)))]
        self.patients = [self.clinic.patient() for _ in range(3)]

    def some(self, share: float) -> bool:
        return self.rng.random() < share

    def kind(self, code: str) -> dict[str, Any]:
        """Segments whose needs begin and end apart: the nurse hands over at an edge unless `same_as` says otherwise."""
        parts = []
        for number in range(self.rng.randint(1, 3)):
            needs = []
            if self.some(0.8):
                nurse = need("role:nurse", *(["shared"] if self.some(0.6) else []))
                named = any(part["needs"][:1] and part["needs"][0]["role"] == "nurse" for part in parts[-1:])
                if named and self.some(0.3):
                    nurse["same_as"] = parts[-1]["name"]
                needs.append(nurse)
            if self.some(0.4):
                needs.append(need("role:prescriber", self.rng.choice(("present", "exclusive"))))
            if number == 0 and self.some(0.3):
                needs.append(need("role:therapist"))
            parts.append(segment(f"part{number}", self.rng.choice((5, 15, 30)), *needs))
        if self.some(0.4):
            self.rng.choice(parts)["needs"].append(need("device:pump", self.rng.choice(("shared", "exclusive"))))
        if self.some(0.6):
            for part in parts:
                part["needs"].append(need("room:bay"))
            parts += [segment("turnover", 15, need("room:bay"), patient=False)] * self.rng.randint(0, 1)
        return visit_type(code, *parts, **self.terms())

    def terms(self) -> dict[str, Any]:
        """What a kind of visit asks beyond people and rooms."""
        more: dict[str, Any] = {}
        if self.some(0.25):
            more["requires"] = {"site_certifications": ["rems"]}
        if self.some(0.4):
            more |= {
                "kind": "dosing",
                "modality": "iv",
                "limits": {"min_hours_between_doses": self.rng.choice((2, 24))},
            }
        return more

    def person(self, role: str) -> UUID:
        """Somebody with one role or two, whose role or hours may end."""
        roles: list[dict[str, Any]] = [{"code": role}]
        if self.some(0.2):
            roles[0]["valid_to"] = self.rng.choice(("2030-03-03", DAY))
        if self.some(0.3):
            roles.append({"code": self.rng.choice(("nurse", "therapist"))})
        end = self.rng.choice(("11:00", "13:00"))
        shifts = [{**entry, "end": end, "location_id": str(self.clinic.location_id)} for entry in HOURS]
        values = {
            "name": role, "units": self.rng.choice((1, 2, 3)), "hours": shifts,
            "buffer_after_minutes": self.rng.choice((0, 0, 5)),
            "roles": list({entry["code"]: entry for entry in roles}.values()),
        }  # fmt: skip
        return self.clinic.do(lambda s, c: resources.create(s, c, resources.PRACTITIONER, values).id)

    def moment(self) -> datetime:
        return self.clinic.at(FIRST) + timedelta(minutes=5 * self.rng.randint(6, 66))

    def live(self) -> None:
        """Let things happen: closures, certificates, absences, extra hours, policies, visits and holds."""
        clinic, rng = self.clinic, self.rng
        site: dict[str, Any] = {}
        if self.some(0.6):
            site["certifications"] = [{"code": "rems", **({"valid_to": "2030-03-03"} if self.some(0.3) else {})}]
        if self.some(0.3):
            site["closures"] = [{"from": f"{DAY}T10:00", "to": f"{DAY}T10:30", "reason": "drill"}]
        if site:
            clinic.do(lambda s, c: locations.change(s, c, clinic.location_id, 1, site))
        for who in rng.sample([*self.people, *self.rooms], 2):
            start = self.moment()
            span = {"start": start, "end": start + timedelta(minutes=rng.choice((30, 90)))}
            if who in self.people and self.some(0.4):
                clinic.do(lambda s, c, who=who, span=span: extra_hours.create(
                    s, c, resource_id=who, location_id=clinic.location_id, **span
                ))  # fmt: skip
            else:
                clinic.do(lambda s, c, who=who, span=span: absences.create(s, c, resource_id=who, **span))
        if self.some(0.5):
            self.elsewhere()
        if self.some(0.3):
            self.policies(lead_minutes=rng.choice((60 * 68, 60 * 70)), horizon_days=rng.choice((2, 30)))
        for number in range(6):
            wanted = Wanted(rng.choice(self.patients), rng.choice(self.codes), clinic.location_id, self.moment())
            act = holds.create if number == 0 else booking.book
            try:
                clinic.do(lambda s, c, act=act, wanted=wanted: act(s, c, wanted))
            except Refused:
                continue

    def elsewhere(self) -> None:
        """A dose of everybody's at another location, by another clock."""
        clinic = self.clinic
        kind = visit_type("away", segment("dose", 30), kind="dosing", modality="iv")
        hours = week("00:00", "23:55", ("sun", "mon", "tue"))
        values = {"name": "Other", "time_zone": self.rng.choice(ZONES), "hours": hours}
        other = clinic.do(lambda s, c: locations.create(s, c, values).id)
        clinic.visit(kind)
        for patient in self.patients:
            asked = Wanted(patient, "away", other, self.moment())
            try:
                clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked))
            except Refused:  # it would last past midnight there
                continue

    def policies(self, **values: int) -> None:
        with Session(self.clinic.engine) as session, session.begin():
            session.get_one(Organization, self.clinic.call.organization_id).policies = values


def _friday(clinic: Clinic) -> Call:
    return replace(clinic.call, now=clinic.at("2030-03-01 12:00"))


def offered(clinic: Clinic, question: Question) -> dict[datetime, set[tuple[str, UUID]]]:
    found, more = clinic.do(lambda s, c: availability.search(s, c, question, limit=1000))
    assert more is None
    return {offer.start: served(offer.participants) for offer in found}


def served(participants: Iterable[Participation]) -> set[tuple[str, UUID]]:
    """Who serves which segment; any room of a pool will do, so rooms are left out."""
    return {(each.segment, each.resource_id) for each in participants if each.kind != "room"}


def tried(clinic: Clinic, wanted: Wanted) -> tuple[AppointmentView | None, Refused | None]:
    """A rehearsal of the booking: what would be made, or why not."""
    try:
        return clinic.do(lambda s, c: booking.book(s, c, wanted), dry_run=True), None
    except Refused as refusal:
        return None, refusal


@pytest.mark.slow
@trying(5)
@given(rng=st.randoms(use_true_random=False))
def test_what_is_offered_books_and_all_else_is_refused_as_explained(engine: Engine, rng: random.Random) -> None:
    maker = Maker(engine, rng)
    maker.live()
    clinic = maker.clinic
    patient, code = rng.choice(maker.patients), rng.choice(maker.codes)
    since, until = clinic.at(FIRST), clinic.at(LAST)
    question = Question(code, clinic.location_id, since, until, patient_id=patient, wish=Wish(step=5))
    offers = offered(clinic, question)
    for number in range((until - since) // timedelta(minutes=5)):
        start = since + timedelta(minutes=5 * number)
        booked, refusal = tried(clinic, Wanted(patient, code, clinic.location_id, start))
        assert (booked is not None) == (start in offers), (start, refusal)
        if booked is not None:
            assert served(booked.participants) == offers[start]
        elif refusal is not None:
            asked = Question(code, clinic.location_id, start, start, patient_id=patient)
            explained = clinic.do(lambda s, c, asked=asked: availability.explain(s, c, asked))
            assert not explained.bookable
            assert explained.reasons == tuple(refusal.reasons)
            assert {each for each in refusal.alternatives if since <= each < until} <= offers.keys()
    for start in rng.sample(sorted(offers), min(2, len(offers))):  # kept, too, one after the other
        if start in offered(clinic, question):
            clinic.do(lambda s, c, start=start: booking.book(s, c, Wanted(patient, code, clinic.location_id, start)))
    assert overlaps(engine) == 0


def test_off_the_grid_is_no_start(engine: Engine) -> None:
    clinic = Clinic(engine)
    clinic.visit(visit_type("talk", segment("talk", 30)))
    asked = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at(f"{DAY} 09:02"))
    with pytest.raises(Invalid):
        clinic.do(lambda s, c: booking.book(s, c, asked))


def test_three_staggered_visits_fit_where_whole_visits_would_block_each_other(engine: Engine) -> None:
    """The prescriber is needed for the first quarter of an hour only, and is bookable at minute 15."""
    clinic = Clinic(engine)
    clinic.visit(
        visit_type(
            "session",
            segment("prescribe", 15, need("role:prescriber"), need("role:nurse", "shared"), need("room:bay")),
            segment("infuse", 105, need("role:nurse", "shared"), need("room:bay")),
            segment("recover", 30, need("role:therapist"), need("room:bay")),
        )
    )
    whole = visit_type(
        "blocking",
        segment(
            "all", 150, need("role:prescriber"), need("role:nurse", "shared"), need("role:therapist"), need("room:bay")
        ),
    )
    clinic.visit(whole)
    clinic.staff("prescriber")
    clinic.staff("nurse", units=3)
    clinic.staff("therapist")
    for _ in range(3):
        clinic.room("bay")

    def fit(code: str, day: int) -> int:
        made = 0
        for clock in ("09:00", "09:30", "10:00"):
            asked = Wanted(clinic.patient(), code, clinic.location_id, clinic.at(f"2030-03-0{day} {clock}"))
            try:
                clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked))
            except Refused:
                continue
            made += 1
        return made

    assert (fit("session", 5), fit("blocking", 6)) == (3, 1)
    assert fit("session", 7) == 3
    span = clinic.at("2030-03-07 09:00"), clinic.at("2030-03-07 12:00")
    later = offered(clinic, Question("session", clinic.location_id, *span, wish=Wish(step=5)))
    assert min(later) == clinic.at("2030-03-07 11:30"), "when the first bay is free"
    clinic.visit(visit_type("brief", segment("talk", 15, need("role:prescriber"))))
    brief = offered(clinic, Question("brief", clinic.location_id, *span, wish=Wish(step=15)))
    assert [start for start in sorted(brief) if start < clinic.at("2030-03-07 10:15")] == [
        clinic.at(f"2030-03-07 {clock}") for clock in ("09:15", "09:45")
    ], "the prescriber is bookable at minute 15"


def test_a_nurse_watches_by_weight_and_hands_over_at_an_edge(engine: Engine) -> None:
    """Peak weighs two and recovery one, of a nurse's three; cover passes to who comes on at the edge."""
    clinic = Clinic(engine)
    clinic.visit(
        visit_type(
            "watched",
            segment("peak", 60, need("role:nurse", "shared", units=2)),
            segment("recovery", 60, need("role:nurse", "shared", units=1)),
        )
    )
    early = [{"weekday": "mon", "start": "08:00", "end": "12:00"}]
    nurse = clinic.staff("nurse", units=3, hours=early)

    def book(clock: str) -> Any:
        asked = Wanted(clinic.patient(), "watched", clinic.location_id, clinic.at(f"{DAY} {clock}"))
        return clinic.do(lambda s, c: booking.book(s, c, asked))

    book("08:00")
    with pytest.raises(Refused):
        book("08:30")  # two peaks at once weigh four
    book("09:00")  # a peak beside a recovery: three
    with pytest.raises(Refused):
        book("09:00")
    with pytest.raises(Refused):
        book("11:00")  # the nurse leaves at twelve, in the middle
    late = clinic.staff("nurse", units=3, hours=[{"weekday": "mon", "start": "12:00", "end": "16:00"}])
    handed = book("11:00")
    assert [(p.segment, p.resource_id) for p in handed.participants] == [("peak", nurse), ("recovery", late)]
    with pytest.raises(Refused):
        book("11:30")  # nobody is there for the whole of a peak that straddles the edge
    assert overlaps(engine) == 0


def test_staggered_visits_share_one_pump(engine: Engine) -> None:
    """It is taken while it runs, and not while a visit only prepares or recovers."""
    clinic = Clinic(engine)
    drip = [segment("prepare", 30), segment("run", 60, need("device:pump")), segment("recover", 30)]
    clinic.visit(visit_type("drip", *drip))
    pump, patients = clinic.device("pump"), [clinic.patient() for _ in range(3)]
    asked = [Wanted(who, "drip", clinic.location_id, clinic.at(f"{DAY} 09:00")) for who in patients]
    clinic.do(lambda s, c: booking.book(s, c, asked[0]))
    early, staggered = (replace(asked[1], start=clinic.at(f"{DAY} {clock}")) for clock in ("09:55", "10:00"))
    refused = tried(clinic, early)[1]
    assert refused is not None
    assert [(each.code, each.resource_id) for each in refused.reasons] == [("resource_busy", pump)]
    booked = clinic.do(lambda s, c: booking.book(s, c, staggered))
    assert served(booked.participants) == {("run", pump)}
    between = Question("drip", clinic.location_id, clinic.at(f"{DAY} 08:00"), clinic.at(f"{DAY} 12:00"), patients[2])
    assert min(offered(clinic, between)) == clinic.at(f"{DAY} 08:00")
    assert sorted(offered(clinic, between))[1] == clinic.at(f"{DAY} 11:00")
    assert overlaps(engine) == 0


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@trying(6)
@given(rng=st.randoms(use_true_random=False))
def test_a_look_in_two_parts_finds_what_one_look_finds(engine: Engine, rng: random.Random) -> None:
    """The days ahead are read first, the others only when they are needed: nobody can tell."""
    maker = Maker(engine, rng)
    maker.live()
    clinic, beyond = maker.clinic, 0
    for _ in range(12):
        since = clinic.at("2030-03-01 08:00") + timedelta(minutes=rng.choice((0, 0, 7, 60, 60 * 73)))
        question = Question(
            rng.choice(maker.codes),
            clinic.location_id,
            since,
            since + timedelta(minutes=rng.choice((60 * 100, 60 * 24 * 7, 60 * 24 * 12, 60 * 24 * 21 + 3))),
            rng.choice((None, *maker.patients)),
            wish=Wish(step=rng.choice((5, 15, 60))),
        )
        limit = rng.choice((1, 3, 10, 40, 1000))
        whole = looked(clinic, question, limit, LONGEST_SPAN)
        begins = max(since, clinic.call.now)
        seams = [offer.start - begins for offer in whole[0] if offer.start > begins]  # the first part ends just before
        near = rng.choice(
            [timedelta(days=7), timedelta(minutes=60 * 72 + rng.randint(0, 180)), *seams[:1], *seams[-1:]]
        )
        assert looked(clinic, question, limit, near) == whole
        beyond += sum(offer.start >= begins + near for offer in whole[0])
    event("something beyond the first part" if beyond else "nothing beyond the first part")


def looked(clinic: Clinic, question: Question, limit: int, near: timedelta) -> tuple[list[Offer], datetime | None]:
    """The answer when so much is looked at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(availability, "NEAR", near)
        return clinic.do(lambda s, c: availability.search(s, c, question, limit=limit))
