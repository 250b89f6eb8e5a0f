"""One message that speaks of visits at sites in different zones tells each by the clock of its own site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from scheduler.models import new_id
from scheduler.services.outbox import in_words
from scheduler.services.outbox.letters import Stop, Turn
from scheduler.services.outbox.texts import facts_of
from tests.worker.letters import letter

NOW = datetime(2030, 3, 5, 12, tzinfo=UTC)
EAST, WEST = "America/New_York", "America/Los_Angeles"
#: Nine o'clock in the east, and nine in the west.
NINE = {EAST: datetime(2030, 3, 6, 14, tzinfo=UTC), WEST: datetime(2030, 3, 7, 17, tzinfo=UTC)}


def test_each_visit_by_the_clock_of_its_own_site() -> None:
    plain = letter(new_id(), new_id(), new_id(), NOW)
    stops = tuple(Stop(at, "Visit", zone) for zone, at in NINE.items())
    turns = tuple(Turn(at, at + timedelta(hours=1), "Visit", zone) for zone, at in NINE.items())
    changed = plain._replace(kind="course_changed", channel="email", stops=stops, also=stops, turns=turns)
    facts = facts_of(changed, NOW)
    assert [each.starts_at.hour for each in (*facts.visits, *facts.also)] == [9, 9, 9, 9]
    assert [(each.was and each.was.hour, each.now and each.now.hour) for each in facts.moved] == [(9, 10), (9, 10)]
    body = in_words(changed, NOW).body
    assert "12:00" not in body
    assert "Pacific" in body or "PT" in body or "PST" in body, body
