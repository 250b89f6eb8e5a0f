"""The manner holds on every route, not only on the tests' own. Walks them all, with real examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator as Validator
from sqlalchemy import Engine, func, select

from scheduler.api.schema import instance, read
from scheduler.api.strict import Malformed, parse
from scheduler.core.errors import Invalid
from scheduler.database import db
from scheduler.models import Base
from tests.api.examples import talk
from tests.api.problem import FURTHER, MEMBERS
from tests.api.walking import Known, Route, filled, routes
from tests.race.test_dry_runs import changed, contents
from tests.services.test_statements import listening

if TYPE_CHECKING:
    from flask import Flask

    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

#: What a careless or spiteful client might send for anything.
NASTY = (
    None, "", " ", "x", "x" * 5000, "\u202e", "😀" * 50, "2030-13-45T99:99:99Z", "2030-03-05T15:00:00Z",
    "0001-01-01T00:00:00Z", "-1", -1, 0, 2**63, 1.5, 1e300, True, [], [None], [{}], [[]], {}, {"a": {"b": 1}},
)  # fmt: skip

#: Ids that exist, to be put where others are meant.
KINDS = ("patient_id", "practitioner_id", "appointment_id")


@pytest.fixture
def known(alice: Person) -> Known:
    """Alice's examples."""
    talk(alice)
    return Known()


def ids(route: Route, person: Person, known: Known) -> dict[str, str]:
    return known.of(person, route, *route.ids, *route.made_words, *route.body_ids(), *route.required_ids())


def ask(route: Route, person: Person, known: Known, **options: Any) -> Any:
    """Ask in form, with ids that exist."""
    mine = ids(route, person, known)
    query = route.query({name: mine[name] for name in route.required_ids()})
    return route.ask(person, mine, json=route.body(mine), query=query, **options)


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


def test_a_dry_run_of_anything_writes_nothing(app: Flask, alice: Person, known: Known, engine: Engine) -> None:
    """Not a row more, less or other. And the rehearsal says what the real thing says which follows it at once."""
    for route in routes(app):
        ids(route, alice, known)
    before = contents(engine)
    silent, other, done = [], [], 0
    for route in routes(app):
        if route.method == "GET":
            continue
        rehearsal = ask(route, alice, known, dry_run=True, headers={"Idempotency-Key": "dry"})
        if rehearsal.headers.get("Dry-Run") != "true":  # a refusal says so too
            silent.append(route.name)
        assert changed(before, contents(engine)) == set(), route.name
        real = ask(route, alice, known)
        if real.status_code < 300:
            done += 1
            before = contents(engine)
            if rehearsal.status_code != real.status_code:
                other.append((route.name, rehearsal.status_code, real.status_code))
    assert (silent, other) == ([], [])
    assert done >= 40, "too few examples are carried out to say anything"


def test_no_look_writes(app: Flask, alice: Person, known: Known) -> None:
    """A look has no transaction that would be rolled back: what it wrote would stay."""
    looks = [route for route in routes(app) if route.method == "GET" and route.manner.reads is None]
    for route in looks:
        ids(route, alice, known)
    with app.app_context():
        engine = db.engine
    wrote = []
    for route in looks:
        with listening(engine) as asked:
            ask(route, alice, known)
        wrote += [
            route.name
            for word in ("INSERT", "UPDATE", "DELETE")
            for each, _ in asked.statements
            if each.startswith(word)
        ]
    assert wrote == []


def test_every_post_is_carried_out_once_per_key(app: Flask, alice: Person, known: Known, engine: Engine) -> None:
    failed, done = [], 0
    for number, route in enumerate(routes(app)):
        if route.method != "POST":
            continue
        key = {"Idempotency-Key": f"walk-{number}"}
        first = ask(route, alice, known, headers=key)
        if first.status_code >= 300:
            continue
        done += 1
        after = counts(engine)
        again = ask(route, alice, known, headers=key)
        if again.headers.get("Idempotency-Replayed") != "true" or again.status_code != first.status_code:
            failed.append(route.name)
        if not route.manner.secrets and again.data != first.data:
            failed.append(f"{route.name}: another answer")
        assert counts(engine) == after, route.name
    assert failed == []
    assert done >= 8, "too few examples are in form to say anything"


def test_every_single_thing_has_a_tag(app: Flask, alice: Person, known: Known) -> None:
    failed = []
    for route in routes(app):
        if route.method != "GET" or route.manner.many:
            continue
        answer = ask(route, alice, known)
        tag = answer.headers.get("ETag", "")
        again = ask(route, alice, known, headers={"If-None-Match": tag})
        if not (tag.startswith('"') and again.status_code == 304 and not again.data):
            failed.append((route.name, answer.status_code, tag, again.status_code))
    assert failed == []


def test_every_change_needs_the_current_revision(app: Flask, alice: Person, known: Known) -> None:
    failed = []
    for route in routes(app):
        if route.manner.if_match is True:
            for tag, status in ((None, 428), ("*", 428), ('"999"', 412), ('W/"1"', 412), ("1", 400)):
                answer = ask(route, alice, known, headers={"If-Match": tag})
                if answer.status_code != status:
                    failed.append((route.name, tag, answer.text))
        elif route.manner.if_match:
            answer = ask(route, alice, known, headers={"If-Match": '"999"'})
            if answer.status_code not in {409, 412, 422}:  # a refusal may come first
                failed.append((route.name, "optional", answer.text))
        if route.method in {"PATCH", "DELETE"} and route.manner.if_match is not True:
            failed.append((route.name, "does not ask for If-Match", ""))
    assert failed == []


def test_every_route_refuses_what_it_does_not_know(app: Flask, alice: Person, known: Known) -> None:
    failed = []
    for route in routes(app):
        mine = ids(route, alice, known)
        query = route.query({name: mine[name] for name in route.required_ids()})
        answers = {"/nonsense": route.ask(alice, mine, json=route.body(mine), query=query | {"nonsense": "1"})}
        if route.method in {"POST", "PUT", "PATCH"}:
            answers["/nonsense "] = route.ask(alice, mine, json=(route.body(mine) or {}) | {"nonsense": 1}, query=query)
        for pointer, answer in answers.items():
            named = [(fault["pointer"], fault["code"]) for fault in (answer.json or {}).get("errors", [])]
            if (pointer.strip(), "unknown_field") not in named:
                failed.append((route.name, answer.status_code, answer.text))
    assert failed == []


def _is_whole(answer: Any) -> bool:
    if answer.status_code < 400:
        return True
    document = answer.json or {}
    return (
        answer.status_code < 500
        and answer.content_type == "application/problem+json"
        and MEMBERS <= document.keys() <= MEMBERS | FURTHER
        and not ({"Traceback", "SELECT ", "INSERT "} & set(answer.text.split()))
    )


def refused(route: Route, body: dict[str, Any]) -> bool:
    """Whether a body is refused for its form, before anything is done with it. Raises whatever a request would."""
    try:
        read(instance(route.manner.takes), parse(json.dumps(body).encode()))
    except (Malformed, Invalid):
        return True
    return False


def broken_by(route: Route, person: Person, ids: dict[str, str], bodies: Iterable[dict[str, Any]]) -> list[Any]:
    """Ask with each body that passes the schema, and with one that does not: all refusals are written alike."""
    asked, answers = False, []
    for body in bodies:
        if refused(route, body):
            if asked:
                continue
            asked = True
        answers.append((route.ask(person, ids, json=body, dry_run=True), body))
    return [(route.name, answer.status_code, repr(body)[:200]) for answer, body in answers if not _is_whole(answer)]


@pytest.mark.slow
def test_no_nonsense_in_a_body_breaks_anything(app: Flask, alice: Person, known: Known) -> None:
    broken = []
    for route in routes(app):
        if route.manner.takes is None:
            continue
        mine = ids(route, alice, known)
        body = route.body(mine) or {}
        fields = route.manner.takes().load_fields
        for name in sorted({field.data_key or name for name, field in fields.items()} | body.keys()):
            broken += broken_by(route, alice, mine, (body | {name: nasty} for nasty in NASTY))
    assert broken == []


@pytest.mark.slow
def test_no_nonsense_inside_a_list_breaks_anything(app: Flask, alice: Person, known: Known) -> None:
    from marshmallow import fields as kinds

    broken = []
    for route in routes(app):
        if route.manner.takes is None:
            continue
        mine = ids(route, alice, known)
        for name, field in route.manner.takes().load_fields.items():
            inner = field.inner if isinstance(field, kinds.List) else field
            if not isinstance(inner, kinds.Nested):
                continue
            least, body = filled(inner.schema), route.body(mine) or {}
            for part in inner.schema.load_fields:
                called = inner.schema.load_fields[part].data_key or part
                entries = [least | {called: nasty} for nasty in NASTY]
                values = entries if inner is field else [[entry] for entry in entries]
                broken += broken_by(route, alice, mine, (body | {field.data_key or name: value} for value in values))
    assert broken == []


@pytest.mark.slow
def test_no_nonsense_in_a_query_breaks_anything(app: Flask, alice: Person, known: Known) -> None:
    broken = []
    words = [*(one for one in NASTY if isinstance(one, str)), "\0", "9" * 30, "true", "mon,tue", ["a", "b"]]
    methods = set()
    for route in routes(app):
        mine = ids(route, alice, known)
        query = route.query({name: mine[name] for name in route.required_ids()})
        if route.method != "GET":
            query["dry_run"] = "true"
        schema = route.manner.query
        names = [field.data_key or name for name, field in schema().load_fields.items()] if schema else []
        for name in (*names, "dry_run", "nonsense"):
            # What no route declares is read by the one endpoint: all of it on one route of each method.
            for nasty in words if name in names or route.method not in methods else ["", ["a", "b"]]:
                answer = route.ask(alice, mine, json=route.body(mine), query=query | {name: nasty})
                if not _is_whole(answer):
                    broken.append((route.name, name, repr(nasty)[:40], answer.status_code))
        methods.add(route.method)
    assert broken == []


def test_no_id_of_another_kind_is_taken_for_ones_own(app: Flask, alice: Person, known: Known) -> None:
    """A room where a patient is meant, a patient where a visit is: named in the address it is not found."""
    ours = {name: known.of(alice, next(iter(routes(app))), name)[name] for name in KINDS}
    broken = []
    for route in routes(app):
        mine = ids(route, alice, known)
        places = {*route.ids, *route.body_ids(), *route.query_ids()}
        for name, kind in ((name, kind) for name in places for kind in KINDS if ours[kind] != mine.get(name)):
            asked = mine | {name: ours[kind]}
            query = route.query({each: asked[each] for each in (*route.required_ids(), name) if each in asked})
            answer = route.ask(alice, asked, json=route.body(asked), query=query, dry_run=True)
            fair = answer.status_code in {404, 409, 412, 422} or name not in route.ids
            if not _is_whole(answer) or not fair:
                broken.append((route.name, name, kind, answer.status_code))
    assert broken == []


def test_no_document_but_json_breaks_anything(app: Flask, alice: Person, known: Known) -> None:
    broken = []
    for route in routes(app):
        if route.method not in {"POST", "PUT", "PATCH"}:
            continue
        path = route.path(ids(route, alice, known))
        for data, status in ((b"{", 400), (b'{"a": NaN}', 400), (b"[]", 422), (b"null", 422), (b'"x"', 422)):
            headers = {"Content-Type": "application/json", "If-Match": '"1"'}
            answer = alice.call(route.method, f"{path}?dry_run=true", data=data, headers=headers)
            if answer.status_code != status or not _is_whole(answer):
                broken.append((route.name, data, answer.status_code))
        answer = alice.call(route.method, path, data=b"a=1", headers={"Content-Type": "text/plain", "If-Match": '"1"'})
        if answer.status_code != 415:
            broken.append((route.name, "text/plain", answer.status_code))
    assert broken == []


def test_every_answer_is_as_the_contract_says(app: Flask, alice: Person, known: Known) -> None:
    contract = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].described().to_dict()
    faults, looked_at = [], 0
    for route in routes(app):
        answer = ask(route, alice, known, dry_run=True)
        if answer.status_code < 300 and answer.mimetype == "application/json":
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule)
            said = contract["paths"][path][route.method.lower()]["responses"][str(answer.status_code)]
            schema = said["content"]["application/json"]["schema"] | {"components": contract["components"]}
            found = [
                f"{route.name} {each.json_path}: {each.message}" for each in Validator(schema).iter_errors(answer.json)
            ]
            faults, looked_at = faults + found, looked_at + 1
    assert faults == []
    assert looked_at > 100
