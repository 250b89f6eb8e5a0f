"""What orchestrators and operators see, without a key and without anybody's data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from scheduler.core.civil import TZDATA_VERSION
from scheduler.models import Message, Organization, WorkerHeartbeat
from scheduler.services.outbox import Outcome
from scheduler.worker.tally import Tally
from tests.worker.letters import letter

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock


def test_a_process_that_lives_says_so(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_fresh_house_is_ready(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    shown = answer.json
    clock = shown.pop("clock")
    assert clock["status"] == ("unknown" if clock["skew_seconds"] is None else "right")
    head = shown["migrations"]["wanted"]
    assert shown == {
        "status": "ready",
        "database": {"reachable": True},
        "migrations": {"current": head, "wanted": head},
        "worker": {"last_tick_at": None, "age_seconds": None},
        "messages": {"oldest_unsent_due_at": None, "age_seconds": None},
        "tzdata": TZDATA_VERSION,
    }


def test_the_latest_tick_of_any_worker_counts(client: FlaskClient, engine: Engine, clock: Clock) -> None:
    with Session(engine) as session, session.begin():
        for seconds in (90, 30, 60):
            row = WorkerHeartbeat(worker=str(seconds), ticked_at=clock() - timedelta(seconds=seconds))
            session.add(row)
    assert client.get("/readyz").json["worker"] == {
        "last_tick_at": (clock() - timedelta(seconds=30)).isoformat(),
        "age_seconds": 30,
    }
    assert "scheduler_worker_tick_age_seconds 30.0" in client.get("/metrics").text


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_oldest_message_that_is_late_counts(client: FlaskClient, engine: Engine, clock: Clock) -> None:
    raw = engine.raw_connection()
    raw.driver_connection.execute("PRAGMA foreign_keys=OFF")  # the message alone will do
    raw.close()
    with Session(engine) as session, session.begin():
        house = Organization(name="House", sender_name="House", created_at=clock())
        session.add(house)
        session.flush()
        nobody = house.id
    nothing = {"oldest_unsent_due_at": None, "age_seconds": None}
    oldest = {"oldest_unsent_due_at": (clock() - timedelta(minutes=7)).isoformat(), "age_seconds": 420}
    for minutes, status, told in (
        (9, "sent", nothing),
        (-3, "pending", nothing),
        (7, "pending", oldest),
        (5, "sending", oldest),
        (8, "suppressed", oldest),
    ):
        message = Message(
            organization_id=nobody,
            patient_id=nobody,
            course_id=nobody,
            rule=str(minutes),
            kind="reminder",
            channel="sms",
            due_at=clock() - timedelta(minutes=minutes),
            expires_at=clock() + timedelta(days=1),
            status=status,
            created_at=clock(),
        )
        with Session(engine) as session, session.begin():
            session.add(message)
        assert client.get("/readyz").json["messages"] == told
    assert "scheduler_messages_oldest_unsent_seconds 420.0" in client.get("/metrics").text


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("ahead", "status", "code"), [(0, "right", 200), (-30, "warning", 200), (30, "warning", 200), (-300, "wrong", 503)]
)
def test_a_clock_that_is_not_the_databases_is_told(client: FlaskClient, ahead: int, status: str, code: int) -> None:
    client.application.extensions["wall_clock"] = lambda: datetime.now(UTC) + timedelta(seconds=ahead)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["clock"]["status"]) == (code, status)
    assert answer.json["clock"]["skew_seconds"] == pytest.approx(ahead, abs=3)
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith("scheduler_clock_skew")]
    assert float(line.split()[1]) == pytest.approx(ahead, abs=3)


def test_workers_tell_how_late_they_were_and_what_failed(client: FlaskClient, engine: Engine, clock: Clock) -> None:
    tally = Tally()
    for seconds, error in ((1, ""), (1, ""), (20, ""), (99_999, ""), (0, "Busy.")):
        held = letter(uuid4(), uuid4(), uuid4(), clock() - timedelta(seconds=seconds))
        tally.add(Outcome(held, error), clock())
    with Session(engine) as session, session.begin():
        session.add(WorkerHeartbeat(worker="w", ticked_at=clock(), tallies=tally.document()))
        session.add(WorkerHeartbeat(worker="before that was counted", ticked_at=clock()))
    lines = client.get("/metrics").text
    for bound, count in (("0.5", 0), ("1", 2), ("10", 2), ("30", 3), ("14400", 3), ("+Inf", 4)):
        assert f'scheduler_messages_lateness_seconds_bucket{{le="{bound}",worker="w"}} {count}.0' in lines
    assert 'scheduler_messages_lateness_seconds_sum{worker="w"} 100021.0' in lines
    assert 'scheduler_messages_deliveries_total{channel="sms",end="accepted",worker="w"} 4.0' in lines
    assert 'scheduler_messages_deliveries_total{channel="sms",end="failed",worker="w"} 1.0' in lines


def test_another_schema_is_not_ready(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "not_ready")
    assert answer.json["migrations"]["current"] == "9999"
    assert answer.json["database"] == {"reachable": True}


def test_an_empty_database_is_not_ready(empty_database_url: str) -> None:
    from scheduler import create_app
    from scheduler.config import Settings
    from scheduler.database import db

    app = create_app(Settings(database_url=empty_database_url))
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["migrations"]["current"]) == (503, None)
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_no_database_is_not_ready_and_tells_no_more(dialect: str) -> None:
    from scheduler import create_app
    from scheduler.config import Settings

    client = create_app(Settings(database_url="postgresql://nobody:secret@127.0.0.1:9/none")).test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["database"]) == (503, {"reachable": False})
    for word in ("127.0.0.1", "secret", "nobody", "refused"):
        assert word not in answer.text
    assert "scheduler_database_up 0.0" in client.get("/metrics").text


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_metrics_count_by_rule_and_never_by_path(probed: Any, alice: Person, client: FlaskClient) -> None:
    alice.get(f"/v1/probes/{probed['id']}")
    client.get("/v1/nobody-knows-this")
    lines = client.get("/metrics").text
    rule = '{method="GET",rule="/v1/probes/<uuid:probe_id>",status="200"}'
    assert f"scheduler_http_requests_total{rule} 1.0" in lines
    assert 'scheduler_http_requests_total{method="GET",rule="none",status="404"} 1.0' in lines
    assert "scheduler_database_up 1.0" in lines
    assert "scheduler_worker_tick_age_seconds NaN" in lines
    assert "scheduler_messages_oldest_unsent_seconds 0.0" in lines
    for secret in (probed["id"], "nobody-knows-this"):
        assert secret not in lines
