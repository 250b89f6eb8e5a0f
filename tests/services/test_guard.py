"""The database has the last word: whoever writes, two blocking rows of one unit never overlap."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import Engine, Table, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.core.errors import SlotTaken
from scheduler.models import Appointment, Occupancy, new_id
from scheduler.services import booking, finding, repacking
from scheduler.services.appointments import AppointmentView
from scheduler.services.calendars import Loaded
from tests.clinic import Clinic, segment, visit_type
from tests.desk import book, count, open_clinic

_ROWS = cast("Table", Occupancy.__table__)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_clinic(engine)


class TestTheDatabaseItself:
    """Whoever writes, by whatever path: no two blocking rows of one unit overlap."""

    @pytest.fixture
    def taken(self, clinic: Clinic) -> AppointmentView:
        clinic.staff("therapist")
        clinic.room("consult")
        return book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")

    @pytest.mark.parametrize(("first", "past"), [(0, 60), (-30, 30), (30, 90), (-10, 70), (10, 20)])
    def test_an_overlapping_row_is_refused(self, clinic: Clinic, taken: AppointmentView, first: int, past: int) -> None:
        with Session(clinic.engine) as session:
            row = self._copy(session, taken, first, past)
            with pytest.raises(IntegrityError, match="no_double_booking"):
                session.execute(insert(Occupancy), [row])

    @pytest.mark.parametrize(("first", "past"), [(-60, 0), (60, 120)])
    def test_a_touching_row_is_not(self, clinic: Clinic, taken: AppointmentView, first: int, past: int) -> None:
        with Session(clinic.engine) as session:
            session.execute(insert(Occupancy), [self._copy(session, taken, first, past)])
            session.commit()

    def test_of_ten_thousand_rows_those_are_taken_that_overlap_none(
        self, clinic: Clinic, taken: AppointmentView
    ) -> None:
        """Any length, on the grid or not, in any order: the database says what comparing each with all others says."""
        rng = random.Random(3)
        begin = taken.row.starts_at + timedelta(days=1)
        with Session(clinic.engine) as session:
            template = self._copy(session, taken, 0, 60)
            rows = []
            for _ in range(10_000):
                start = begin + timedelta(seconds=rng.randrange(20 * 86_400), minutes=5 * rng.randrange(2))
                length = rng.choice((1, 299, 300, 3600, 5400, 86_400)) + rng.randrange(2) * rng.randrange(3600)
                end = start + timedelta(seconds=min(length, 86_400))
                rows.append(template | {"id": new_id(), "starts_at": start, "ends_at": end})
            expected: list[tuple[datetime, datetime]] = []
            for row in rows:
                start, end = row["starts_at"], row["ends_at"]
                if not any(start < past and first < end for first, past in expected):
                    expected.append((start, end))
            self._offer(session, rows)
            mine = select(Occupancy.starts_at, Occupancy.ends_at).where(Occupancy.starts_at >= begin)
            found = [(row.starts_at, row.ends_at) for row in session.execute(mine)]
        assert sorted(found) == sorted(expected)
        assert 500 < len(found) < 9_500

    def test_an_update_is_no_way_around_it(self, clinic: Clinic, taken: AppointmentView) -> None:
        with Session(clinic.engine) as session:
            row = self._copy(session, taken, 60, 120)
            session.execute(insert(Occupancy), [row])
            moved = update(Occupancy).where(Occupancy.id == row["id"]).values(starts_at=taken.row.starts_at)
            with pytest.raises(IntegrityError, match="no_double_booking"):
                session.execute(moved)

    def test_a_row_without_a_unit_or_longer_than_a_day_is_refused(self, clinic: Clinic, taken: AppointmentView) -> None:
        for change in ({"unit": 5}, {"ends_at": taken.row.starts_at + timedelta(days=2)}, {"appointment_id": None}):
            with Session(clinic.engine) as session:
                row = self._copy(session, taken, 60, 120) | change
                with pytest.raises(IntegrityError):
                    session.execute(insert(Occupancy), [row])

    def test_without_the_applications_look_the_guard_still_refuses(
        self, clinic: Clinic, taken: AppointmentView, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Sabotage: a booking that believes every calendar is empty."""
        look = finding.load

        def blind(*args: Any, **kwargs: Any) -> Loaded:
            loaded = look(*args, **kwargs)
            empty = {key: replace(each, taken=(0,) * each.units) for key, each in loaded.site.calendars.items()}
            patient = loaded.site.patient and replace(loaded.site.patient, taken=(0,))
            nothing = {key: replace(each, lanes={}) for key, each in loaded.standing.items()}
            return replace(loaded, site=replace(loaded.site, calendars=empty, patient=patient), standing=nothing)

        monkeypatch.setattr(finding, "load", blind)
        asked: list[tuple[UUID, str, set[str | None]]] = [
            (clinic.patient(), "talk", {"therapist", "consult"}),
            (taken.row.patient_id, "alone", {None}),
        ]
        clinic.visit(visit_type("alone", segment("alone", 60)))
        for who, code, roles in asked:
            with pytest.raises(SlotTaken) as caught:
                book(clinic, who, code, "2030-03-04 10:30")
            [reason] = caught.value.reasons  # who is in the way, and for how long, as any other conflict says it
            named = {(part.role, part.resource_id) for part in taken.participants} | {(None, None)}
            assert reason.role in roles
            assert (reason.role, reason.resource_id) in named
            assert (reason.start, reason.end) == (taken.row.starts_at, taken.row.ends_at)
            assert reason.start is not None
            assert reason.start.utcoffset() == timedelta(hours=-5), "by the clinic's clock"
            assert caught.value.code == ("resource_busy" if reason.role else "patient_busy")
        assert count(clinic, Appointment) == 1

    def test_what_is_numbered_anew_onto_somebody_says_onto_whom(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Sabotage: everybody who is numbered anew gets the first unit."""
        nurse = clinic.staff("nurse", units=2)
        for _ in range(3):
            clinic.room("bay")
        made = [book(clinic, clinic.patient(), "watch", f"2030-03-04 {start}") for start in ("09:30", "10:00")]
        clinic.do(lambda s, c: booking.cancel(s, c, made[0].id, reason="ill", by="patient"))
        book(clinic, clinic.patient(), "watch", "2030-03-04 09:00")
        monkeypatch.setattr(repacking, "repack", lambda spans, _: dict.fromkeys([each[0] for each in spans], 0))
        with pytest.raises(SlotTaken) as caught:
            book(clinic, clinic.patient(), "watch", "2030-03-04 09:30")
        assert caught.value.reasons[0].resource_id == nurse

    def _offer(self, session: Session, rows: list[dict[str, Any]]) -> None:
        """Insert each row by itself; those that are refused are passed over."""
        if session.connection().dialect.name == "postgresql":
            session.execute(postgresql.insert(_ROWS).on_conflict_do_nothing(), rows)
            return
        for row in rows:
            with suppress(IntegrityError):
                session.execute(insert(_ROWS), row)

    def _copy(self, session: Session, taken: AppointmentView, first: int, past: int) -> dict[str, Any]:
        row = session.scalars(
            select(Occupancy).where(Occupancy.appointment_id == taken.id, Occupancy.role == "role:therapist")
        ).one()
        values = {column.key: getattr(row, column.key) for column in Occupancy.__table__.columns}
        start = row.starts_at
        return values | {
            "id": new_id(),
            "starts_at": start + timedelta(minutes=first),
            "ends_at": start + timedelta(minutes=past),
        }
