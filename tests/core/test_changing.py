"""Cut-offs and the number of moves, apart for patients, staff and the clinic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.core.changing import Change, check_category, why_not_change
from scheduler.core.errors import Invalid
from scheduler.core.policies import Cutoffs, Initiator, MostMoves, Policies

START = datetime(2030, 3, 4, 15, tzinfo=UTC)
POLICIES = Policies(
    cancel_cutoff_minutes=Cutoffs(patient=120, staff=30),
    reschedule_cutoff_minutes=Cutoffs(patient=60, staff=0),
    max_moves=MostMoves(patient=2),
)


def codes(change: Change, by: Initiator, before: int, moves: dict[str, int] | None = None) -> list[str]:
    now = START - timedelta(minutes=before)
    found = why_not_change(POLICIES, change, by, starts_at=START, now=now, moves=moves or {})
    return [reason.code for reason in found]


@pytest.mark.parametrize(
    ("change", "by", "last"), [("cancel", "patient", 120), ("cancel", "staff", 30), ("reschedule", "patient", 60)]
)
def test_a_change_is_last_accepted_at_the_cutoff(change: Change, by: Initiator, last: int) -> None:
    assert codes(change, by, last) == []
    assert codes(change, by, last - 1) == ["cutoff"]


def test_each_cutoff_and_each_most_is_its_own() -> None:
    """Four cut-offs and two numbers of moves, no two alike, so that none is taken for another."""
    policies = Policies(
        cancel_cutoff_minutes=Cutoffs(patient=4, staff=3),
        reschedule_cutoff_minutes=Cutoffs(patient=2, staff=1),
        max_moves=MostMoves(patient=5, staff=6),
    )
    kinds: list[tuple[Change, Initiator]] = [
        ("cancel", "patient"), ("cancel", "staff"), ("reschedule", "patient"), ("reschedule", "staff"),
    ]  # fmt: skip

    def last(change: Change, by: Initiator, moves: dict[str, int], minutes: int) -> bool:
        now = START - timedelta(minutes=minutes)
        return not why_not_change(policies, change, by, starts_at=START, now=now, moves=moves)

    assert [[last(*kind, {}, minutes) for minutes in range(5)].index(True) for kind in kinds] == [4, 3, 2, 1]
    most = [[last("reschedule", by, {by: moved}, 9) for moved in range(8)].index(False) for by in ("patient", "staff")]
    assert most == [5, 6]


@pytest.mark.parametrize(("change", "by"), [("reschedule", "staff"), ("cancel", "clinic"), ("reschedule", "clinic")])
def test_without_a_cutoff_a_change_is_never_too_late(change: Change, by: Initiator) -> None:
    assert codes(change, by, -30) == []


def test_moves_are_counted_for_who_asks() -> None:
    assert codes("reschedule", "patient", 600, {"patient": 1, "staff": 9}) == []
    assert codes("reschedule", "patient", 600, {"patient": 2}) == ["too_many_changes"]
    assert codes("reschedule", "staff", 600, {"staff": 9}) == []
    assert codes("cancel", "patient", 600, {"patient": 9}) == []


def test_every_reason_is_named() -> None:
    assert codes("reschedule", "patient", 0, {"patient": 2}) == ["cutoff", "too_many_changes"]


def test_a_class_of_reasons_must_be_the_organizations() -> None:
    check_category(POLICIES, None)
    check_category(POLICIES, "weather")
    with pytest.raises(Invalid) as caught:
        check_category(Policies(reasons=("ill",)), "weather")
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/category", "unknown_category")]


def test_patients_may_have_a_lead_and_a_horizon_of_their_own() -> None:
    policies = Policies(lead_minutes=10, horizon_days=100, patient_lead_minutes=1440)
    assert policies.starts(START, "staff") == policies.starts(START, "clinic")
    assert policies.starts(START, "staff") == (START + timedelta(minutes=10), START + timedelta(days=100))
    assert policies.starts(START, "patient") == (START + timedelta(days=1), START + timedelta(days=100))
