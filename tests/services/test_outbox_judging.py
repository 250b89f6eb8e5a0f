"""Whether a message is still to be sent when it is due: what is missing then, and the night. On both databases."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.site import ADVERSE
from scheduler.models import Message
from scheduler.services import clearances
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import FASTED, claim, messages, only, open_postroom

FORM: dict[str, Any] = {"kind": "intake", "outcome": "approved", "valid_from": date(2030, 1, 1), "by": "Dr. Lee"}
CONSENT = FORM | {"kind": "consent"}
REVOKED = {"outcome": "revoked"}
#: What is stated, one after the other, of patients who have consented and come on March 11.
COMPLETE = {
    "a form": [FORM],
    "a form until that day": [FORM | {"valid_to": date(2030, 3, 11)}],
    "a form from that day on": [FORM | {"valid_from": date(2030, 3, 11)}],
    "a form once revoked": [FORM | REVOKED, FORM],
    "a consent to something else that is revoked": [FORM, CONSENT | REVOKED | {"modality": "im"}],
}
LACKING = {
    "no form": [],
    **{f"a form that is {outcome}": [FORM, FORM | {"outcome": outcome}] for outcome in ADVERSE},
    "a form until the day before": [FORM | {"valid_to": date(2030, 3, 10)}],
    "a form from the day after on": [FORM | {"valid_from": date(2030, 3, 12)}],
    "a consent that is revoked": [FORM, CONSENT | REVOKED],
    "a consent until the day before": [FORM, CONSENT | {"valid_to": date(2030, 3, 10)}],
}


def test_forms_are_asked_for_unless_each_is_good_on_the_day(engine: Engine) -> None:
    clinic = open_postroom(engine)
    clinic.visit({**FASTED, "code": "papers", "forms": ["intake"], "requires": {"clearances": ["consent"]}})
    whose = {name: with_papers(clinic, said) for name, said in (COMPLETE | LACKING).items()}
    claim(clinic, clinic.at("2030-03-07 09:00"))
    found = {row.patient_id: (row.status, row.reason) for row in messages(clinic, Message.rule == "forms_due")}
    assert {name: found[patient] for name, patient in whose.items()} == {
        **dict.fromkeys(COMPLETE, ("suppressed", "forms_complete")),
        **dict.fromkeys(LACKING, ("sending", None)),
    }


def with_papers(clinic: Clinic, said: list[dict[str, Any]]) -> UUID:
    """A patient who is booked, and of whom that is stated since."""
    patient = clinic.patient()
    clinic.do(lambda s, c: clearances.create(s, c, patient, **CONSENT))
    book(clinic, patient, "papers", "2030-03-11 09:00")
    for statement in said:
        clinic.do(lambda s, c, statement=statement: clearances.create(s, c, patient, **statement))  # type: ignore[misc]
    return patient


@pytest.mark.parametrize(
    ("opens", "late", "goes"),
    [
        pytest.param("09:00", "2030-03-10 22:00", True, id="the fast begins before the morning"),
        pytest.param("09:00", "2030-03-11 07:59", True, id="a minute is left"),
        pytest.param("09:00", "2030-03-11 08:00", False, id="the fast has begun"),
        pytest.param("08:00", "2030-03-10 22:00", True, id="the fast begins with the morning"),
        pytest.param("07:59", "2030-03-10 22:00", False, id="the morning is in time"),
    ],
)
def test_what_must_arrive_before_the_morning_does_not_wait_for_it(
    engine: Engine, opens: str, late: str, *, goes: bool
) -> None:
    clinic = open_postroom(engine, quiet={"from": "20:00", "to": opens})
    book(clinic, clinic.patient(), "fasted", "2030-03-11 14:00")  # nothing to eat from 08:00 on
    claim(clinic, clinic.at(late))
    row, morning = only(clinic, "night_before"), clinic.at(f"2030-03-11 {opens}")
    assert row.expires_at > morning, "that it is of use in the morning, too, is no reason to wait"
    assert (row.status, row.due_at) == (("sending", clinic.at("2030-03-10 18:00")) if goes else ("pending", morning))
