"""One course as its patient lives it, in Spanish, on a phone: real mail, real texts, the real pages, a clock that runs.

Every message that arrives is collected, and read for what it would tell whoever finds the phone.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import vobject
from sqlalchemy.orm import Session
from standardwebhooks.webhooks import Webhook

from scheduler.config import Settings
from scheduler.messaging import open_channel
from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.models import Organization
from scheduler.services import booking, tasks
from scheduler.services.patient_links import Links
from scheduler.worker import Worker
from tests.clinic import Clinic
from tests.coursework import DOSE, EVALUATION, TALK, accept, approve, course, offer, protocol
from tests.messaging.sinks import Gateway, Mailbox, sms_gateway, smtp_server
from tests.messaging.test_locked_screen import TELLING
from tests.pages.conftest import PHONE, near_only
from tests.postroom import set_state

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NUMBER = "+12025550123"
FASTED = DOSE | {
    "name": "Intravenous ketamine infusion",
    "public_names": {"es": "Cita en la clínica"},
    "instructions": {
        "solids_minutes": 360, "clear_liquids_minutes": 120, "alcohol_minutes": 1440, "arrive_early_minutes": 15,
        "escort": True, "no_driving": "24_hours",
    },
    "checklist": [
        {
            "key": "ride", "label": "Ride", "effect": "blocks", "at": "check_in", "value": "text",
            "asks": {"en": "Who takes you home?", "es": "¿Quién le lleva a casa?"},
        },
    ],
}  # fmt: skip


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, sms_http_secret=SECRET)


@dataclass
class Trial:
    """The clinic, its worker, and what has reached the patient so far."""

    clinic: Clinic
    clock: Clock
    app: Flask
    worker: Worker
    mailbox: Mailbox
    gateway: Gateway
    visits: dict[str, UUID] = field(default_factory=dict)

    def run(self, until: str) -> None:
        """Let the worker tick at every moment at which something is due, up to that time of the clinic's clock."""
        end = self.clinic.at(until)
        while True:
            self.worker.tick()
            due = self.worker.next_due()
            if due is None or due > end:
                break
            self.clock.set(due)
        self.clock.set(end)
        self.worker.tick()

    @property
    def texts(self) -> list[str]:
        return [each["body"] for each in self.gateway.asked]

    @property
    def letters(self) -> list[str]:
        return [body_of(mail) for mail in self.mailbox.mails]

    def text_back(self, said: str) -> str:
        """What the patient's text is answered with, by way of the gateway's signed call."""
        path = f"/v1/inbound/sms/http?organization={self.clinic.call.organization_id}"
        told = {"id": "in-1", "url": f"http://localhost{path}", "from": NUMBER, "body": said}
        body, at = json.dumps(told), datetime.now(UTC)
        signed = {
            "webhook-id": "m1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("m1", at, body),
        }
        answer = self.app.test_client().post(path, data=body, content_type="application/json", headers=signed)
        assert answer.status_code == 200, answer.text
        return str(answer.json["reply"])


def body_of(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content())


def link_in(text: str) -> str:
    """The one link of a message."""
    (found,) = re.findall(r"http://127\.0\.0\.1:\d+/p/[A-Za-z0-9]{22}\b", text)
    return str(found)


def events_of(mail: Any) -> tuple[str, dict[str, Any]]:
    """How a mail's calendar is to be taken, and its events by id."""
    (part,) = [each for each in mail.iter_parts() if each.get_content_type() == "text/calendar"]
    read = vobject.readOne(part.get_content())
    assert part.get_param("method") == read.method.value
    return str(read.method.value), {event.uid.value: event for event in read.vevent_list}


@pytest.fixture
def trial(engine: Engine, clock: Clock, app: Flask, address: str) -> Iterator[Trial]:
    """Three visits of one course, booked on a Friday: an evaluation, a dose, and a talk about it."""
    clinic = Clinic(engine)
    clinic.call = replace(clinic.call, now=clock.set(clinic.at("2030-03-01 10:00")))
    for document in (EVALUATION, FASTED, TALK):
        clinic.visit(document)
    for role in ("nurse", "prescriber", "therapist"):
        clinic.staff(role)
    clinic.room("bay")
    clinic.room("consult")
    approve(clinic, protocol(1))

    def furnish(session: Session, call: Any) -> None:
        session.get_one(Organization, call.organization_id).phone = "+12125550142"

    clinic.do(furnish)
    with ExitStack() as stack:
        mailbox, gateway = stack.enter_context(smtp_server()), stack.enter_context(sms_gateway())
        mail = {"host": mailbox.host, "port": mailbox.port, "sender": "visits@example.org", "starttls": False}
        ways = {"email": open_channel("smtp", mail), "sms": open_channel("http", {"url": gateway.url})}
        worker = Worker(lambda: Session(engine), ways, clock=clock, links=Links.of(address, "k" * 32))
        stack.callback(worker.close)
        yield Trial(clinic, clock, app, worker, mailbox, gateway)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_course_from_booking_to_integration(trial: Trial, browser: Browser, address: str) -> None:
    with near_only(browser, address, PHONE) as phone:
        it_is_booked_and_confirmed(trial, phone)
        the_ride_is_named(trial, phone)
        the_dose_is_moved(trial, phone)
        reminders_tell_of_the_new_time(trial, phone)
        the_patient_has_had_enough(trial, phone)
    every_message_is_fit_to_be_seen(trial)


def it_is_booked_and_confirmed(trial: Trial, phone: Page) -> None:
    """One letter for the whole course, with its visits for the calendar, and a page to say yes on."""
    clinic = trial.clinic
    robin = clinic.patient(name="Robin Sample", locale="es")
    made = course(clinic, robin)  # its dose stands between two other visits, which bound where it may go
    (plan, *_) = offer(clinic, made.id, through="all")
    for visit in accept(clinic, made.id, plan.token):
        trial.visits[visit.row.visit_type] = visit.row.id
    trial.run("2030-03-01 10:01")
    assert trial.texts == []
    (letter,) = trial.mailbox.mails
    assert (letter["Subject"], letter["To"]) == ("Sus citas", "pat@example.org")
    method, events = events_of(letter)
    assert method == "PUBLISH"
    assert set(events) == {f"{visit_id}@regimen" for visit_id in trial.visits.values()}
    assert "Llámenos: +1 212-555-0142" in body_of(letter).splitlines()
    phone.goto(link_in(body_of(letter)))
    assert phone.get_by_role("link", name="+1 212-555-0142").get_attribute("href") == "tel:+12125550142"
    assert phone.locator("html").get_attribute("lang") == "es"
    assert "lunes, 4 de marzo de 2030" in phone.locator(".when").inner_text()
    phone.get_by_role("button", name="Vendré").click()
    assert phone.get_by_role("status").inner_text() == "Gracias. Le esperamos."


def the_ride_is_named(trial: Trial, phone: Page) -> None:
    trial.run("2030-03-03 12:00")
    text = next(each for each in trial.texts if "¿Quién" in each or "quién" in each)
    phone.goto(link_in(text))
    phone.get_by_label("¿Quién le lleva a casa?").fill("Sam, 555 0101")
    phone.get_by_role("button", name="Guardar").first.click()
    assert phone.get_by_label("¿Quién le lleva a casa?").input_value() == "Sam, 555 0101"


def the_dose_is_moved(trial: Trial, phone: Page) -> None:
    """By the patient, on the page: the old link is over, and one text and one letter tell of it, later."""
    old, letters, texts = phone.url.partition("?")[0], len(trial.letters), len(trial.texts)
    was = phone.locator(".when time").get_attribute("datetime")
    phone.get_by_role("link", name="Elegir otra hora").click()
    phone.locator(".times button").nth(2).click()
    assert phone.get_by_role("status").inner_text() == "Su cita tiene una hora nueva."
    moved = phone.locator(".when").inner_text()
    assert phone.locator(".when time").get_attribute("datetime") != was
    phone.goto(f"{old}?lang=es")
    assert phone.get_by_role("alert").inner_text().startswith("Este enlace es de una hora anterior.")
    assert phone.locator("form").count() == 0
    trial.run("2030-03-03 12:02")
    assert (len(trial.letters), len(trial.texts)) == (letters, texts), "it may still be undone"
    trial.run("2030-03-03 12:05")
    assert (len(trial.letters), len(trial.texts)) == (letters + 1, texts + 1), "the letter is for the calendar"
    news = trial.mailbox.mails[-1]
    assert trial.texts[-1].startswith("Harbor: su cita pasa al ")
    assert (news["Subject"], moved in body_of(news)) == ("Su cita ha cambiado", True)
    assert "no debe conducir durante 24 horas" in body_of(news)
    method, events = events_of(news)
    (event,) = events.values()
    assert event.summary.value == "Cita en la clínica"
    assert (method, event.uid.value) == ("REQUEST", f"{trial.visits['dose']}@regimen")
    assert event.sequence.value == "1"
    assert link_in(body_of(news)) != old
    phone.goto(link_in(body_of(news)))
    assert phone.locator(".when").inner_text() == moved


def reminders_tell_of_the_new_time(trial: Trial, phone: Page) -> None:
    """The last text before the dose says when to stop eating, once, and leads to the page of the new time."""
    at = phone.locator(".when time").get_attribute("datetime")
    assert at is not None
    start = datetime.fromisoformat(at)
    before, letters = len(trial.texts), len(trial.letters)
    trial.run(f"{start:%Y-%m-%d} 07:00")
    (fasting,) = [text for text in trial.texts[before:] if "solo liquidos claros" in text]
    # The new time has not been confirmed: so it is said by mail as well, and at last somebody is to call.
    assert len([letter for letter in trial.letters[letters:] if "comer" in letter]) == 1
    call = trial.clinic.do(lambda s, c: tasks.listed(s, c, tasks.Filter(kind="confirm_by_call"))).items[-1]
    assert call.appointment_id == trial.visits["dose"]
    assert "Hola, le llamamos de Harbor por su cita" in call.detail
    assert TELLING.search(call.detail) is None
    phone.goto(link_in(fasting))
    assert phone.locator(".when time").get_attribute("datetime") == at
    set_state(trial.clinic, trial.visits["dose"], status="fulfilled", fulfilled_at=start + timedelta(hours=2))


def the_patient_has_had_enough(trial: Trial, phone: Page) -> None:
    """A STOP ends the texts at once, the page behind a letter ends the letters; after that nothing leaves."""
    trial.run("2030-03-06 12:00")
    assert trial.text_back("STOP").startswith("Harbor: no recibira mas mensajes nuestros.")
    texts = len(trial.texts)
    trial.run("2030-03-06 12:05")
    stop = re.fullmatch(r"<(.*)>", trial.mailbox.mails[-1]["List-Unsubscribe"])
    assert stop is not None
    phone.goto(stop[1])
    phone.get_by_role("button", name="Ningún correo").click()
    assert phone.get_by_text("No recibe correos nuestros.").is_visible()
    letters = len(trial.letters)
    clinic = trial.clinic
    clinic.do(lambda s, c: booking.cancel(s, c, trial.visits["talk"], reason="ill", by="staff"), now=trial.clock())
    trial.run("2030-03-20 12:00")
    assert (len(trial.texts), len(trial.letters)) == (texts, letters)
    wanted = tasks.Filter(kind="patient_untold")
    (task,) = clinic.do(lambda s, c: tasks.listed(s, c, wanted)).items
    assert task.appointment_id == trial.visits["talk"], "somebody must call"


def every_message_is_fit_to_be_seen(trial: Trial) -> None:
    said = [*trial.texts, *(f"{mail['From']}: {mail['Subject']}\n{body_of(mail)}" for mail in trial.mailbox.mails)]
    assert len(said) >= 8, said
    assert [each for each in said if TELLING.search(each)] == []
    assert all(septets(text) <= LIMIT for text in trial.texts)
    assert all(mail["Date"].datetime.year == 2030 for mail in trial.mailbox.mails)
    assert any("desde el lunes a las" in letter for letter in trial.letters)
    ids = [*(each["id"] for each in trial.gateway.asked), *(mail["Message-ID"] for mail in trial.mailbox.mails)]
    assert [key for key, times in Counter(ids).items() if times > 1] == [], "each of them once"
    links = [link_in(text) for text in said if "/p/" in text]
    assert len(set(links)) == len(links), "every message has a link of its own"
