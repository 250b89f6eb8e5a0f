"""How days are named: short enough for an SMS, and for no other day or month."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import product

import pytest

from scheduler.core.reminders import KINDS
from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.messaging.render import render
from tests.messaging.sample_facts import START, facts, hard_cases


@pytest.mark.parametrize("locale", ["es", "es-MX", "es-US"])
def test_a_tuesday_is_no_march(locale: str) -> None:
    """In Spanish both are "mar" for short; with the longest values the whole name fits as well."""
    tuesday = datetime(2027, 3, 9, 9, tzinfo=START.tzinfo)
    body = render("remind_24h", "sms", facts(tuesday, phone="", link=""), [locale]).body
    assert re.search(r"martes,? 9 (de )?mar", body)
    before = facts(tuesday + timedelta(days=1), food_until=tuesday, phone="", link="")
    assert "desde martes " in render("remind_24h", "sms", before, [locale]).body
    day, times = (
        timedelta(days=1),
        ("now", "starts_at", "food_until", "liquids_until", "previous_starts_at", "arrive_at"),
    )
    for kind, case in product(KINDS, hard_cases()):  # of a Wednesday
        said = case._replace(**{name: (at := getattr(case, name)) and at - day for name in times}, moved=())
        assert septets(render(kind, "sms", said, [locale]).body) <= LIMIT
