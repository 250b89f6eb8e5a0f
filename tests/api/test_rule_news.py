"""An organization that began with older drafts sees what is shipped by now, and takes it over in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import MessageRules, Organization
from scheduler.services import message_rules, shipped
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
PATH = "/v1/message-rules"


def rules(person: Person) -> dict[str, Any]:
    return {each["key"]: each for each in person.get(PATH).json["rules"]}


def told(person: Person) -> dict[str, tuple[str, bool]]:
    return {each["key"]: (each["change"], each["edited"]) for each in person.get(PATH).json["news"]}


@pytest.fixture
def old(alice: Person, engine: Engine, clock: Clock) -> Person:
    """It began before one draft came, while one read otherwise, and with one that is shipped no more."""
    with Session(engine) as session, session.begin():
        message_rules.begin(session, Call(clock(), alice.organization_id, "test"))
    assert told(alice) == {}, "who begins today has all there is"
    drafts = [rule for rule in shipped.message_rules() if rule["key"] != "forms_due"]
    past = [rule | {"expires": {"anchor": "start"}} if rule["key"] in {"day_of", "booked"} else rule for rule in drafts]
    gone = drafts[0] | {"key": "of_old"}
    with Session(engine) as session, session.begin():
        mine = MessageRules.organization_id == alice.organization_id
        session.execute(update(MessageRules).where(mine).values(rules=[*past, gone]))
    return alice


def test_what_the_clinic_has_not_edited_is_taken_over_in_one_call(old: Person) -> None:
    before = {"day_of": ("changed", False), "forms_due": ("new", False), "of_old": ("gone", False)}
    assert told(old) == before
    foreseen = old.post(f"{PATH}/adopt?dry_run=true", json={}).json
    assert (foreseen["news"], told(old)) == ([], before)
    done = old.post(f"{PATH}/adopt", json={}).json
    assert (done["revision"], done["news"]) == (2, [])
    assert rules(old) == {rule["key"]: rule for rule in shipped.message_rules()}
    assert old.post(f"{PATH}/adopt", json={}).json["revision"] == 2, "nothing is new"


def test_what_is_its_own_stays_unless_it_is_named(old: Person) -> None:
    own = rules(old)
    own["day_of"]["quiet"] = "move"
    del own["gap_nudge"]
    assert old.put(PATH, json={"rules": list(own.values())}).status_code == 200
    assert told(old)["day_of"] == ("changed", True)
    assert told(old)["gap_nudge"] == ("new", True), "which was taken out"
    stale = old.post(f"{PATH}/adopt", json={}, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "precondition_failed")
    assert old.post(f"{PATH}/adopt", json={}).status_code == 200
    assert rules(old)["day_of"]["quiet"] == "move"
    assert set(told(old)) == {"day_of", "gap_nudge"}
    refused = old.post(f"{PATH}/adopt", json={"keys": ["day_of", "booked", "x"]})
    assert_problem(refused, 422, "validation_failed")
    assert [each["pointer"] for each in refused.json["errors"]] == ["/keys/1", "/keys/2"]
    old.post(f"{PATH}/adopt", json={"keys": ["day_of"]})
    assert set(told(old)) == {"gap_nudge"}
    assert rules(old)["day_of"]["quiet"] == "skip"


def test_quiet_hours_from_before_they_had_a_floor_are_seen(old: Person, engine: Engine) -> None:
    assert old.get(PATH).json["quiet_below_the_law"] is False
    with Session(engine) as session, session.begin():
        row = session.get_one(Organization, old.organization_id)
        row.messaging = {"quiet": {"from": "22:00", "to": "07:00"}}
    assert old.get(PATH).json["quiet_below_the_law"] is True
