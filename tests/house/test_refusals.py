"""Every refusal has a status and a place in the drawing; nothing is answered by accident."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from scheduler.core import errors
from scheduler.core.errors import SchedulingError
from tests.house.source import PRODUCT


def refusals(of: type[Exception]) -> Iterator[type[Exception]]:
    """Yield every class below `of`, at any depth."""
    for kind in of.__subclasses__():
        yield kind
        yield from refusals(kind)


def unanswered(of: type[Exception], answered: Collection[type[Exception]]) -> list[str]:
    """Name the refusals below `of` that are not answered themselves; a parent's answer does not count."""
    return sorted({kind.__name__ for kind in refusals(of) if kind not in answered})


def test_every_refusal_has_a_status_and_every_status_a_refusal() -> None:
    if not (PRODUCT / "api" / "errors.py").exists():
        # Nothing answers yet; the first module of the API turns this red until the table is there.
        assert [path.name for path in (PRODUCT / "api").glob("*.py")] == ["__init__.py"]
        return
    from scheduler.api.errors import STATUS

    assert unanswered(SchedulingError, STATUS.keys()) == []
    assert set(STATUS) - set(refusals(SchedulingError)) - {SchedulingError} == set()


def test_every_refusal_is_in_the_drawing() -> None:
    drawing = (errors.__doc__ or "").split()
    assert [kind.__name__ for kind in refusals(SchedulingError) if kind.__name__ not in drawing] == []


def test_every_refusal_lives_in_one_file() -> None:
    assert {kind.__module__ for kind in refusals(SchedulingError)} == {errors.__name__}


def test_an_unanswered_refusal_is_reported() -> None:
    class Base(Exception): ...

    class Answered(Base): ...

    class Forgotten(Answered): ...

    assert unanswered(Base, {Answered}) == ["Forgotten"]
    assert unanswered(Base, {Answered, Forgotten}) == []
