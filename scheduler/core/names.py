"""Names of people as a search sees them. Where they are kept, and who may look, lives elsewhere."""

from __future__ import annotations

import unicodedata

_APOSTROPHES = str.maketrans("", "", "'’ʼ`")  # noqa: RUF001 - these are the ones that people type


def folded(text: str) -> str:
    """The text without case, accents and apostrophes, with single spaces."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(kept.translate(_APOSTROPHES).split())


def words(name: str) -> list[str]:
    """The parts of a name by which it may be looked up: of "Ana-María O'Neil" they are ana, ana-maria, maria, oneil."""
    whole = folded(name).replace(",", " ").split()
    parts = [part for word in whole for part in word.split("-") if part]
    return sorted({*whole, *parts})
