"""Connections that the server has closed, and what a transaction sees of what was read before it began."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scheduler import create_app, database
from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.core.errors import LostRace
from scheduler.database import engine_options, look, pause, transact
from scheduler.models import Organization
from tests.clinic import Clinic
from tests.plumbing.servers import ROOT


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_closed_is_replaced_and_nobody_notices(engine: Engine) -> None:
    backend = text("SELECT pg_backend_pid()")
    with engine.connect() as first, engine.connect() as other:
        gone = first.execute(backend).scalar_one()
        first.rollback()
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": gone})
    with engine.connect() as one, engine.connect() as two:
        assert gone not in {each.execute(backend).scalar_one() for each in (one, two)}


def test_a_server_that_takes_the_call_and_says_nothing_is_not_waited_for() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        url = f"postgresql+psycopg://nobody@127.0.0.1:{mute.getsockname()[1]}/nothing"
        engine = create_engine(url, **engine_options(url, connect_seconds=2))
        with pytest.raises(OperationalError, match="timeout"):
            engine.connect()
        engine.dispose()


def test_every_process_is_patient_for_as_long_as_it_was_told() -> None:
    app = create_app(Settings(database_url="postgresql+psycopg://nobody@127.0.0.1/nothing", database_connect_seconds=7))
    assert app.config["SQLALCHEMY_ENGINE_OPTIONS"]["connect_args"]["connect_timeout"] == 7


def test_what_sqlite_acknowledges_survives_a_power_cut(tmp_path: Path) -> None:
    """As the product opens it; the other tests don't wait for the disk."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        database._on_connect(connection, None)
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [connection.execute(f"PRAGMA {each}").fetchone()[0] for each in asked] == ["wal", 2, 1, 30000]


def test_a_transaction_sees_what_was_committed_since_the_session_last_looked(engine: Engine) -> None:
    clinic = Clinic(engine)
    wanted = select(Organization).where(Organization.id == clinic.call.organization_id)
    with Session(engine) as session, Session(engine) as other:
        assert session.scalars(wanted).one().name == "Harbor"
        with other.begin():
            other.scalars(wanted).one().name = "Lighthouse"
        found = transact(session, clinic.call, lambda one, call: one.get_one(Organization, call.organization_id).name)
    assert found == "Lighthouse"


def test_what_was_looked_at_before_a_change_makes_it_no_less_of_one_piece(engine: Engine) -> None:
    """A key is looked up with no transaction; the change that follows on its connection is kept whole or not at all."""
    clinic = Clinic(engine)
    named = select(Organization.name).where(Organization.id == clinic.call.organization_id)
    tries: list[str] = []

    def rename(session: Session, call: Call) -> None:
        session.get_one(Organization, call.organization_id).name = f"Lighthouse {len(tries)}"
        session.flush()
        with Session(engine) as other:
            tries.append(other.scalars(named).one())
        if len(tries) < 3:
            raise LostRace("Again.")
        if len(tries) < 4:
            raise ZeroDivisionError

    with Session(engine) as session:
        look(session)
        assert session.scalars(named).one() == "Harbor"
        with pytest.raises(ZeroDivisionError):
            transact(session, clinic.call, rename)
        assert tries == ["Harbor"] * 3, "nobody else sees what may yet be taken back"
        look(session)
        assert session.scalars(named).one() == "Harbor", "and nothing is kept of what failed"
        transact(session, clinic.call, rename, dry_run=True)
        look(session)
        assert session.scalars(named).one() == "Harbor"
        transact(session, clinic.call, rename)
        assert (tries[-1], session.scalars(named).one()) == ("Harbor", "Lighthouse 4")


def test_a_connection_that_changes_is_not_taken_for_one_that_looks(engine: Engine) -> None:
    """Else a pause would leave its transaction open, and with it its locks."""
    clinic = Clinic(engine)
    with Session(engine) as session:
        look(session)
        session.scalars(select(Organization.name)).all()
        pause(session)
        looking = session.in_transaction()

        def change(session: Session, call: Call) -> bool:
            session.get_one(Organization, call.organization_id).name = "Lighthouse"
            session.flush()
            pause(session)
            return session.in_transaction()

        assert transact(session, clinic.call, change) is False
        assert session.scalars(select(Organization.name)).all() == ["Harbor"]
    assert looking is (engine.dialect.name == "postgresql"), "who looks has nothing open that would have to end"


#: What a process says of itself that has begun to serve, and a process that it forks: objects kept, connections open.
BEGUN = """
import gc, os, wsgi
from scheduler.database import db
with wsgi.app.app_context():
    pool = db.engine.pool
    print(gc.get_freeze_count(), pool.checkedin(), flush=True)
    if not os.fork():
        print(db.engine.pool.checkedin(), flush=True)
        os._exit(0)
    os.wait()
"""


def test_a_process_that_serves_has_imported_and_rehearsed_and_forks_without_its_connection(tmp_path: Path) -> None:
    """Even where nothing has been migrated: what can't be rehearsed is no reason to end."""
    environ = os.environ | {"SCHEDULER_DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}
    done = subprocess.run(
        [sys.executable, "-c", BEGUN], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    kept, open_here, open_in_the_fork = map(int, done.stdout.split())
    assert kept > 50_000, "most of what there is is left out of collections"
    assert (open_here, open_in_the_fork) == (1, 0)
