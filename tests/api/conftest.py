"""Alice keeps her clinic with an admin key, Bob sits at its front desk, Charlie has a clinic of his own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from scheduler.core.call import Call
from scheduler.core.scopes import SCOPES

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine
    from werkzeug.test import TestResponse

    from tests.plumbing.clock import Clock


@dataclass
class Person:
    """Somebody with a key: `alice.post("/v1/...", json={...})`."""

    app: Flask
    organization_id: UUID
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | self.headers | dict(options.pop("headers", {}))
        headers = {name: value for name, value in headers.items() if value is not None}
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.call("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self.call("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.call("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.call("DELETE", path, **options)


def make_organization(engine: Engine, clock: Clock, name: str = "Clinic") -> UUID:
    """An organization with nothing in it."""
    from sqlalchemy.orm import Session

    from scheduler.models import Organization

    with Session(engine) as session, session.begin():
        row = Organization(name=name, sender_name="Your clinic", created_at=clock())
        session.add(row)
        session.flush()
        return row.id


def make_key(
    engine: Engine, clock: Clock, organization_id: UUID, *scopes: str, name: str = "test", **options: Any
) -> tuple[UUID, str]:
    """A key of that organization: its id and its token."""
    from sqlalchemy.orm import Session

    from scheduler.services import access

    with Session(engine) as session, session.begin():
        call = Call(now=clock(), organization_id=organization_id, actor="test", scopes=frozenset(SCOPES))
        row, token = access.create_key(session, call, name=name, scopes=scopes, **options)
        return row.id, token


@pytest.fixture
def organization_id(engine: Engine, clock: Clock) -> UUID:
    """Alice's and Bob's organization."""
    return make_organization(engine, clock)


@pytest.fixture
def alice(app: Flask, engine: Engine, clock: Clock, organization_id: UUID) -> Person:
    """The administrator."""
    return Person(app, organization_id, make_key(engine, clock, organization_id, "admin", name="alice")[1])


@pytest.fixture
def bob(app: Flask, engine: Engine, clock: Clock, organization_id: UUID) -> Person:
    """The front desk of the same organization."""
    return Person(app, organization_id, make_key(engine, clock, organization_id, "front_desk", name="bob")[1])


@pytest.fixture
def charlie(app: Flask, engine: Engine, clock: Clock) -> Person:
    """The administrator of another organization."""
    other = make_organization(engine, clock, "Another clinic")
    return Person(app, other, make_key(engine, clock, other, "admin", name="charlie")[1])


@pytest.fixture
def nobody() -> UUID:
    """An id that never was."""
    return uuid4()


@pytest.fixture
def probes(app: Flask) -> dict[str, Any]:
    """Add /v1/probes to the application; gives what its views have seen."""
    from tests.api import probe

    probe.register(app)
    return probe.SEEN


@pytest.fixture
def probed(probes: dict[str, Any], alice: Person) -> Any:
    """A probe that Alice made: the JSON of it."""
    return alice.post("/v1/probes", json={"name": "first"}).json
