"""An organization begins with all that is shipped, and changes only what is named."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound, StaleRevision
from scheduler.core.policies import REASONS
from scheduler.core.reminders import parse_rules
from scheduler.models import AuditEvent, ProtocolRow, VisitTypeRow, new_id
from scheduler.services import message_rules, organizations, shipped
from tests.plumbing.clock import NOON


@pytest.fixture
def call(engine: Engine) -> Call:
    call = Call(NOON, new_id(), "init")
    with Session(engine) as session, session.begin():
        organizations.create(session, call, name="Harbor Clinic")
    return call


def test_an_organization_begins_with_all_that_is_shipped(engine: Engine, call: Call) -> None:
    with Session(engine) as session:
        codes = set(session.scalars(select(VisitTypeRow.code)))
        protocols = session.execute(select(ProtocolRow.code, ProtocolRow.version, ProtocolRow.status)).all()
        rules = message_rules.current(session, call)
        view = organizations.get(session, call)
    assert codes == {document["code"] for document in shipped.visit_types()}
    assert len(codes) > 5
    assert {tuple(row) for row in protocols} == {(document["code"], 1, "draft") for document in shipped.protocols()}
    assert (rules.items, rules.revision) == (shipped.message_rules(), 1)
    assert len(parse_rules(rules.items)) > 5
    assert (view.name, view.sender_name, view.demonstration) == ("Harbor Clinic", "Your clinic", False)
    assert view.policies["horizon_days"] == 365
    assert view.messaging["basis"] == "consent"


def test_no_protocol_arrives_approved(engine: Engine, call: Call) -> None:
    with Session(engine) as session:
        rows = session.scalars(select(ProtocolRow)).all()
        assert [row.approved_by for row in rows] == [None] * len(rows)
        assert [key for row in rows for key in ("status", "approved_by") if key in row.definition] == []


def test_a_change_keeps_what_it_does_not_name(engine: Engine, call: Call) -> None:
    change = {"phone": "+12125550100", "policies": {"lead_minutes": 60, "cancel_cutoff_minutes": {"patient": 1440}}}
    with Session(engine) as session:
        view = organizations.change(session, call, 1, change)
        again = organizations.change(session, call, 2, {"policies": {"horizon_days": 90}})
        events = session.scalars(select(AuditEvent).where(AuditEvent.action == "organization.update")).all()
    assert view.revision == 2
    assert again.policies == {
        "lead_minutes": 60,
        "horizon_days": 90,
        "check_in_minutes": None,
        "patient_lead_minutes": None,
        "patient_horizon_days": None,
        "cancel_cutoff_minutes": {"patient": 1440, "staff": 0},
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
    assert (again.name, again.phone) == ("Harbor Clinic", "+12125550100")
    assert [sorted(event.after or {}) for event in events] == [["phone", "policies"], ["policies"]]


@pytest.mark.parametrize("values", [{"name": "Harbor Clinic"}, {"policies": {"max_holds": 20}}])
def test_a_change_that_changes_nothing_leaves_no_trace(engine: Engine, call: Call, values: dict[str, Any]) -> None:
    with Session(engine) as session:
        view = organizations.change(session, call, 1, values)
        found = session.scalars(select(AuditEvent).where(AuditEvent.action == "organization.update")).all()
    assert (view.revision, found) == (1, [])


def test_a_stale_change_is_refused(engine: Engine, call: Call) -> None:
    with Session(engine) as session, pytest.raises(StaleRevision):
        organizations.change(session, call, 7, {"name": "Other"})


def test_an_organization_that_never_was(engine: Engine) -> None:
    with Session(engine) as session, pytest.raises(NotFound):
        organizations.get(session, Call(NOON, new_id(), "nobody"))
