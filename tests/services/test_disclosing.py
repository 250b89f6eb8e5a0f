"""What patients are shown of a clinic, its places and its visits tells nobody what is treated: refused at save."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Invalid
from scheduler.services import locations, organizations, visit_types
from tests.clinic import Clinic
from tests.postroom import SESSION

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
PLACE: dict[str, Any] = {"name": "Harbor East", "time_zone": "America/New_York", "address": "1 Pier Road"}


def refused(clinic: Clinic, work: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        clinic.do(work)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults if fault.code == "discloses"]


def test_the_senders_name(engine: Engine) -> None:
    clinic = Clinic(engine)
    held = clinic.do(organizations.get)
    new = {"sender_name": "Harbor Ketamine Center"}
    ((pointer, detail),) = refused(clinic, lambda s, c: organizations.change(s, c, held.revision, new))
    assert (pointer, "'ketamine'" in detail) == ("/sender_name", True)
    assert clinic.do(organizations.get) == held
    inner = clinic.do(lambda s, c: organizations.change(s, c, held.revision, {"name": "Harbor Ketamine Center"}))
    assert inner.name == "Harbor Ketamine Center", "its own name is shown to nobody"


def test_a_place_with_every_word_that_tells(engine: Engine) -> None:
    clinic = Clinic(engine)
    telling = PLACE | {"name": "Harbor Infusion", "address": "Psychiatry and Pain, 1 Pier Road"}
    found = refused(clinic, lambda s, c: locations.create(s, c, telling))
    assert [pointer for pointer, _ in found] == ["/name", "/address"]
    made = clinic.do(lambda s, c: locations.create(s, c, PLACE))
    (fault,) = refused(clinic, lambda s, c: locations.change(s, c, made.id, made.revision, {"address": "Ketamine Rd"}))
    assert fault[0] == "/address"


def test_a_visits_public_name_in_every_language(engine: Engine) -> None:
    clinic = Clinic(engine)
    telling = SESSION | {"code": "new", "public_name": "Therapy", "public_names": {"es": "Infusión", "de": "Termin"}}
    found = refused(clinic, lambda s, c: visit_types.create(s, c, telling))
    assert [pointer for pointer, _ in found] == ["/public_name", "/public_names/es"]
    made = clinic.do(lambda s, c: visit_types.create(s, c, SESSION | {"name": "Integration", "code": "new"}))
    new = {"public_name": "Ketamine visit"}
    (fault,) = refused(clinic, lambda s, c: visit_types.change(s, c, made.id, made.revision, new))
    assert fault[0] == "/public_name"
