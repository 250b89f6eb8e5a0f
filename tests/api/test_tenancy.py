"""No route forgets to ask who is there. Walks all of them; a new one is walked without being asked.

When this fails for a new route: see tests/api/examples.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from scheduler.core.scopes import SCOPES
from tests.api.conftest import Person, make_key
from tests.api.examples import EXAMPLES, WORDS, talk
from tests.api.walking import Known, filled, routes, unknown

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

on_sqlite = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def problem(answer: Any) -> tuple[int, Any]:
    return answer.status_code, (answer.json or {}).get("code") if answer.is_json or answer.data else None


@on_sqlite
def test_every_parameter_has_its_example(app: Flask) -> None:
    missing = {
        f"{route.rule}: {name}"
        for route in routes(app)
        for name in (*route.ids, *route.words)
        if not (route.maker(name) if name in route.ids else name in WORDS)
    }
    assert missing == set(), "add them to tests/api/examples.py"


@on_sqlite
def test_a_route_without_an_example_would_be_noticed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EXAMPLES, "key_id")
    found = [route.name for route in routes(app) if not all(map(route.maker, route.ids))]
    assert "POST /v1/api-keys/<uuid:key_id>/revoke" in found


@on_sqlite
def test_every_route_names_a_scope_that_exists(app: Flask) -> None:
    walked = list(routes(app))
    assert len(walked) > 3
    assert [route.name for route in walked if route.manner.scope not in SCOPES] == []


@on_sqlite
def test_the_application_does_not_start_with_an_unguarded_route(app: Flask) -> None:
    from scheduler.api import _deny_by_default

    app.add_url_rule("/v1/open", view_func=lambda: "come in")
    with pytest.raises(RuntimeError, match="/v1/open"):
        _deny_by_default(app)


@on_sqlite
def test_every_route_is_closed_without_a_good_key(app: Flask, alice: Person, engine: Engine, clock: Clock) -> None:
    def person(token: str) -> Person:
        return Person(app, alice.organization_id, token)

    soon = clock() + timedelta(minutes=1)
    expired = person(make_key(engine, clock, alice.organization_id, "admin", expires_at=soon)[1])
    key_id, token = make_key(engine, clock, alice.organization_id, "admin")
    assert alice.post(f"/v1/api-keys/{key_id}/revoke").status_code == 200
    clock.move(timedelta(minutes=1))
    nobody = Person(app, alice.organization_id, "")
    nobody.headers["Authorization"] = None  # type: ignore[assignment] # left out of the request
    failed = [
        (route.name, who)
        for route in routes(app)
        for who, asks in {
            "nobody": nobody,
            "forger": person(f"{alice.token[:-1]}{'A' if alice.token[-1] != 'A' else 'B'}"),
            "expired": expired,
            "revoked": person(token),
        }.items()
        if problem(route.ask(asks, unknown(route), json={"nonsense": 1} if route.method != "GET" else None))
        != (401, "unauthorized")
    ]
    assert failed == []


@on_sqlite
def test_every_route_is_closed_to_keys_without_its_scope(
    app: Flask, engine: Engine, clock: Clock, alice: Person
) -> None:
    people = {
        scope: Person(app, alice.organization_id, make_key(engine, clock, alice.organization_id, *others)[1])
        for scope in SCOPES
        if (others := SCOPES.keys() - {scope})
    }
    failed = [
        route.name
        for route in routes(app)
        if problem(route.ask(people[route.manner.scope], unknown(route))) != (403, "insufficient_scope")
    ]
    assert failed == []


def without(answer: Any, ids: dict[str, str]) -> str:
    """What was answered, apart from the ids that were sent."""
    text = str(answer.text)
    for value in ids.values():
        text = text.replace(value, "ID")
    return text


def test_anothers_id_is_answered_like_one_that_never_was(app: Flask, alice: Person, charlie: Person) -> None:
    known, failed = Known(), []
    for route in routes(app):
        if not route.ids:
            continue
        theirs, never = known.of(charlie, route, *route.ids), unknown(route)
        hidden, absent = route.ask(alice, theirs), route.ask(alice, never)
        if problem(absent) != (404, "not_found") or without(hidden, theirs) != without(absent, never):
            failed.append((route.name, hidden.text, absent.text))
        if route.ask(charlie, theirs, dry_run=True).status_code == 404:
            failed.append((route.name, "the example itself is not found"))
    assert failed == []


def test_anothers_id_is_worth_nothing_in_a_body_or_query(app: Flask, alice: Person, charlie: Person) -> None:
    known, failed = Known(), []
    for route in routes(app):
        names = {*route.body_ids(), *route.query_ids()}
        mine = known.of(alice, route, *route.ids, *names)
        theirs = known.of(charlie, route, *names)
        for name in sorted(names):
            answers = []
            for other in (theirs[name], str(uuid4())):
                ids = mine | {name: other}
                # A filter is tried alone: it must find nothing by itself.
                query = route.query(
                    {one: ids[one] for one in (*route.required_ids(), name) if one in route.query_ids()}
                )
                answer = route.ask(alice, mine, json=route.body(ids), query=query, dry_run=True)
                answers.append((answer.status_code, without(answer, {name: other})))
            if answers[0] != answers[1]:
                failed.append((route.name, name, *answers))
            if answers[0][0] < 400 and route.method != "GET":
                failed.append((route.name, name, "was taken"))
    assert failed == []


def test_no_collection_shows_anothers_things(app: Flask, alice: Person, charlie: Person) -> None:
    known, failed = Known(), []
    for route in routes(app):
        known.of(charlie, route, *route.ids)
    theirs = {str(charlie.organization_id), *known.all()}
    talk(alice)
    for route in routes(app):
        if not route.manner.many:
            continue
        mine = known.of(alice, route, *route.ids, *route.required_ids())
        answer = route.ask(alice, mine, query=route.query({name: mine[name] for name in route.required_ids()}))
        if answer.status_code != 200 or any(secret in answer.text for secret in theirs):
            failed.append((route.name, answer.text))
    assert failed == []


def test_the_walker_fills_in_what_a_schema_asks_for() -> None:
    from tests.api.probe import PartSchema, ProbeSchema

    assert filled(PartSchema()) == {"name": "x", "minutes": 5}
    assert filled(ProbeSchema()) == {"name": "x"}
