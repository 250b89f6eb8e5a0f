"""Texts that a clinic wrote: plain, with {{placeholders}} from a list and no logic. Shipped texts are not here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from scheduler.messaging.disclosure import disclosures, fold
from scheduler.messaging.gsm7 import lost, to_gsm7

#: What any text of a clinic may name. Each is a finished phrase in the reader's language, or empty.
_ALWAYS = frozenset({"sender", "phone", "link", "when", "when_short", "day", "in_words", "opt_out"})
_PREPARING = frozenset({"visit", "place", "arrive_at", "food_until", "liquids_until", "alcohol_until"})
_HOSTING = _PREPARING | {"also", "also_short"}
#: What a text of that kind may name besides.
_OF_KIND: dict[str, frozenset[str]] = {
    "booked": _PREPARING,
    "series_overview": _PREPARING | {"visits"},
    "forms_due": frozenset({"visit"}),
    "remind_72h": _HOSTING,
    "remind_24h": _HOSTING,
    "night_before": _HOSTING,
    "day_of": _HOSTING,
    "eske_nasal": _PREPARING | {"sheet_from"},
    "d_instructions": frozenset({"drive"}),
    "rescheduled": _PREPARING | {"previous", "previous_short"},
    "course_changed": frozenset({"changes", "changes_short", "first_new"}),
}
PLACEHOLDERS = _ALWAYS.union(*_OF_KIND.values())

#: What a text of that kind is of no use without: one of each.
_NEEDED: dict[str, tuple[frozenset[str], ...]] = {
    **dict.fromkeys(
        ("booked", "remind_72h", "remind_24h", "day_of", "rescheduled", "cancelled", "correction"),
        (frozenset({"when", "when_short"}),),
    ),
    "night_before": (frozenset({"when", "when_short"}), frozenset({"food_until"})),
    "eske_nasal": (frozenset({"when", "when_short"}), frozenset({"food_until"}), frozenset({"liquids_until"})),
    "course_changed": (frozenset({"changes", "changes_short", "first_new"}),),
}
PARTS = ("subject", "body", "sms")
LONGEST = {"subject": 150, "body": 10_000, "sms": 440}  # three SMS joined together, with how to end them

#: These name the visit or the place, which an SMS or a subject must not.
_BODY_ONLY = frozenset({"visit", "place", "visits", "also", "changes"})
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def placeholders(kind: str, part: str) -> list[str]:
    """What a text may name, by its kind and part, in alphabetical order."""
    named = _ALWAYS | _OF_KIND.get(kind, frozenset())
    return sorted(named if part == "body" else named - _BODY_ONLY)


def faults_in(
    part: str, text: str, extra_words: Iterable[str] = (), *, kind: str | None = None, telling_name: str = ""
) -> Iterator[tuple[str, str]]:
    """Everything wrong with a clinic's text for one part (`subject`, `body`, `sms`): pairs of code and sentence.

    Without a `kind` any placeholder will do. `telling_name` is a name of the clinic that patients must not be shown.
    """
    names = list(dict.fromkeys(_PLACEHOLDER.findall(text)))
    plain = _PLACEHOLDER.sub("", text)
    yield from _misnamed(part, names, PLACEHOLDERS if kind is None else _ALWAYS | _OF_KIND.get(kind, frozenset()))
    if "{{" in plain or "}}" in plain or "{%" in plain:
        yield "stray_braces", "Placeholders are written {{name}}; there is no other use of braces."
    # Of an SMS also what is left of it without the marks that no telephone would show.
    for word in disclosures(plain if part != "sms" else f"{plain}\n{to_gsm7(plain)}", extra_words):
        yield "discloses", f"'{word}' gives away what the patient is treated for."
    if telling_name and fold(telling_name) in fold(plain):
        yield "telling_name", "Write {{sender}}: the name that patients see is the neutral one."
    if len(text) > LONGEST[part]:
        yield "too_long", f"The text is longer than {LONGEST[part]} characters."
    if part == "sms" and (letters := lost(plain)):
        yield "not_in_an_sms", f"An SMS is written in the GSM 7-bit alphabet, and has no '{letters[:20]}'."
    if not text.strip():
        yield "empty", "The text is empty."
    elif part != "subject":
        for choice in _NEEDED.get(kind or "", ()):
            if choice.isdisjoint(names):
                yield "missing_placeholder", f"The text must name {' or '.join(sorted(choice))}."


def _misnamed(part: str, names: Iterable[str], known: frozenset[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name not in known:
            yield "unknown_placeholder", f"There is no placeholder '{name}' here."
        elif part != "body" and name in _BODY_ONLY:
            yield "placeholder_not_here", f"'{name}' may stand in the body of an e-mail only."


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced. Raises KeyError for one that is not on the list."""
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], text)
