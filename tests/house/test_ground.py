"""The ground that the other tests stand on: closed sockets, a standing clock, databases of one's own."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
import requests
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from scheduler.models import Base
from tests.plumbing.clock import Clock
from tests.plumbing.sockets import OutsideWorld

OUTSIDE = ("192.0.2.1", 9)  # set aside for documentation: nobody is there


def test_nothing_leaves_this_machine() -> None:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        stream.settimeout(0.1)
        for reach in (stream.connect, stream.connect_ex, datagram.connect):
            with pytest.raises(OutsideWorld, match=r"192\.0\.2\.1"):
                reach(OUTSIDE)
        with pytest.raises(OutsideWorld):
            datagram.sendto(b"x", OUTSIDE)
    with pytest.raises(OutsideWorld, match=r"example\.org"):
        requests.get("https://example.org", timeout=1)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = threading.Thread(target=lambda: socket.create_connection(server.getsockname()).close())
        caller.start()
        peer, _ = server.accept()
        caller.join()
        peer.close()
    assert not caller.is_alive()


def test_the_clock_stands_still_until_it_is_moved(clock: Clock) -> None:
    first = clock()
    assert clock() == first
    assert first.utcoffset() == timedelta()
    assert clock.move(timedelta(hours=2)) == clock() == first + timedelta(hours=2)
    assert clock.set(datetime(2031, 1, 1, tzinfo=UTC)) == clock()


def test_the_engine_speaks_the_dialect_and_has_every_table(engine: Engine, dialect: str) -> None:
    assert engine.dialect.name == dialect
    assert set(inspect(engine).get_table_names()) - {"alembic_version"} == set(Base.metadata.tables)


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_test_has_its_database_for_itself(engine: Engine, time: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_behind (id INTEGER)"))
    assert "left_behind" in inspect(engine).get_table_names()


def test_an_empty_database_is_empty(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url, poolclass=NullPool)
    assert inspect(engine).get_table_names() == []
