"""The clinic's own rules and texts over HTTP: every fault of a question or of a new text is named by its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.examples import REMINDER, appointment
from tests.api.problem import faults

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def test_rules_that_are_tried_out_are_refused_with_every_fault(alice: Person) -> None:
    visit, path = appointment(alice), "/v1/message-rules/preview"
    wrong = [REMINDER | {"kind": "x"}, REMINDER | {"key": "again", "side": "up", "only": {"visit_types": ["nowhere"]}}]
    found = faults(alice.post(path, json={"appointment_id": visit, "rules": wrong}))
    assert {pointer for pointer, _ in found} >= {"/rules/0/kind", "/rules/1/side"}
    unknown = REMINDER | {"only": {"visit_types": ["nowhere"]}}
    assert "unknown_visit_type" in {
        code for _, code in faults(alice.put("/v1/message-rules", json={"rules": [unknown]}))
    }
    shown = alice.post(path, json={"appointment_id": visit, "rules": [REMINDER]})
    assert REMINDER["key"] in {each["rule"] for each in shown.json["items"]}, "without the faults it is shown"


def test_texts_are_refused_with_every_fault_and_change_nothing(alice: Person) -> None:
    path = "/v1/message-templates/remind_24h/en"
    before = alice.get(path).json
    telling = {"sms": "Your infusion, {{birth_date}}", "subject": "{{visit}}"}
    assert faults(alice.put(path, json=telling)) >= {
        ("/sms", "unknown_placeholder"), ("/sms", "discloses"), ("/sms", "missing_placeholder"),
        ("/subject", "placeholder_not_here"), ("/body", "required"),
    }  # fmt: skip
    assert alice.get(path).json == before
    assert alice.put(path, json={"sms": "{{sender}}: see you {{when_short}}."}).status_code == 200
