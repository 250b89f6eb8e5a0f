"""The patient's page in a real Chromium, on a phone and on a desk, with scripts switched off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import icalendar
import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scheduler.models import Patient, VisitTypeRow
from tests.pages.conftest import PHONE, Sent, near_only
from tests.pages.test_pages import answer_of

DESK = {"width": 1280, "height": 900}


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """A tab without scripts, in which any request beyond our own server is noted and stopped."""
    with near_only(browser, address, request.param) as opened:
        yield opened


def labels(page: Page) -> list[Any]:
    """The fields that a person can fill in, each with what a screen reader calls it."""
    fields = page.locator("input:not([type=hidden]), select, button").all()
    return [(each, each.get_attribute("aria-label") or each.text_content() or _label(page, each)) for each in fields]


def _label(page: Page, field: Any) -> str:
    return str(page.locator(f"label[for='{field.get_attribute('id')}']").text_content())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_patient_from_the_message_to_a_new_time(page: Page, sent: Sent) -> None:
    page.goto(sent.path)
    assert page.get_by_role("heading", level=1).inner_text() == "Clinic visit"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
    assert all(name for _, name in labels(page)), "a field has no name"
    page.get_by_role("button", name="I will come").click()
    assert page.get_by_role("status").inner_text() == "Thank you. We look forward to seeing you."
    page.get_by_label("Who takes you home?").fill("Sam, 555 0101")
    assert page.get_by_label("I have eaten nothing.").is_disabled()
    page.get_by_role("button", name="Save").first.click()
    assert page.get_by_label("Who takes you home?").input_value() == "Sam, 555 0101"
    page.get_by_role("link", name="Choose another time").click()
    page.get_by_role("button", name="Wednesday, March 6, 2030, 11:00").click()
    assert page.get_by_role("status").inner_text() == "Your visit has a new time."
    assert sent.shown()["local_start"] == "2030-03-06T11:00:00"
    page.get_by_role("link", name="Español").click()
    assert page.locator("html").get_attribute("lang") == "es"
    page.get_by_role("link", name="Cancelar esta cita").click()
    page.get_by_role("button", name="Sí, cancelarla").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Esta cita está cancelada"
    assert sent.shown()["status"] == "cancelled"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("page", [PHONE], ids=["phone"], indirect=True)
@pytest.mark.usefixtures("visit_day")
def test_a_patient_on_the_day_of_the_visit(page: Page, sent: Sent) -> None:
    """Ticks what is asked, takes the visit into a calendar, and is written to in another way from then on."""
    page.goto(sent.path)
    page.get_by_label("I have eaten nothing.").check()
    page.get_by_role("button", name="Save").first.click()
    assert page.get_by_role("status").inner_text() == "Thank you. We have noted that."
    assert page.get_by_label("I have eaten nothing.").is_checked()
    page.get_by_label("I have eaten nothing.").uncheck()
    page.get_by_role("button", name="Save").first.click()
    assert not page.get_by_label("I have eaten nothing.").is_checked()
    page.get_by_label("I have eaten nothing.").check()
    page.get_by_role("button", name="Save").first.click()
    assert answer_of(sent, "food")["ok"] is True
    with page.expect_download() as saved:
        page.get_by_role("link", name="Add to my calendar").click()
    assert saved.value.suggested_filename == "visit.ics"
    (event,) = icalendar.Calendar.from_ical(saved.value.path().read_bytes()).walk("VEVENT")
    assert (event["dtstart"].dt.isoformat(), event["summary"]) == ("2030-03-05T10:00:00-05:00", "Clinic visit")
    assert page.get_by_label("First by").is_hidden()
    page.get_by_text("How we write to you").click()
    page.get_by_role("combobox", name="Language").select_option(label="Español")
    page.get_by_label("First by").select_option(label="Text message")
    page.get_by_role("button", name="Save").last.click()
    assert page.locator("html").get_attribute("lang") == "es"
    assert page.get_by_role("status").inner_text() == "Gracias. Le escribiremos así."
    patient = sent.person.get(f"/v1/patients/{sent.visit['patient_id']}").json
    assert (patient["locale"], patient["preferences"]["channel"]) == ("es", "sms")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_can_be_pressed_is_large_enough_for_a_thumb(page: Page, sent: Sent) -> None:
    for path in ("", "/times", "/cancel"):
        page.goto(f"{sent.path}{path}")
        for button in page.locator("button:visible, .actions a:visible").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44, button.inner_text()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("page", [PHONE], ids=["phone"], indirect=True)
def test_what_to_mind_has_room_beside_the_longest_times(page: Page, sent: Sent) -> None:
    with Session(sent.engine) as session, session.begin():
        session.execute(update(Patient).values(locale="en-US", time_zone="America/Chicago"))
        (kind,) = session.scalars(select(VisitTypeRow))
        kind.definition = kind.definition | {"instructions": {"alcohol_minutes": 1440}}
    page.goto(sent.path)
    assert page.locator("dt").first.inner_text() == "Monday 10:00 AM EST"
    boxes = [each.bounding_box() for each in page.locator("dd").all()]
    assert all(box and box["width"] > PHONE["width"] / 2 for box in boxes)
