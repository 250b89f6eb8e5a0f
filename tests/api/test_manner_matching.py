"""`If-Match` on every change of one thing: a stale tag is a 412, whatever else stands in the way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import appointment, talk
from tests.api.walking import Known, Route, routes

if TYPE_CHECKING:
    from flask import Flask

    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

#: What is posted below a single thing without changing it: each makes something of its own.
MAKES = {
    "POST /v1/patients/<uuid:patient_id>/clearances",
    "POST /v1/patients/<uuid:patient_id>/holds",
}
STALE = ('"999999"', f'"{"f" * 32}"')


def changes(app: Flask) -> list[Route]:
    """Every route that changes one thing: whatever names one, and whatever replaces or patches the only one."""
    return [
        route
        for route in routes(app)
        if (route.method == "POST" and (route.ids or route.words)) or route.method in {"PUT", "PATCH", "DELETE"}
    ]


def ask(route: Route, person: Person, known: Known, tag: str, **options: Any) -> Any:
    mine = known.of(person, route, *route.ids, *route.made_words, *route.body_ids())
    return route.ask(person, mine, json=route.body(mine), headers={"If-Match": tag}, **options)


def test_no_change_of_one_thing_ignores_a_stale_tag(app: Flask, alice: Person) -> None:
    talk(alice)
    known = Known()
    deaf = {}
    for route in changes(app):
        if route.name in MAKES:
            continue
        for tag in STALE:
            answer = ask(route, alice, known, tag)
            if answer.status_code != 412:
                deaf[f"{route.name} {tag}"] = (answer.status_code, answer.json)
    assert not deaf, deaf
    assert {route.name for route in changes(app)} >= MAKES


def test_a_patch_and_a_removal_ask_for_a_tag(app: Flask) -> None:
    for route in changes(app):
        if route.method in {"PATCH", "DELETE"}:
            assert route.manner.if_match is True, route.name


def test_the_tag_of_a_thing_fits_every_change_of_it(app: Flask, alice: Person) -> None:
    """The ETag that a GET of the thing gives is the one that its changes go by."""
    talk(alice)
    known, looks = Known(), {route.rule: route for route in routes(app) if route.method == "GET"}
    stale: dict[str, Any] = {}
    untold: dict[str, Any] = {}
    for route in changes(app):
        look = shown_by(route, looks)
        if route.name in MAKES or look is None:
            continue
        mine = known.of(alice, route, *look.ids, *look.made_words)
        shown = look.ask(alice, mine)
        assert shown.status_code == 200, (look.name, shown.json)
        said = shown.json.get("revision", shown.json.get("version"))
        if shown.headers["ETag"].strip('"').partition("-")[0] != str(said):
            untold[look.name] = said
        answer = ask(route, alice, known, shown.headers["ETag"], dry_run=True)
        if answer.status_code in {412, 428}:
            stale[route.name] = answer.json
    assert stale == {}
    assert untold == {}, "who does not see headers finds in the body what If-Match takes"


def test_what_changed_besides_the_thing_is_shown_and_makes_no_change_stale(alice: Person) -> None:
    """Somebody is away: the visit is flagged, at the same revision. Nobody is told that nothing is new."""
    path = f"/v1/appointments/{appointment(alice)}"
    seen = alice.get(path)
    tag = seen.headers["ETag"]
    assert alice.get(path, headers={"If-None-Match": tag}).status_code == 304
    [who] = seen.json["participants"]
    away = {name: who[name] for name in ("resource_id", "start", "end")}
    assert alice.post("/v1/absences", json=away).status_code == 201
    again = alice.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.json["version"]) == (200, seen.json["version"])
    assert [each["code"] for each in again.json["flags"]] == ["visit_affected"]
    assert alice.patch(path, json={"note": "Ask."}, headers={"If-Match": tag}).status_code == 200
    assert alice.patch(path, json={"note": "Call."}, headers={"If-Match": tag}).status_code == 412


def shown_by(route: Route, looks: dict[str, Route]) -> Route | None:
    """The look at the one thing that the route changes; none for what is seen in lists alone."""
    rule = route.rule
    while rule not in looks or looks[rule].manner.many:
        rule = re.sub(r"/[^/]+$", "", rule)
        if not rule.endswith(">") and rule not in looks:
            continue
        if not rule:
            return None
    return looks[rule]
