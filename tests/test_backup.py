"""Backups: taken while everybody books, restored into the other database, and nothing is sent twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, create_engine, func, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from scheduler.cli import main
from scheduler.core.errors import Refused
from scheduler.messaging import Envelope
from scheduler.models import Appointment, Base, Message, Organization, Task, WorkerHeartbeat, new_id
from scheduler.services import booking, message_acts, outbox
from scheduler.services.backup import HELD
from scheduler.services.finding import Wanted
from scheduler.worker import Ticker, Worker
from tests.plumbing import postgres
from tests.race.arena import Arena
from tests.worker.crew import until

#: What later bookings change, and what a restore writes.
CHANGED_AFTER = {"resources", "messages", "tasks", "audit_events"}
#: Columns that tables have since the revision which `older` says.
NEWER = {"patient_links": ("starts_at",), "courses": ("note", "own_cadence", "relaxations", "unfit")}


@pytest.fixture
def arena(engine: Engine) -> Arena:
    return Arena(engine, patients=6)


@pytest.fixture
def other_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of the other kind."""
    if dialect == "postgresql":
        yield f"sqlite:///{tmp_path}/other.db"
        return
    with postgres.database(request.getfixturevalue("postgres_server")) as url:
        yield url.render_as_string(hide_password=False)


def run(url: str, *command: str, **env: str) -> Result:
    return CliRunner().invoke(main, command, env={"SCHEDULER_DATABASE_URL": url, **env})


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def contents(engine: Engine) -> dict[str, set[str]]:
    """Every row of every table, as text."""
    with engine.connect() as connection:
        return {
            table.name: {
                json.dumps(list(row), default=str, sort_keys=True) for row in connection.execute(select(table))
            }
            for table in Base.metadata.sorted_tables
            if table.name != WorkerHeartbeat.__tablename__
        }


class Desks:
    """Three who book one visit after the other until they are told to stop, and what they were told."""

    def __init__(self, arena: Arena) -> None:
        self.arena, self.told, self.over = arena, list[UUID](), threading.Event()
        self.warm = threading.Event()
        self.threads = [threading.Thread(target=self.book, args=(number,)) for number in range(3)]

    def book(self, number: int) -> None:
        for place in range(60):
            if self.over.is_set():
                return
            day, hour = divmod(place * 3 + number, 9)
            self.try_to_book(number, self.arena.at(7 * (day // 5) + day % 5, f"{8 + hour:02}:00"))

    def try_to_book(self, number: int, start: datetime) -> None:
        clinic = self.arena.clinic
        wanted = Wanted(self.arena.patient_ids[number], "talk", clinic.location_id, start)
        try:
            made = clinic.do(lambda s, c: booking.book(s, c, wanted))
        except Refused:
            return
        self.told.append(made.id)
        if len(self.told) >= 6:
            self.warm.set()

    def while_they_work(self, work: Callable[[], Result]) -> tuple[Result, list[UUID]]:
        for thread in self.threads:
            thread.start()
        assert self.warm.wait(60)
        before = list(self.told)
        try:
            return work(), before
        finally:
            self.over.set()
            for thread in self.threads:
                thread.join()


def leave_due(arena: Arena) -> dict[str, UUID]:
    """A message that is due, one that a worker has in hand, and one that is due tomorrow. No hour is quiet."""
    now, keys = datetime.now(UTC), {}
    with Session(arena.engine) as session, session.begin():
        organization = session.get_one(Organization, arena.clinic.call.organization_id)
        organization.messaging = organization.messaging | {"quiet": {"from": "00:00", "to": "00:00"}}
        waiting = session.scalars(select(Message).where(Message.status == "pending").order_by(Message.id)).all()
        for name, row in zip(("due", "sending", "tomorrow"), waiting, strict=False):
            keys[name] = row.id
            row.due_at = now + timedelta(days=1) if name == "tomorrow" else now - timedelta(minutes=30)
            if name == "sending":
                row.status, row.token, row.lease_until = "sending", new_id(), now + timedelta(minutes=1)
        for row in waiting[3:]:
            row.due_at = now + timedelta(days=2)
    return keys


def older(file: Path) -> Path:
    """The same backup as the version before the last migrations made it."""
    made = file.with_name("older.backup")
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(made, "w") as made_anew:
        content = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(content["manifest.json"]) | {"revision": "0018"}
        for table in manifest["tables"]:
            if table["name"] in NEWER:
                for column in NEWER[table["name"]]:
                    without(table, content, column)
        content["manifest.json"] = json.dumps(manifest).encode()
        for name, text_of in content.items():
            made_anew.writestr(name, text_of)
    return made


def without(table: dict[str, Any], content: dict[str, bytes], column: str) -> None:
    """Take a column out of a table of a backup, and out of what its manifest says of it."""
    member = f"tables/{table['name']}.copy"
    place = [name for name, _ in table["columns"]].index(column)
    rows = [line.split("\t") for line in content[member].decode().splitlines()]
    content[member] = "".join("\t".join(row[:place] + row[place + 1 :]) + "\n" for row in rows).encode()
    table["columns"].pop(place)
    table["sha256"] = hashlib.sha256(content[member]).hexdigest()


@pytest.mark.slow
def test_what_was_told_before_is_there_after(arena: Arena, other_url: str, tmp_path: Path, engine: Engine) -> None:
    file = tmp_path / "house.backup"
    odd = "tab\t, new\nline, back\\slash, \\N and \u2028"
    arena.clinic.patient(name=odd)
    saved, told = Desks(arena).while_they_work(lambda: run(url_of(engine), "backup", str(file)))
    assert saved.exit_code == 0, saved.output
    done = run(other_url, "restore", str(older(file)))
    assert done.exit_code == 0, done.output
    assert "BROKEN" not in done.output
    other = create_engine(other_url, poolclass=NullPool)
    with Session(other) as session:
        there = set(session.scalars(select(Appointment.id)))
        assert set(told) <= there
        assert session.scalar(text("SELECT version_num FROM alembic_version")) > "0018", "it was migrated since"
    mine, theirs = contents(engine), contents(other)
    assert {name for name in mine if not theirs[name] <= mine[name]} <= CHANGED_AFTER
    assert any(odd in json.loads(row) for row in theirs["patients"])
    assert run(other_url, "restore", str(file)).exit_code == 1, "it is not empty any more"
    assert run(url_of(engine), "backup", str(file)).exit_code == 1, "the file is there already"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_may_have_left_does_not_leave_again(arena: Arena, other_url: str, tmp_path: Path, engine: Engine) -> None:
    file = tmp_path / "house.backup"
    Desks(arena).try_to_book(0, arena.at(0, "10:00"))
    owed = leave_due(arena)
    assert run(url_of(engine), "backup", str(file)).exit_code == 0
    assert run(other_url, "restore", str(file)).exit_code == 0
    other = create_engine(other_url, poolclass=NullPool)
    there = copy(arena.clinic)
    there.engine = other
    now = datetime.now(UTC) + timedelta(minutes=5)
    assert there.do(_claim, now=now).taken == 0
    with Session(other) as session:
        rows = {row.id: row for row in session.scalars(select(Message))}
        [task] = session.scalars(select(Task).where(Task.kind == "restored_messages"))
        assert task.detail.startswith("2 that were due")
    assert {(rows[owed[name]].status, rows[owed[name]].reason) for name in ("due", "sending")} == {("failed", HELD)}
    assert rows[owed["tomorrow"]].status == "pending"
    # Nobody got it: somebody says so, and it leaves.
    there.do(lambda s, c: message_acts.retry(s, c, owed["due"]), now=now)
    assert there.do(_claim, now=now).taken == 1
    assert there.do(_claim, now=now + timedelta(days=1)).taken >= 1, "what falls due later leaves by itself"


def _claim(session: Session, call: Any) -> outbox.Claimed:
    return outbox.claim(session, call, limit=50, lease=timedelta(minutes=1), token=new_id())


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_backup_is_checked_without_touching_a_database(arena: Arena, engine: Engine, tmp_path: Path) -> None:
    file, url = tmp_path / "house.backup", url_of(engine)
    Desks(arena).try_to_book(0, arena.at(0, "10:00"))
    leave_due(arena)
    before = contents(engine)
    assert run(url, "backup", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("*backup*")) == ["house.backup"]
    sound = run(url, "restore", "--check", str(file))
    assert (sound.exit_code, "BROKEN" in sound.output, contents(engine)) == (0, False, before), sound.output
    damaged = {
        "no manifest": lambda path: _without(file, path, "manifest.json"),
        "its rows are not": lambda path: _with(file, path, "tables/messages.copy", b""),
        "cannot be read": lambda path: _without(file, path, "tables/patients.copy"),
        "no backup": lambda path: path.write_text("once upon a time"),
    }
    for said, damage in damaged.items():
        path = tmp_path / "damaged.zip"
        damage(path)
        done = run(url, "restore", "--check", str(path))
        assert (done.exit_code, said in done.output, "Traceback" in done.output) == (1, True, False), done.output
    with engine.begin() as connection:
        connection.execute(update(Appointment).values(status="cancelled"))
    file.unlink()
    run(url, "backup", str(file))
    ill = run(url, "restore", "--check", str(file))
    assert (ill.exit_code, "owners         BROKEN" in ill.output) == (1, True), ill.output
    assert contents(engine)[Organization.__tablename__] == before[Organization.__tablename__]


def _without(file: Path, path: Path, member: str) -> None:
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(path, "w") as damaged:
        for name in set(archive.namelist()) - {member}:
            damaged.writestr(name, archive.read(name))


def _with(file: Path, path: Path, member: str, content: bytes) -> None:
    _without(file, path, member)
    with zipfile.ZipFile(path, "a") as damaged:
        damaged.writestr(member, content)
    shutil.copystat(file, path)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_provider_that_drops_repeats_may_be_trusted_for_a_while(arena: Arena, engine: Engine, tmp_path: Path) -> None:
    file, url = tmp_path / "house.backup", f"sqlite:///{tmp_path}/other.db"
    Desks(arena).try_to_book(0, arena.at(0, "10:00"))
    leave_due(arena)
    run(url_of(engine), "backup", str(file))
    smtp = {
        "SCHEDULER_EMAIL_CHANNEL": "smtp",
        "SCHEDULER_SMTP_HOST": "127.0.0.1",
        "SCHEDULER_SMTP_FROM": "a@example.org",
    }
    refused = run(url, "restore", "--provider-hours", "24", str(file), **smtp)
    assert (refused.exit_code, "By email a repeat reaches people" in refused.output) == (1, True), refused.output
    done = run(url, "restore", "--provider-hours", "24", str(file))
    assert (done.exit_code, "0 messages are held" in done.output) == (0, True), done.output


class Pigeon:
    """A channel that keeps what it carried. `meanwhile` happens while a message is on its way."""

    drops_repeats = True

    def __init__(self) -> None:
        self.carried: list[UUID] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def deliver(self, envelope: Envelope) -> str:
        self.carried.append(UUID(envelope.message_id))
        self.meanwhile()
        return f"feather-{envelope.message_id}"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_worker_at_work_meanwhile_sends_nothing_that_is_held(
    arena: Arena, other_url: str, tmp_path: Path, engine: Engine
) -> None:
    file, pigeon = tmp_path / "house.backup", Pigeon()
    Desks(arena).try_to_book(0, arena.at(0, "10:00"))
    owed = leave_due(arena)
    assert run(url_of(engine), "backup", str(file)).exit_code == 0
    assert run(other_url, "migrate").exit_code == 0
    other = create_engine(other_url, poolclass=NullPool)
    there = copy(arena.clinic)
    there.engine = other
    worker = Worker(lambda: Session(other), {"email": pigeon, "sms": pigeon})
    ticker = Ticker(worker, seconds=0.05)
    ticker.start()
    try:
        until(lambda: _count(other, WorkerHeartbeat) == 1, "the worker to be at work")
        done = run(other_url, "restore", str(file))
        assert done.exit_code == 0, done.output
        there.do(lambda s, c: message_acts.retry(s, c, owed["due"]), now=datetime.now(UTC))
        until(lambda: bool(pigeon.carried), "what somebody sends again to leave")
    finally:
        ticker.stop()
    assert pigeon.carried == [owed["due"]]
    with Session(other) as session:
        held = session.scalars(select(Message.id).where(Message.reason == HELD)).all()
    assert held == [owed["sending"]]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_a_worker_had_in_hand_when_the_house_was_restored_stays(
    arena: Arena, tmp_path: Path, engine: Engine
) -> None:
    file, url, pigeon = tmp_path / "house.backup", f"sqlite:///{tmp_path}/other.db", Pigeon()
    Desks(arena).try_to_book(0, arena.at(0, "10:00"))
    owed = leave_due(arena)
    with engine.begin() as connection:
        connection.execute(update(Message).values(status="pending", token=None, lease_until=None))
    assert run(url_of(engine), "backup", str(file)).exit_code == 0
    assert run(url, "restore", str(file)).exit_code == 0
    other, place = create_engine(url, poolclass=NullPool), [engine]
    # The database is replaced while one of two that were claimed together is on its way.
    pigeon.meanwhile = lambda: place.__setitem__(0, other)
    worker = Worker(lambda: Session(place[0]), {"email": pigeon, "sms": pigeon}, at_once=1)
    assert worker.tick() == 2
    worker.close()
    assert len(pigeon.carried) == 1
    with Session(other) as session:
        rows = session.scalars(select(Message).where(Message.id.in_([owed["due"], owed["sending"]])))
        assert [(row.status, row.reason) for row in rows] == [("failed", HELD)] * 2


def _count(engine: Engine, table: type[Base]) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0
