"""Whom and what a visit was asked for with by name: read from what is stored, and what of it another place drops."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID


@dataclass(frozen=True)
class Pin:
    """Only that resource may serve the selector (`role:nurse`, `room:infusion`, `device:pump`)."""

    selector: str
    resource_id: UUID


class Keeper(NamedTuple):
    """Whose pins they are that were not sent now: the `pointer` at which a fault with them is said, and what helps."""

    pointer: str
    advice: str

    def said(self, what: str, pin: Pin) -> str:
        """The fault, with whom it is about."""
        return f"{what} {self.advice.format(who=f'{pin.selector} {pin.resource_id}')}"


def visit_keeps(pointer: str) -> Keeper:
    """A visit that moves."""
    return Keeper(pointer, "The visit was booked with {who} by name, and keeps them unless others are named.")


def entry_keeps(pointer: str) -> Keeper:
    """An entry of the waitlist."""
    return Keeper(pointer, "The entry waits for {who} by name: change its pins, and then answer the offer again.")


class Pinned(Protocol):
    """A row that keeps them: an appointment's, an entry's of the waitlist."""

    @property
    def pins(self) -> Sequence[Mapping[str, str]]:
        """As `stored` wrote them."""


def stored(pins: Sequence[Pin]) -> list[dict[str, str]]:
    """As a row or an event keeps them."""
    return [{"selector": pin.selector, "resource_id": str(pin.resource_id)} for pin in pins]


def read(entries: Iterable[Mapping[str, str]]) -> tuple[Pin, ...]:
    """What `stored` wrote."""
    return tuple(Pin(each["selector"], UUID(each["resource_id"])) for each in entries)


def pins_of(row: Pinned) -> tuple[Pin, ...]:
    """The pins that the visit was booked with, or is waited for with."""
    return read(row.pins)


def dropped(row: Pinned, people: Collection[UUID]) -> tuple[UUID, ...]:
    """Whom and what the visit was promised by name and would not have with these."""
    return tuple(sorted({pin.resource_id for pin in pins_of(row)} - set(people)))
