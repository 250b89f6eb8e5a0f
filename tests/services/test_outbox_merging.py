"""What several messages become when they are due together, and what a person is given to do. On both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.core.civil import to_local
from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.models import ClinicalHold, Message, Patient, Task, new_id
from scheduler.services import message_rules, organizations, outbox, patients, shipped, visit_types
from scheduler.services.outbox import Letter
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import begin, by_rule, cancel, claim, messages, move, only, open_postroom, set_state, settle

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def tasks(clinic: Clinic) -> list[str]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Task.kind).order_by(Task.id)))


def text(letter: Letter, clinic: Clinic) -> str:
    return outbox.in_words(letter, clinic.call.now).body


class TestMerging:
    @pytest.fixture
    def days(self, clinic: Clinic) -> None:
        """Visits on three days in a row: the middle one's first reminder meets the first one's last."""
        patient = clinic.patient()
        for start in ("2030-03-11 14:00", "2030-03-13 16:00", "2030-03-20 14:00"):
            book(clinic, patient, "session", start)
        for letter in claim(clinic, clinic.call.now):
            begin(clinic, letter, clinic.call.now)
            settle(clinic, letter, clinic.call.now)

    def test_a_reminder_becomes_a_line_of_another(self, clinic: Clinic, days: None) -> None:
        due = clinic.at("2030-03-10 14:00")
        (letter,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
        assert [stop.starts_at for stop in letter.also] == [clinic.at("2030-03-13 16:00")]
        assert "Also: Wed, Mar 13 16:00." in text(letter, clinic)
        assert septets(text(letter, clinic)) <= LIMIT
        (merged,) = messages(clinic, Message.reason == "merged")
        assert (merged.rule, merged.merged_into) == ("remind_72h", letter.id)
        assert begin(clinic, letter, due)
        settle(clinic, letter, due)
        assert claim(clinic, due + timedelta(hours=3)) == (), "it has been said"

    @pytest.mark.parametrize(("minutes", "lines"), [(12 * 60, 1), (12 * 60 + 1, 0)])
    def test_twelve_hours_later_is_near_enough(self, clinic: Clinic, days: None, minutes: int, lines: int) -> None:
        due = clinic.at("2030-03-10 14:00")
        later = only_visit(clinic, "2030-03-13 16:00")
        with Session(clinic.engine) as session, session.begin():
            other = Message.appointment_id == later, Message.rule == "remind_72h"
            session.execute(update(Message).where(*other).values(due_at=due + minutes * MINUTE))
        (letter,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
        assert len(letter.also) == lines

    def test_what_does_not_leave_lets_go_what_it_was_to_say(self, clinic: Clinic, days: None) -> None:
        due = clinic.at("2030-03-10 14:00")
        (letter,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
        assert begin(clinic, letter, due)
        settle(clinic, letter, due, "no such number", permanent=True)
        (letter,) = claim(clinic, due)
        assert (letter.channel, len(letter.also)) == ("email", 1), "it goes another way, and takes along what it had"
        assert begin(clinic, letter, due)
        settle(clinic, letter, due, "no such address", permanent=True)
        assert messages(clinic, Message.reason == "merged") == []
        (again,) = claim(clinic, due + timedelta(hours=3))
        assert (again.kind, again.about) == ("remind_72h", clinic.at("2030-03-13 16:00"))

    def test_what_has_moved_since_is_not_let_go(self, clinic: Clinic, days: None) -> None:
        """It has other reminders by then."""
        due = clinic.at("2030-03-10 14:00")
        (letter,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
        (merged,) = messages(clinic, Message.reason == "merged")
        assert merged.appointment_id is not None
        assert begin(clinic, letter, due)
        move(clinic, merged.appointment_id, "2030-03-14 16:00", now=due)
        settle(clinic, letter, due, "no such number", permanent=True)
        assert only_id(clinic, letter).channel == "email"
        (letter,) = [each for each in claim(clinic, due) if each.id == letter.id]
        assert begin(clinic, letter, due)
        settle(clinic, letter, due, "no such address", permanent=True)
        waiting = messages(clinic, Message.appointment_id == merged.appointment_id, Message.status == "pending")
        assert {row.sequence for row in waiting} == {1}

    def test_what_expires_lets_it_go_too(self, clinic: Clinic, days: None) -> None:
        due, over = clinic.at("2030-03-10 14:00"), clinic.at("2030-03-11 12:00")
        (letter,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
        assert begin(clinic, letter, due)
        settle(clinic, letter, due, "busy")
        claim(clinic, over)
        assert only_id(clinic, letter).status == "expired_unsent"
        assert [each.kind for each in claim(clinic, over)] == ["remind_72h"]

    def test_a_second_try_still_says_it_unless_it_is_wrong_by_then(self, clinic: Clinic, days: None) -> None:
        due = clinic.at("2030-03-10 14:00")
        (letter,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
        begin(clinic, letter, due)
        settle(clinic, letter, due, "busy")
        (letter,) = claim(clinic, due + MINUTE)
        assert len(letter.also) == 1
        begin(clinic, letter, due + MINUTE)
        settle(clinic, letter, due + MINUTE, "busy")
        cancel(clinic, only_visit(clinic, "2030-03-13 16:00"), now=due + MINUTE)
        (letter,) = [each for each in claim(clinic, due + 4 * MINUTE) if each.kind == "remind_24h"]
        assert letter.also == ()

    def test_an_instruction_is_never_merged_away(self, clinic: Clinic) -> None:
        patient = clinic.patient()
        book(clinic, patient, "fasted", "2030-03-11 09:00")
        book(clinic, patient, "session", "2030-03-11 15:00")
        assert only_of(clinic, "night_before").status == "pending"
        claim(clinic, clinic.at("2030-03-10 15:00"))
        (night,) = [each for each in claim(clinic, clinic.at("2030-03-10 18:00")) if each.kind == "night_before"]
        assert "From 03:00 clear liquids only" in text(night, clinic)


class TestTasks:
    def test_a_message_that_expires_is_somebodys_task(self, clinic: Clinic) -> None:
        book(clinic, clinic.patient(), "session", "2030-03-11 14:00")
        claim(clinic, clinic.at("2030-03-10 12:00"))
        assert only(clinic, "remind_72h").status == "expired_unsent"
        assert "message_expired" in tasks(clinic)

    def test_who_has_not_arrived_is_looked_for(self, clinic: Clinic) -> None:
        book(clinic, clinic.patient(), "session", "2030-03-11 14:00")
        here = book(clinic, clinic.patient(), "session", "2030-03-11 15:00").id
        set_state(clinic, here, status="arrived")
        claim(clinic, clinic.at("2030-03-11 15:20"))
        assert tasks(clinic).count("arrival_no_show") == 1

    def test_who_must_know_and_cannot_be_told_is_called(self, engine: Engine) -> None:
        clinic = open_postroom(engine, basis="exemption", caps={"per_day": 1})
        contacts = [{"channel": "sms", "value": "+12025550123"}]
        made = book(clinic, clinic.patient(contacts=contacts), "session", "2030-03-11 14:00").id
        now = clinic.call.now
        for letter in claim(clinic, now):
            begin(clinic, letter, now)
            settle(clinic, letter, now)
        cancel(clinic, made)
        assert claim(clinic, now + 3 * MINUTE) == ()
        assert tasks(clinic) == ["patient_untold"]


def test_a_clinical_hold_silences_what_speaks_of_a_dose(clinic: Clinic) -> None:
    patient = clinic.patient()
    book(clinic, patient, "fasted", "2030-03-11 09:00")
    with Session(clinic.engine) as session, session.begin():
        session.add(
            ClinicalHold(
                organization_id=clinic.call.organization_id,
                id=new_id(),
                patient_id=patient,
                reason="blood_pressure",
                placed_by="Dr. Example",
                deadline=clinic.at("2030-03-20 09:00"),
                created_at=clinic.call.now,
            )
        )
    claim(clinic, clinic.at("2030-03-08 09:00"))
    assert only(clinic, "remind_72h").reason == "on_hold"


def is_awake(until: str, at: datetime) -> bool:
    """Whether it is day then in Tokyo, and the evening's quiet hours have not begun."""
    return "09:00" <= to_local(at, "Asia/Tokyo").strftime("%H:%M") < until


class TestReview:
    def review(self, clinic: Clinic, **changes: Any) -> bool:
        return clinic.do(outbox.review, **changes)

    def test_owes_what_is_missing_and_nothing_twice(self, clinic: Clinic) -> None:
        book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00")
        before = {row.rule: row.due_at for row in messages(clinic)}
        with Session(clinic.engine) as session, session.begin():
            session.execute(Message.__table__.delete().where(Message.rule == "night_before"))
        assert not self.review(clinic)
        assert {row.rule: row.due_at for row in messages(clinic)} == before
        assert not self.review(clinic)
        assert len(messages(clinic)) == len(before)

    def test_moves_what_rules_and_people_have_changed(self, clinic: Clinic) -> None:
        patient = clinic.patient()
        book(clinic, patient, "session", "2030-03-11 14:00")
        rules = [rule for rule in shipped.message_rules() if rule["key"] != "day_of"]
        next(rule for rule in rules if rule["key"] == "remind_24h")["at"] = {"anchor": "start", "days": -2}
        clinic.do(lambda s, c: message_rules.change(s, c, rules))
        with Session(clinic.engine) as session, session.begin():
            row = session.get_one(Patient, (clinic.call.organization_id, patient))
            row.contacts = [{"channel": "email", "value": "pat@example.org"}]
        self.review(clinic)
        owed = by_rule(clinic)
        assert (owed["remind_24h"].due_at, owed["remind_24h"].channel) == (clinic.at("2030-03-09 14:00"), "email")
        assert (owed["day_of"].status, owed["day_of"].reason) == ("suppressed", "rule_changed")
        assert owed["booked"].status == "pending", "news is the change's own"

    def test_hours_of_fasting_of_quiet_and_of_the_patient_count_from_the_day_on_which_they_change(
        self, clinic: Clinic
    ) -> None:
        """They did from the next day's review on, by when the word on eating came after the meal."""
        patient = clinic.patient()
        book(clinic, patient, "fasted", "2030-03-11 09:00")
        self.review(clinic)

        def owed(rule: str) -> Message:
            self.review(clinic)  # of the same day
            return by_rule(clinic)[rule]

        assert owed("night_before").due_at == clinic.at("2030-03-10 18:00")
        (fasted,) = (view for view in clinic.do(visit_types.listing).items if view.code == "fasted")
        longer = fasted.definition["instructions"] | {"solids_minutes": 960}
        clinic.do(lambda s, c: visit_types.change(s, c, fasted.id, fasted.revision, {"instructions": longer}))
        assert owed("remind_24h").due_at == clinic.at("2030-03-10 09:00")
        assert owed("night_before").status == "suppressed"
        clinic.do(lambda s, c: patients.change(s, c, patient, 1, {"time_zone": "Asia/Tokyo"}))
        assert is_awake("20:00", owed("remind_72h").due_at)
        quiet = {"messaging": {"quiet": {"from": "18:00", "to": "09:00"}}}
        clinic.do(lambda s, c: organizations.change(s, c, 2, quiet))
        assert is_awake("18:00", owed("remind_72h").due_at)

    def test_a_rule_that_comes_back_brings_its_messages_back(self, clinic: Clinic) -> None:
        """Taken out by mistake, the word on when to stop eating must not stay away from all who are booked already."""
        book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00")
        self.review(clinic)
        before = {row.rule: (row.due_at, row.status) for row in messages(clinic)}
        without = [r | {"enabled": r["key"] not in {"night_before", "remind_72h"}} for r in shipped.message_rules()]
        for rules, gone in ((without, True), (shipped.message_rules(), False)):
            clinic.do(lambda s, c, rules=rules: message_rules.change(s, c, rules))
            self.review(clinic)  # of the same day
            owed = by_rule(clinic)
            assert (owed["remind_72h"].reason == "rule_changed") is gone
            assert (owed["night_before"].status, owed["night_before+call"].status) == (
                ("suppressed",) * 2 if gone else ("pending",) * 2
            )
        assert {row.rule: (row.due_at, row.status) for row in messages(clinic)} == before
        assert [row.called_off_at for row in messages(clinic) if row.status == "pending" and row.called_off_at] == []

    def test_what_was_not_sent_for_a_rule_s_sake_is_sent_by_another_rule(self, clinic: Clinic) -> None:
        patient = clinic.patient()
        book(clinic, patient, "session", "2030-03-04 09:30")
        owed = by_rule(clinic)
        assert (owed["remind_72h"].reason, owed["day_of"].reason) == ("past", "quiet_hours")
        rules = shipped.message_rules()
        next(rule for rule in rules if rule["key"] == "remind_72h")["at"] = {"anchor": "start", "days": -2}
        day_of = next(rule for rule in rules if rule["key"] == "day_of")
        day_of |= {"at": {"anchor": "start", "minutes": -15}, "expires": {"anchor": "start"}}
        clinic.do(lambda s, c: message_rules.change(s, c, rules))
        self.review(clinic)
        owed = by_rule(clinic)
        assert (owed["remind_72h"].status, owed["remind_72h"].due_at) == ("pending", clinic.at("2030-03-02 09:30"))
        assert (owed["day_of"].status, owed["day_of"].due_at) == ("pending", clinic.at("2030-03-04 09:15"))
        cancel(clinic, owed["day_of"].appointment_id)
        clinic.do(lambda s, c: message_rules.change(s, c, shipped.message_rules()))
        self.review(clinic)
        assert {row.status for row in messages(clinic, Message.rule.in_(("remind_72h", "day_of")))} == {"suppressed"}


def only_id(clinic: Clinic, letter: Letter) -> Message:
    return messages(clinic, Message.id == letter.id)[0]


def only_visit(clinic: Clinic, start: str) -> Any:
    row = next(row for row in messages(clinic) if row.context["about"] == clinic.at(start).isoformat())
    return row.appointment_id


def only_of(clinic: Clinic, rule: str) -> Message:
    (row,) = messages(clinic, Message.rule == rule)
    return row
