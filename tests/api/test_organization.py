"""/v1/organization over HTTP: every policy shown, only the named ones changed."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from scheduler.api.organization import PlanningWeightsSchema
from scheduler.core.planner import Weights
from scheduler.core.policies import REASONS
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person


def test_every_policy_is_shown_set_or_not(bob: Person) -> None:
    shown = bob.get("/v1/organization")
    assert shown.headers["ETag"] == '"1"'
    assert shown.json["id"] == str(bob.organization_id)
    assert shown.json["policies"] == {
        "lead_minutes": 0,
        "horizon_days": 365,
        "check_in_minutes": None,
        "patient_lead_minutes": None,
        "patient_horizon_days": None,
        "cancel_cutoff_minutes": {"patient": 0, "staff": 0},
        "reschedule_cutoff_minutes": {"patient": 0, "staff": 0},
        "max_moves": {"patient": None, "staff": None},
        "reasons": list(REASONS),
        "max_holds": 20,
        "offer_minutes": 60,
        "no_show_after_minutes": None,
        "release_pending_minutes": None,
        "release_ungated": False,
        "starts_template": [],
        "planning_weights": {},
    }
    assert shown.json["messaging"] == {
        "quiet": {"from": "20:00", "to": "09:00"},
        "basis": "consent",
        "caps": {"per_day": 2, "per_week": None},
        "opt_out": "all",
    }


def test_every_weight_of_the_planner_can_be_set_and_its_default_is_told() -> None:
    told = PlanningWeightsSchema().fields
    assert set(told) == {weight.name for weight in fields(Weights)}
    for weight in fields(Weights):
        assert told[weight.name].metadata["description"].endswith(f"; {weight.default}"), weight.name


def test_a_change_keeps_what_it_does_not_name(alice: Person) -> None:
    change = {
        "sender_name": "Harbor",
        "phone": "(212) 555-0100",
        "policies": {"lead_minutes": 30, "cancel_cutoff_minutes": {"patient": 1440}},
        "messaging": {"quiet": {"from": "21:00"}, "basis": "exemption"},
    }
    changed = alice.patch("/v1/organization", json=change, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    shown = alice.get("/v1/organization").json
    assert shown == changed.json
    assert (shown["name"], shown["sender_name"], shown["phone"]) == ("Clinic", "Harbor", "+12125550100")
    assert shown["policies"]["cancel_cutoff_minutes"] == {"patient": 1440, "staff": 0}
    assert (shown["policies"]["lead_minutes"], shown["policies"]["horizon_days"]) == (30, 365)
    assert shown["messaging"] == {
        "quiet": {"from": "21:00", "to": "09:00"},
        "basis": "exemption",
        "caps": {"per_day": 1, "per_week": 3},
        "opt_out": "all",
    }


def test_all_faults_are_named_at_once(alice: Person) -> None:
    change = {
        "name": "",
        "phone": "12",
        "default_locale": "English",
        "policies": {"lead_minutes": -1, "horizon_days": 10_000, "cancel_cutoff_minutes": {"doctor": 1}, "buffer": 5},
        "messaging": {"quiet": {"from": "24:00"}, "basis": "hope", "caps": {"per_day": 0}},
        "demonstration": True,
    }
    answer = alice.patch("/v1/organization", json=change, headers={"If-Match": '"1"'})
    assert faults(answer) == {
        ("/name", "blank"),
        ("/phone", "invalid_phone"),
        ("/default_locale", "invalid_format"),
        ("/policies/lead_minutes", "out_of_range"),
        ("/policies/horizon_days", "out_of_range"),
        ("/policies/cancel_cutoff_minutes/doctor", "unknown_field"),
        ("/policies/buffer", "unknown_field"),
        ("/messaging/quiet/from", "invalid_format"),
        ("/messaging/basis", "not_a_choice"),
        ("/messaging/caps/per_day", "out_of_range"),
        ("/demonstration", "unknown_field"),
    }
    assert alice.patch("/v1/organization", json={"phone": ""}, headers={"If-Match": '"1"'}).json["phone"] == ""


def test_quiet_hours_are_never_less_than_the_laws(alice: Person) -> None:
    def change(**quiet: str) -> Any:
        body = {"messaging": {"quiet": quiet}, "sender_name": "Harbor", "phone": "+12125550100"}
        return alice.patch("/v1/organization", json=body, headers={"If-Match": '"1"'})

    for quiet in ({"from": "21:30"}, {"to": "07:00"}, {"from": "00:00", "to": "00:00"}):
        assert faults(change(**quiet)) == {("/messaging/quiet", "below_the_law")}, quiet
    told = {"messaging": {"quiet": {"from": "22:00"}}, "sender_name": "Ketamine Center"}
    answer = alice.patch("/v1/organization", json=told, headers={"If-Match": '"1"'})
    assert {pointer for pointer, _ in faults(answer)} == {"/messaging/quiet", "/sender_name"}
    assert alice.get("/v1/organization").json["messaging"]["quiet"] == {"from": "20:00", "to": "09:00"}
    assert change(**{"from": "19:00", "to": "11:00"}).status_code == 200, "more peace is the clinic's own"


def test_a_change_needs_the_right_and_the_revision(alice: Person, bob: Person) -> None:
    assert_problem(bob.patch("/v1/organization", json={}, headers={"If-Match": '"1"'}), 403, "insufficient_scope")
    assert_problem(alice.patch("/v1/organization", json={"name": "A"}), 428, "precondition_required")
    stale = alice.patch("/v1/organization", json={"name": "A"}, headers={"If-Match": '"2"'})
    assert_problem(stale, 412, "precondition_failed")


def test_each_organization_is_its_own(alice: Person, charlie: Person) -> None:
    alice.patch("/v1/organization", json={"name": "Harbor"}, headers={"If-Match": '"1"'})
    assert alice.get("/v1/organization").json["name"] == "Harbor"
    assert charlie.get("/v1/organization").json["name"] == "Another clinic"
