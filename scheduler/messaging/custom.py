"""Texts that a clinic wrote: plain, with {{placeholders}} from a list and no logic. Shipped texts are not here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from scheduler.messaging.disclosure import disclosures

#: What a clinic's text may name. Each is a finished phrase in the reader's language, or empty.
PLACEHOLDERS = frozenset(
    {
        "sender", "phone", "link", "visit", "place", "when", "when_short", "in_words", "arrive_at", "food_until",
        "liquids_until", "alcohol_until", "previous", "previous_short", "visits",
    }
)  # fmt: skip
PARTS = ("subject", "body", "sms")
LONGEST = {"subject": 150, "body": 10_000, "sms": 459}  # three SMS joined together

#: These name the visit or the place, which an SMS or a subject must not.
_BODY_ONLY = frozenset({"visit", "place", "visits"})
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def faults_in(part: str, text: str, extra_words: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Everything wrong with a clinic's text for one part (`subject`, `body`, `sms`): pairs of code and sentence."""
    names = _PLACEHOLDER.findall(text)
    for name in dict.fromkeys(names):
        if name not in PLACEHOLDERS:
            yield "unknown_placeholder", f"There is no placeholder '{name}'."
        elif part != "body" and name in _BODY_ONLY:
            yield "placeholder_not_here", f"'{name}' may stand in the body of an e-mail only."
    plain = _PLACEHOLDER.sub("", text)
    if "{{" in plain or "}}" in plain or "{%" in plain:
        yield "stray_braces", "Placeholders are written {{name}}; there is no other use of braces."
    for word in disclosures(plain, extra_words):
        yield "discloses", f"'{word}' gives away what the patient is treated for."
    if len(text) > LONGEST[part]:
        yield "too_long", f"The text is longer than {LONGEST[part]} characters."
    if not text.strip():
        yield "empty", "The text is empty."


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced. Raises KeyError for one that is not on the list."""
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], text)
