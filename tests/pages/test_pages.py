"""The patient's page: GET shows and changes nothing, POST acts, and an old or foreign link opens nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import icalendar
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.models import VisitTypeRow
from scheduler.services.patient_links import STOP
from tests.pages.conftest import Sent

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse


def text(answer: TestResponse) -> str:
    """What a reader sees of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def follow(client: FlaskClient, path: str, **form: str) -> TestResponse:
    """Post a form and look where the browser is sent."""
    answer = client.post(path, data=form)
    assert answer.status_code == 303, text(answer)
    return client.get(answer.headers["Location"])


def change_patient(sent: Sent, **values: str) -> None:
    patient = sent.person.get(f"/v1/patients/{sent.visit['patient_id']}")
    done = sent.person.patch(patient.request.path, json=values, headers={"If-Match": patient.headers["ETag"]})
    assert done.status_code == 200, done.text


def test_the_page_tells_the_visit_and_nothing_else(client: FlaskClient, sent: Sent) -> None:
    answer = client.get(sent.path)
    page = text(answer)
    assert answer.status_code == 200
    assert "Clinic visit Tuesday, March 5, 2030, 10:00 (Eastern Standard Time) 1 Elm Street" in page
    assert "04:00 No food from then on." in page
    assert "08:00 Nothing to drink from then on." in page
    assert "09:45 Please arrive." in page
    for secret in ("Robin", "Sample", "Infusion", "drug", "Fern", sent.visit["id"], "robin@example.org", "555"):
        assert secret not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "script" not in answer.text
    assert re.findall(r"(?:src|href|action)=\"(https?:|//)", answer.text) == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_who_eats_and_drinks_until_the_same_time_is_not_told_to_drink_clear_liquids_only(
    client: FlaskClient, sent: Sent
) -> None:
    with Session(sent.engine) as session, session.begin():
        (row,) = session.scalars(select(VisitTypeRow))
        row.definition = row.definition | {"instructions": {"solids_minutes": 360, "clear_liquids_minutes": 360}}
    page = text(client.get(sent.path))
    assert "04:00 No food from then on. 04:00 Nothing to drink from then on." in page
    assert "clear liquids" not in page


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("language", "food", "drink", "come"),
    [
        ("en", "from now on. Call us if you have eaten since then.", "Drink nothing from now on.", "come now"),
        ("es", "desde ahora. Llámenos si ha comido desde entonces.", "No beba nada desde ahora.", "Venga ya"),
    ],
)
def test_who_looks_late_is_told_what_to_do_now(
    client: FlaskClient, sent: Sent, language: str, food: str, drink: str, come: str
) -> None:
    for hours, said in ((20, 0), (2, 1), (4, 2), (0.9, 3)):
        sent.clock.move(timedelta(hours=hours))
        page = text(client.get(f"{sent.path}?lang={language}"))
        assert [part in page for part in (food, drink, come)] == [place < said for place in range(3)]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_reader_elsewhere_is_told_whose_clock_it_is(client: FlaskClient, sent: Sent) -> None:
    change_patient(sent, time_zone="America/Chicago")
    page = text(client.get(sent.path))
    assert "10:00 (Eastern Standard Time, New York)" in page
    assert "04:00 EST No food from then on." in page
    assert "08:00 EST Nothing to drink from then on. Until then clear liquids only." in page
    assert "09:45 EST Please arrive." in page
    assert "10:30 EST" in text(client.get(f"{sent.path}/times"))


def test_looking_changes_nothing(client: FlaskClient, sent: Sent) -> None:
    before = sent.shown()
    for path in ("", "/times", "/cancel", "/visit.ics", "?done=cancel", "?lang=es"):
        assert client.get(f"{sent.path}{path}").status_code == 200
    assert sent.shown() == before
    for path in ("/", "/confirm", "/answers", "/preferences"):
        back = client.get(f"{sent.path}{path}?lang=es")
        assert (back.status_code, back.headers["Location"]) == (303, f"{sent.path}?lang=es"), path
    assert sent.shown() == before


def test_a_patient_confirms_once(client: FlaskClient, sent: Sent) -> None:
    page = text(follow(client, f"{sent.path}/confirm"))
    assert "Thank you. We look forward to seeing you." in page
    assert "You have confirmed that you will come." in page
    assert sent.shown()["confirmed_at"] == "2030-03-04T07:00:00-05:00"
    sent.clock.move(timedelta(hours=1))
    follow(client, f"{sent.path}/confirm")
    assert sent.shown()["confirmed_at"] == "2030-03-04T07:00:00-05:00"


def answer_of(sent: Sent, key: str) -> Any:
    return next(item["answer"] for item in sent.shown()["checklist"] if item["key"] == key)


def test_a_ride_is_named_before_the_day_and_fasting_on_it(client: FlaskClient, sent: Sent) -> None:
    follow(client, f"{sent.path}/answers", ride="Sam, 555 0101")
    assert answer_of(sent, "ride")["value"] == "Sam, 555 0101"
    for wrong in ({"food": "yes"}, {"consent": "yes"}, {"nothing": "yes"}):
        refused = client.post(f"{sent.path}/answers", data=wrong)
        assert (refused.status_code, "That cannot be answered now." in text(refused)) == (409, True)
    sent.clock.move(timedelta(hours=24))
    follow(client, f"{sent.path}/answers", ride="Sam, 555 0101", food="yes")
    assert answer_of(sent, "food")["ok"] is True
    assert answer_of(sent, "food")["by"] == "patient"


def form_of(page: TestResponse, **answers: str) -> dict[str, Any]:
    """What a browser sends of the form of answers as it stands on a page, with other answers."""
    return {"asked-now": re.findall(r'name="asked-now" value="([^"]+)"', page.text), **answers}


def test_what_was_ticked_or_named_is_taken_back(client: FlaskClient, sent: Sent, visit_day: None) -> None:
    follow(client, f"{sent.path}/answers", ride="Sam", food="yes")
    follow(client, f"{sent.path}/answers", **form_of(client.get(sent.path), ride="Sam"))
    assert (answer_of(sent, "food")["ok"], answer_of(sent, "ride")["value"]) == (False, "Sam")
    assert "checked" not in client.get(sent.path).text
    follow(client, f"{sent.path}/answers", **form_of(client.get(sent.path), ride=" "))
    assert (answer_of(sent, "ride")["ok"], answer_of(sent, "ride")["value"]) == (False, None)


def test_what_could_not_be_ticked_is_not_taken_back(client: FlaskClient, sent: Sent) -> None:
    """A page of yesterday did not ask what only counts today; nor does anybody take back what was never said."""
    before = form_of(client.get(sent.path), ride="Sam")
    sent.clock.move(timedelta(hours=24))
    follow(client, f"{sent.path}/answers", food="yes")
    follow(client, f"{sent.path}/answers", **before)
    assert answer_of(sent, "food")["ok"] is True


def test_a_form_without_an_answer_is_not_thanked_for(client: FlaskClient, sent: Sent) -> None:
    empty = client.post(f"{sent.path}/answers?lang=es", data=form_of(client.get(sent.path), ride="  ", lang="es"))
    assert (empty.status_code, "No se ha rellenado nada." in text(empty)) == (409, True)
    assert answer_of(sent, "ride") is None


def test_what_was_said_of_the_old_time_is_not_said_of_the_new(client: FlaskClient, sent: Sent) -> None:
    """Whoever drives on Tuesday may not on Wednesday. What the staff has seen to stays."""
    follow(client, f"{sent.path}/answers", ride="Sam")
    answers = {"checklist": {"consent": {"ok": True}}}
    noted = sent.person.post(f"/v1/appointments/{sent.visit['id']}/checklist", json=answers)
    assert noted.status_code == 200, noted.text
    starts = re.findall(r'name="start" value="([^"]+)"', client.get(f"{sent.path}/times").text)
    follow(client, f"{sent.path}/times", start=starts[-1])
    assert answer_of(sent, "ride") is None
    assert answer_of(sent, "consent")["ok"] is True


def test_another_time_is_chosen_from_what_is_free(client: FlaskClient, sent: Sent) -> None:
    page = client.get(f"{sent.path}/times").text
    starts = re.findall(r'name="start" value="([^"]+)"', page)
    assert "2030-03-05T15:00:00+00:00" not in starts
    done = follow(client, f"{sent.path}/times", start=starts[-1])
    assert "Your visit has a new time." in text(done)
    assert sent.shown()["sequence"] == 1
    old = client.get(sent.path)
    assert (old.status_code, "<form" in old.text) == (410, False)
    assert "earlier time" in text(old)
    refused = client.post(f"{sent.path}/cancel")
    assert (refused.status_code, sent.shown()["status"]) == (410, "booked")
    assert "earlier time" in text(refused)


def test_a_time_that_went_meanwhile_is_said_so(client: FlaskClient, sent: Sent) -> None:
    taken = {"patient_id": sent.visit["patient_id"], "visit_type": "dosing", "location_id": sent.visit["location_id"]}
    other = sent.person.post("/v1/patients", json={"name": "Other"}).json["id"]
    start = "2030-03-06T15:00:00+00:00"
    assert sent.person.post("/v1/appointments", json=taken | {"patient_id": other, "start": start}).status_code == 201
    answer = client.post(f"{sent.path}/times", data={"start": start})
    assert (answer.status_code, sent.shown()["sequence"]) == (409, 0)
    assert "That time has just been taken. Please choose another." in text(answer)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("lang", "said"), [("en", "That is none of the choices here."), ("es", "Eso no está entre")])
def test_what_no_form_of_ours_sends_is_answered_by_the_page_with_the_form(
    client: FlaskClient, sent: Sent, lang: str, said: str
) -> None:
    """In the patient's language, whatever the browser's; not by something for programs."""
    change_patient(sent, locale=lang)
    before, stop = sent.shown(), sent.again(scopes=[f"{STOP}reminder"])
    moments = ("", "tomorrow", "2030-03-06T15:00:00", "9999-12-31T00:00:00Z")
    wrong: list[tuple[str, str, dict[str, str]]] = [("GET", f"{sent.path}/times?from=soon", {})]
    wrong += [("POST", f"{sent.path}/times", {"start": moment}) for moment in moments]
    wrong += [("POST", f"{sent.path}/preferences", {"locale": "xx"}), ("POST", f"{stop}/stop", {"stop": "some"})]
    for method, path, form in wrong:
        answer = client.open(path, method=method, data=form, headers={"Accept-Language": "de"})
        action = path.partition("?")[0]
        assert (answer.status_code, answer.mimetype, said in text(answer)) == (400, "text/html", True), path
        assert f'action="{action}"' in answer.text, "the form again"
        assert f'<html lang="{lang}">' in answer.text
    assert sent.shown() == before


@pytest.mark.parametrize("lang", ["en", "es"])
def test_who_taps_a_new_time_twice_is_told_that_it_is_done(client: FlaskClient, sent: Sent, lang: str) -> None:
    other = sent.again()
    starts = re.findall(r'name="start" value="([^"]+)"', client.get(f"{sent.path}/times").text)
    form = {"start": starts[-1], "lang": lang}
    fresh = client.post(f"{sent.path}/times", data=form).headers["Location"]
    again = client.post(f"{sent.path}/times", data=form)
    assert (again.status_code, "<form" in again.text) == (200, False)
    assert fresh.partition("?")[0] not in again.text, "the new link is in the first answer, and in the news"
    assert {"en": "Your visit has a new time.", "es": "Su cita tiene una hora nueva."}[lang] in text(again)
    (when,) = re.findall(r'class="when">([^<]+)</p>', again.text)
    assert when in text(client.get(fresh))
    assert sent.shown()["sequence"] == 1
    # To nobody else, of no other time, and not for long.
    earlier = {"en": "earlier time", "es": "hora anterior"}[lang]
    for path, start in ((other, starts[-1]), (sent.path, starts[-2])):
        answer = client.post(f"{path}/times", data=form | {"start": start})
        assert (answer.status_code, earlier in text(answer)) == (410, True)
    assert client.post(f"{fresh.partition('?')[0]}/cancel").status_code == 303
    gone = client.post(f"{sent.path}/times", data=form)
    assert (gone.status_code, when in text(gone)) == (410, False), "it is off by now"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_that_it_is_done_is_told_for_two_minutes(client: FlaskClient, sent: Sent) -> None:
    starts = re.findall(r'name="start" value="([^"]+)"', client.get(f"{sent.path}/times").text)
    taps = []
    for seconds in (0, 119, 1):
        sent.clock.move(timedelta(seconds=seconds))
        taps += [client.post(f"{sent.path}/times", data={"start": starts[-1]}).status_code]
    assert taps == [303, 200, 410]


def test_a_visit_is_cancelled_and_the_link_says_so(client: FlaskClient, sent: Sent) -> None:
    page = text(follow(client, f"{sent.path}/cancel"))
    assert "This visit is cancelled" in page
    assert (sent.shown()["status"], sent.shown()["cancelled_by"]) == ("cancelled", "patient")
    assert client.post(f"{sent.path}/confirm").status_code == 410


@pytest.mark.parametrize(("lang", "said"), [("en", "This visit did not take place"), ("es", "Esta cita no tuvo lugar")])
def test_a_visit_that_nobody_came_to_was_not_cancelled(client: FlaskClient, sent: Sent, lang: str, said: str) -> None:
    sent.clock.move(timedelta(hours=27))
    answer = sent.person.post(f"/v1/appointments/{sent.visit['id']}/no-show")
    assert answer.status_code == 200, answer.text
    paths = [sent.path, f"{sent.path}/times", sent.again()]
    pages = [client.get(f"{path}?lang={lang}") for path in paths]
    for page in (*pages, client.post(f"{sent.path}/confirm", data={"lang": lang})):
        assert said in text(page)
        assert "cancel" not in text(page)


@pytest.mark.parametrize("moves", [False, True], ids=["in time", "moved before"])
def test_whatever_is_asked_of_a_cancelled_visit_is_told_so(client: FlaskClient, sent: Sent, *, moves: bool) -> None:
    """Whom to call, and of the visit nothing more: an older link does not learn the time it had moved to."""
    known = {"If-Match": sent.person.get("/v1/organization").headers["ETag"]}
    sent.person.patch("/v1/organization", json={"phone": "+12125550142"}, headers=known)
    path = f"/v1/appointments/{sent.visit['id']}"
    if moves:
        moved = sent.person.post(f"{path}/reschedule", json={"start": "2030-03-06T16:00:00+00:00"})
        assert moved.status_code == 200, moved.text
    assert sent.person.post(f"{path}/cancel", json={"reason": "ill", "by": "clinic"}).status_code == 200
    asked = [client.get(f"{sent.path}{each}") for each in ("", "/times", "/cancel")]
    asked += [client.post(f"{sent.path}/{each}") for each in ("confirm", "answers", "cancel")]
    asked.append(client.post(f"{sent.path}/times", data={"start": "2030-03-06T15:00:00+00:00"}))
    asked.append(client.post(f"{sent.path}/preferences", data={"locale": "es"}))
    for answer in asked:
        said = text(answer)
        assert "This visit is cancelled" in said
        assert "Please call us for a new time." in said
        assert "212" in said
        assert "earlier time" not in said
        assert "Keep my visit" not in said
        assert ("11:00" in said, "Clinic visit" in said) == (False, False)
        assert ("10:00" in said) <= (not moves)


def test_a_page_from_before_gives_up_no_visit_of_who_has_arrived(client: FlaskClient, sent: Sent) -> None:
    sent.clock.move(timedelta(hours=26, minutes=30))
    arrived = sent.person.post(f"/v1/appointments/{sent.visit['id']}/arrive", json={})
    assert arrived.status_code == 200, arrived.json
    answer = client.post(f"{sent.path}/cancel")
    assert (answer.status_code, sent.shown()["status"]) == (409, "arrived")
    assert "please call us" in text(answer).lower()
    done = sent.person.post(f"/v1/appointments/{sent.visit['id']}/cancel", json={"reason": "left", "by": "patient"})
    assert done.status_code == 200, "the desk may"


def test_policy_binds_the_patient(client: FlaskClient, sent: Sent) -> None:
    tag = {"If-Match": sent.person.get("/v1/organization").headers["ETag"]}
    policies = {"cancel_cutoff_minutes": {"patient": 2880}, "reschedule_cutoff_minutes": {"patient": 2880}}
    assert sent.person.patch("/v1/organization", json={"policies": policies}, headers=tag).status_code == 200
    assert "To change or cancel it, please call us." in text(client.get(sent.path))
    answer = client.post(f"{sent.path}/cancel")
    assert (answer.status_code, sent.shown()["status"]) == (409, "booked")
    assert "too late" in text(answer)


def test_the_language_is_the_readers(client: FlaskClient, sent: Sent) -> None:
    page = client.get(f"{sent.path}?lang=es")
    assert '<html lang="es">' in page.text
    assert "martes, 5 de marzo de 2030, 10:00" in text(page)
    assert "¿Quién le lleva a casa?" in text(page)
    done = follow(client, f"{sent.path}/preferences", locale="es", channel="sms")
    assert "Gracias. Le escribiremos así." in text(done)
    patient = sent.person.get(f"/v1/patients/{sent.visit['patient_id']}").json
    assert (patient["locale"], patient["preferences"]["channel"]) == ("es", "sms")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_channel_is_chosen_from_those_on_file_or_left_to_the_clinic(client: FlaskClient, sent: Sent) -> None:
    def chosen() -> Any:
        return sent.person.get(f"/v1/patients/{sent.visit['patient_id']}").json["preferences"].get("channel")

    follow(client, f"{sent.path}/preferences", locale="en", channel="sms")
    assert '<option value="sms" selected>' in client.get(sent.path).text
    follow(client, f"{sent.path}/preferences", locale="es")
    assert chosen() == "sms", "who changes the language only"
    assert client.post(f"{sent.path}/preferences", data={"locale": "en", "channel": "voice"}).status_code == 409
    assert chosen() == "sms"
    follow(client, f"{sent.path}/preferences", locale="en", channel="")
    assert chosen() is None


def test_a_reader_elsewhere_is_told_the_sites_zone(client: FlaskClient, sent: Sent) -> None:
    path = f"/v1/patients/{sent.visit['patient_id']}"
    tag = {"If-Match": sent.person.get(path).headers["ETag"]}
    sent.person.patch(path, json={"time_zone": "America/Los_Angeles"}, headers=tag)
    assert "10:00 (Eastern Standard Time, New York)" in text(client.get(sent.path))


def test_the_visit_goes_into_a_calendar(client: FlaskClient, sent: Sent) -> None:
    answer = client.get(f"{sent.path}/visit.ics")
    (event,) = icalendar.Calendar.from_ical(answer.text).walk("VEVENT")
    assert (answer.mimetype, event["uid"], event["summary"]) == (
        "text/calendar",
        f"{sent.visit['id']}@regimen",
        "Clinic visit",
    )


@pytest.mark.parametrize("path", ["", "/times", "/cancel", "/visit.ics"])
def test_a_link_that_opens_nothing_does_not_say_why(client: FlaskClient, sent: Sent, path: str) -> None:
    wrong = sent.token[:-1] + ("A" if sent.token[-1] != "A" else "B")
    answers = [client.get(f"/p/{token}{path}") for token in (wrong, "x", sent.token[:21], f"{sent.token}A")]
    sent.clock.move(timedelta(days=4))
    answers.append(client.get(f"{sent.path}{path}"))
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert "This link has ended" in answers[0].text
    assert client.post(f"{sent.path}/cancel").status_code == 404


def test_a_link_does_only_what_it_was_made_for(client: FlaskClient, sent: Sent) -> None:
    path = sent.again(scopes=["confirm"])
    assert client.post(f"{path}/cancel").status_code == 410
    assert sent.shown()["status"] == "booked"
    follow(client, f"{path}/confirm")


def test_what_a_patient_writes_is_only_text(client: FlaskClient, sent: Sent) -> None:
    page = follow(client, f"{sent.path}/answers", ride='"><script>alert(1)</script>')
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_times_are_written_as_where_the_reader_lives_whatever_the_address_asks(client: FlaskClient, sent: Sent) -> None:
    change_patient(sent, locale="es-MX")
    for path in ("", "?lang=es"):
        assert "martes, 5 de marzo de 2030, 10:00 am (hora est\u00e1ndar oriental)" in text(
            client.get(f"{sent.path}{path}")
        )
    assert "10:00 am" not in text(client.get(f"{sent.path}?lang=en"))
    follow(client, f"{sent.path}/preferences", locale="es", channel="sms")
    assert sent.person.get(f"/v1/patients/{sent.visit['patient_id']}").json["locale"] == "es-MX"
