"""What is suggested after a missed dose: what the protocol's own document says, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.course import expand
from scheduler.core.errors import Invalid
from scheduler.core.missed import suggestions
from scheduler.core.protocol import Protocol, parse_protocol
from scheduler.core.visit import parse_visit_type
from scheduler.services import shipped

FLOORS = shipped.floors()
KINDS = {document["code"]: parse_visit_type(document, FLOORS) for document in shipped.visit_types()}
ESKETAMINE = next(document for document in shipped.protocols() if document["code"] == "esketamine_trd")


def read(**rule: Any) -> Protocol:
    return parse_protocol(ESKETAMINE | {"missed_session": rule}, KINDS)


def said(protocol: Protocol) -> list[tuple[str, str]]:
    """Phase and code of what is suggested when the first dose of each phase was missed."""
    specs = expand(protocol)
    firsts = {spec.phase: spec.index for spec in reversed(specs) if spec.dosing and spec.kind == "main"}
    return [(specs[each.index].phase, each.code) for each in suggestions(specs, protocol.missed, firsts.values())]


def test_the_shipped_rule_has_two_branches() -> None:
    protocol = parse_protocol(ESKETAMINE, KINDS)
    assert said(protocol) == [
        ("induction", "continue_current_schedule"),
        ("optimization", "suggest_previous_frequency"),
        ("maintenance", "suggest_previous_frequency"),
    ]


def test_a_protocol_that_says_nothing_suggests_nothing() -> None:
    assert said(parse_protocol({k: v for k, v in ESKETAMINE.items() if k != "missed_session"}, KINDS)) == []
    assert said(read(during_induction="continue_current_schedule")) == [("induction", "continue_current_schedule")]


def test_it_is_never_applied_and_nothing_is_made_up() -> None:
    with pytest.raises(Invalid) as caught:
        read(during_induction="double_the_dose", auto_apply=True, later="x")
    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
        ("/missed_session/during_induction", "unknown_during_induction"),
        ("/missed_session/auto_apply", "never_applied"),
        ("/missed_session/later", "unknown_field"),
    }
