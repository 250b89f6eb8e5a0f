"""Names and places that stand in messages, refused as they are saved when they tell what a clinic treats.

Texts that a clinic writes for messages are refused in `message_texts`; what slips through is left out when rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.core.errors import Fault, Invalid
from scheduler.messaging.disclosure import disclosures


def faults_of(values: Mapping[str, Any], names: tuple[str, ...]) -> list[Fault]:
    """A fault for each word that gives the patient away, in those of `names` that are among the values."""
    return [
        Fault(pointer, "discloses", f"Patients are shown this, and '{word}' gives away what they are treated for.")
        for name in names
        for pointer, text in _texts(f"/{name}", values.get(name))
        for word in disclosures(text)
    ]


def refuse(values: Mapping[str, Any], *names: str) -> None:
    """Raises Invalid with all of them."""
    faults = faults_of(values, names)
    if faults:
        raise Invalid(faults)


def _texts(pointer: str, value: Any) -> Iterator[tuple[str, str]]:
    """The value if it is a text, or those that it holds by language."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        yield from ((f"{pointer}/{key}", text) for key, text in value.items() if isinstance(text, str))
