"""What a booking, a move and a cancellation owe, and what becomes of it until a worker takes it. On both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Message
from scheduler.services import booking, message_rules, outbox, shipped, visit_day
from tests.clinic import Clinic
from tests.desk import book, refused, wanted
from tests.postroom import by_rule, cancel, messages, move, only, open_postroom, send_all

MONDAY = "2030-03-11 09:00"  # a week and a half ahead, the day after New York's clocks go forward


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def statuses(clinic: Clinic, sequence: int = 0) -> dict[str, tuple[str, str | None]]:
    return {rule: (row.status, row.reason) for rule, row in by_rule(clinic, sequence=sequence).items()}


class TestOwing:
    def test_a_booking_owes_its_messages_in_its_own_transaction(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        owed = by_rule(clinic)
        assert set(owed) == {
            "booked", "remind_72h", "night_before", "day_of", "arrival_no_show", "d_instructions", "evening_check",
            "next_day_scale", "integration_prompt",
            "night_before+email", "night_before+call",
        }  # fmt: skip
        assert owed["booked"].due_at == clinic.call.now
        assert owed["remind_72h"].due_at == clinic.at("2030-03-08 09:00"), "by the wall, over the change of clocks"
        assert owed["night_before"].due_at == clinic.at("2030-03-10 18:00")
        assert owed["evening_check"].due_at == clinic.at("2030-03-11 18:00")
        assert {row.appointment_id for row in owed.values()} == {made.id}
        assert (owed["booked"].channel, owed["night_before"].channel) == ("email", "sms")
        assert owed["day_of"].status == "suppressed"

    def test_a_booking_that_fails_owes_nothing(self, clinic: Clinic) -> None:
        refused(clinic, clinic.patient(), "fasted", "2030-03-11 03:00")
        asked = wanted(clinic, clinic.patient(), "fasted", MONDAY)
        clinic.do(lambda s, c: booking.book(s, c, asked), dry_run=True)
        assert messages(clinic) == []

    def test_what_is_owed_is_written_by_one_statement(self, clinic: Clinic) -> None:
        inserts = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if "INSERT INTO messages" in statement:
                inserts.append(statement)

        event.listen(clinic.engine, "before_cursor_execute", note)
        book(clinic, clinic.patient(), "fasted", MONDAY)
        event.remove(clinic.engine, "before_cursor_execute", note)
        assert len(inserts) == 1
        assert len(messages(clinic)) == 11

    def test_who_cannot_be_reached_is_seen_to_be_so(self, clinic: Clinic) -> None:
        book(clinic, clinic.patient(contacts=[]), "fasted", MONDAY)
        pending = [row.rule for row in messages(clinic, Message.status == "pending")]
        staffs = ["staff+no_channel", "night_before+call", "arrival_no_show"]
        assert pending[:3] == staffs
        assert {*pending[3:]} == {"d_instructions", "evening_check", "integration_prompt", "next_day_scale"}, (
            "judged then"
        )
        assert {row.reason for row in messages(clinic)} == {"no_channel", "quiet_hours", None}

    def test_a_revoked_consent_closes_its_channel(self, clinic: Clinic) -> None:
        revoked = {"channel": "sms", "basis": "consent", "source": "form", "revoked_at": "2030-02-01T00:00:00+00:00"}
        book(clinic, clinic.patient(consents=[revoked]), "fasted", MONDAY)
        assert {row.channel for row in messages(clinic, Message.status == "pending")} == {"email", "task"}

    def test_a_later_consent_opens_it_again(self, clinic: Clinic) -> None:
        entry = {"channel": "sms", "basis": "consent", "source": "form"}
        consents = [entry | {"revoked_at": "2030-02-01T00:00:00+00:00"}, entry]
        book(clinic, clinic.patient(consents=consents), "fasted", MONDAY)
        assert only(clinic, "night_before").channel == "sms"

    def test_quiet_hours_are_the_patients_own(self, clinic: Clinic) -> None:
        book(clinic, clinic.patient(time_zone="Europe/London"), "fasted", MONDAY)
        # 18:00 in New York is 22:00 in London on that day.
        assert only(clinic, "night_before").due_at == clinic.at("2030-03-10 15:51")

    def test_an_organization_sets_quiet_hours_of_its_own(self, engine: Engine) -> None:
        clinic = open_postroom(engine, quiet={"from": "17:00", "to": "10:00"})
        book(clinic, clinic.patient(), "fasted", MONDAY)
        assert only(clinic, "night_before").due_at == clinic.at("2030-03-10 16:51")

    def test_a_rule_that_is_switched_off_owes_nothing(self, clinic: Clinic) -> None:
        rules = [rule | {"enabled": rule["key"] != "booked"} for rule in shipped.message_rules()]
        clinic.do(lambda s, c: message_rules.change(s, c, rules))
        book(clinic, clinic.patient(), "fasted", MONDAY)
        assert "booked" not in by_rule(clinic)
        assert only(clinic, "remind_72h").status == "pending", "what it would have yielded to is not there"

    def test_owing_twice_is_owing_once(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        clinic.do(lambda s, c: outbox.owe_for_appointment(s, c, s.get_one(Appointment, (c.organization_id, made.id))))
        assert len(messages(clinic)) == 11

    def test_a_pencilled_visit_owes_nothing_until_it_is_confirmed(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        with Session(clinic.engine) as session, session.begin():
            session.execute(Message.__table__.delete())

        def pencil(session: Session, call: object, status: str) -> None:
            row = session.get_one(Appointment, (clinic.call.organization_id, made.id))
            row.status = status
            session.flush()
            outbox.owe_for_appointment(session, clinic.call, row)

        clinic.do(lambda s, c: pencil(s, c, "pending"))
        assert messages(clinic) == []
        clinic.do(lambda s, c: pencil(s, c, "booked"))
        assert only(clinic, "booked").status == "pending"


class TestMoving:
    def test_a_move_calls_off_the_old_and_owes_anew(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        move(clinic, made.id, "2030-03-12 14:00")
        assert statuses(clinic)["night_before"] == ("suppressed", "rescheduled")
        assert all(status == "suppressed" for status, _ in statuses(clinic).values())
        again = by_rule(clinic, sequence=1)
        assert "booked" not in again
        assert again["rescheduled"].due_at == clinic.call.now + timedelta(minutes=3)
        assert again["night_before"].due_at == clinic.at("2030-03-11 18:00")
        assert again["rescheduled"].context["previous"] == made.row.starts_at.isoformat()

    def test_a_move_at_night_is_told_at_once_when_the_old_time_is_near(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "session", MONDAY)
        night = clinic.at("2030-03-10 22:30")
        move(clinic, made.id, "2030-03-13 14:00", now=night)
        assert only(clinic, "rescheduled", sequence=1).due_at == night + timedelta(minutes=3)

    def test_two_moves_leave_one_set_of_messages(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        move(clinic, made.id, "2030-03-12 14:00")
        move(clinic, made.id, "2030-03-13 14:00")
        live = messages(clinic, Message.status == "pending")
        assert {row.sequence for row in live} == {2}
        assert len({row.rule for row in live}) == len(live)


class TestCancelling:
    def test_a_cancellation_calls_off_everything_and_says_so(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        cancel(clinic, made.id)
        assert {row.rule for row in messages(clinic, Message.status == "pending")} == {"cancelled"}
        assert statuses(clinic)["night_before"] == ("suppressed", "cancelled")
        assert only(clinic, "booked").called_off_at == clinic.call.now

    def test_who_was_never_told_of_a_visit_is_not_told_of_its_end(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        with Session(clinic.engine) as session, session.begin():
            session.execute(Message.__table__.delete())
        cancel(clinic, made.id)
        assert messages(clinic) == []

    def test_a_cancellation_that_fails_calls_nothing_off(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="ill", by="patient"), dry_run=True)
        assert only(clinic, "night_before").status == "pending"

    @pytest.mark.parametrize("heard", [False, True])
    def test_a_visit_booked_by_mistake_is_told_only_to_who_heard_of_it(self, clinic: Clinic, *, heard: bool) -> None:
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        now = clinic.later(minutes=10)
        if heard:
            send_all(clinic, now)
        waiting = {rule for rule, (status, _) in statuses(clinic).items() if status == "pending"}
        assert ("booked" in waiting) is not heard
        clinic.do(lambda s, c: visit_day.enter_in_error(s, c, made.id, reason="the wrong patient"), now=now)
        assert {row.rule for row in messages(clinic, Message.status == "pending")} == (
            {"cancelled"} if heard else set()
        )
        assert {statuses(clinic)[rule] for rule in waiting} == {("suppressed", "entered-in-error")}

    def test_a_no_show_calls_off_everything_in_its_own_transaction(self, clinic: Clinic) -> None:
        """No worker has to come by: nothing is pending any more when it has committed, and nothing is owed anew."""
        made = book(clinic, clinic.patient(), "fasted", MONDAY)
        late, before = clinic.at(MONDAY) + timedelta(minutes=15), statuses(clinic)
        waiting = {rule for rule, (status, _) in before.items() if status == "pending"}
        assert {"evening_check", "next_day_scale", "integration_prompt"} <= waiting
        clinic.do(lambda s, c: visit_day.no_show(s, c, made.id), now=late, dry_run=True)
        assert statuses(clinic) == before, "or not at all"
        clinic.do(lambda s, c: visit_day.no_show(s, c, made.id), now=late)
        assert statuses(clinic) == before | dict.fromkeys(waiting, ("suppressed", "noshow"))
        assert {only(clinic, rule).called_off_at for rule in waiting} == {late}
        assert len(messages(clinic)) == len(before)

    def test_a_cancellation_after_the_start_tells_nobody(self, clinic: Clinic) -> None:
        made = book(clinic, clinic.patient(), "session", MONDAY)
        cancel(clinic, made.id, now=clinic.at(MONDAY) + timedelta(minutes=5))
        assert statuses(clinic, sequence=1)["cancelled"] == ("suppressed", "too_late")


class TestLookingForWork:
    def test_an_organization_with_due_messages_is_found(self, clinic: Clinic) -> None:
        book(clinic, clinic.patient(), "fasted", MONDAY)
        mine, now = clinic.call.organization_id, clinic.call.now
        with Session(clinic.engine) as session:
            assert outbox.organizations_due(session, now - timedelta(seconds=1)) == []
            assert outbox.organizations_due(session, now) == [mine]
            assert outbox.next_due(session, now - timedelta(days=1)) == now
            assert outbox.next_due(session, now) == clinic.at("2030-03-08 09:00")
            assert outbox.next_due(session, now + timedelta(days=60)) is None
