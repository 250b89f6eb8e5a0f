"""A clinic with one visit, the link that its patient was sent, and a browser to open it in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment
from scheduler.services import patient_links
from tests.api.conftest import Person, alice, organization_id  # noqa: F401 - the same people
from tests.api.examples import WEEK, made

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

PHONE: Any = {"width": 360, "height": 740}
VISIT: dict[str, Any] = {
    "code": "dosing",
    "name": "Infusion of a drug",
    "public_name": "Clinic visit",
    "kind": "dosing",
    "modality": "im",
    "segments": [{"name": "visit", "minutes": 60, "needs": [{"role": "nurse", "mode": "exclusive"}]}],
    "instructions": {"solids_minutes": 360, "clear_liquids_minutes": 120, "arrive_early_minutes": 15, "escort": True},
    "checklist": [
        {
            "key": "ride", "label": "Ride", "effect": "blocks", "at": "check_in", "value": "text",
            "asks": {"en": "Who takes you home?", "es": "¿Quién le lleva a casa?"},
        },
        {
            "key": "food", "label": "Food", "effect": "blocks", "at": "check_in", "same_day": True,
            "asks": {"en": "I have eaten nothing.", "es": "No he comido nada."},
        },
        {"key": "consent", "label": "Consent", "effect": "blocks", "at": "check_in"},
    ],
}  # fmt: skip


@dataclass
class Sent:
    """What the patient has, and what the clinic knows of it."""

    token: str
    visit: dict[str, Any]
    person: Person
    engine: Engine
    clock: Clock

    @property
    def path(self) -> str:
        """Where the page is."""
        return f"/p/{self.token}"

    def shown(self) -> Any:
        """The visit as the clinic sees it."""
        return self.person.get(f"/v1/appointments/{self.visit['id']}").json

    def again(self, **scopes: Any) -> str:
        """Another link to the same visit; its path."""
        call = Call(now=self.clock(), organization_id=self.person.organization_id, actor="test")
        with Session(self.engine) as session, session.begin():
            row = session.get_one(Appointment, (self.person.organization_id, _uuid(self.visit["id"])))
            return f"/p/{patient_links.issue(session, call, row, **scopes)}"


def _uuid(text: str) -> Any:
    from uuid import UUID

    return UUID(text)


@pytest.fixture
def sent(alice: Person, engine: Engine, clock: Clock) -> Sent:  # noqa: F811 - the fixture above
    """The link to a visit tomorrow at ten in New York, of a patient who reads Spanish in Chicago."""
    made(alice, "/v1/visit-types", **VISIT)
    site = made(alice, "/v1/locations", name="Main", time_zone="America/New_York", address="1 Elm Street", hours=WEEK)
    shifts = [{**day, "location_id": site} for day in WEEK]
    made(alice, "/v1/practitioners", name="Fern", roles=[{"code": "nurse"}], hours=shifts)
    contacts = [{"channel": "email", "value": "robin@example.org", "purpose": "reminders"}]
    contacts += [{"channel": "sms", "value": "+12125550100", "purpose": "reminders"}]
    patient = made(alice, "/v1/patients", name="Robin Sample", locale="en", contacts=contacts)
    body = {"patient_id": patient, "visit_type": "dosing", "location_id": site, "start": "2030-03-05T15:00:00+00:00"}
    visit = alice.post("/v1/appointments", json=body)
    assert visit.status_code == 201, visit.text
    found = Sent("", visit.json, alice, engine, clock)
    found.token = found.again().removeprefix("/p/")
    return found


@pytest.fixture
def visit_day(sent: Sent) -> None:
    """It is the morning of the visit."""
    sent.clock.move(timedelta(hours=24))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Where there is none these tests cannot run; CI must have one."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium on this machine")
    assert found is not None, "CI needs a Chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def near_only(browser: Browser, address: str, size: Any) -> Iterator[Page]:
    """A tab without scripts, in which any request beyond our own server is noted and stopped."""
    context = browser.new_context(viewport=size, java_script_enabled=False, base_url=address)
    opened = context.new_page()
    strangers: list[str] = []

    def near(route: Route) -> None:
        if route.request.url.startswith(address):
            route.continue_()
        else:
            strangers.append(route.request.url)
            route.abort()

    opened.route("**/*", near)
    yield opened
    context.close()
    assert strangers == []
