"""Values that are made by the dozen are values all the same. That nobody changes one, mypy sees to."""

from __future__ import annotations

from dataclasses import field, replace

import pytest

from scheduler.core.value import lightweight


@lightweight
class Shift:
    nurse: str
    slots: tuple[int, int]
    known: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)


def test_they_are_what_they_hold() -> None:
    early = Shift("a", (8, 14))
    assert early == Shift("a", (8, 14))
    assert {early: 1}[Shift("a", (8, 14))] == 1
    assert replace(early, nurse="b") == Shift("b", (8, 14)) != early


def test_what_they_remember_is_no_part_of_them_and_nobody_elses() -> None:
    early, same = Shift("a", (8, 14)), Shift("a", (8, 14))
    early.known["found"] = 1
    assert early == same
    assert not same.known
    assert repr(early) == "Shift(nurse='a', slots=(8, 14))"


def test_they_are_made_of_all_they_hold() -> None:
    with pytest.raises(TypeError, match="slots"):
        Shift("a")  # type: ignore[call-arg] # what is tried
