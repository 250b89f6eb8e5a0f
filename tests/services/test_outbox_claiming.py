"""From due to claimed: who gets what, what is judged once more, and the caps. On both databases."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.database import transact
from scheduler.models import Message, Patient, VisitTypeRow, new_id
from scheduler.models.among import among
from scheduler.services import booking, outbox
from scheduler.services.outbox.claiming import WAYS
from scheduler.worker import wall_clock
from tests.clinic import Clinic
from tests.desk import book, wanted
from tests.postroom import (
    LEASE,
    begin,
    cancel,
    claim,
    hurry,
    messages,
    only,
    open_postroom,
    send_all,
    set_state,
    settle,
)
from tests.services.test_statements import listening, plan
from tests.worker.crew import heap

MONDAY = "2030-03-11 09:00"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def booked(clinic: Clinic, code: str = "fasted", start: str = MONDAY, **patient: Any) -> UUID:
    return book(clinic, clinic.patient(**patient), code, start).id


class TestClaiming:
    def test_what_is_due_is_claimed_and_nothing_else(self, clinic: Clinic) -> None:
        booked(clinic)
        (letter,) = claim(clinic, clinic.call.now)
        assert (letter.kind, letter.channel, letter.to) == ("booked", "email", "pat@example.org")
        row = only(clinic, "booked")
        assert (row.status, row.token, row.lease_until) == ("sending", letter.token, clinic.call.now + LEASE)
        assert only(clinic, "remind_72h").status == "pending"

    def test_a_letter_says_all_that_a_text_needs(self, clinic: Clinic) -> None:
        booked(clinic, locale="es-MX", time_zone="America/Chicago")
        (letter,) = claim(clinic, clinic.call.now)
        assert letter.about == clinic.at(MONDAY)
        assert (letter.time_zone, letter.recipient_zone) == ("America/New_York", "America/Chicago")
        assert letter.locales == ("es-MX", "en")
        assert (letter.sender_name, letter.phone) == ("Harbor", "+12125550142")
        assert (letter.told.solids_minutes, letter.told.clear_liquids_minutes) == (360, 120)
        assert (letter.told.arrive_early_minutes, letter.told.escort) == (15, True)
        assert (letter.visit, letter.location) == ("Clinic visit", "Main")

    def test_what_one_holds_no_other_gets_until_the_lease_runs_out(self, clinic: Clinic) -> None:
        booked(clinic)
        now = clinic.call.now
        (first,) = claim(clinic, now)
        assert claim(clinic, now + LEASE - timedelta(seconds=1)) == ()
        (second,) = claim(clinic, now + LEASE)
        assert second.id == first.id
        assert not begin(clinic, first, now + LEASE), "the first one's time is over"
        assert begin(clinic, second, now + LEASE)

    def test_a_batch_is_no_larger_than_asked_and_oldest_first(self, clinic: Clinic) -> None:
        for hour in ("09:00", "11:00", "13:00"):
            booked(clinic, "session", f"2030-03-11 {hour}")
        hurry(clinic, clinic.call.now)
        everything = [row.id for row in messages(clinic)]
        batches = [[letter.id for letter in claim(clinic, clinic.call.now, limit=2)] for _ in range(9)]
        claimed = [each for batch in batches for each in batch]
        assert max(map(len, batches)) == 2
        assert len(claimed) == len(set(claimed)) > 4
        assert set(claimed) < set(everything)
        assert {row.id for row in messages(clinic, Message.status == "sending")} == set(claimed)

    @pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
    def test_a_claim_never_waits_for_another(self, clinic: Clinic) -> None:
        for hour in ("09:00", "11:00"):
            booked(clinic, "session", f"2030-03-11 {hour}")
        now = clinic.call.now
        with Session(clinic.engine) as open_session, open_session.begin():
            held = outbox.claim(open_session, clinic.call, limit=1, lease=LEASE, token=uuid4())
            others = claim(clinic, now)
        assert {held.letters[0].id, *(letter.id for letter in others)} == {
            row.id for row in messages(clinic, Message.rule == "booked")
        }
        assert len(others) == 1

    def test_an_organization_claims_its_own(self, clinic: Clinic, engine: Engine) -> None:
        booked(clinic)
        neighbor = open_postroom(engine)
        assert claim(neighbor, neighbor.call.now) == ()

    def test_one_bad_message_does_not_hold_up_the_others(self, clinic: Clinic) -> None:
        booked(clinic, "session", "2030-03-11 09:00")
        bad = booked(clinic, "fasted", "2030-03-12 09:00")
        with Session(clinic.engine) as session, session.begin():
            session.execute(update(VisitTypeRow).where(VisitTypeRow.code == "fasted").values(definition={"x": 1}))
        claimed = clinic.do(lambda s, c: outbox.claim(s, c, limit=10, lease=LEASE, token=uuid4()))
        assert len(claimed.letters) == 1
        ((broken, why),) = claimed.broken
        row = next(row for row in messages(clinic, Message.rule == "booked") if row.appointment_id == bad)
        assert (row.id, row.status, why) == (broken, "pending", "Invalid")
        assert row.reason == "It could not be prepared: Invalid."
        assert row.due_at == clinic.call.now + timedelta(minutes=10)
        clinic.do(lambda s, c: outbox.claim(s, c, limit=10, lease=LEASE, token=uuid4()), now=row.expires_at)
        row = next(each for each in messages(clinic) if each.id == broken)
        assert (row.status, row.reason) == ("expired_unsent", "It could not be prepared: Invalid.")


class TestJudgingOnceMore:
    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            ({"status": "cancelled"}, "cancelled"),
            ({"status": "noshow"}, "noshow"),
            ({"status": "entered-in-error"}, "entered-in-error"),
            ({"status": "arrived"}, "arrived"),
            ({"status": "pending"}, "pending"),
            ({"sequence": 7}, "superseded"),
        ],
    )
    def test_a_reminder_of_a_visit_that_changed_is_not_sent(
        self, clinic: Clinic, state: dict[str, Any], reason: str
    ) -> None:
        set_state(clinic, booked(clinic), **state)
        night = clinic.at("2030-03-10 18:00")
        claim(clinic, night)
        assert (only(clinic, "night_before").status, only(clinic, "night_before").reason) == ("suppressed", reason)

    @pytest.mark.parametrize(
        ("state", "sent"),
        [
            ({"status": "fulfilled"}, True),
            ({"status": "checked-in"}, False),  # it waits until the patient has left
            ({"status": "booked"}, False),  # it waits until somebody has recorded that they came
            ({"status": "fulfilled", "outcome": "not_dosed"}, False),
            ({"status": "noshow"}, False),
        ],
    )
    def test_a_follow_up_needs_a_visit_that_took_place(self, clinic: Clinic, state: dict[str, Any], sent: bool) -> None:  # noqa: FBT001
        set_state(clinic, booked(clinic), **state)
        kinds = {letter.kind for letter in claim(clinic, clinic.at("2030-03-11 18:00"))}
        assert ("evening_check" in kinds) is sent

    def test_who_has_booked_integration_meanwhile_is_not_asked_to(self, clinic: Clinic) -> None:
        patient = clinic.patient()
        book(clinic, patient, "fasted", MONDAY)
        book(clinic, patient, "session", "2030-03-13 10:00")
        noon = only(clinic, "integration_prompt").due_at
        assert "integration_prompt" not in {letter.kind for letter in claim(clinic, noon)}
        assert only(clinic, "integration_prompt").reason == "integration_booked"

    def test_who_has_not_is(self, clinic: Clinic) -> None:
        patient = clinic.patient()
        book(clinic, patient, "fasted", MONDAY)
        book(clinic, patient, "session", "2030-03-15 10:00")  # more than 72 hours later
        noon = only(clinic, "integration_prompt").due_at
        set_state(clinic, only(clinic, "integration_prompt").appointment_id, status="fulfilled")
        assert "integration_prompt" in {letter.kind for letter in claim(clinic, noon)}

    def test_whose_addresses_changed_meanwhile_is_reached_another_way_or_not_at_all(self, clinic: Clinic) -> None:
        patient = clinic.patient()
        book(clinic, patient, "fasted", MONDAY)
        send_all(clinic, clinic.call.now)
        night = clinic.at("2030-03-10 18:00")

        def leave(*contacts: dict[str, str]) -> None:
            with Session(clinic.engine) as session, session.begin():
                session.execute(update(Patient).where(Patient.id == patient).values(contacts=list(contacts)))

        leave({"channel": "email", "value": "pat@example.org"})
        (letter,) = [letter for letter in claim(clinic, night) if letter.kind == "night_before"]
        assert (letter.channel, letter.to) == ("email", "pat@example.org")
        assert only(clinic, "night_before").channel == "email"
        settle(clinic, letter, night, "try later")
        leave()
        assert claim(clinic, night + MINUTE) == ()
        assert only(clinic, "night_before").reason == "no_channel"

    def test_what_is_late_into_the_night_waits_or_ends(self, clinic: Clinic) -> None:
        booked(clinic, "session", "2030-03-11 12:00")
        booked(clinic, "fasted", "2030-03-11 09:00")
        late = clinic.at("2030-03-10 20:16")
        claim(clinic, late)
        rows = {(row.rule, row.status, row.reason): row for row in messages(clinic, Message.due_at <= late)}
        assert ("night_before", "sending", None) in rows, "the fast would have begun by the morning"
        (waiting,) = messages(clinic, Message.rule == "remind_24h")
        assert (waiting.status, waiting.due_at) == ("pending", clinic.at("2030-03-11 09:00"))

    def test_an_urgent_word_waits_for_the_morning_where_it_can(self, clinic: Clinic) -> None:
        booked(clinic, "session", "2030-03-05 10:00")
        assert claim(clinic, clinic.at("2030-03-01 22:00")) == ()
        assert only(clinic, "booked").due_at == clinic.at("2030-03-02 09:00")

    def test_and_goes_in_the_night_where_it_was_planned_so(self, clinic: Clinic) -> None:
        night = clinic.at("2030-03-10 22:30")
        asked = wanted(clinic, clinic.patient(), "fasted", MONDAY)
        clinic.do(lambda s, c: booking.book(s, c, asked), now=night)
        assert {letter.kind for letter in claim(clinic, night)} == {"booked", "night_before"}

    def test_what_was_due_before_the_night_may_be_a_little_late(self, clinic: Clinic) -> None:
        booked(clinic)
        kinds = {letter.kind for letter in claim(clinic, clinic.at("2030-03-10 20:14"))}
        assert "night_before" in kinds

    @pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
    def test_but_never_into_the_night_of_the_law(self, engine: Engine) -> None:
        clinic = open_postroom(engine, quiet={"from": "21:00", "to": "08:00"})
        booked(clinic, "session")
        hurry(clinic, clinic.at("2030-03-07 20:59"))
        assert claim(clinic, clinic.at("2030-03-07 21:01")) == ()
        assert claim(clinic, clinic.at("2030-03-08 08:00")) != ()

    def test_what_has_lost_its_use_is_not_sent_and_says_why(self, clinic: Clinic) -> None:
        booked(clinic)
        kinds = {letter.kind for letter in claim(clinic, clinic.at("2030-03-09 20:00"))}
        assert "remind_72h" not in kinds
        assert (only(clinic, "remind_72h").status, only(clinic, "remind_72h").reason) == ("expired_unsent", "too_late")


class TestCaps:
    def text_all(self, clinic: Clinic, now: datetime) -> list[str]:
        hurry(clinic, now)
        letters = claim(clinic, now)
        for letter in letters:
            assert begin(clinic, letter, now)
            assert settle(clinic, letter, now)
        return sorted(letter.channel for letter in letters)

    @pytest.fixture
    def patient_values(self) -> dict[str, Any]:
        return {
            "contacts": [{"channel": "sms", "value": "+12025550123"}, {"channel": "email", "value": "p@example.org"}]
        }

    def test_beyond_the_cap_of_a_day_it_is_written_by_mail(
        self, engine: Engine, patient_values: dict[str, Any]
    ) -> None:
        clinic = open_postroom(engine, caps={"per_day": 1})
        patient = clinic.patient(**patient_values)
        book(clinic, patient, "session", MONDAY)
        assert self.text_all(clinic, clinic.call.now).count("sms") == 1
        book(clinic, patient, "session", "2030-03-12 09:00")
        assert "sms" not in self.text_all(clinic, clinic.call.now + timedelta(hours=2))
        book(clinic, patient, "session", "2030-03-13 09:00")
        assert self.text_all(clinic, clinic.call.now + timedelta(days=1)).count("sms") == 1

    @pytest.mark.parametrize("is_their_own", [False, True])
    def test_under_the_exemption_the_fourth_text_of_a_week_is_not_a_text(
        self, engine: Engine, patient_values: dict[str, Any], *, is_their_own: bool
    ) -> None:
        """So it is for one patient of a clinic without caps, when that one has not consented to texts."""
        given = {"channel": "sms", "basis": "exemption", "source": "form", "given_at": "2030-03-01T00:00:00+00:00"}
        caps: dict[str, Any] = {"caps": {"per_day": None, "per_week": None}}
        clinic = open_postroom(engine, **(caps if is_their_own else {"basis": "exemption"}))
        patient = clinic.patient(**patient_values | ({"consents": [given]} if is_their_own else {}))
        texts = []
        for day in range(4):
            book(clinic, patient, "session", f"2030-03-1{day + 1} 09:00")
            texts.append(self.text_all(clinic, clinic.call.now + timedelta(days=day)).count("sms"))
        assert texts == [1, 1, 1, 0]

    def test_a_text_is_kept_for_the_word_on_eating(self, engine: Engine, patient_values: dict[str, Any]) -> None:
        """A reminder of a talk in the afternoon would take the one text of the day that the law allows."""
        clinic = open_postroom(engine, basis="exemption")
        patient = clinic.patient(**patient_values)
        book(clinic, patient, "fasted", "2030-03-12 09:00")
        book(clinic, patient, "session", "2030-03-12 15:00")
        send_all(clinic, clinic.at("2030-03-10 12:00"))
        told = {}
        for when in ("2030-03-11 15:00", "2030-03-11 18:00"):
            for letter in claim(clinic, clinic.at(when)):
                told[letter.kind] = letter.channel
                assert begin(clinic, letter, clinic.at(when))
                assert settle(clinic, letter, clinic.at(when))
        assert told == {"remind_24h": "email", "night_before": "sms"}

    def test_the_word_on_eating_has_the_first_claim_on_the_texts_of_a_week(
        self, engine: Engine, patient_values: dict[str, Any]
    ) -> None:
        """Reminders of three talks would take the three texts, and leave none for Thursday evening."""
        clinic = open_postroom(engine, basis="exemption")
        patient = clinic.patient(**patient_values)
        for day in (11, 12, 13):
            book(clinic, patient, "session", f"2030-03-{day} 14:00")
        book(clinic, patient, "fasted", "2030-03-15 09:00")
        told = []
        for when in ("2030-03-10 14:00", "2030-03-11 14:00", "2030-03-12 14:00", "2030-03-14 18:00"):
            for letter in claim(clinic, clinic.at(when)):
                assert begin(clinic, letter, clinic.at(when))
                assert settle(clinic, letter, clinic.at(when))
                if letter.kind in {"remind_24h", "night_before"}:
                    told.append(letter.channel)
        assert told == ["sms", "sms", "email", "sms"]

    def test_without_another_way_the_law_silences_and_the_clinics_own_cap_does_not(self, engine: Engine) -> None:
        contacts = [{"channel": "sms", "value": "+12025550123"}]
        for basis, sent in (("exemption", 1), ("consent", 2)):
            clinic = open_postroom(engine, basis=basis, caps={"per_day": 1})
            made = book(clinic, clinic.patient(contacts=contacts), "session", "2030-03-11 14:00")
            first = self.text_all(clinic, clinic.call.now)
            cancel(clinic, made.id)  # which the patient must know
            second = self.text_all(clinic, clinic.call.now)
            assert len(first) + len(second) == sent
            assert {"exemption": "exemption", "consent": "over_cap"}[basis] in {row.reason for row in messages(clinic)}


def test_a_worker_says_that_it_lives_and_the_dead_are_forgotten(engine: Engine) -> None:
    clinic = open_postroom(engine)
    for days, worker in ((0, "first"), (0, "second"), (2, "second")):
        with Session(engine) as session:
            call = replace(clinic.call, now=clinic.later(days=days))
            transact(session, call, lambda s, c, name=worker: outbox.beat(s, c, name))
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT worker FROM worker_heartbeats").all()
    assert [row[0] for row in rows] == ["second"]


def test_what_begins_and_what_ended_is_looked_up_and_no_table_read_through(engine: Engine) -> None:
    """Whatever the planner believes: it once read all attempts that had ever been made, for each round."""
    clinic = open_postroom(engine, quiet={"from": "00:00", "to": "00:00"}, caps={"per_day": None, "per_week": None})
    heap(clinic, [book(clinic, clinic.patient(), "session", "2030-03-11 09:00").id], each=2000)
    now = wall_clock() + timedelta(minutes=1)  # by which the heap is due
    first, second = (claim(clinic, now, limit=200) for _ in range(2))
    assert len(first) == len(second) == 200
    clinic.do(lambda s, c: outbox.turn(s, c, (), (), first, LEASE), now=now)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for number in (7, 8, 9):  # as many as no planner reads through for a few
            connection.exec_driver_sql(
                "INSERT INTO message_attempts (organization_id, message_id, number, channel, began_at)"
                f" SELECT organization_id, id, {number}, 'sms', created_at FROM messages"
            )
        connection.execute(text("ANALYZE"))
    ended = [outbox.Outcome(letter, provider_id="p") for letter in first[:20]]
    with listening(engine) as asked:
        clinic.do(lambda s, c: outbox.turn(s, c, ended, (), second[:20], LEASE), now=now)
    told = [each for each in asked.statements if "message" in each[0]]
    assert 1 <= len(told) <= 4
    for statement, values in told:
        found = plan(engine, statement, values[0] if isinstance(values, list) else values)
        # On SQLite the visit, too, was once looked for among all.
        assert not re.search(r"Seq Scan on message|SCAN (message|appointment|visit)", found), found
        # An index that is asked for the organization alone tells all that it was ever owed.
        asked_for = re.findall(r"Scan .*on message.*\n\s+Index Cond: (.*)", found)
        assert all("_id = ANY" in one or "(id = ANY" in one for one in asked_for), found
        assert asked_for or engine.dialect.name == "sqlite"


def test_what_waits_for_a_shut_channel_is_not_looked_through(engine: Engine) -> None:
    clinic = open_postroom(engine)
    visit = book(clinic, clinic.patient(), "session", "2030-03-11 09:00").id
    heap(clinic, [visit], each=3000)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))

    def claimed(session: Session, call: Call) -> outbox.Claimed:
        return outbox.claim(session, call, limit=50, lease=LEASE, token=new_id(), rooms={"sms": 0})

    with listening(engine) as asked:
        clinic.do(claimed, now=clinic.call.now + timedelta(minutes=1))
    looks = [each for each in asked.of("FROM messages") if "ORDER BY messages.due_at, messages.id" in each[0]]
    assert len(looks) == len(WAYS) - 1, "one for each channel that is open"
    for statement, values in looks:
        found = plan(engine, statement, values)
        assert "ix__messages__way" in found, found


def test_a_condition_on_many_ids_is_one_that_an_index_knows() -> None:
    """`IN (...) = 1`, as SQLAlchemy writes for SQLite, was answered by a walk through all that was ever owed."""
    table = Message.__table__
    asked = update(table).where(table.c.status == "sending", among(table.c.id, "ids"), among(table.c.token, "tokens"))
    assert "= 1" not in str(asked.compile(dialect=sqlite.dialect()))
