"""Every route and chore that writes occupancies is fought over; one that is in no list of contests is reported."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine

from scheduler.services import chores, protocols, waitlist
from tests.api.conftest import Person, make_key, make_organization
from tests.api.examples import appointment, talk
from tests.api.test_course_terms import Ward
from tests.api.walking import Known, routes
from tests.coursework import protocol
from tests.desk import TALK, overlaps
from tests.plumbing.clock import Clock
from tests.race.by_link import BY_LINK, page
from tests.race.by_worker import BY_WORKER, QUIET, RIDE, chore, reaching
from tests.race.contests import CONTESTS, ONCE, Ring
from tests.race.peaceful import OF_A_COURSE, PAGES, PEACEFUL, SIGNED, UNSEEN, watching

if TYPE_CHECKING:
    from flask import Flask


#: Granted (a page sends on to another), or refused for what somebody else did, never for its form.
FAIR = {200, 201, 204, 303, 404, 409, 410, 412}
FOUGHT = CONTESTS | BY_LINK
LISTED = {*FOUGHT, *PEACEFUL, *PAGES, *SIGNED}


def changing(app: Flask) -> set[str]:
    """Every method of every rule that may change something: pages and what providers post too."""
    looks = {"GET", "HEAD", "OPTIONS"}
    rules = [(rule.rule.replace("<string:", "<"), rule.methods or set()) for rule in app.url_map.iter_rules()]
    return {f"{method} {rule}" for rule, methods in rules for method in methods - looks}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_every_route_is_listed(app: Flask) -> None:
    assert changing(app) - LISTED == set(), "say in CONTESTS how it is fought over, or that it is PEACEFUL"
    assert LISTED - changing(app) == set(), "what is not there any more"
    app.post("/p/<token>/swap")(lambda token: token)
    assert changing(app) - LISTED == {"POST /p/<token>/swap"}, "and a new page is seen"


@pytest.fixture
def watched() -> Iterator[list[str]]:
    """Every statement that writes occupancies."""
    with watching() as seen:
        yield seen


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_peaceful_are_peaceful(app: Flask, engine: Engine, clock: Clock, watched: list[str]) -> None:
    organization_id = make_organization(engine, clock)
    alice = Person(app, organization_id, make_key(engine, clock, organization_id, "admin")[1])
    known, guilty, unseen = Known(), {}, set()
    talk(alice)
    for route in routes(app):
        if route.method == "GET" or route.name in FOUGHT:
            continue
        ids = known.of(alice, route, *route.ids, *route.body_ids(), *route.required_ids())
        query = route.query({name: ids[name] for name in route.required_ids()})
        watched.clear()
        if route.ask(alice, ids, json=route.body(ids), query=query).status_code >= 300:
            unseen.add(route.name.replace("<string:", "<"))
        if watched:
            guilty[route.name] = watched[0]
    assert guilty == {}
    assert unseen == UNSEEN | OF_A_COURSE, "of these nothing is seen; say so, or give an example in form"
    watched.clear()
    appointment(alice)
    assert watched, "and a booking is seen"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_is_said_of_a_course_is_peaceful(app: Flask, engine: Engine, watched: list[str]) -> None:
    """Made, planned, its terms granted, withdrawn and changed: nobody's time is taken or given back."""
    it, other = (Ward(app, engine, protocol(2), weekdays=["mon", "tue"]) for _ in range(2))
    for each in (it, other):
        refused = each.desk.post(f"{each.path}/plans", json={"through": "all"})
        change = next(offer["change"] for offer in refused.json["relaxations"] if offer["grantable"])
        body = {"change": change, "through": "all", "by": "Dr. Able", "reason": "Stable"}
        granted = each.desk.post(f"{each.path}/relaxations", json=body)
        assert granted.status_code == 200, granted.text
    key, etag = granted.json["relaxations"][0]["id"], granted.headers["ETag"]
    gone = other.desk.delete(f"{other.path}/relaxations/{key}", headers={"If-Match": etag})
    assert (gone.status_code, watched) == (204, [])
    it.book(it.plan(through="all"))
    watched.clear()
    it.replan()
    it.change(preferences={"weekdays": None})
    dose = {"gap": {"min": 3, "target": 3, "max": 5}}
    assert it.desk.put(f"{it.path}/cadence", json={"steps": {"dose": dose}, "by": "Dr. Able"}).status_code == 200
    assert watched == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_peaceful_pages_are_peaceful(app: Flask, engine: Engine, clock: Clock, watched: list[str]) -> None:
    ring = Ring(app, engine, clock)
    ring.next_day()
    asking = TALK | {"code": "asking", "checklist": [RIDE | {"asks": {"en": "Who drives you home?"}}]}
    ring.clinic.visit(asking)
    visit = str(ring.made("appointments", ring.wish(visit_type="asking"))["id"])
    guilty, unseen = {}, set()
    for name, form in PAGES.items():
        asked = page(ring, visit, name.rpartition("/")[2], form)
        watched.clear()
        [answer] = ring.all_at_once([asked])
        if answer.status_code != 303:
            unseen.add((name, answer.status_code))
        if watched:
            guilty[name] = watched[0]
    assert (guilty, unseen) == ({}, set())


def test_every_chore_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reaching() - QUIET == BY_WORKER.keys(), "say in BY_WORKER how it is fought over, or that it is QUIET"
    new = chores.Chore("visits.sweep", chores.EACH_TICK, waitlist.sweep)
    monkeypatch.setattr("tests.race.by_worker.CHORES", (*chores.CHORES, new))
    assert reaching() - QUIET - BY_WORKER.keys() == {"visits.sweep"}, "and a new one is seen"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_each_chore_has_something_to_do(app: Flask, engine: Engine, clock: Clock, watched: list[str]) -> None:
    ring = Ring(app, engine, clock)
    idle = set()
    for name, contests in BY_WORKER.items():
        for contest in contests:
            ring.next_day()
            fight = contest(ring)
            watched.clear()
            fight.chores[0]()
            idle |= set() if watched else {name}
    watched.clear()
    for name in QUIET:
        chore(ring, name)()
    assert (idle, watched) == (set(), [])


@pytest.mark.slow
def test_of_all_who_claim_one_time_one_has_it(app: Flask, engine: Engine, clock: Clock) -> None:
    ring = Ring(app, engine, clock)
    ring.clinic.do(lambda s, c: protocols.publish(
        s, c, protocols.create(s, c, ONCE).id, None, approved_by="A Clinician", note="for the test"
    ))  # fmt: skip
    wrong = []
    for name, contests in (FOUGHT | BY_WORKER).items():
        for number, contest in enumerate(contests):
            ring.next_day()
            fight = contest(ring)
            asked = [*fight.claims, *fight.others]
            answers = ring.all_at_once(asked, fight.chores)[: len(asked)]
            granted = sum(answer.status_code < 400 for answer in answers[: len(fight.claims)])
            broken = [answer.text for answer in answers if answer.status_code not in FAIR]
            if broken or not fight.least <= granted <= fight.most or overlaps(engine) or ring.stray():
                wrong.append((name, number, granted, broken, [answer.text[:200] for answer in answers]))
            ring.day += timedelta(days=1)  # the second day of a series
    assert wrong == []
