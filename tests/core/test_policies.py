"""Policies and messaging manners: defaults, what is stored, and the law's caps."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.policies import REASONS, Caps, Cutoffs, Messaging, MostMoves, Policies, merged


def test_an_empty_document_is_all_defaults() -> None:
    assert Policies.from_document(None) == Policies.from_document({}) == Policies()
    assert Policies().document() == {
        "lead_minutes": 0,
        "horizon_days": 365,
        "patient_lead_minutes": None,
        "patient_horizon_days": None,
        "cancel_cutoff_minutes": {"patient": 0, "staff": 0},
        "reschedule_cutoff_minutes": {"patient": 0, "staff": 0},
        "max_moves": {"patient": None, "staff": None},
        "reasons": list(REASONS),
        "max_holds": 20,
        "offer_minutes": 60,
        "no_show_after_minutes": None,
        "check_in_minutes": None,
        "release_pending_minutes": None,
        "release_ungated": False,
        "starts_template": [],
        "planning_weights": {},
    }
    assert Messaging.from_document(None) == Messaging()
    assert Messaging().document() == {
        "quiet": {"from": "20:00", "to": "09:00"},
        "basis": "consent",
        "caps": {"per_day": 2, "per_week": None},
        "opt_out": "all",
    }


def test_what_is_said_counts_and_the_rest_is_default() -> None:
    said = {"lead_minutes": 30, "cancel_cutoff_minutes": {"patient": 1440}}
    assert Policies.from_document(said) == Policies(lead_minutes=30, cancel_cutoff_minutes=Cutoffs(1440, 0))


@pytest.mark.parametrize(
    "value",
    [
        Policies(),
        Policies(5, 30, 60, 14, Cutoffs(1, 2), Cutoffs(3, 4), MostMoves(2, None), ("ill",), 3, 10),
    ],
)
def test_policies_survive_being_stored(value: Policies) -> None:
    assert Policies.from_document(value.document()) == value


@pytest.mark.parametrize("value", [Messaging("21:00", "08:00", "exemption", Caps(1, 2)), Messaging()])
def test_messaging_survives_being_stored(value: Messaging) -> None:
    assert Messaging.from_document(value.document()) == value


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ({}, Caps(1, 3)),
        ({"per_day": None, "per_week": None}, Caps(1, 3)),
        ({"per_day": 5, "per_week": 2}, Caps(1, 2)),
    ],
)
def test_the_exemption_has_caps_of_its_own(caps: dict[str, Any], expected: Caps) -> None:
    manners = Messaging.from_document({"basis": "exemption", "caps": caps})
    assert manners.of_patient(None) == ("exemption", expected)
    assert manners.of_patient("consent") == ("consent", manners.caps), "their own record goes before"
    assert Messaging.from_document({"caps": caps}).of_patient("exemption") == ("exemption", expected)


def test_a_change_merges_objects_and_replaces_the_rest() -> None:
    document = {"a": {"b": 1, "c": {"d": 2}}, "list": [1, 2], "same": True}
    assert merged(document, {"a": {"c": {"d": 3}}, "list": [9], "new": {"x": 1}}) == {
        "a": {"b": 1, "c": {"d": 3}},
        "list": [9],
        "same": True,
        "new": {"x": 1},
    }
    assert document["list"] == [1, 2]
