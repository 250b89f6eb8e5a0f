"""A client that was generated from openapi.yaml and nothing else, and a server over real HTTP whose clock we move."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser.errors import ErrorLevel

from tests.api.conftest import make_key
from tests.integrator.kit import Kit

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the generated package, importable; made as an integrator makes it, without one error."""
    name = "regimen_client"
    folder = tmp_path_factory.mktemp("generated")
    config = Config.from_sources(
        ConfigFile(post_hooks=[]),
        MetaType.NONE,
        ROOT / "openapi.yaml",
        "utf-8",
        overwrite=False,
        output_path=folder / name,
    )
    complaints = generate(config=config)
    assert [each.header for each in complaints if each.level is ErrorLevel.ERROR] == []
    sys.path.insert(0, str(folder))
    return name


@pytest.fixture
def kit(generated: str, address: str, engine: Engine, clock: Clock) -> Iterator[Kit]:
    """The generated client with the key of a clinic that was begun as `init` begins one."""
    from sqlalchemy.orm import Session

    from scheduler.core.call import Call
    from scheduler.core.scopes import SCOPES
    from scheduler.models import new_id
    from scheduler.services import organizations

    organization_id = new_id()
    with Session(engine) as session, session.begin():
        call = Call(now=clock(), organization_id=organization_id, actor="test", scopes=frozenset(SCOPES))
        organizations.create(session, call, name="Clinic")
    _, token = make_key(engine, clock, organization_id, "admin", name="integrator")
    client: Any = import_module(generated).AuthenticatedClient(
        base_url=address, token=token, raise_on_unexpected_status=True
    )
    with client:
        yield Kit(generated, client)
