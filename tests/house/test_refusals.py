"""Every refusal has a status and a place in the drawing; nothing is answered by accident."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from scheduler.api.errors import STATUS
from scheduler.core import errors
from scheduler.core.errors import SchedulingError


def refusals(of: type[Exception]) -> Iterator[type[Exception]]:
    """Yield every class below `of`, at any depth."""
    for kind in of.__subclasses__():
        yield kind
        yield from refusals(kind)


def unanswered(kinds: Iterable[type[Exception]], answered: Collection[type[Exception]]) -> list[str]:
    """Name the refusals that are not answered themselves; a parent's answer does not count."""
    return sorted({kind.__name__ for kind in kinds if kind not in answered})


CORE = [kind for kind in refusals(SchedulingError) if kind.__module__ == errors.__name__]


def test_every_refusal_of_the_core_has_a_status_of_its_own() -> None:
    assert unanswered(CORE, STATUS) == []


def test_every_other_refusal_has_a_status_from_a_parent_of_its_own_kind() -> None:
    others = [kind for kind in refusals(SchedulingError) if kind not in CORE]
    specific = STATUS.keys() - {SchedulingError}
    assert [kind.__name__ for kind in others if specific.isdisjoint(kind.__mro__)] == []


def test_only_the_core_and_the_api_refuse() -> None:
    assert {kind.__module__.split(".")[1] for kind in refusals(SchedulingError)} <= {"core", "api"}


def test_every_refusal_of_the_core_is_in_the_drawing() -> None:
    drawing = (errors.__doc__ or "").split()
    assert unanswered(CORE, [kind for kind in CORE if kind.__name__ in drawing]) == []


def test_an_unanswered_refusal_is_reported() -> None:
    class Base(Exception): ...

    class Answered(Base): ...

    class Forgotten(Answered): ...

    assert unanswered(refusals(Base), {Answered}) == ["Forgotten"]
    assert unanswered(refusals(Base), {Answered, Forgotten}) == []
