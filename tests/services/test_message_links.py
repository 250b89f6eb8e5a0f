"""Links in messages: of one message always the same, over with the visit's time, and never kept but as a digest."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import NotFound
from scheduler.models import Message, OptOut, Organization, Patient, PatientLink, VisitTypeRow
from scheduler.services import message_preview, outbox, patient_links, unsubscribing
from scheduler.services.outbox import Letter, Outcome
from scheduler.services.patient_links import SCOPES, Links, Opened
from scheduler.worker import write_letter
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import FASTED, LEASE, begin, cancel, claim, messages, move, only, open_postroom, settle

LINKS = Links("https://visits.example.org", b"k" * 32)


def opened(clinic: Clinic, token: str, now: datetime) -> Opened:
    return clinic.do(lambda s, _c: patient_links.opened(s, token, now))


def token_of(letter: Letter) -> str:
    assert letter.link is not None
    assert letter.page in ("", f"https://visits.example.org/p/{letter.link.token}")
    return letter.link.token


def booked(clinic: Clinic, code: str = "fasted") -> UUID:
    return book(clinic, clinic.patient(), code, "2030-03-06 09:00").id


def first_letter(clinic: Clinic) -> Letter:
    (letter,) = claim(clinic, clinic.call.now, links=LINKS)
    return letter


def test_a_message_that_is_tried_again_carries_the_same_link(engine: Engine) -> None:
    clinic = open_postroom(engine)
    booked(clinic)
    first = first_letter(clinic)
    assert begin(clinic, first, clinic.call.now)
    settle(clinic, first, clinic.call.now, "The server is away.")
    later = only(clinic, "booked").due_at
    (again,) = claim(clinic, later, links=LINKS)
    assert token_of(again) == token_of(first)
    assert outbox.in_words(again, later).body == outbox.in_words(first, later).body
    with Session(engine) as session:
        (row,) = session.scalars(select(PatientLink)).all()
        assert token_of(first) not in str(vars(row)), "only a digest is kept"
        assert (row.scopes, row.sequence) == (sorted([*SCOPES, "stop:change"]), 0)
    assert token_of(first) not in repr(first), "nor does a log see it"


def test_an_email_is_ended_by_one_click_in_any_mail_program_and_a_text_is_not(engine: Engine) -> None:
    clinic = open_postroom(engine)
    visit = booked(clinic)
    letter = first_letter(clinic)
    _, envelope = write_letter(letter, clinic.call.now)
    assert letter.channel == "email"
    assert {name: value for name, value in envelope.headers.items() if name != "Date"} == {
        "List-Unsubscribe": f"<https://visits.example.org/p/{token_of(letter)}/stop>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    begin(clinic, letter, clinic.call.now)
    settle(clinic, letter, clinic.call.now)
    move(clinic, visit, "2030-03-07 10:00")
    later = clinic.later(minutes=5)
    (news,) = claim(clinic, later, links=LINKS)
    assert (news.channel, write_letter(news, later)[1].headers) == ("sms", {})


def test_another_key_makes_another_link_and_the_first_one_stays(engine: Engine) -> None:
    clinic = open_postroom(engine)
    booked(clinic)
    first = first_letter(clinic)
    after = clinic.call.now + LEASE + timedelta(seconds=1)
    (again,) = claim(clinic, after, links=Links.of("https://visits.example.org/", ""))
    assert token_of(again) != token_of(first)
    assert not opened(clinic, token_of(first), after).moved
    assert not opened(clinic, token_of(again), after).moved


def test_what_staff_read_of_a_message_opens_nothing(engine: Engine) -> None:
    clinic = open_postroom(engine)
    booked(clinic)
    letter = first_letter(clinic)
    text = outbox.in_words(letter, clinic.call.now)
    assert letter.page in text.body
    assert begin(clinic, letter, clinic.call.now)
    outcome = Outcome(letter, subject=text.subject, body=text.body, locale=text.locale)
    clinic.do(lambda s, c: outbox.settle(s, c, [outcome]))
    kept = only(clinic, "booked").body
    assert kept is not None
    assert "https://visits.example.org/p/…" in kept["body"]
    assert token_of(letter) not in str(kept)


def test_a_visit_at_another_time_has_another_link_and_the_old_one_is_over(engine: Engine) -> None:
    clinic = open_postroom(engine)
    visit = booked(clinic)
    first = first_letter(clinic)
    begin(clinic, first, clinic.call.now)
    settle(clinic, first, clinic.call.now)
    move(clinic, visit, "2030-03-07 10:00")
    later = clinic.later(minutes=5)
    (news,) = claim(clinic, later, links=LINKS)
    assert (news.kind, news.channel) == ("rescheduled", "sms")
    assert opened(clinic, token_of(first), later).moved
    assert not opened(clinic, token_of(news), later).moved
    assert news.page in outbox.in_words(news, later).body
    assert news.link is not None
    assert news.link.scopes == tuple(sorted(SCOPES)), "a text is ended by STOP, not by a link"


def test_without_an_address_messages_carry_no_link(engine: Engine) -> None:
    clinic = open_postroom(engine)
    booked(clinic)
    (letter,) = claim(clinic, clinic.call.now)
    assert (letter.link, letter.page) == (None, "")
    assert Links.of("", "k" * 32) is None
    with Session(engine) as session:
        assert session.scalars(select(PatientLink)).all() == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_preview_shows_where_the_link_will_stand_and_makes_none(engine: Engine) -> None:
    clinic = open_postroom(engine)
    visit = booked(clinic)
    foreseen = clinic.do(lambda s, c: message_preview.preview(s, c, appointment_id=visit, public_url=LINKS.base_url))
    (booking,) = [each for each in foreseen if each.rule == "booked"]
    assert f"{LINKS.base_url}/p/" in (booking.body or "")
    with Session(engine) as session:
        assert session.scalars(select(PatientLink)).all() == []


def test_a_cancelled_visit_leaves_the_calendar_by_the_name_under_which_it_came(engine: Engine) -> None:
    clinic = open_postroom(engine)
    patient = clinic.patient(contacts=[{"channel": "email", "value": "pat@example.org", "purpose": "any"}])
    visit = book(clinic, patient, "fasted", "2030-03-06 09:00").id
    first = first_letter(clinic)
    begin(clinic, first, clinic.call.now)
    settle(clinic, first, clinic.call.now)
    cancel(clinic, visit)
    (gone,) = claim(clinic, clinic.later(minutes=5), links=LINKS)
    (was,), (now,) = first.calendar, gone.calendar
    assert (first.method, gone.method) == ("REQUEST", "CANCEL")
    assert (was.visit_id, was.sequence, was.status) == (str(visit), 0, "CONFIRMED")
    assert (now.visit_id, now.sequence, now.status) == (str(visit), 1, "CANCELLED")
    assert gone.page == "", "there is nothing to be done on its page"
    assert gone.link is not None
    assert gone.link.scopes == ("stop:change",)


@pytest.mark.parametrize("telling", ["Ketamine infusion", "Clinic visit"])
def test_a_calendar_says_nothing_that_a_visit_is_called(engine: Engine, telling: str) -> None:
    clinic = open_postroom(engine)
    clinic.visit({**FASTED, "code": "other"})
    with Session(engine) as session, session.begin():  # a name from before such were refused
        row = session.scalars(select(VisitTypeRow).where(VisitTypeRow.code == "other")).one()
        row.definition = row.definition | {"public_name": telling}
    book(clinic, clinic.patient(locale="es"), "other", "2030-03-06 09:00")
    (entry,) = first_letter(clinic).calendar
    assert entry.title == ("Cita" if telling.startswith("K") else "Clinic visit")


def stop(clinic: Clinic, token: str, wanted: unsubscribing.Wish) -> None:
    def work(session: Session, call: object) -> None:
        link = patient_links.opened_to_stop(session, token)
        unsubscribing.wish(session, link.call(clinic.call), link, wanted, "a test")

    clinic.do(work)


def test_an_opt_out_by_mail_is_for_the_class_and_stops_what_is_claimed(engine: Engine) -> None:
    clinic = open_postroom(engine)
    only_mail = [{"channel": "email", "value": "Pat@example.org", "purpose": "any"}]
    first, second = clinic.patient(contacts=only_mail), clinic.patient(name="Ana Example", contacts=only_mail)
    book(clinic, first, "session", "2030-03-06 09:00")
    news = first_letter(clinic)
    book(clinic, second, "session", "2030-03-06 10:00")
    stop(clinic, token_of(news), "kind")
    assert not begin(clinic, news, clinic.call.now), "it was claimed, and had not begun"
    assert claim(clinic, clinic.call.now, links=LINKS) == (), "nor does anybody's who shares the address"
    assert {row.reason for row in messages(clinic, Message.rule == "booked")} == {"no_channel"}
    due = only(clinic, "remind_72h").due_at
    reminders = claim(clinic, due, links=LINKS)
    assert {letter.kind for letter in reminders} == {"remind_72h"}, "another class goes on"
    stop(clinic, token_of(reminders[0]), "all")
    assert not begin(clinic, reminders[0], due)
    with Session(engine) as session:
        rows = session.scalars(select(OptOut)).all()
        assert {(row.number, row.message_class, row.source) for row in rows} == {
            ("Pat@example.org", "change", "a test"),
            ("Pat@example.org", "*", "a test"),
        }
        consents = [patient.consents[-1] for patient in session.scalars(select(Patient))]
        assert [(each["channel"], bool(each["revoked_at"])) for each in consents] == [("email", True)] * 2
    stop(clinic, token_of(reminders[0]), "none")
    again = {letter.kind for letter in claim(clinic, due + timedelta(minutes=2), links=LINKS)}
    assert again == {"remind_72h", "booked"}, "and what was missed is told"


def test_a_link_that_only_shows_a_visit_ends_no_messages(engine: Engine) -> None:
    clinic = open_postroom(engine)
    booked(clinic)
    settled = first_letter(clinic)
    begin(clinic, settled, clinic.call.now)
    settle(clinic, settled, clinic.call.now)
    due = only(clinic, "remind_72h").due_at
    (text,) = claim(clinic, due, links=LINKS)
    assert text.channel == "sms"
    with pytest.raises(NotFound):
        stop(clinic, token_of(text), "all")


def test_codes_of_organizations_differ(engine: Engine) -> None:
    first, second = Clinic(engine), Clinic(engine)
    with Session(engine) as session:
        codes = [session.get_one(Organization, each.call.organization_id).code for each in (first, second)]
    assert len(set(codes)) == len(codes)
    assert {len(code) for code in codes} == {5}
