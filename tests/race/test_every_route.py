"""Every route that writes occupancies is fought over; one that is listed in neither list of `contests` is reported."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event

from scheduler.services import protocols
from tests.api.conftest import Person, make_key, make_organization
from tests.api.examples import appointment, talk
from tests.api.walking import Known, routes
from tests.desk import overlaps
from tests.plumbing.clock import Clock
from tests.race.contests import CONTESTS, ONCE, Ring
from tests.race.peaceful import PEACEFUL

if TYPE_CHECKING:
    from flask import Flask


def unlisted(names: set[str]) -> set[str]:
    """Changing routes that nobody has said anything about."""
    return names - CONTESTS.keys() - PEACEFUL


def changing(app: Flask) -> set[str]:
    return {route.name.replace("<string:", "<") for route in routes(app) if route.method != "GET"}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_every_route_is_listed(app: Flask) -> None:
    assert unlisted(changing(app)) == set(), "say in CONTESTS how it is fought over, or that it is PEACEFUL"
    assert CONTESTS.keys() - changing(app) == set(), "what is not there any more"
    assert unlisted({"POST /v1/swaps"}) == {"POST /v1/swaps"}


@pytest.fixture
def watched(engine: Engine, app: Flask) -> Iterator[list[str]]:
    """Every statement that writes occupancies."""
    seen: list[str] = []

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        text = statement.lstrip().upper()
        if text.startswith(("INSERT INTO OCCUPANCIES", "UPDATE OCCUPANCIES", "DELETE FROM OCCUPANCIES")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", look)
    yield seen
    event.remove(Engine, "before_cursor_execute", look)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_peaceful_are_peaceful(app: Flask, engine: Engine, clock: Clock, watched: list[str]) -> None:
    organization_id = make_organization(engine, clock)
    alice = Person(app, organization_id, make_key(engine, clock, organization_id, "admin")[1])
    known, guilty, done = Known(), {}, 0
    talk(alice)
    for route in routes(app):
        if route.method == "GET" or route.name in CONTESTS:
            continue
        ids = known.of(alice, route, *route.ids, *route.body_ids(), *route.required_ids())
        query = route.query({name: ids[name] for name in route.required_ids()})
        watched.clear()
        done += route.ask(alice, ids, json=route.body(ids), query=query).status_code < 300
        if watched:
            guilty[route.name] = watched[0]
    assert guilty == {}
    assert done >= 20, "too few examples are in form to say anything"
    watched.clear()
    appointment(alice)
    assert watched, "and a booking is seen"


@pytest.mark.slow
def test_of_all_who_claim_one_time_one_has_it(app: Flask, engine: Engine, clock: Clock) -> None:
    ring = Ring(app, engine, clock)
    ring.clinic.do(lambda s, c: protocols.publish(
        s, c, protocols.create(s, c, ONCE).id, None, approved_by="A Clinician", note="for the test"
    ))  # fmt: skip
    wrong = []
    for name, contests in CONTESTS.items():
        for number, contest in enumerate(contests):
            ring.next_day()
            fight = contest(ring)
            answers = ring.all_at_once([*fight.claims, *fight.others])
            granted = sum(answer.status_code < 300 for answer in answers[: len(fight.claims)])
            broken = [answer.text for answer in answers if answer.status_code >= 500]
            if broken or not fight.least <= granted <= fight.most or overlaps(engine) or ring.stray():
                wrong.append((name, number, granted, broken, [answer.text[:200] for answer in answers]))
            ring.day += timedelta(days=1)  # the second day of a series
    assert wrong == []
